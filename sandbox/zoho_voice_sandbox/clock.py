"""The clock interface, which tests replace to skip waits."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Source of time for everything that waits, expires or is stamped."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes backwards."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...


class SkewedClock:
    """A clock that differs from another by a fixed time."""

    def __init__(self, clock: Clock, ahead: float) -> None:
        """Create a clock that is some seconds ahead of another, or behind if negative."""
        self._clock = clock
        self._ahead = ahead

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        """Return the same as the other clock."""
        return self._clock.monotonic()

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        self._clock.sleep(seconds)


class SystemClock:
    """The clock of this machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
