"""Which days to ask for next."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_zohovoice.paging import Reach

_DAY = dt.timedelta(days=1)
_WEST = dt.timedelta(hours=-12)
_EAST = dt.timedelta(hours=14)
"""The ends of the world's time zones: nobody documents in which one Zoho reads its dates."""
_DST = dt.timedelta(hours=2)
"""What a zone's offset may differ between two windows, and a call's start from its filing."""
_WITNESSES = 3
"""Rows that must agree before something is believed of the zone: a phone's clock can be wrong."""
_FILL = 0.7
"""Share of the rows that a window may hold that it is planned for."""
_BLIND_DAYS = 30
"""Days of a window where the server gives no totals."""
_BLIND_ROWS = 4_000


@dataclass(frozen=True, slots=True)
class Window:
    """Days to ask for.

    Attributes:
        first: `fromDate`.
        last: `toDate`; probably inclusive.
    """

    first: dt.date
    last: dt.date

    @property
    def days(self) -> int:
        """How many days are named."""
        return (self.last - self.first).days + 1

    @override
    def __str__(self) -> str:
        """Name the window for the log."""
        return f"{self.first}..{self.last}"


@dataclass
class _Known:
    """How many rows there are up to a day."""

    last: dt.date
    rows: int


class Boundary:
    """Finds out whether `toDate` is inclusive, so that no day need be read twice.

    If it is exclusive, every row lies before the start of its window's last day, and after the
    start of the first, in a zone that stays the same. Once no zone on earth is left in which that
    holds for all rows seen, `toDate` is inclusive.
    """

    def __init__(self) -> None:
        self.is_inclusive = False
        self._least = _WEST
        self._most = _EAST

    def learn(self, window: Window, moments: Sequence[dt.datetime]) -> None:
        """Look at the rows of a page.

        Args:
            window: The days asked for.
            moments: When the calls of the page started.
        """
        near = sorted(
            moment
            for moment in moments
            if _midnight(window.first) - 2 * _DAY < moment < _midnight(window.last) + 3 * _DAY
        )
        if len(near) < 2 * _WITNESSES:
            return
        self._least = max(self._least, _midnight(window.first) - near[_WITNESSES - 1] - _DST)
        self._most = min(self._most, _midnight(window.last) - near[-_WITNESSES] + _DST)
        self.is_inclusive = self.is_inclusive or self._least > self._most


