"""Date windows, and their planner: which days to request next.

Whether `toDate` is inclusive, and in which time zone, is not documented.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from tap_zohovoice._compat import override
from tap_zohovoice.extract.limits import ServerLimits

DAY = dt.timedelta(days=1)
MIN_UTC_OFFSET, MAX_UTC_OFFSET = dt.timedelta(hours=-12), dt.timedelta(hours=14)
TARGET_FILL = 0.7  # planned share of the rows that a window may hold
SHORT_RANGE_DAYS = 30  # of a range that is likely to be complete where longer ones are not
_MAX_DST_SHIFT = dt.timedelta(hours=2)  # also the delay until a call is listed
_MIN_EVIDENCE = 3  # rows; single ones may have a wrong time


@dataclass(frozen=True, slots=True)
class DateWindow:
    """Days to request, both ends included: `fromDate` and `toDate`."""

    first: dt.date
    last: dt.date
    call_type: str = ""  # of its calls; empty for all

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    @property
    def possible_starts(self) -> tuple[dt.datetime, dt.datetime]:
        """Range of the start of its calls, in any time zone."""
        return midnight(self.first) - MAX_UTC_OFFSET, midnight(self.last) + DAY - MIN_UTC_OFFSET

    @property
    def near(self) -> tuple[dt.datetime, dt.datetime]:
        """Range of the start of its calls, in any time zone, with two days of tolerance."""
        return midnight(self.first) - 2 * DAY, midnight(self.last) + 3 * DAY

    @override
    def __str__(self) -> str:
        """Return the window as it is logged."""
        return f"{self.first}..{self.last} {self.call_type}".rstrip()


class WindowPlanner:
    """Cuts a range of time into windows, oldest first, sized by the rows of those before.

    Consecutive windows share a day until `toDate` is known to be inclusive.
    """

    def __init__(
        self, start: dt.datetime, end: dt.datetime | None, now: dt.datetime, limits: ServerLimits
    ) -> None:
        self.is_inclusive = False  # whether `toDate` is known to be
        self._min_offset, self._max_offset = MIN_UTC_OFFSET, MAX_UTC_OFFSET  # if it is not
        self._limits = limits
        self._end = now if end is None else min(now, end)
        self.earliest_today = (now + MIN_UTC_OFFSET).date()  # by the server's time zone
        self._start = start
        self._first_day = (start + MIN_UTC_OFFSET).date()
        self._next: dt.date | None = self._first_day if start <= self._end else None
        # In UTC+14, with an exclusive `toDate`, only the day after tomorrow covers this moment.
        self._last_day = (self._end + MAX_UTC_OFFSET).date() + DAY
        self._covering_day = self._last_day
        self.is_extending = False  # day by day, beyond the last day that the server accepted
        self._days = self.range_days = self._all_days  # of the next window, and of any
        self._all_rows: int | None = None
        self._has_rows = False
        self.longest_days = 0  # of a window that was read

    def share_done(self, rows: int, partial: float = 0.0) -> float:
        """Return the share of the rows that is read, or of the days if their total is not known.

        `partial` is the share of the days that was read beyond the last complete window.
        """
        if self._next is None:
            return 1.0
        if self._all_rows:
            return min(rows / self._all_rows, 1.0)
        return min((self._next - self._first_day).days / self._all_days + partial, 1.0)

    def share_of(self, window: DateWindow) -> float:
        """Return the share of the days of the range that a window has."""
        return min(window.days / self._all_days, 1.0)

    @property
    def _all_days(self) -> int:
        return max((self._last_day - self._first_day).days + 1, 1)

    def next_window(self) -> DateWindow | None:
        """Return the days to request next; None: all are read."""
        if self._next is None:
            return None
        left = max((self._last_day - self._next).days + 1, 1)
        days = max(min(self._days, self.range_days), self.min_days)
        return DateWindow(self._next, self._next + (min(days, left) - 1) * DAY)

    def observe(self, window: DateWindow, timestamps: Sequence[dt.datetime]) -> None:
        """Observe the rows of a page: whether `toDate` is inclusive, so that no day is read twice.

        If it is exclusive, every row lies before the start of its window's last day, and after the
        start of the first, in a zone that stays the same. Once no time zone is left in which that
        holds for all rows seen, `toDate` is inclusive.
        """
        first, last = window.near
        near = sorted(moment for moment in timestamps if first < moment < last)
        if window.days == 1 and len(near) >= _MIN_EVIDENCE:
            self.is_inclusive = True  # an exclusive `toDate` would leave nothing
        if len(near) < 2 * _MIN_EVIDENCE:
            return
        earliest, latest = near[_MIN_EVIDENCE - 1], near[-_MIN_EVIDENCE]
        least = midnight(window.first) - earliest - _MAX_DST_SHIFT
        most = midnight(window.last) - latest + _MAX_DST_SHIFT
        self._min_offset = max(self._min_offset, least)
        self._max_offset = min(self._max_offset, most)
        self.is_inclusive = self.is_inclusive or self._min_offset > self._max_offset

    def moments_of(self, window: DateWindow) -> tuple[dt.datetime, dt.datetime]:
        """Return from when to when a window may have requested calls, by the days of UTC."""
        first, last = midnight(window.first), midnight(window.last) + DAY
        return max(first, self._start), min(last, self._end)

    def is_whole_range(self, window: DateWindow) -> bool:
        """Return whether a window has all days of the range."""
        return window.first == self._first_day and window.last >= self._covering_day

    def shrink(self, window: DateWindow, rows: int | None, days: int = 0) -> None:
        """Plan fewer days, if possible this number, as a window has too many rows, or unknown."""
        if rows is None:
            fewer = min(SHORT_RANGE_DAYS, max(window.days // 2, 1))
            self._days = days if 0 < days < window.days else fewer
            return
        self._all_rows = self._all_rows or rows
        fitting = self._fitting_days(window, rows)
        # If most of these days would fit, the window is too long for another reason.
        self._days = max(fitting if fitting < 0.75 * window.days else window.days // 2, 1)

    def avoid_future(self, window: DateWindow) -> bool:
        """After a rejection, request no day that may not have begun; return whether one has."""
        if self.is_extending:
            self._next = None
            return True
        if window.last <= self.earliest_today:
            return False
        self._last_day = self.earliest_today
        if window.first > self._last_day:
            self._extend(window.first)
        return True

    def _extend(self, first: dt.date) -> None:
        """Continue day by day: the server's day may be ahead, or it rejects something else."""
        self._last_day = max(self._last_day + DAY, first)
        self.is_extending = True
        self._next = first if self._last_day <= self._covering_day else None

    def halve(self, window: DateWindow) -> bool:
        """Request half as many days, after a rejection; return whether there are fewer."""
        if window.days == 1:
            return False
        self.range_days = (window.days + 1) // 2
        return True

    def start_at(self, day: dt.date, last: dt.date | None = None) -> bool:
        """Begin at a later day, with a window until `last`; return whether the range has it."""
        has_day = self._next is not None and self._first_day < day <= self._last_day
        if has_day:
            self._first_day = self._next = day
        if last and self._next:
            self._days = max((last - self._next).days + 1, 1)
        return has_day

    def mark_read(self, window: DateWindow, rows: int) -> dt.datetime:
        """Continue after a window of that many rows; return until when all calls are read."""
        self._has_rows = self._has_rows or rows > 0
        self.longest_days = max(self.longest_days, window.days)
        fitting = self._fitting_days(window, rows) if rows else 2 * window.days
        self._days = max(min(fitting, 2 * window.days), 1)
        unread = self._next = window.last + DAY if self.min_days == 1 else window.last
        if window.last >= self._covering_day:
            self._next = None
        elif window.last >= self._last_day:
            self._extend(unread)
        return min(midnight(unread) - MAX_UTC_OFFSET, self._end)  # in any time zone

    def _fitting_days(self, window: DateWindow, rows: int) -> int:
        # Before the first rows, days are skipped: short windows would only cost requests.
        most = self._limits.max_window_rows if self._has_rows else self._limits.reachable_rows
        return int(TARGET_FILL * most * window.days / rows)

    @property
    def min_days(self) -> int:
        """Fewest days of a window: with an exclusive `toDate`, one day is empty."""
        # It must be inclusive if the server accepts only a single day.
        return 1 if self.is_inclusive or self.range_days == 1 else 2


