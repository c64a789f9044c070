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


class RequestCounter(Protocol):
    """What progress needs to know of a rate limiter."""

    @property
    def requests(self) -> int:
        """Number of requests made so far."""

    @property
    def waits(self) -> int:
        """Number of waits so far."""

    def seconds_for(self, requests: int) -> float:
        """Return how long that many requests take at the limit's pace, in seconds."""


class _Progress:
    """Log lines of one stream, with estimates by the time passed and the pace of the limit."""

    def __init__(self, name: str, *, clock: Clock, limiter: RequestCounter) -> None:
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


class WindowProgress(_Progress):
    """Logs each window that was read, and a summary.

    Args:
        name: Name of the stream.
        clock: Clock to measure time by.
        limiter: Rate limiter of the stream's URL.
        share_done: Returns the share of the work that is done, given the rows read so far.
        tokens_fetched: Returns the number of access tokens fetched so far.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        limiter: RequestCounter,
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
        left = self._seconds_left(share)
        text = f"{_plural(rows, 'call')} in {_plural(requests, 'request')}"
        self._log(
            f"{window}: {text}; {int(share * 100)} % done{_format_eta(left)}",
            window=str(window),
            rows=rows,
            requests=requests,
            percent=int(share * 100),
            seconds_left=None if left is None else round(left),
        )

    def finish(self, written: int, item: str = "call") -> None:
        """Log a summary that counts the records that went out."""
        counts = {
            "requests": self._limiter.requests,
            "waits": self._limiter.waits,
            "tokens": self._tokens_fetched(),
        }
        listed = ", ".join(_plural(count, name.removesuffix("s")) for name, count in counts.items())
        self._log(
            f"{_plural(written, item)} in {_format_duration(self._elapsed)}: {listed}",
            rows=written,
            seconds=round(self._elapsed, 1),
            **counts,
        )


class DownloadProgress(_Progress):
    """Logs downloads with one request each: once a minute, and a summary.

    Args:
        name: Name of the stream.
        item: What is downloaded, in the singular.
        clock: Clock to measure time by.
        limiter: Rate limiter of the stream's URL.
        results: Number of items by result, which the caller keeps up to date.
    """

    def __init__(
        self,
        name: str,
        item: str,
        *,
        clock: Clock,
        limiter: RequestCounter,
        results: Mapping[str, int],
    ) -> None:
        super().__init__(name, clock=clock, limiter=limiter)
        self._item = item
        self._results = results
        self._logged_at = clock.monotonic()
        self._total = 0

    def set_total(self, count: int) -> None:
        """Set and log the number of items, or its upper bound, once it is known."""
        self._total = count
        self._start()
        left = self._limiter.seconds_for(count)
        text = f"{_plural(count, self._item)} to download"
        self._log(
            f"{text}, about {_format_duration(left)} at the rate limit",
            named=count,
            seconds_left=round(left),
        )

    def update(self) -> None:
        """Log the results so far, at most once a minute."""
        if self._clock.monotonic() - self._logged_at < _LOG_INTERVAL:
            return
        self._logged_at = self._clock.monotonic()
        done = sum(self._results.values())
        text, percent, left = _plural(done, self._item), None, None
        if self._total:
            share = done / self._total
            percent, left = int(share * 100), self._seconds_left(share)
            text = f"{done:,} of {_plural(self._total, self._item)} ({share * 100:.0f} %)"
        seconds_left = None if left is None else round(left)
        self._log_results(text, _format_eta(left), percent=percent, seconds_left=seconds_left)

    def finish(self) -> None:
        """Log a summary of all results."""
        done = _plural(sum(self._results.values()), self._item)
        seconds = round(self._elapsed, 1)
        self._log_results(f"{done} in {_format_duration(self._elapsed)}", seconds=seconds)

    def _log_results(self, text: str, suffix: str = "", **fields: object) -> None:
        results = [f"{count:,} {result}" for result, count in sorted(self._results.items())]
        counts = {result.replace(" ", "_"): count for result, count in self._results.items()}
        self._log(f"{text}: {', '.join(results) or 'none'}{suffix}", **counts, **fields)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _format_eta(seconds: float | None) -> str:
    return "" if seconds is None else f"; about {_format_duration(seconds)} left"


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