class Planner:
    """Cuts history into windows, oldest first, sized by what the totals say.

    Consecutive windows share a day until `toDate` is known to be inclusive.

    Args:
        start: First moment of interest.
        end: First moment that is of none; None: no end.
        now: The present.
        reach: How many rows a window may hold.
    """

    def __init__(
        self, start: dt.datetime, end: dt.datetime | None, now: dt.datetime, reach: Reach
    ) -> None:
        self.boundary = Boundary()
        self._reach = reach
        self._stop = now if end is None else min(now, end)
        self._today = now.date()
        self._earliest_today = _shift(now, _WEST).date()
        self._latest_today = _shift(now, _EAST).date()
        self._first = _shift(start, _WEST).date()
        self._next: dt.date | None = self._first if start <= self._stop else None
        # Of an exclusive `toDate` in the far east, only the day after next covers this moment.
        self._last = _shift(self._stop, _EAST).date() + _DAY
        self._left_out: dt.date | None = None
        self._known: list[_Known] = []
        self._longest: int | None = None
        self._blind_days: int | None = None
        self._previous: tuple[int, int] | None = None

    def share(self, rows: int) -> float:
        """Tell what share of the work is done, by rows where their number is known, else by days.

        Args:
            rows: How many rows were read.

        Returns:
            0 to 1.
        """
        if self._next is None:
            return 1.0
        if self._known and self._known[0].rows > 0:
            return rows / (rows + self._known[0].rows)
        return (self._next - self._first).days / max((self._last - self._first).days + 1, 1)

    def window(self) -> Window | None:
        """Return the days to ask for next; None: all are read."""
        if self._next is None:
            return None
        days = max((self._last - self._next).days + 1, 1)
        length = max(min(self._length(days), days, self._longest or days), min(self._floor, days))
        return Window(self._next, self._next + (length - 1) * _DAY)

    def can_narrow(self, window: Window) -> bool:
        """Tell whether fewer days can be asked for."""
        return window.days > self._floor

    def covered_until(self, window: Window) -> dt.datetime:
        """Tell before which moment no call is left unread, in whatever zone, after a window."""
        if window.last >= self._last:
            return self._stop
        return min(_midnight(window.last) - _EAST, self._stop)

    def narrow(self, window: Window, rows: int | None) -> None:
        """Plan fewer days, since the window holds too many rows.

        Args:
            window: The window.
            rows: How many it holds, if known.
        """
        self._previous = None
        if rows is None:
            half = max(window.days // 2, 1)
            self._blind_days = min(_BLIND_DAYS, half)
            return
        while self._known and self._known[-1].last <= window.last:
            self._known.pop()
        self._known.append(_Known(window.last, max(rows, self._reach.most + 1)))

    def avoid_future(self, window: Window) -> bool:
        """Ask for no day that may not have begun where the server is, since it refused a window.

        Args:
            window: The refused window.

        Returns:
            Whether there is anything else to ask for.
        """
        if self._left_out == window.first:
            self._left_out = self._next = None
            return True
        if window.last > self._today:
            last = self._today
        elif window.last == self._today > self._earliest_today:
            last = self._today - _DAY
        else:
            return False
        self._last = last
        # Asked for at the end, in case the server's today is ahead: refused then, it is not.
        self._left_out = last + _DAY if last < self._latest_today else None
        if self._next is not None and self._next > last:
            self._next = self._left_out
        return True

    def halve(self, window: Window) -> bool:
        """Ask for half as many days from now on, since the server refuses so many.

        Args:
            window: The refused window.

        Returns:
            Whether there are fewer days to ask for.
        """
        if window.days == 1:
            return False
        self._longest = window.days // 2
        # A server that takes one day and no more must mean the whole of it.
        self.boundary.is_inclusive = self.boundary.is_inclusive or self._longest == 1
        return True

    def done(self, window: Window, rows: int) -> None:
        """Go on behind a window.

        Args:
            window: The window that was read.
            rows: How many rows it held.
        """
        for known in self._known:
            known.rows -= rows
        self._known = [known for known in self._known if known.last > window.last]
        self._previous = (rows, window.days)
        if self._blind_days is not None:
            fitting = window.days * _BLIND_ROWS // rows if rows else 2 * window.days
            self._blind_days = max(min(fitting, 2 * window.days), 1)
        if self._left_out == window.first or window.last >= self._last:
            self._next = self._left_out if window.first != self._left_out else None
        else:
            self._next = window.last + _DAY if self.boundary.is_inclusive else window.last

    @property
    def _floor(self) -> int:
        """Fewest days of a window: an exclusive `toDate` makes nothing of one."""
        return 1 if self.boundary.is_inclusive else 2

    def _length(self, days: int) -> int:
        if self._blind_days is not None:
            return self._blind_days
        if not self._known or self._next is None:
            return days
        known = self._known[-1]
        days = max((known.last - self._next).days + 1, 1)
        if known.rows <= self._reach.most:
            return days
        density = known.rows / days
        if self._previous is None:
            return max(int(_FILL * self._reach.most / density), 1)
        rows, length = self._previous
        density = (density + rows / length) / 2
        fitting = int(_FILL * self._reach.most / density)
        return max(fitting, 1 if rows else 2 * length)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def _shift(moment: dt.datetime, by: dt.timedelta) -> dt.datetime:
    """Move a moment, but not off the calendar."""
    try:
        return moment + by
    except OverflowError:
        return moment
