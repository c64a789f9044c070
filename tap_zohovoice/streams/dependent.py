"""Streams of what call logs name: the logs are read once, for all of them."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.streams.base import IncrementalStream
from tap_zohovoice.streams.spool import Spool

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers.types import Context

    from tap_zohovoice.extract.reader import Peek
    from tap_zohovoice.progress import DownloadProgress
    from tap_zohovoice.schemas.conversion import Record
    from tap_zohovoice.streams.call_logs import CallLogsStream
    from tap_zohovoice.tap import TapZohoVoice

_REMEMBERED = 50_000
"""Keys that are remembered, for what two legs of one call name both."""
_SAVE_SECONDS = 60.0
_OUTAGE = 10
"""Requests in a row that no service answered, after which the bookmark stays before them."""


class CallLogDependentStream(IncrementalStream):
    """A stream of what call logs name.

    The stream that comes first in a run reads the logs, and lays aside what those behind it need;
    so no log is read twice, and no log waits for a file.
    """

    def __init__(self, tap: TapZohoVoice, calls: CallLogsStream) -> None:
        """Make the stream.

        Args:
            tap: Its tap.
            calls: The stream of the logs.
        """
        super().__init__(tap)
        self.calls = calls
        self.progress: DownloadProgress | None = None
        """Tells how far it is, where each record takes a request of its own."""
        self._spool: Spool | None = None
        self._feeder: IncrementalStream | None = None
        self._outages = 0
        self._unnamed = 0
        self.is_unsure = False
        """Whether logs may name what was not asked for, so that the bookmark has to wait."""

    @abstractmethod
    def named_by(self, record: Record) -> Iterator[Record]:
        """Tell what a call log names.

        Args:
            record: Its record.

        Yields:
            A row for each, with all that the log tells.
        """

    @abstractmethod
    def complete(self, row: Record) -> Record:
        """Ask for what a row names.

        Args:
            row: A row of `named_by`.

        Returns:
            The record.
        """

    def hidden(self, start: dt.datetime, end: dt.datetime | None, calls: int) -> Iterator[Record]:
        """Look for what logs may name only if they are asked in another way.

        Args:
            start: First moment of interest.
            end: First moment that is of none; None: no end.
            calls: How many calls were read that name nothing.

        Yields:
            Rows as those of `named_by`.
        """
        del start, end, calls
        yield from ()

    def read(self, start: dt.datetime, end: dt.datetime | None) -> Iterator[Record]:
        """Read the logs for this stream, and for those behind it if nobody did.

        Args:
            start: First moment of interest.
            end: First moment that is of none; None: no end.

        Yields:
            Rows of `named_by`.
        """
        yield from self.read_all(start, end)

    def read_all(
        self, start: dt.datetime, end: dt.datetime | None, peek: Peek | None = None
    ) -> Iterator[Record]:
        """Read all logs, and take from them what they name.

        Args:
            start: First moment of interest.
            end: First moment that is of none; None: no end.
            peek: See `CallLogReader.chunks`.

        Yields:
            Rows of `named_by`.
        """
        feed = feeder(self, start) if self.reads_first else None
        seen = named = 0
        for chunk in self.calls.reader.chunks(self.name, start, end, peek=peek):
            for record in (row.record for row in chunk.rows):
                if feed:
                    feed(record)
                seen += 1
                for row in self.named_by(record):
                    named += 1
                    yield row
            if named:  # else they may be hidden, and the bookmark must wait for them
                silence = self.end_of_silence(chunk, start)
                self.advance(chunk.rows[-1].start_time if chunk.rows else silence)
        if not named:
            self._unnamed = seen

    def note_answer(self, *, is_outage: bool) -> None:
        """Note what came of a request, so that no outage is passed over.

        Args:
            is_outage: Whether no service answered.
        """
        if self._outages < _OUTAGE:  # from then on, this run's bookmark stays where it is
            self._outages = self._outages + 1 if is_outage else 0

    @property
    @override
    def is_held(self) -> bool:
        return self._outages > 0

    @property
    def reads_first(self) -> bool:
        """Whether nobody read the logs before, in this run."""
        return self._spool is None

    @property
    def has_followers(self) -> bool:
        """Whether streams behind this one need the logs too."""
        return bool(_behind(self))

    def take_over(self, start: dt.datetime, feeder: IncrementalStream) -> Spool:
        """Let another stream read the logs for this one.

        Args:
            start: From when on it reads.
            feeder: That stream.

        Returns:
            Where to lay rows aside.
        """
        self._feeder = feeder
        self._spool = Spool(start)
        return self._spool

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if self.ABORT_AT_RECORD_COUNT is not None:
            for record in self.calls.reader.sample(self.ABORT_AT_RECORD_COUNT + 1):
                # A dry run selects every stream, and then trips over those that nobody selected.
                yield from self.named_by(record) if self.selected_by_default else ()
            return
        clock = self.tap.clock
        saved = clock.monotonic()
        try:
            for row in self._once(self._rows(self.first_moment(context), context)):
                yield self.complete(row)
                if self.progress:
                    self.progress.update()
                if clock.monotonic() - saved >= _SAVE_SECONDS:
                    self.save()
                    saved = clock.monotonic()
        finally:
            if self.progress:
                self.progress.finish()

    def _once(self, rows: Iterator[Record]) -> Iterator[Record]:
        """Leave out rows whose key was there before."""
        known: dict[object, None] = {}
        for row in rows:
            key = tuple(row[name] for name in self.primary_keys)
            if key in known:
                continue
            known[key] = None
            if len(known) > _REMEMBERED:
                del known[next(iter(known))]
            yield row

    def _rows(self, start: dt.datetime, context: Context | None) -> Iterator[Record]:
        spool, end = self._spool, self.tap.settings.end
        if spool and spool.error:
            self.logger.warning(
                "The folder for temporary files failed (%s); reading the logs once more",
                spool.error.strerror,
            )
            spool.close()
            self._spool = spool = None
        if spool is None or start < spool.start:
            yield from self.read(start, spool.start if spool else end)
        if self._unnamed and (spool is None or spool.rows):
            yield from self.hidden(start, spool.start if spool else end, self._unnamed)
        if spool is None or self._feeder is None:
            return
        with closing(spool):
            moment = format_timestamp(start)
            if self.progress:
                self.progress.set_total(sum(1 for _ in spool.since(moment)))
            yield from spool.since(moment)
        if not spool.rows and (calls := self._unnamed + spool.calls):
            # All that was read for this stream counts, by whomever.
            since = start if self._unnamed else max(start, spool.start)
            yield from self.hidden(since, end, calls)
        # What the logs' own bookmark covers, this stream has seen too.
        covered = self._feeder.get_context_state(context).get("replication_key_value")
        if covered and not self.is_unsure:
            self.advance(covered)


def feeder(stream: IncrementalStream, start: dt.datetime) -> Callable[[Record], None] | None:
    """Tell where to hand the logs that a stream reads, for the streams behind it.

    Args:
        stream: The stream that reads.
        start: From when on it reads.

    Returns:
        To be called with each record, before it is given away; None if nobody wants it.
    """
    spools = [(other.named_by, other.take_over(start, stream)) for other in _behind(stream)]

    def feed(record: Record) -> None:
        for named_by, spool in spools:
            spool.calls += 1
            for named in named_by(record):
                spool.add(named)

    return feed if spools else None


def _behind(stream: IncrementalStream) -> list[CallLogDependentStream]:
    # The SDK runs streams in the order of their names.
    return [
        other
        for other in stream.tap.streams.values()
        if isinstance(other, CallLogDependentStream) and other.selected and other.name > stream.name
    ]
