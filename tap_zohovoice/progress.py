"""Progress of a sync in log lines: windows of calls, and downloads of files and transcripts.

The figures of each line are fields as well, for logs in JSON.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_zohovoice._time import Clock

_LOG_INTERVAL = 60.0
"""Seconds between two lines of a download."""


class _RequestCounter(Protocol):
    """A rate limiter, as far as progress reads it."""

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
        self._start()

    def _start(self) -> None:
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

    def _log_with_eta(self, text: str, share: float, **fields: object) -> None:
        left = self._seconds_left(share)
        suffix = "" if left is None else f"; about {_format_duration(left)} left"
        seconds_left = None if left is None else round(left)
        self._log(text + suffix, seconds_left=seconds_left, **fields)


class WindowProgress(_Progress):
    """Logs each window that was read, and a summary.

    Args:
        share_done: Returns the share of the work that is done, given the rows read so far.
        tokens_fetched: Returns the number of access tokens fetched so far.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        limiter: _RequestCounter,
        share_done: Callable[[int], float],
        tokens_fetched: Callable[[], int],
    ) -> None:
        super().__init__(name, clock=clock, limiter=limiter)
        self._share_done = share_done
        self._tokens_fetched = tokens_fetched
        self._rows = 0
        self._requests = limiter.requests

    def update(self, window: object, rows: int) -> None:
        """Log a window that was read and written."""
        self._rows += rows
        requests, self._requests = self._limiter.requests - self._requests, self._limiter.requests
        share = self._share_done(self._rows)
        text = f"{_plural(rows, 'call')} in {_plural(requests, 'request')}"
        percent = int(share * 100)
        fields = {"rows": rows, "requests": requests, "percent": percent}
        text = f"{window}: {text}; {percent} % done"
        self._log_with_eta(text, share, window=str(window), **fields)

    def finish(self, written: int, item: str = "call") -> None:
        """Log a summary that counts the records that went out."""
        limiter = self._limiter
        tokens = self._tokens_fetched()
        counts = {"requests": limiter.requests, "waits": limiter.waits, "tokens": tokens}
        listed = ", ".join(_plural(count, name.rstrip("s")) for name, count in counts.items())
        text = f"{_plural(written, item)} in {_format_duration(self._elapsed)}: {listed}"
        self._log(text, rows=written, seconds=round(self._elapsed, 1), **counts)


class DownloadProgress(_Progress):
    """Logs downloads with one request each: once a minute, and a summary.

    Args:
        item: What is downloaded, in the singular.
        results: Number of items by result, which the caller keeps up to date.
    """

    def __init__(
        self,
        name: str,
        item: str,
        *,
        clock: Clock,
        limiter: _RequestCounter,
        results: Mapping[str, int],
    ) -> None:
        super().__init__(name, clock=clock, limiter=limiter)
        self._item = item
        self._results = results
        self._logged_at = clock.monotonic()
        self._total = 0

    def add_total(self, count: int) -> None:
        """Add to the number of items, and log how long the added ones take."""
        self._total += count
        left = self._limiter.seconds_for(count)
        text = f"{_plural(count, self._item)} to download"
        pace = f"about {_format_duration(left)} at the rate limit"
        self._log(f"{text}, {pace}", named=count, seconds_left=round(left))

    def update(self) -> None:
        """Log the results so far, at most once a minute."""
        if self._clock.monotonic() - self._logged_at < _LOG_INTERVAL:
            return
        self._logged_at = self._clock.monotonic()
        done = sum(self._results.values())
        text, share, percent = _plural(done, self._item), 0.0, None
        if self._total:
            share = done / self._total
            percent = int(share * 100)
            text = f"{done:,} of {_plural(self._total, self._item)} ({share * 100:.0f} %)"
        self._log_with_eta(
            f"{text}: {self._format_results()}", share, percent=percent, **self._fields()
        )

    def finish(self) -> None:
        """Log a summary of all results."""
        done = _plural(sum(self._results.values()), self._item)
        text = f"{done} in {_format_duration(self._elapsed)}: {self._format_results()}"
        self._log(text, seconds=round(self._elapsed, 1), **self._fields())

    def _format_results(self) -> str:
        results = sorted(self._results.items())
        return ", ".join(f"{count:,} {result}" for result, count in results) or "none"

    def _fields(self) -> dict[str, int]:
        return {result.replace(" ", "_"): count for result, count in self._results.items()}


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
