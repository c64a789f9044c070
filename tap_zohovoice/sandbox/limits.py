"""How many requests an address takes, and the lock that follows too many."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_zohovoice._time import Clock
    from tap_zohovoice.sandbox.dialect import Dialect
    from tap_zohovoice.sandbox.stats import Counts


class Limiter:
    """Counts the requests of a rolling window."""

    def __init__(self, clock: Clock, counts: Counts) -> None:
        """Start with an empty window.

        Args:
            clock: Where the time comes from.
            counts: Where the requests over the limit and those during a lock are counted.
        """
        self._clock = clock
        self._counts = counts
        self._hits: deque[float] = deque()
        self._locked_until: float | None = None
        self._guard = threading.Lock()

    def hit(self, dialect: Dialect) -> float:
        """Count a request at the moment at which it is received.

        Args:
            dialect: The figures of the limit.

        Returns:
            Seconds for which the address is locked, 0 if the request may be answered.
        """
        with self._guard:
            now = self._clock.monotonic()
            if self._locked_until is not None and now < self._locked_until:
                self._counts.locked_calls += 1
                return self._close(now, dialect)
            self._locked_until = None
            while self._hits and self._hits[0] <= now - dialect.limit_seconds:
                self._hits.popleft()
            self._hits.append(now)
            if len(self._hits) > dialect.limit_calls:
                self._counts.violations += 1
                return self._close(now, dialect)
            return 0.0

    def lock(self, dialect: Dialect) -> float:
        """Lock the address now, whatever was counted.

        Args:
            dialect: The figures of the limit.

        Returns:
            Seconds for which the address is locked.
        """
        with self._guard:
            return self._close(self._clock.monotonic(), dialect)

    def _close(self, now: float, dialect: Dialect) -> float:
        self._hits.clear()
        self._locked_until = now + dialect.lock_seconds
        return dialect.lock_seconds
