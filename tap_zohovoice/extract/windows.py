"""Days as Zoho is asked for them, and what they mean: nobody documents zone or inclusiveness."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_zohovoice._compat import override

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = dt.timedelta(days=1)
WEST = dt.timedelta(hours=-12)
EAST = dt.timedelta(hours=14)
"""The ends of the world's time zones."""
_DST = dt.timedelta(hours=2)
"""What a zone's offset may differ between two windows, and a call's start from its filing."""
_WITNESSES = 3
"""Rows that must agree before something is believed of the zone: a phone's clock can be wrong."""


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


class ToDateBoundary:
    """Finds out whether `toDate` is inclusive, so that no day need be read twice.

    If it is exclusive, every row lies before the start of its window's last day, and after the
    start of the first, in a zone that stays the same. Once no zone on earth is left in which that
    holds for all rows seen, `toDate` is inclusive.
    """

    def __init__(self) -> None:
        self.is_inclusive = False
        self._least = WEST
        self._most = EAST

    def learn(self, window: Window, moments: Sequence[dt.datetime]) -> None:
        """Look at the rows of a page.

        Args:
            window: The days asked for.
            moments: When the calls of the page started.
        """
        near = sorted(
            moment
            for moment in moments
            if midnight(window.first) - 2 * DAY < moment < midnight(window.last) + 3 * DAY
        )
        if window.days == 1 and len(near) >= _WITNESSES:
            self.is_inclusive = True  # an exclusive `toDate` would leave nothing
        if len(near) < 2 * _WITNESSES:
            return
        self._least = max(self._least, midnight(window.first) - near[_WITNESSES - 1] - _DST)
        self._most = min(self._most, midnight(window.last) - near[-_WITNESSES] + _DST)
        self.is_inclusive = self.is_inclusive or self._least > self._most


def midnight(day: dt.date) -> dt.datetime:
    """Return the first moment of a day in Greenwich."""
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def shift(moment: dt.datetime, by: dt.timedelta) -> dt.datetime:
    """Move a moment, but not off the calendar."""
    try:
        return moment + by
    except OverflowError:
        return moment
