"""Paging flow of one window: from/size by rows received, stitched at the seams."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RetriesExhaustedError,
    WindowTooLargeError,
    ZohoVoiceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tap_zohovoice.pagination import Page, PageRequest, ServerLimits
    from tap_zohovoice.singer.records import SerializedRecord

    PageGenerator = Generator[PageRequest, Page, Page]

_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_MAX_REREADS = 3
TRACK_TOTAL_HITS_CAP = 10_000
"""Where search engines stop counting, unless they are told otherwise: it may stand for more."""
_MAX_STALE_PAGES = 30
"""Pages in a row without a new row; so many calls do not arrive between requests."""
_ROUND_PAGE = 50
"""Servers cap pages at round numbers, so a page of such a length may be a capped one."""
_MIN_ROWS_OF_ORDER = 20
"""Rows of a page that are enough to know what is behind it."""
_LATEST = "~"
"""A text behind all timestamps."""


class DescendingOrderDetector:
    """Finds out whether all further rows are too old: rows so far came newest first.

    Args:
        start: Rows that started before are too old (timestamp).
    """

    def __init__(self, start: str) -> None:
        self.passed_start = False
        self._start = start
        self._descends = True
        self._first = ""
        self._last = _LATEST

    def observe(self, timestamps: list[str]) -> None:
        """Observe the rows of a page that were not on an earlier one, in their order."""
        if not timestamps:
            return
        self._first = self._first or timestamps[0]
        descends = timestamps[0] <= self._last and timestamps == sorted(timestamps, reverse=True)
        self._descends = self._descends and descends
        self._last = timestamps[-1]
        # Calls of one millisecond are in any order: some row must be older than the first.
        is_behind = timestamps[0] < min(self._first, self._start)
        is_enough = len(timestamps) >= _MIN_ROWS_OF_ORDER
        self.passed_start = self._descends and is_behind and is_enough


class PageFlow:
    """Reads one window to its end.

    Attributes:
        rows: The rows by `logid`, in the order they came.

    Args:
        request_page: Requests the page at an offset.
        limits: What is known of the server; updated.
        can_split: Whether the window can be narrowed if it holds too many rows.
        name: The window, for the log.
        start: Rows that started before are not needed (timestamp); windows of days have some.
    """

    def __init__(
        self,
        request_page: Callable[[int], PageGenerator],
        limits: ServerLimits,
        *,
        can_split: bool,
        name: str,
        start: str = "",
    ) -> None:
        self.rows: dict[str, SerializedRecord] = {}
        self._request_page = request_page
        self._limits = limits
        self._can_split = can_split
        self._name = name
        self._start = start
        self._order = DescendingOrderDetector(start)
        self._has_total = True
        self._totals: list[int] = []
        self._seen: set[str] = set()
        self._empty_offsets: set[int] = set()
        self._longest = 1
        self._requested = 1

    @property
    def has_trusted_total(self) -> bool:
        """Whether `meta.total` says how many rows there are, and has been right so far."""
        return self._has_total and self._limits.total_is_reliable

    @property
    def passed_start(self) -> bool:
        """Whether reading stopped where all further rows are too old."""
        return self._order.passed_start

    def read_window(self) -> Generator[PageRequest, Page, dict[str, SerializedRecord]]:
        """Read the window, again if fewer rows came than `meta.total`.

        Returns:
            The rows by `logid`.

        Raises:
            WindowTooLargeError: If the window must be narrowed.
            InvalidParameterError: If the server rejects the window or the size.
            ZohoVoiceError: If the end of the window cannot be reached.
        """
        passes = 0
        while passes <= _MAX_REREADS:
            passes += 1
            before = len(self.rows)
            expected = yield from self._read_pass()
            is_complete = len(self.rows) >= expected or self.passed_start
            if is_complete or not self._limits.total_is_reliable:
                return self.rows
            if before == len(self.rows):
                break
        _LOGGER.warning(
            "%s: meta.total is %d but only %d distinct calls were returned after %d passes; "
            "continuing and ignoring meta.total",
            self._name,
            expected,
            len(self.rows),
            passes,
        )
        self._limits.total_is_reliable = False
        return self.rows

    def _read_pass(self) -> Generator[PageRequest, Page, int]:
        """Read from the first row to the last; return the smallest `meta.total`."""
        self._totals.clear()
        self._seen.clear()
        self._empty_offsets.clear()
        self._order = DescendingOrderDetector(self._start)
        first = yield from self._get(0)
        self._check_fits(first)
        offset, page, stale = 0, first if first.rows else None, 0
        while page is not None:
            fresh = [row.start_time for row in page.rows if row.logid not in self._seen]
            stale = 0 if fresh else stale + 1
            if stale > _MAX_STALE_PAGES:
                message = (
                    f"Zoho returns the same calls of {self._name} over and over, at any offset; "
                    "run again later, and report it to Zoho's support if it stays"
                )
                raise ZohoVoiceError(message)
            self._order.observe(fresh)
            self._collect(page)
            if self.passed_start or self._is_last(page, offset):
                break
            offset, page = yield from self._get_next(offset, page)
        return min(self._totals, default=0)

    def _get_next(
        self, offset: int, page: Page
    ) -> Generator[PageRequest, Page, tuple[int, Page | None]]:
        """Get the page behind a page, if there is one."""
        end = offset + len(page.rows)
        if page.total is None and self._can_split and len(self.rows) > self._limits.assumed_offset:
            raise WindowTooLargeError(None)
        # The last row is requested again: if it is not where it was, rows have slid.
        is_stitched = len(page.rows) > 1
        offset = end - 1 if is_stitched else end
        following = yield from self._get(offset)
        if is_stitched and not self._overlaps(following):
            return (yield from self._step_back(offset, following))
        if following.rows:
            return offset, following
        self._check_unexpected_end(offset, following)
        return offset, None

    def _get(self, offset: int) -> PageGenerator:
        try:
            page = yield from self._request_page(offset)
        except InvalidParameterError as error:
            if not offset:
                raise
            raise self._offset_limit_hit(offset) from error
        except RetriesExhaustedError as error:
            # Some search engines respond with a server error beyond their limit, even if the rows
            # end before it.
            is_within = offset + self._requested <= self._limits.max_offset_ok
            if not offset or (is_within and offset + 1 < self._limits.max_row_seen):
                raise
            raise self._offset_limit_hit(offset) from error
        self._requested = page.size
        if page.rows:
            self._limits.confirm_offset(offset, page.size, len(page.rows))
            self._longest = max(self._longest, len(page.rows))
        if page.total is not None:
            self._totals.append(page.total)
        return page

    def _offset_limit_hit(self, offset: int) -> WindowTooLargeError:
        self._limits.reject_offset(offset)
        return WindowTooLargeError(min(self._totals, default=None))

    def _check_fits(self, page: Page) -> None:
        total = page.total
        if not total:
            return
        is_capped = total == TRACK_TOTAL_HITS_CAP and total > len(page.rows)
        if is_capped or (self._can_split and total > self._limits.max_rows):
            raise WindowTooLargeError(total)

    def _collect(self, page: Page) -> None:
        rows = {row.logid: row for row in page.rows}
        self.rows.update(rows)
        self._seen.update(rows)

    def _overlaps(self, page: Page) -> bool:
        return bool(page.rows) and page.rows[0].logid in self._seen

    def _is_last(self, page: Page, offset: int) -> bool:
        """Return whether a page ends the window."""
        length = len(page.rows)
        self._has_total = page.total is not None
        if page.total is None:
            # A short page may be a capped one; only the seam's row alone is the end for certain.
            return bool(offset) and length == 1 and self._longest > 1
        is_full = length >= page.size or (offset > 0 and length >= self._longest)
        # More rows than the total prove that it is wrong.
        return offset + length == page.total and length % _ROUND_PAGE != 0 and not is_full

    def _step_back(
        self, offset: int, page: Page
    ) -> Generator[PageRequest, Page, tuple[int, Page | None]]:
        """Go back to a known row, after rows before the seam vanished.

        Args:
            offset: Where the seam was.
            page: The page that is there now.

        Returns:
            Where to continue, and with which page; without one, the window is read.
        """
        lower, back = offset, page
        while lower and not any(row.logid in self._seen for row in back.rows):
            lower = max(lower - max(self._longest - 1, 1), 0)
            back = yield from self._get(lower)
        if not back.rows:
            return offset, None
        if not page.rows:
            # Where there is a row by now, there may be more behind it; but a server that returns
            # nothing at an offset does so each time.
            if lower + len(back.rows) <= offset or offset not in self._empty_offsets:
                self._empty_offsets.add(offset)
                return lower, back
            self._collect(back)
            self._check_unexpected_end(offset, page)
            return offset, None
        if any(row.logid == back.rows[-1].logid for row in page.rows):
            self._collect(back)
            return offset, page
        # What lies between the two pages is not known: read on from the lower one.
        self.rows.update((row.logid, row) for row in page.rows)
        return lower, back

    def _check_unexpected_end(self, offset: int, page: Page) -> None:
        """Check an empty page where the total promises rows.

        Raises:
            WindowTooLargeError: If offsets may end here. Where deeper ones returned rows in this
                run, or a first page had room for more rows and is of no round length, they do not,
                and the total is wrong.
        """
        total = page.total if page.total is not None else min(self._totals, default=None)
        if total is None or total <= offset or not self._limits.total_is_reliable:
            return
        had_room = offset + 1 < page.size and len(self._seen) % _ROUND_PAGE
        if offset + page.size > self._limits.max_offset_ok and not had_room:
            raise self._offset_limit_hit(offset)
