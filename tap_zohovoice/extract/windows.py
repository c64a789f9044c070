"""Date windows. Whether `toDate` is inclusive, and in which time zone, is not documented."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from tap_zohovoice._compat import override

DAY = dt.timedelta(days=1)
MIN_UTC_OFFSET = dt.timedelta(hours=-12)
MAX_UTC_OFFSET = dt.timedelta(hours=14)
"""Range of the world's time zones."""
_MAX_DST_SHIFT = dt.timedelta(hours=2)
"""Change of a zone's UTC offset between two windows, and delay until a call is listed."""
_MIN_EVIDENCE = 3
"""Minimum rows of evidence; single rows may have a wrong time."""


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
    def near(self) -> tuple[dt.datetime, dt.datetime]:
        """Range of the start of its calls, in any time zone, with two days of tolerance."""
        return midnight(self.first) - 2 * DAY, midnight(self.last) + 3 * DAY

    @override
    def __str__(self) -> str:
        """Return the window as it is logged."""
        return f"{self.first}..{self.last} {self.call_type}".rstrip()


class ToDateBoundary:
    """Detects whether `toDate` is inclusive, so that no day is read twice.

    If it is exclusive, every row lies before the start of its window's last day, and after the
    start of the first, in a zone that stays the same. Once no time zone is left in which that
    holds for all rows seen, `toDate` is inclusive.
    """

    def __init__(self) -> None:
        self.is_inclusive = False
        self._min_offset = MIN_UTC_OFFSET
        self._max_offset = MAX_UTC_OFFSET

    def observe(self, window: DateWindow, timestamps: Sequence[dt.datetime]) -> None:
        """Observe the rows of a page."""
        first, last = window.near
        near = sorted(moment for moment in timestamps if first < moment < last)
        if window.days == 1 and len(near) >= _MIN_EVIDENCE:
            self.is_inclusive = True  # an exclusive `toDate` would leave nothing
        if len(near) < 2 * _MIN_EVIDENCE:
            return
        self._min_offset = max(
            self._min_offset, midnight(window.first) - near[_MIN_EVIDENCE - 1] - _MAX_DST_SHIFT
        )
        self._max_offset = min(
            self._max_offset, midnight(window.last) - near[-_MIN_EVIDENCE] + _MAX_DST_SHIFT
        )
        self.is_inclusive = self.is_inclusive or self._min_offset > self._max_offset


def midnight(day: dt.date) -> dt.datetime:
    """Return the first moment of a day in UTC."""
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def days_after(window: DateWindow, timestamps: Sequence[str]) -> list[DateWindow]:
    """Return the days of rows beyond the last one that offsets reach, if there are any.

    The timestamps are in the order of the server; without an order of time, both halves of the
    window are possible.
    """
    last = dt.date.fromisoformat(timestamps[-1][:10])
    if list(timestamps) == sorted(timestamps):
        return [DateWindow(min(max(last - DAY, window.first), window.last), window.last)]
    if list(timestamps) == sorted(timestamps, reverse=True):
        return [DateWindow(window.first, max(min(last + DAY, window.last), window.first))]
    middle = window.last - (window.days // 2) * DAY
    return [DateWindow(window.first, middle), DateWindow(middle, window.last)]