def midnight(day: dt.date) -> dt.datetime:
    """Return the first moment of a day in UTC."""
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def days_after(window: DateWindow, timestamps: Sequence[str]) -> list[DateWindow]:
    """Return the days of rows beyond the last one that offsets reach, if there are any.

    If the timestamps are in no order of time, the days of both halves of the rows are possible.
    """
    last = dt.date.fromisoformat(timestamps[-1][:10])
    if list(timestamps) == sorted(timestamps):
        return [DateWindow(min(max(last - DAY, window.first), window.last), window.last)]
    if list(timestamps) == sorted(timestamps, reverse=True):
        # East of UTC, it may be of the next day, which an exclusive `toDate` leaves out.
        last = (dt.datetime.fromisoformat(timestamps[-1]) + MAX_UTC_OFFSET).date() + DAY
        return [DateWindow(window.first, max(min(last, window.last), window.first))]
    middle = dt.date.fromisoformat(sorted(timestamps)[len(timestamps) // 2][:10])
    middle = min(max(middle, window.first), window.last)
    return [DateWindow(window.first, middle), DateWindow(middle, window.last)]


def days_around(window: DateWindow, timestamps: Sequence[str]) -> int:
    """Return how many days of a window come before all rows, or else until after them."""
    first, last = (dt.date.fromisoformat(each[:10]) for each in (min(timestamps), max(timestamps)))
    # In any time zone, a row is of the day of UTC, or of one beside it.
    before = (first - window.first).days - 1
    return before if before > 0 else (last - window.first).days + 3
