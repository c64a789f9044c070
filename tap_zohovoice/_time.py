"""The passing of time, in one small object that tests can replace."""

from __future__ import annotations

import time


class Clock:
    """The real clock of this machine.

    Whatever waits or stamps takes a clock, so that a test of a ten-minute lock takes no time.
    """

    def now(self) -> float:
        """Return seconds since the epoch, by the wall clock."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some moment, never running backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while.

        Args:
            seconds: How long, in seconds.
        """
        time.sleep(seconds)
