"""Figures of a sync: records, windows of calls, and downloads of files and transcripts.

The figures of each log line are fields as well, for logs in JSON.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from tap_zohovoice.progress.text import Snapshot, format_duration, format_time_left, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_zohovoice._time import Clock


_FIRST_SECONDS = 1.0
"""Earlier, a number of items a minute would not be meaningful."""


class _RequestCounter(Protocol):
    """A rate limiter, with the members that progress reads."""

    @property
    def requests(self) -> int: ...
    @property
    def waits(self) -> int: ...
    def seconds_for(self, requests: int) -> float: ...


class _Progress:
    """Log lines of one stream, with estimates by the time passed and the pace of the limit."""

    def __init__(self, name: str, *, clock: Clock, limiter: _RequestCounter) -> None:
        self._name = name
        self._clock = clock
        self._limiter = limiter
        self._started_at = self._clock.monotonic()
        self._requests_before = self._limiter.requests

    @property
    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._started_at

    def _seconds_left(self, share: float) -> float | None:
        """Estimate the seconds left after a share of the work; None if that is unknown."""
        if not 0 < share < 1:
            return None
        # The first requests are free; from then on the limit sets the pace.
        limited = self._limiter.seconds_for(self._limiter.requests - self._requests_before)
        return max(self._elapsed, limited) * (1 - share) / share

    def _log(self, text: str, **fields: object) -> None:
        logger = logging.getLogger(f"tap-zohovoice.{self._name}")
        logger.info("%s", text, extra={"stream_name": self._name, **fields})

    def _per_minute(self, count: int) -> float:
        return 60 * count / self._elapsed if self._elapsed >= _FIRST_SECONDS else 0.0


class Step:
    """A step without figures."""

    def __init__(self, name: str, text: str) -> None:
        self._snapshot = Snapshot(name, text, 0.0)

    def snapshot(self) -> Snapshot:
        """Return the step."""
        return self._snapshot


class RecordProgress(_Progress):
    """Counts the records of a stream whose number is not known in advance."""

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        limiter: _RequestCounter,
        records_written: Callable[[], int],
    ) -> None:
        super().__init__(name, clock=clock, limiter=limiter)
        self._records_written = records_written
        self._written_before = records_written()

    def snapshot(self) -> Snapshot:
        """Return the progress of the stream."""
        rows = self._records_written() - self._written_before
        requests = self._limiter.requests - self._requests_before
        return Snapshot(
            name=self._name,
            done=f"{plural(rows, 'record')} in {plural(requests, 'request')}",
            per_minute=self._per_minute(rows),
            fields={"rows": rows, "requests": requests},
        )


class WindowProgress(_Progress):
    """Counts calls page by page; logs each window that was read, and a summary.

    Args:
        share_done: Returns the share of the work that is done, given the rows read so far, and the
            share that was read of a window that is not complete.
        tokens_fetched: Returns the number of access tokens fetched so far.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        limiter: _RequestCounter,
        share_done: Callable[[int, float], float],
        tokens_fetched: Callable[[], int],
    ) -> None:
        super().__init__(name, clock=clock, limiter=limiter)
        self._share_done = share_done
        self._tokens_fetched = tokens_fetched
        self._rows = 0
        self._requests = limiter.requests
        self._pending: set[str] = set()
        self._pending_share = 0.0

    def add_page(self, logids: Iterable[str], total: int | None, share: float) -> None:
        """Count a page of a window that is not complete, and that is a share of the work.

        Calls of an earlier page do not count again.
        """
        self._pending.update(logids)
        if total:
            self._pending_share = share * min(len(self._pending) / total, 1.0)

    def snapshot(self) -> Snapshot:
        """Return the progress of the stream."""
        rows = self._rows + len(self._pending)
        share = self._share_done(rows, self._pending_share)
        done = plural(rows, "call")
        if rows and share:
            done = f"{rows:,} of about {plural(round(rows / share), 'call')}"
        left = self._seconds_left(share)
        return Snapshot(
            name=self._name,
            done=done,
            per_minute=self._per_minute(rows),
            share=share or None,
            seconds_left=left,
            fields={
                "rows": rows,
                "percent": int(share * 100),
                "seconds_left": None if left is None else round(left),
            },
        )

    def update(self, window: object, rows: int) -> None:
        """Log a window that was read and written."""
        self._rows += rows
        self._pending, self._pending_share = set(), 0.0
        requests, self._requests = self._limiter.requests - self._requests, self._limiter.requests
        share = self._share_done(self._rows, 0.0)
        text = f"{plural(rows, 'call')} in {plural(requests, 'request')}"
        percent = int(share * 100)
        left = self._seconds_left(share)
        seconds_left = None if left is None else round(left)
        fields = {"rows": rows, "requests": requests, "percent": percent}
        text = f"{window}: {text}; {percent} % done"
        text = "; ".join(filter(None, (text, format_time_left(left))))
        self._log(text, window=str(window), seconds_left=seconds_left, **fields)

    def finish(self, written: int, item: str = "call") -> None:
        """Log a summary that counts the records that went out."""
        limiter = self._limiter
        tokens = self._tokens_fetched()
        counts = {"requests": limiter.requests, "waits": limiter.waits, "tokens": tokens}
        listed = ", ".join(plural(count, name.rstrip("s")) for name, count in counts.items())
        text = f"{plural(written, item)} in {format_duration(self._elapsed)}: {listed}"
        self._log(text, rows=written, seconds=round(self._elapsed, 1), **counts)


