"""How far a sync is: one line a window, one a minute for files, and a summary.

Each line is a sentence for people, and holds its figures as fields beside it, for logs in JSON.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_zohovoice._time import Clock
    from tap_zohovoice.client import Services
    from tap_zohovoice.extract.planner import WindowPlanner
    from tap_zohovoice.extract.reader import WindowResult
    from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter

_MINUTE = 60.0


class _Pace:
    """How long what is left takes.

    Args:
        clock: Tells the time.
        throttle: Counts requests, and knows the limit's pace.
    """

    def __init__(self, clock: Clock, throttle: SlidingWindowLimiter) -> None:
        self._clock = clock
        self._throttle = throttle
        self._begun = clock.monotonic()
        self._requests = throttle.requests

    @property
    def elapsed(self) -> float:
        return self._clock.monotonic() - self._begun

    def left(self, share: float) -> float | None:
        """Tell how many seconds are left, where some share is done; None: nobody can tell."""
        if not 0 < share < 1:
            return None
        # The first requests are free; from then on the limit sets the pace.
        limited = self._throttle.seconds_for(self._throttle.requests - self._requests)
        return max(self.elapsed, limited) * (1 - share) / share


class WindowProgress:
    """Tells what was read and how long the rest will take.

    Args:
        name: The stream.
        planner: Knows what lies ahead.
        tap: Knows clock and tokens.
        throttle: Counts requests and waits.
    """

    def __init__(
        self, name: str, planner: WindowPlanner, tap: Services, throttle: SlidingWindowLimiter
    ) -> None:
        self._logger = logging.getLogger(f"tap-zohovoice.{name}")
        self._name = name
        self._planner = planner
        self._tap = tap
        self._throttle = throttle
        self._pace = _Pace(tap.clock, throttle)
        self._rows = 0
        self._requests = throttle.requests

    def note(self, chunk: WindowResult) -> None:
        """Log a window that was read and written."""
        rows = len(chunk.rows)
        self._rows += rows
        requests, self._requests = self._throttle.requests - self._requests, self._throttle.requests
        share = self._planner.share_done(self._rows)
        left = self._pace.left(share)
        self._logger.info(
            "%s: %s in %s; %d %% done%s",
            chunk.window,
            _counted(rows, "call"),
            _counted(requests, "request"),
            int(share * 100),
            _told(left),
            extra={
                "stream_name": self._name,
                "window": str(chunk.window),
                "rows": rows,
                "requests": requests,
                "percent": int(share * 100),
                "seconds_left": None if left is None else round(left),
            },
        )

    def summarise(self) -> None:
        """Log the whole."""
        elapsed = self._pace.elapsed
        told = {
            "requests": self._throttle.requests,
            "waits": self._throttle.waits,
            "tokens": self._tap.tokens.fetched,
        }
        self._logger.info(
            "%s, %s, in %s",
            _counted(self._rows, "call"),
            ", ".join(f"{name}: {count:,}" for name, count in told.items()),
            _span(elapsed),
            extra={
                "stream_name": self._name,
                "rows": self._rows,
                **told,
                "seconds": round(elapsed, 1),
            },
        )


class DownloadProgress:
    """Tells what became of things that are asked for one by one, once a minute and at the end.

    Args:
        name: The stream.
        what: What they are, for the beginning of a sentence.
        clock: Tells the time.
        throttle: The throttle of their URL.
        results: Counts them by what became of them.
    """

    def __init__(
        self,
        name: str,
        what: str,
        clock: Clock,
        throttle: SlidingWindowLimiter,
        results: Mapping[str, int],
    ) -> None:
        self._logger = logging.getLogger(f"tap-zohovoice.{name}")
        self._name = name
        self._what = what
        self._clock = clock
        self._throttle = throttle
        self._results = results
        self._pace = _Pace(clock, throttle)
        self._told = clock.monotonic()
        self._expected = 0

    def expect(self, count: int) -> None:
        """Log how many there are at most, once it is known.

        Args:
            count: How many.
        """
        self._expected = count
        self._pace = _Pace(self._clock, self._throttle)
        left = self._throttle.seconds_for(count)
        self._logger.info(
            "%s: %s named; to ask for all takes about %s",
            self._what,
            f"{count:,}",
            _span(left),
            extra={"stream_name": self._name, "named": count, "seconds_left": round(left)},
        )

    def note(self) -> None:
        """Log how far it is, if that is a while ago."""
        if self._clock.monotonic() - self._told < _MINUTE:
            return
        self._told = self._clock.monotonic()
        done = sum(self._results.values())
        share = done / self._expected if self._expected else 0.0
        left = self._pace.left(share)
        self._logger.info(
            "%s: %s%s: %s%s",
            self._what,
            f"{done:,}",
            f" of {self._expected:,} ({share:.0%})".replace("%", " %") if self._expected else "",
            self._counts(),
            _told(left),
            extra={
                **self._fields(),
                "percent": int(share * 100) if self._expected else None,
                "seconds_left": None if left is None else round(left),
            },
        )

    def summarise(self) -> None:
        """Log what became of all."""
        elapsed = self._pace.elapsed
        self._logger.info(
            "%s: %s, in %s",
            self._what,
            self._counts() or "none",
            _span(elapsed),
            extra={**self._fields(), "seconds": round(elapsed, 1)},
        )

    def _counts(self) -> str:
        return ", ".join(f"{count:,} {what}" for what, count in sorted(self._results.items()))

    def _fields(self) -> dict[str, object]:
        counts = {what.replace(" ", "_"): count for what, count in self._results.items()}
        return {"stream_name": self._name, **counts}


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _told(left: float | None) -> str:
    return "" if left is None else f"; about {_span(left)} left"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
