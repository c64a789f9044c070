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


class _Eta:
    """Estimate of the time left, from the time passed and the pace of the rate limit."""

    def __init__(self, clock: Clock, limiter: RequestCounter) -> None:
        self._clock = clock
        self._limiter = limiter
        self._started_at = clock.monotonic()
        self._requests_before = limiter.requests

    @property
    def elapsed(self) -> float:
        return self._clock.monotonic() - self._started_at

    def seconds_left(self, share: float) -> float | None:
        """Estimate the seconds left after a share of the work; None if that is unknown."""
        if not 0 < share < 1:
            return None
        # The first requests are free; from then on the limit sets the pace.
        limited = self._limiter.seconds_for(self._limiter.requests - self._requests_before)
        return max(self.elapsed, limited) * (1 - share) / share


class WindowProgress:
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
        self._logger = logging.getLogger(f"tap-zohovoice.{name}")
        self._name = name
        self._limiter = limiter
        self._share_done = share_done
        self._tokens_fetched = tokens_fetched
        self._eta = _Eta(clock, limiter)
        self._rows = 0
        self._requests = limiter.requests

    def update(self, window: object, rows: int) -> None:
        """Log a window that was read and written."""
        self._rows += rows
        requests, self._requests = self._limiter.requests - self._requests, self._limiter.requests
        share = self._share_done(self._rows)
        left = self._eta.seconds_left(share)
        self._logger.info(
            "%s: %s in %s; %d %% done%s",
            window,
            _plural(rows, "call"),
            _plural(requests, "request"),
            int(share * 100),
            _eta_suffix(left),
            extra={
                "stream_name": self._name,
                "window": str(window),
                "rows": rows,
                "requests": requests,
                "percent": int(share * 100),
                "seconds_left": None if left is None else round(left),
            },
        )

    def finish(self) -> None:
        """Log a summary of all windows."""
        elapsed = self._eta.elapsed
        counts = {
            "requests": self._limiter.requests,
            "waits": self._limiter.waits,
            "tokens": self._tokens_fetched(),
        }
        self._logger.info(
            "%s in %s: %s",
            _plural(self._rows, "call"),
            _format_duration(elapsed),
            ", ".join(_plural(count, name.removesuffix("s")) for name, count in counts.items()),
            extra={
                "stream_name": self._name,
                "rows": self._rows,
                **counts,
                "seconds": round(elapsed, 1),
            },
        )


class DownloadProgress:
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
        self._logger = logging.getLogger(f"tap-zohovoice.{name}")
        self._name = name
        self._item = item
        self._clock = clock
        self._limiter = limiter
        self._results = results
        self._eta = _Eta(clock, limiter)
        self._logged_at = clock.monotonic()
        self._total = 0

    def set_total(self, count: int) -> None:
        """Set and log the number of items, or its upper bound, once it is known."""
        self._total = count
        self._eta = _Eta(self._clock, self._limiter)
        left = self._limiter.seconds_for(count)
        self._logger.info(
            "%s to download, about %s at the rate limit",
            _plural(count, self._item),
            _format_duration(left),
            extra={"stream_name": self._name, "named": count, "seconds_left": round(left)},
        )

    def update(self) -> None:
        """Log the results so far, at most once a minute."""
        if self._clock.monotonic() - self._logged_at < _LOG_INTERVAL:
            return
        self._logged_at = self._clock.monotonic()
        done = sum(self._results.values())
        share = done / self._total if self._total else 0.0
        left = self._eta.seconds_left(share)
        total = f"{done:,} of {_plural(self._total, self._item)} ({share * 100:.0f} %)"
        self._logger.info(
            "%s: %s%s",
            total if self._total else _plural(done, self._item),
            self._format_results(),
            _eta_suffix(left),
            extra={
                **self._fields(),
                "percent": int(share * 100) if self._total else None,
                "seconds_left": None if left is None else round(left),
            },
        )

    def finish(self) -> None:
        """Log a summary of all results."""
        elapsed = self._eta.elapsed
        self._logger.info(
            "%s in %s: %s",
            _plural(sum(self._results.values()), self._item),
            _format_duration(elapsed),
            self._format_results() or "none",
            extra={**self._fields(), "seconds": round(elapsed, 1)},
        )

    def _format_results(self) -> str:
        return ", ".join(f"{count:,} {result}" for result, count in sorted(self._results.items()))

    def _fields(self) -> dict[str, object]:
        counts = {result.replace(" ", "_"): count for result, count in self._results.items()}
        return {"stream_name": self._name, **counts}


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _eta_suffix(seconds: float | None) -> str:
    return "" if seconds is None else f"; about {_format_duration(seconds)} left"


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
