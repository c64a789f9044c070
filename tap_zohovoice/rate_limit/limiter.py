"""When we may ask: a sliding window of requests, and a lock that closes it."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_zohovoice._time import Clock
    from tap_zohovoice.rate_limit.store import SQLiteSlotStore

_LOGGER = logging.getLogger("tap-zohovoice.throttle")
_GRAIN = 0.001  # seconds; keeps a rounded-down wait from waking a hair too early
_NOTABLE = 1.0
"""Seconds from which on a wait is worth a person's attention: where the limit sets the pace, each
request may wait a moment for the slot of one that was made just as quickly a period ago."""


class SlidingWindowLimiter:
    """A window of slots, each taken before a request and freed a period after its answer.

    The server sees a request at some moment between the two, so no period of the server's clock
    holds more requests than there are slots, whatever the latency. One slot fewer than allowed is
    used, because it is not documented whether the last allowed request is the one that locks.

    Attributes:
        requests: How many requests were let pass.
        waits: How many waits took a second or more.

    Args:
        calls: Requests that the server allows in a period.
        seconds: The period, in seconds.
        clock: Tells the time and sleeps.
        shared: Slots and lock that other processes see too, if any.
    """

    def __init__(
        self, calls: int, seconds: float, clock: Clock, shared: SQLiteSlotStore | None = None
    ) -> None:
        self.waits = 0
        self.requests = 0
        self._calls = calls
        self._slots = max(calls - 1, 1)
        self._seconds = seconds
        self._clock = clock
        self._shared = shared
        self._guard = threading.Lock()
        self._answered: deque[float] = deque()
        self._in_flight: list[int | None] = []
        self._closed_until = float("-inf")
        self._closed_why = ""

    def seconds_for(self, requests: int) -> float:
        """Tell how long some requests take at the limit's pace, in seconds."""
        return requests * self._seconds / self._slots

    def acquire(self) -> None:
        """Take a slot, and wait for one as long as it takes."""
        while True:
            with self._guard:
                wait, why = self._take()
            if wait <= 0:
                return
            self.pause(wait + _GRAIN, why)

    def release(self) -> None:
        """Say that the request was answered, or failed; its slot is freed a period from now."""
        with self._guard:
            token = self._in_flight.pop()
            self._answered.append(self._clock.monotonic())
            if self._shared and token is not None:
                self._shared.answered(token)

    def withdraw(self) -> None:
        """Give back a slot whose request was never sent."""
        with self._guard:
            self.requests -= 1
            token = self._in_flight.pop()
            if self._shared and token is not None:
                self._shared.withdraw(token)

    def close(self, seconds: float, why: str) -> None:
        """Close all slots, for this and other processes, since each request prolongs a lock.

        Args:
            seconds: How long the server's lock lasts from now; a margin is added.
            why: Reason for the log.
        """
        seconds += 1 + seconds * 0.01
        with self._guard:
            self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)
            self._closed_why = why
            if self._shared:
                self._shared.close(seconds)

    def pause(self, seconds: float, why: str) -> None:
        """Wait, and say until when; of a wait shorter than a second, only at level DEBUG.

        Args:
            seconds: How long.
            why: Reason for the log.
        """
        is_notable = seconds >= _NOTABLE
        self.waits += is_notable
        until = dt.datetime.fromtimestamp(self._clock.now() + seconds, dt.UTC)
        _LOGGER.log(
            logging.INFO if is_notable else logging.DEBUG,
            "%s; waiting %.0f s, until %s UTC",
            why,
            seconds,
            f"{until:%Y-%m-%d %H:%M:%S}",
            extra={
                "wait_seconds": round(seconds, 3),
                "wait_until": until.isoformat(timespec="seconds"),
            },
        )
        self._clock.sleep(seconds)

    def _take(self) -> tuple[float, str]:
        """Take a slot if one is free, else tell how long to wait and why."""
        now = self._clock.monotonic()
        while self._answered and self._answered[0] + self._seconds <= now:
            self._answered.popleft()
        if self._closed_until > now:
            return self._closed_until - now, self._closed_why
        full = f"At the limit of {self._calls} requests in {self._seconds:.0f} s"
        if len(self._answered) + len(self._in_flight) >= self._slots:
            # Only threads can find every slot in flight; they look again in a moment.
            free = self._answered[0] + self._seconds if self._answered else now + 0.05
            return free - now, full
        token = None
        if self._shared:
            token, wait, locked = self._shared.take(self._slots, self._seconds)
            if wait > 0:
                return wait, "Zoho's lock, met by another run, is not over" if locked else full
        self._in_flight.append(token)
        self.requests += 1
        return 0.0, ""