class DownloadProgress(_Progress):
    """Counts downloads by result; logs how many there are, and a summary."""

    def __init__(  # noqa: PLR0913 - explicit dependencies
        self,
        name: str,
        item: str,
        *,
        clock: Clock,
        limiter: _RequestCounter,
        results: Mapping[str, int],
        bytes_received: Callable[[], int],
    ) -> None:
        super().__init__(name, clock=clock, limiter=limiter)
        self._item = item
        self._results = results
        self._bytes_received = bytes_received
        self._total = 0

    def add_total(self, count: int, requests: int) -> None:
        """Add to the number of items, and log how long the added ones take."""
        self._total += count
        left = self._limiter.seconds_for(requests)
        text = f"{plural(count, self._item)} to download"
        pace = f"about {format_duration(left)} at the rate limit"
        self._log(f"{text}, {pace}", named=count, seconds_left=round(left))

    def snapshot(self) -> Snapshot:
        """Return the progress of the downloads."""
        done = sum(self._results.values())
        share = done / self._total if self._total else None
        left = None if share is None else self._seconds_left(share)
        received = self._bytes_received()
        text = plural(done, self._item)
        return Snapshot(
            name=self._name,
            done=text if share is None else f"{done:,} of {plural(self._total, self._item)}",
            per_minute=self._per_minute(done),
            share=share,
            seconds_left=left,
            results=self._format_results() if done else "",
            received=received,
            fields={
                "percent": None if share is None else int(share * 100),
                "seconds_left": None if left is None else round(left),
                "bytes_received": received,
                **self._fields(),
            },
        )

    def finish(self) -> None:
        """Log a summary of all results."""
        done = plural(sum(self._results.values()), self._item)
        text = f"{done} in {format_duration(self._elapsed)}: {self._format_results()}"
        self._log(text, seconds=round(self._elapsed, 1), **self._fields())

    def _format_results(self) -> str:
        results = sorted(self._copy_results().items())
        return ", ".join(f"{count:,} {result}" for result, count in results) or "none"

    def _fields(self) -> dict[str, int]:
        return {result.replace(" ", "_"): count for result, count in self._copy_results().items()}

    def _copy_results(self) -> dict[str, int]:
        return dict(self._results)  # at once: the timer reads them while downloads count
