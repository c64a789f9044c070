"""All rows of one window: from/size, advanced by rows received and stitched at the seams."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_zohovoice.exceptions import InvalidParameterError, RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.extract.order import DescendingOrderDetector

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_zohovoice.extract.limits import ServerLimits
    from tap_zohovoice.singer.records import SerializedRecord

_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_REREADS = 3
CAPPED_TOTAL = 10_000
"""Where search engines stop to count, unless they are told otherwise: it may stand for more."""
_STALE_PAGES = 30
"""Pages in a row without a new row; so many calls do not arrive between requests."""
_ROUND = 50
"""Servers cap pages at round figures, so a page of such a length may be a capped one."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of call logs.

    Attributes:
        rows: The records, in the server's order.
        total: How many rows the server says there are in all; None if it does not say.
        size: How many rows were asked for.
    """

    rows: list[SerializedRecord]
    total: int | None
    size: int


class WindowTooLargeError(Exception):
    """A window holds more rows than can be paged through.

    Attributes:
        total: How many it holds, if known.
        first_page: Its first page, if that was enough to know.
    """

    def __init__(self, total: int | None, first_page: Page | None = None) -> None:
        super().__init__(total)
        self.total = total
        self.first_page = first_page


class Pager:
    """Reads one window to its end.

    Attributes:
        rows: The rows by `logid`, in the order they came.
        is_counted: Whether the server told how many there are, and is believed.
        is_past: Whether reading stopped where all further rows are too old to be of use.

    Args:
        ask: Asks for the page that starts at an offset.
        reach: What is known of the server; added to.
        divisible: Whether the window can be narrowed if it holds too many rows.
        name: The window, for the log.
        past: Rows that started before are of no use (text form); a window of whole days has some.
    """

    def __init__(
        self,
        ask: Callable[[int], Page],
        reach: ServerLimits,
        *,
        divisible: bool,
        name: str,
        past: str = "",
    ) -> None:
        self.rows: dict[str, SerializedRecord] = {}
        self._ask = ask
        self._reach = reach
        self._divisible = divisible
        self._name = name
        self._past = past
        self._order = DescendingOrderDetector(past)
        self._has_total = True
        self._totals: list[int] = []
        self._seen: set[str] = set()
        self._dry: set[int] = set()
        self._longest = 1
        self._asked = 1

    @property
    def is_counted(self) -> bool:  # noqa: D102 - an attribute of the class
        return self._has_total and self._reach.trusts_total

    @property
    def is_past(self) -> bool:  # noqa: D102 - an attribute of the class
        return self._order.is_past

    def read(self) -> dict[str, SerializedRecord]:
        """Read the window, again if it came out short.

        Returns:
            The rows by `logid`.

        Raises:
            WindowTooLargeError: If the window must be narrowed.
            InvalidParameterError: If the server refuses the window or the size.
            ZohoVoiceError: If the server does not get to the end of it.
        """
        for _ in range(1 + _REREADS):
            before = len(self.rows)
            owed = self._read_through()
            if len(self.rows) >= owed or not self._reach.trusts_total or self.is_past:
                return self.rows
            if before == len(self.rows):
                break
        _LOGGER.warning(
            "%s: Zoho counts %d calls but hands out %d, however often it is asked; going on with "
            "these, and no longer relying on its counts",
            self._name,
            owed,
            len(self.rows),
        )
        self._reach.trusts_total = False
        return self.rows

    def _read_through(self) -> int:
        """Read from the first row to the last.

        Returns:
            How many rows the window held throughout, at least by the server's count.
        """
        self._totals.clear()
        self._seen.clear()
        self._dry.clear()
        self._order = DescendingOrderDetector(self._past)
        first = self._get(0)
        self._check_fits(first)
        tail = self._tail(first)
        offset, page, stale = 0, first if first.rows else None, 0
        while page is not None:
            fresh = [row.start_time for row in page.rows if row.logid not in self._seen]
            stale = 0 if fresh else stale + 1
            if stale > _STALE_PAGES:
                message = (
                    f"Zoho hands out the same calls of {self._name} over and over, whichever are "
                    "asked for; run again later, and report it to Zoho's support if it stays"
                )
                raise ZohoVoiceError(message)
            self._order.watch(fresh)
            self._keep(page)
            if self.is_past:
                break
            if tail and any(row.logid in tail for row in page.rows):
                self.rows.update(tail)
                break
            if self._is_last(page, offset):
                break
            offset, page = self._next(offset, page)
        return min(self._totals, default=0)

    def _next(self, offset: int, page: Page) -> tuple[int, Page | None]:
        """Ask for the page behind a page, if there is one."""
        end = offset + len(page.rows)
        if page.total is None and self._divisible and len(self.rows) > self._reach.sure:
            raise WindowTooLargeError(None)
        # The last row is asked for again: if it is not where it was, rows have slid.
        is_stitched = len(page.rows) > 1
        offset = end - 1 if is_stitched else end
        following = self._get(offset)
        if is_stitched and not self._knows_first(following):
            return self._step_back(offset, following)
        if following.rows:
            return offset, following
        self._check_dry(offset, following)
        return offset, None

    def _get(self, offset: int) -> Page:
        try:
            page = self._ask(offset)
        except InvalidParameterError as error:
            if not offset:
                raise
            raise self._too_deep(offset) from error
        except RetriesExhaustedError as error:
            # Some search engines answer an offset beyond their limit with a server error, even if
            # the rows end before it.
            is_within = offset + self._asked <= self._reach.farthest
            if not offset or (is_within and offset + 1 < self._reach.deepest):
                raise
            raise self._too_deep(offset) from error
        self._asked = page.size
        if page.rows:
            self._reach.reaches(offset, page.size, len(page.rows))
            self._longest = max(self._longest, len(page.rows))
        if page.total is not None:
            self._totals.append(page.total)
        return page

    def _too_deep(self, offset: int) -> WindowTooLargeError:
        self._reach.ends_at(offset)
        return WindowTooLargeError(min(self._totals, default=None))

    def _check_fits(self, page: Page) -> None:
        total = page.total
        if not total:
            return
        is_capped = total == CAPPED_TOTAL and total > len(page.rows)
        if is_capped or (self._divisible and total > self._reach.most):
            raise WindowTooLargeError(total, page)

    def _tail(self, page: Page) -> dict[str, SerializedRecord]:
        """Read the end of a long window first, which proves that its offsets are answered."""
        total = page.total
        if total is None or total <= max(self._reach.sure, self._reach.deepest) or not page.rows:
            return {}
        offset = max(total - len(page.rows) + 1, 1)  # one row short, so that a full page is more
        tail = self._get(offset)
        if not tail.rows:
            raise self._too_deep(offset)
        return {row.logid: row for row in tail.rows} if self._is_last(tail, offset) else {}

    def _keep(self, page: Page) -> None:
        rows = {row.logid: row for row in page.rows}
        self.rows.update(rows)
        self._seen.update(rows)

    def _knows_first(self, page: Page) -> bool:
        return bool(page.rows) and page.rows[0].logid in self._seen

    def _is_last(self, page: Page, offset: int) -> bool:
        """Tell whether a page ends the window."""
        length = len(page.rows)
        self._has_total = page.total is not None
        if page.total is None:
            # A short page may be a capped one; nothing but the seam's row is the end for sure.
            return bool(offset) and length == 1 and self._longest > 1
        is_full = length >= page.size or (offset > 0 and length >= self._longest)
        # More rows than the total prove that it is wrong.
        return offset + length == page.total and length % _ROUND != 0 and not is_full

    def _step_back(self, offset: int, page: Page) -> tuple[int, Page | None]:
        """Go back to a row that is known, after rows before the seam vanished.

        Args:
            offset: Where the seam was.
            page: What stands there now.

        Returns:
            Where to go on, and with which page; without one the window is read.
        """
        lower, back = offset, page
        while lower and not any(row.logid in self._seen for row in back.rows):
            lower = max(lower - max(self._longest - 1, 1), 0)
            back = self._get(lower)
        if not back.rows:
            return offset, None
        if not page.rows:
            # Where there is a row by now, there may be more behind it; but a server that hands out
            # nothing at an offset does so each time.
            if lower + len(back.rows) <= offset or offset not in self._dry:
                self._dry.add(offset)
                return lower, back
            self._keep(back)
            self._check_dry(offset, page)
            return offset, None
        if any(row.logid == back.rows[-1].logid for row in page.rows):
            self._keep(back)
            return offset, page
        # What lies between the two pages is not known: read on from the lower one.
        self.rows.update((row.logid, row) for row in page.rows)
        return lower, back

    def _check_dry(self, offset: int, page: Page) -> None:
        """Judge an empty page where the total promises rows.

        Raises:
            WindowTooLargeError: If offsets may end here. Where deeper ones were answered in this
                run, or a first page had room for more rows and is of no round length, they do not,
                and the total is wrong.
        """
        total = page.total if page.total is not None else min(self._totals, default=None)
        if total is None or total <= offset or not self._reach.trusts_total:
            return
        had_room = offset + 1 < page.size and len(self._seen) % _ROUND
        if offset + page.size > self._reach.farthest and not had_room:
            raise self._too_deep(offset)
