"""The files of recordings and voicemails: `GET zv/logs/voicerecording`."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import CastError, InvalidParameterError
from tap_zohovoice.extract.windows import DAY, EAST, Window, shift
from tap_zohovoice.progress import DownloadProgress
from tap_zohovoice.recordings.downloader import MEGABYTE, RecordingDownloader
from tap_zohovoice.recordings.storage import open_storage
from tap_zohovoice.schemas.recordings import RECORDING_SCHEMA
from tap_zohovoice.schemas.types import CASTS, FieldType
from tap_zohovoice.streams.dependent import CallLogDependentStream

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context

    from tap_zohovoice.schemas.conversion import Record

KINDS = {"recording": "call_recording", "voicemail": "voicemail"}
"""FieldType of a file, and the field of a call log that names it."""
_FILTERS = ("isRecording", "isVoiceMail")
_WORTH_COUNTING = 10
"""Pages of logs from which on it pays to count whether those with files are fewer."""
_SUSPICIOUS = 50
"""Calls of which none names a file."""
_BY_FILTER = "named_by_filter_only"
"""Member of the bookmark: files are named only where they are asked for by a filter."""


class _FewerWithFiltersError(Exception):
    """Asking only for logs with files takes fewer requests."""


class RecordingsStream(CallLogDependentStream):
    """Each recording and each voicemail that a call log names."""

    name = "recordings"
    path = "zv/logs/voicerecording"
    primary_keys = ("recording_filename",)
    schema = RECORDING_SCHEMA
    _downloads: RecordingDownloader | None = None

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        # The documentation asks for any type; a compressed answer would hide its length.
        return {**super().http_headers, "Accept": "*/*", "Accept-Encoding": "identity"}

    @override
    def named_by(self, record: Record) -> Iterator[Record]:
        yield from named_files(record)

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        settings = self.tap.settings
        if settings.recordings_path and not self.is_dry_run:
            largest = settings.recordings_max_mb * MEGABYTE
            self._downloads = RecordingDownloader(
                self, open_storage(settings.recordings_path), largest
            )
            self.progress = DownloadProgress(
                self.name,
                "file",
                clock=self.tap.clock,
                limiter=self.throttle,
                results=self._downloads.results,
            )
        for record in super().get_records(context):
            yield {**dict.fromkeys(self.schema["properties"]), **record}

    @override
    def complete(self, row: Record) -> Record:
        downloads = self._downloads
        if downloads is None:
            return row
        fetched = downloads.get(row["recording_filename"], row["start_time"], row["size"])
        self.note_answer(is_outage=downloads.is_outage)
        return {**row, **fetched}

    @override
    def read(self, start: dt.datetime, end: dt.datetime | None) -> Iterator[Record]:
        if not self._may_filter or (self.reads_first and self.has_followers):
            yield from self.read_all(start, end)
            return
        try:
            yield from self.read_all(start, end, self._weigh)
        except _FewerWithFiltersError:
            yield from self._filtered(start, end)

    @override
    def hidden(self, start: dt.datetime, end: dt.datetime | None, calls: int) -> Iterator[Record]:
        # It is not documented whether logs name files that were not asked for by a filter. That
        # many calls without one raise the question; a state that has the answer spares asking.
        state = self.get_context_state(None)
        is_known = state.get(_BY_FILTER) is True
        if not self._may_filter:
            return
        if calls < _SUSPICIOUS and not is_known:
            self.is_unsure = True  # more calls will tell, and then these are looked at again
            return
        if is_known or self._are_there(start, end):
            state[_BY_FILTER] = True
            yield from self._filtered(start, end)

    def _are_there(self, start: dt.datetime, end: dt.datetime | None) -> bool:
        until = min(end or self.tap.started, self.tap.started)
        first = min(shift(start, -DAY), until).date()
        # An exclusive `toDate` must lie behind the latest calls, and a day ahead may be refused.
        for last in (shift(until, EAST).date() + DAY, until.date()):
            days = Window(first, last)
            try:
                return any(self.calls.reader.count(days, {name: "true"}) != 0 for name in _FILTERS)
            except InvalidParameterError:
                continue
        return True  # days that must be asked for in another way

    @property
    def _may_filter(self) -> bool:
        return not any(name in self.tap.settings.filters for name in _FILTERS)

    def _weigh(self, window: Window, total: int) -> None:
        """Find out whether logs with files are so few that asking for them alone is better."""
        size = self.tap.settings.page_size
        pages = math.ceil(total / size)
        if pages <= _WORTH_COUNTING:
            return
        try:
            counts = [self.calls.reader.count(window, {name: "true"}) for name in _FILTERS]
        except InvalidParameterError:
            return
        known = [count for count in counts if count is not None]
        needed = sum(math.ceil(1.05 * count / size) + 1 for count in known)
        if len(known) == len(counts) and needed < pages - 1:
            raise _FewerWithFiltersError

    def _filtered(self, start: dt.datetime, end: dt.datetime | None) -> Iterator[Record]:
        """Ask for the logs with recordings and for those with voicemails, and merge them."""

        def read(name: str) -> Iterator[Record]:
            for chunk in self.calls.reader.chunks(self.name, start, end, {name: "true"}):
                for row in chunk.rows:
                    yield from self.named_by(row.record)

        # In order of time, so that the bookmark holds for both.
        yield from heapq.merge(*map(read, _FILTERS), key=lambda row: str(row["start_time"]))
        until = min(end or self.tap.started, self.tap.started)
        self.advance(self.behind(until, start))


def named_files(record: Record) -> Iterator[Record]:
    """Tell which files a call log names.

    Args:
        record: Its record.

    Yields:
        A row for each, with all that the log tells.
    """
    for kind, field in KINDS.items():
        value = record[field]
        if value is None:
            value = (record["additional_fields"] or {}).get(field)
        for file in value if isinstance(value, list) else [value]:
            told = {"recording_filename": file} if isinstance(file, str) else file
            if isinstance(told, dict) and (name := _cast(FieldType.STRING, told, "filename")):
                yield {
                    "recording_filename": name,
                    "logid": record["logid"],
                    "kind": kind,
                    "start_time": record["start_time"],
                    "duration_seconds": _cast(FieldType.NUMBER, told, "duration"),
                    "size": _cast(FieldType.INTEGER, told, "size_in_bytes"),
                    "content_type": _cast(FieldType.STRING, told, "content_type", prefix=""),
                }


def _cast(kind: FieldType, told: dict[str, Any], name: str, prefix: str = "recording_") -> Any:  # noqa: ANN401
    """Read what a log tells of a file; what does not fit its type is told by `call_logs`."""
    value = told.get(prefix + name)
    try:
        return None if value is None else CASTS[kind](value)
    except (CastError, OverflowError):
        return None
