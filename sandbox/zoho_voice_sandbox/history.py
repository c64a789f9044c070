"""Start times of generated calls."""

from __future__ import annotations

import hashlib
import struct
from array import array
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from itertools import accumulate

DAY_MS = 86_400_000
# The longest call is shorter, so a call that began before has ended.
LONGEST_MS = 3 * 3_600_000
_EPOCH = date(1970, 1, 1)
_HOURS = (1, 1, 1, 1, 2, 3, 6, 14, 26, 34, 36, 33, 24, 30, 34, 33, 28, 18, 10, 6, 4, 3, 2, 1)
_WEEKDAYS = (1.15, 1.0, 0.95, 1.0, 0.9, 0.25, 0.1)
_SLOTS = 256
_LOW = 0xFFFFFF


@dataclass(frozen=True)
class History:
    """The calls of an account at the start.

    Attributes:
        seed: The same seed generates the same calls.
        calls: Number of calls.
        first: The first day with calls, in UTC.
        last: The last day with calls, in UTC. Calls that would not have ended yet when the server
            starts are moved to an earlier hour.
    """

    seed: int
    calls: int
    first: date
    last: date

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            ValueError: If the number is negative or the days are in the wrong order.
        """
        if self.calls < 0:
            msg = "calls must not be negative"
            raise ValueError(msg)
        if self.first > self.last:
            msg = f"first ({self.first}) is after last ({self.last})"
            raise ValueError(msg)

    def starts(self, now: float) -> array[int]:
        """Generate start times, with more calls in office hours and on working days.

        Args:
            now: Seconds since the epoch. Past calls have ended by then; a history that lies
                entirely after it is not changed.

        Returns:
            Milliseconds since the epoch, sorted, in whole seconds as Zoho sends them. They must
            not be changed: the same history returns them again.
        """
        begin, end = self.bounds_ms()
        cut = int(now * 1000) - LONGEST_MS
        return self._starts(begin, cut if begin < cut < end else end)

    def bounds_ms(self) -> tuple[int, int]:
        """Return when the first day begins and the last one ends, in epoch milliseconds."""
        begin = (self.first - _EPOCH).days * DAY_MS
        return begin, begin + ((self.last - self.first).days + 1) * DAY_MS

    @lru_cache(maxsize=4)  # noqa: B019 - it holds a few small histories
    def _starts(self, begin: int, end: int) -> array[int]:
        days = range(begin, end, DAY_MS)
        sums = list(accumulate(self._weight(day, min(DAY_MS, end - day)) for day in days))
        slots = _quantiles()
        starts = array("q")
        for day, share in zip(days, sums, strict=True):
            count = int(self.calls * (share / sums[-1])) - len(starts)
            length = min(DAY_MS, end - day)
            starts.extend(self._day(day, length, count, slots))
        return starts

    def _weight(self, day: int, length: int) -> float:
        weekday = (_EPOCH + timedelta(milliseconds=day)).weekday()
        mood = self._bytes("mood", day, 1)[0]
        return _WEEKDAYS[weekday] * (0.5 + mood / 255) * length / DAY_MS

    def _day(self, day: int, length: int, count: int, slots: tuple[int, ...]) -> list[int]:
        draws = struct.unpack(f"<{count}I", self._bytes("day", day, 4 * count))
        seconds = sorted(
            slots[draw >> 24]
            + ((slots[(draw >> 24) + 1] - slots[draw >> 24]) * (draw & _LOW) >> 24)
            for draw in draws
        )
        return [day + second * length // DAY_MS * 1000 for second in seconds]

    def _bytes(self, purpose: str, day: int, count: int) -> bytes:
        return hashlib.shake_128(f"{purpose} {self.seed} {day}".encode()).digest(count)


@cache
def _quantiles() -> tuple[int, ...]:
    """Return the bounds, in seconds, of parts of a day that are equally likely to have a call."""
    sums = [0, *accumulate(_HOURS)]
    bounds = []
    for slot in range(_SLOTS + 1):
        share = slot * sums[-1] / _SLOTS
        hour = next(h for h in range(24) if share <= sums[h + 1])
        bounds.append(int((hour + (share - sums[hour]) / _HOURS[hour]) * 3600))
    return tuple(bounds)
