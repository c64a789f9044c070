"""Sliding-window rate limiter with a lockout, optionally shared between processes."""

import datetime as dt
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tap_zohovoice._time import Clock

_LOGGER = logging.getLogger("tap-zohovoice.rate_limit")
ROUNDING_MARGIN = 0.001  # seconds, so that no rounded wait ends before the slot is free
LOG_WAIT_FROM = 1.0  # seconds from which a wait is logged at INFO; shorter ones are common
_REPORTS_PER_PERIOD = 3  # of a lockout, as a store that lost it grants no slot for a period
_AT_LIMIT = "At the limit"
SHARED_LOCKOUT = "A lockout reported by another run is in effect"


class Wait(NamedTuple):
    """A wait that is going on."""

    status: str  # what for, such as `at the limit`
    until: dt.datetime


class Grant(NamedTuple):
    """What a store replies to a request for a slot."""

    slot: int | str | None = None  # its name; None if there is none, or the store is not usable
    seconds: float = 0.0  # to wait before the next try; zero if the slot is granted
    reason: str = ""  # empty if all slots are taken


class SlotStore:
    """Slots and lockouts of a URL, for the processes that share them; here, for none."""

    is_volatile = False  # whether it may lose lockouts, which a waiting process reports again

    def try_acquire(self, slots: int, seconds: float) -> Grant:  # noqa: ARG002
        """Acquire one of some slots, each free `seconds` after its release, unless locked."""
        return Grant()

    def release(self, slot: int | str) -> None:
        """Record that the response to the request of a slot came just now."""

    def lock_for(self, seconds: float) -> None:
        """Refuse slots to all processes for some seconds from now."""


@dataclass(eq=False, repr=False)
class SlidingWindowLimiter:
    """Slots that are acquired before a request and freed a period after its response.

    The server counts a request at some moment between the two, so no period of its clock holds
    more requests than there are slots, at any latency. One slot fewer than allowed is used,
    because it is not documented whether the last allowed request already locks the API.
    """

    calls: int  # that the server allows in a period
    seconds: float  # of the period
    clock: Clock
    store: SlotStore = field(default_factory=SlotStore)
    requests = 0  # that got a slot
    waits = 0  # of `LOG_WAIT_FROM` seconds or more
    interruption_seconds = 0.0  # of all waits for lockouts and retries
    current_wait: Wait | None = field(default=None, init=False)
    _released: deque[float] = field(default_factory=deque, init=False)
    _in_flight: list[int | str | None] = field(default_factory=list, init=False)
    _locked_until = float("-inf")
    _lock_reason = ""

    @property
    def _slots(self) -> int:
        return max(self.calls - 1, 1)

    def seconds_for(self, requests: int) -> float:
        """Return how long that many requests take at the limit's pace, in seconds."""
        return requests * self.seconds / self._slots

    def acquire(self) -> None:
        """Acquire a slot; wait until one is free and no lockout is in effect."""
        while True:
            seconds, reason = self.try_acquire()
            if seconds <= 0:
                return
            self.wait(seconds + ROUNDING_MARGIN, reason)

    def try_acquire(self) -> tuple[float, str]:
        """Acquire a slot and return zero, or the seconds to wait before the next try, and why."""
        now = self.clock.monotonic()
        if self._locked_until > now:
            return self._locked_until - now, self._lock_reason
        while self._released and self._released[0] + self.seconds <= now:
            self._released.popleft()
        limit = f"{_AT_LIMIT} of {self.calls} requests in {self.seconds:.0f} s"
        if len(self._released) + len(self._in_flight) >= self._slots:
            return (self._released or [now])[0] + self.seconds - now, limit
        slot, seconds, reason = self.store.try_acquire(self._slots, self.seconds)
        if reason == SHARED_LOCKOUT:
            self._locked_until, self._lock_reason = self.clock.monotonic() + seconds, reason
        if seconds > 0:
            return seconds, reason or limit
        self._in_flight.append(slot)
        self.requests += 1
        return 0.0, ""

    def release(self) -> None:
        """Release the slot, if there is one, after a response or failure; see the class."""
        while self._in_flight:
            self._released.append(self.clock.monotonic())
            if (slot := self._in_flight.pop()) is not None:
                self.store.release(slot)

    def lock_for(self, seconds: float, reason: str) -> None:
        """Grant no slot for some seconds, here and in other processes; `acquire` waits."""
        seconds += 1 + seconds * 0.01  # an early request may prolong the lockout
        self._locked_until = max(self._locked_until, self.clock.monotonic() + seconds)
        self._lock_reason = reason
        self.store.lock_for(seconds)

    def wait(self, seconds: float, reason: str) -> None:
        """Log why and until when, then sleep."""
        is_limit, is_notable = reason.startswith(_AT_LIMIT), seconds >= LOG_WAIT_FROM
        self.waits += is_notable
        self.interruption_seconds += 0 if is_limit else seconds
        until = self.clock.utcnow() + dt.timedelta(seconds=seconds)
        self.current_wait = Wait("at the limit" if is_limit else "waiting", until)
        level = logging.INFO if is_notable else logging.DEBUG
        text = f"{reason}; waiting {seconds:.0f} s, until {until:%Y-%m-%d %H:%M:%S} UTC"
        end = until.isoformat(timespec="seconds")
        fields = {"wait_seconds": round(seconds, 3), "wait_until": end}
        _LOGGER.log(level, "%s", text, extra=fields)
        part = self.seconds / _REPORTS_PER_PERIOD
        while self.store.is_volatile and seconds > part:
            self.clock.sleep(part)
            self.store.lock_for(max(self._locked_until - self.clock.monotonic(), 0))
            seconds -= part
        self.clock.sleep(seconds)
        self.current_wait = None
