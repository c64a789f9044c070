"""Which days to ask for next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_zohovoice.extract.windows import DAY, EAST, WEST, ToDateBoundary, Window, midnight, shift

if TYPE_CHECKING:
    import datetime as dt

    from tap_zohovoice.extract.limits import ServerLimits

_FILL = 0.7
"""Share of the rows that a window may hold that it is planned for."""
_BLIND_DAYS = 30
"""Days of a window where the server gives no totals."""
_BLIND_ROWS = 4_000


@dataclass
class _Known:
    """How many rows there are up to a day."""

    last: dt.date
    rows: int


class WindowPlanner:
    """Cuts history into windows, oldest first, sized by what the totals say.

    Consecutive windows share a day until `toDate` is known to be inclusive.

    Args:
        start: First moment of interest.
        end: First moment that is of none; None: no end.
        now: The present.
        reach: How many rows a window may hold.
    """

    def __init__(
        self, start: dt.datetime, end: dt.datetime | None, now: dt.datetime, reach: ServerLimits
    ) -> None:
        self.boundary = ToDateBoundary()
        self._reach = reach
        self._stop = now if end is None else min(now, end)
        self._today = now.date()
        self._earliest_today = shift(now, WEST).date()
        self._first = shift(start, WEST).date()
        self._next: dt.date | None = self._first if start <= self._stop else None
        # Of an exclusive `toDate` in the far east, only the day after next covers this moment.
        self._last = shift(self._stop, EAST).date() + DAY
        self._end = self._last
        self._is_extending = False
        self._has_asked_one_day = False
        self._known: list[_Known] = []
        self._all_rows: int | None = None
        self._silent_days = 0
        self._longest: int | None = None
        self._too_long: Window | None = None
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
        if self._all_rows:
            return min(rows / self._all_rows, 1.0)
        return (self._next - self._first).days / max((self._last - self._first).days + 1, 1)

    def window(self) -> Window | None:
        """Return the days to ask for next; None: all are read."""
        if self._next is None:
            return None
        days = max((self._last - self._next).days + 1, 1)
        length = max(min(self._length(days), days, self._longest or days), min(self._floor, days))
        if self._too_long and self._too_long.first == self._next:
            length = min(length, self._too_long.days - 1)  # whatever the plan, it must get shorter
        if length == 2 and self._asks_one_day:  # noqa: PLR2004
            length = 1
        return Window(self._next, self._next + (length - 1) * DAY)

    def can_narrow(self, window: Window) -> bool:
        """Tell whether fewer days can be asked for."""
        return window.days > self._floor

    def covered_until(self, window: Window) -> dt.datetime:
        """Tell before which moment no call is left unread, in whatever zone, after a window."""
        if window.last >= self._end:
            return self._stop
        return min(midnight(window.last) - EAST, self._stop)

    def narrow(
        self,
        window: Window,
        rows: int | None,
        oldest: dt.date | None = None,
        newest: dt.date | None = None,
    ) -> None:
        """Plan fewer days, since the window holds too many rows.

        Args:
            window: The window.
            rows: How many it holds, if known.
            oldest: Day of what seems to be its oldest row, if known.
            newest: Day of what seems to be its newest row, if known.
        """
        self._previous = None
        notable = max(window.days // 20, 3)
        if oldest:
            silent = (oldest - window.first).days - 2
            self._silent_days = silent if silent > notable else 0
        elif window.days <= self._silent_days + 1:
            self._silent_days = 0  # the hint was wrong
        self._too_long = window
        if rows is None or self._blind_days is not None:
            self._blind_days = min(_BLIND_DAYS, max(window.days // 2, 1))
            return
        if self._all_rows is None:
            self._all_rows = rows
        while self._known and self._known[-1].last <= window.last:
            self._known.pop()
        last = window.last
        if newest and (last - newest).days > notable:
            last = newest + 2 * DAY
        self._known.append(_Known(last, max(rows, self._reach.most + 1)))

    def avoid_future(self, window: Window) -> bool:
        """Ask for no day that may not have begun where the server is, since it refused a window.

        Args:
            window: The refused window.

        Returns:
            Whether there is anything else to ask for.
        """
        if self._is_extending:
            self._next = None
            return True
        if window.last > self._today:
            last = self._today
        elif window.last == self._today > self._earliest_today:
            last = self._today - DAY
        else:
            return False
        self._last = last
        if window.first > last:
            self._extend(window.first)
        return True

    def _extend(self, first: dt.date) -> None:
        """Go on day by day: the server's today may be ahead, or something else was refused."""
        self._last = max(self._last + DAY, first)
        self._is_extending = True
        self._next = first if self._last <= self._end else None

    def halve(self, window: Window) -> bool:
        """Ask for half as many days from now on, since the server refuses so many.

        Args:
            window: The refused window.

        Returns:
            Whether there are fewer days to ask for.
        """
        if window.days == 1:
            return False
        self._longest = (window.days + 1) // 2
        return True

    def allow_more(self) -> None:
        """Forget that many days were refused: it was for another reason."""
        self._longest = None

    def done(self, window: Window, rows: int) -> None:
        """Go on behind a window.

        Args:
            window: The window that was read.
            rows: How many rows it held.
        """
        self._has_asked_one_day = self._has_asked_one_day or window.days == 1
        for known in self._known:
            known.rows -= rows
        self._known = [known for known in self._known if known.last > window.last]
        self._previous = (rows, max(window.days - self._silent_days, 1))
        self._silent_days = 0
        if self._blind_days is not None:
            wanted = min(_BLIND_ROWS, int(_FILL * self._reach.most))
            fitting = window.days * wanted // rows if rows else 2 * window.days
            self._blind_days = max(min(fitting, 2 * window.days), 1)
        self._next = window.last + DAY if self._is_inclusive else window.last
        if window.last >= self._end:
            self._next = None
        elif window.last >= self._last:
            self._extend(self._next)

    @property
    def _asks_one_day(self) -> bool:
        """Whether to try one day, once: if it has rows, no day need be read twice."""
        return bool(self._known) and not self._is_inclusive and not self._has_asked_one_day

    @property
    def _is_inclusive(self) -> bool:
        """Whether the last day is read: a server that takes one day alone must mean all of it."""
        return self.boundary.is_inclusive or self._longest == 1

    @property
    def _floor(self) -> int:
        """Fewest days of a window: an exclusive `toDate` makes nothing of one."""
        return 1 if self._is_inclusive else 2

    def _length(self, days: int) -> int:
        if self._blind_days is not None:
            return self._blind_days
        if not self._known or self._next is None:
            return days
        for known in self._known:
            days = max((known.last - self._next).days + 1, 1)
            if known.rows <= self._reach.most:
                return days
        density = known.rows / max(days - self._silent_days, 1)
        if self._previous is None:
            # Years before the first call take no request of their own.
            return max(self._silent_days + int(_FILL * self._reach.most / density), 1)
        rows, length = self._previous
        density = (density + rows / length) / 2
        fitting = int(_FILL * self._reach.most / density)
        return max(fitting, 1 if rows else 2 * length)
