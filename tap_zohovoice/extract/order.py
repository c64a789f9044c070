"""What the order of rows tells; nobody documents it, so nothing is believed that is not seen."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tap_zohovoice.extract.windows import DAY, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

_TELLING = 20
"""Rows of a page that are enough to tell what is behind it."""
_LATEST = "~"
"""A text behind all moments."""


def day_of(moment: str) -> dt.date:
    """Return the day, in Greenwich, of a moment in the text form of records."""
    return dt.date.fromisoformat(moment[:10])


class DescendingOrderDetector:
    """Finds out whether all further rows are too old to be of use.

    They are behind a page of such rows, if all rows so far came newest first.

    Attributes:
        is_past: Whether they are.

    Args:
        past: Rows that started before are of no use (text form).
    """

    def __init__(self, past: str) -> None:
        self.is_past = False
        self._past = past
        self._falls = True
        self._first = ""
        self._last = _LATEST

    def watch(self, moments: list[str]) -> None:
        """Look at the rows of a page that were not seen before.

        Args:
            moments: When they started (text form), in the server's order.
        """
        if not moments:
            return
        self._first = self._first or moments[0]
        falls = moments[0] <= self._last and moments == sorted(moments, reverse=True)
        self._falls = self._falls and falls
        self._last = moments[-1]
        # Calls of one millisecond are in any order: something must have fallen.
        is_behind = moments[0] < min(self._first, self._past)
        self.is_past = self._falls and is_behind and len(moments) >= _TELLING


def days_behind(window: Window, moments: Sequence[str]) -> list[Window]:
    """Tell which days rows would be of that no offset reaches, since they are behind the last one.

    Args:
        window: The days that were read.
        moments: When the calls started (text form), in the server's order.

    Returns:
        The days from the last row on; where rows come in no order of time, both halves.
    """
    last = day_of(moments[-1])
    if list(moments) == sorted(moments):
        return [Window(min(max(last - DAY, window.first), window.last), window.last)]
    if list(moments) == sorted(moments, reverse=True):
        return [Window(window.first, max(min(last + DAY, window.last), window.first))]
    middle = window.last - (window.days // 2) * DAY
    return [Window(window.first, middle), Window(middle, window.last)]
