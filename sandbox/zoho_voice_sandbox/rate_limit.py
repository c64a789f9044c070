"""Rolling-window rate limit, and the lock that follows too many requests."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoho_voice_sandbox.clock import Clock
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.stats import EndpointStats


class RateLimiter:
    """The rate limit of one endpoint; it counts violations and requests during a lock."""

    def __init__(self, clock: Clock, stats: EndpointStats) -> None:
        self._clock = clock
        self._stats = stats
        self._hits: deque[float] = deque()
        self._locked_until: float | None = None
        self._mutex = threading.Lock()

    def hit(self, dialect: Dialect) -> float:
        """Count a request on arrival.

        Returns:
            Seconds for which the endpoint is locked, 0 if the request may be answered.
        """
        with self._mutex:
            now = self._clock.monotonic()
            if self._locked_until is not None and now < self._locked_until:
                self._stats.locked_calls += 1
                return self._lock_at(now, dialect)
            self._locked_until = None
            while self._hits and self._hits[0] <= now - dialect.limit_seconds:
                self._hits.popleft()
            self._hits.append(now)
            if len(self._hits) > dialect.limit_calls:
                self._stats.violations += 1
                return self._lock_at(now, dialect)
            return 0.0

    def lock(self, dialect: Dialect) -> float:
        """Lock the endpoint now, and return for how many seconds."""
        with self._mutex:
            return self._lock_at(self._clock.monotonic(), dialect)

    def _lock_at(self, now: float, dialect: Dialect) -> float:
        self._hits.clear()
        self._locked_until = now + dialect.lock_seconds
        return dialect.lock_seconds
