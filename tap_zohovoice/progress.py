"""How far a sync is, for people: one line a window, and a summary."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_zohovoice.clock import Clock
    from tap_zohovoice.history import Chunk
    from tap_zohovoice.tap import TapZohoVoice
    from tap_zohovoice.throttle import Throttle
    from tap_zohovoice.windows import Planner

_MINUTE = 60.0


class Progress:
    """Tells what was read and how long the rest will take.

    Args:
        name: The stream.
        planner: Knows what lies ahead.
        tap: Knows clock and tokens.
        throttle: Counts requests and waits.
    """

    def __init__(self, name: str, planner: Planner, tap: TapZohoVoice, throttle: Throttle) -> None:
        self._logger = logging.getLogger(f"{tap.name}.{name}")
        self._planner = planner
        self._tap = tap
        self._throttle = throttle
        self._begun = tap.clock.monotonic()
        self._rows = 0
        self._requests = throttle.requests

    def note(self, chunk: Chunk) -> None:
        """Log a window that was read and written."""
        self._rows += len(chunk.rows)
        requests, self._requests = self._throttle.requests - self._requests, self._throttle.requests
        share = self._planner.share(self._rows)
        # The first requests are free; from then on the limit sets the pace.
        pace = max(self._elapsed(), self._throttle.seconds_for(self._throttle.requests))
        left = pace * (1 - share) / share if share else 0.0
        self._logger.info(
            "%s: %s calls in %d %s; %d %% done%s",
            chunk.window,
            f"{len(chunk.rows):,}",
            requests,
            "request" if requests == 1 else "requests",
            int(share * 100),
            f", about {_span(left)} left" if 0 < share < 1 else "",
        )

    def summarise(self) -> None:
        """Log the whole."""
        self._logger.info(
            "%s calls, requests: %d, waits: %d, tokens: %d, in %s",
            f"{self._rows:,}",
            self._throttle.requests,
            self._throttle.waits,
            self._tap.tokens.fetched,
            _span(self._elapsed()),
        )

    def _elapsed(self) -> float:
        return self._tap.clock.monotonic() - self._begun


class FileProgress:
    """Tells what became of files, once a minute and at the end.

    Args:
        name: The stream.
        clock: Tells the time.
        results: Counts files by what became of them.
    """

    def __init__(self, name: str, clock: Clock, results: Mapping[str, int]) -> None:
        self._logger = logging.getLogger(f"tap-zohovoice.{name}")
        self._clock = clock
        self._results = results
        self._told = clock.monotonic()

    def note(self) -> None:
        """Log how far it is, if that is a while ago."""
        if self._clock.monotonic() - self._told >= _MINUTE:
            self.summarise()

    def summarise(self) -> None:
        """Log what became of the files so far."""
        self._told = self._clock.monotonic()
        counts = [f"{count:,} {what}" for what, count in sorted(self._results.items())]
        self._logger.info("Files: %s", ", ".join(counts) or "none")


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
