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
from tap_zohovoice.extract.legs import CallRows
from tap_zohovoice.extract.limits import DescendingOrderDetector

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tap_zohovoice.extract.limits import ServerLimits
    from tap_zohovoice.pagination import Page, PageRequest
    from tap_zohovoice.singer.records import SerializedRecord

    PageGenerator = Generator[PageRequest, Page, Page]

_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_MAX_REREADS = 3
TRACK_TOTAL_HITS_CAP = 10_000
"""Where search engines stop counting, unless they are told otherwise: it may stand for more."""
_MAX_STALE_PAGES = 30
"""Pages in a row without a new row; so many calls do not arrive between requests."""
_WIDE_OVERLAP = 20
"""Rows of an overlap that prove the order of rows, where no total does."""
_ENOUGH_OVERLAPS = 10
"""Wide overlaps in a row that are enough: from then on one row shows whether rows have slid."""
_ROUND_PAGE = 50
"""Servers cap pages at round numbers, so a page of such a length may be a capped one."""


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
        self._calls = CallRows()
        self.rows = self._calls.kept
        self._request_page = request_page
        self._limits = limits
        self._can_split = can_split
        self._name = name
        self._start = start
        self._order = DescendingOrderDetector(start)
        self._has_total = True
        self._totals: list[int] = []
        self._sequence: list[str] = []
        self._seen: dict[str, int] = {}  # to the first place in the sequence
        self._row_count = 0
        self._is_single_page = False
        self._is_firm = True
        self._empty_offsets: set[int] = set()
        self._longest = 1
        self._overlap = 1
        self._requested = 1

    @property
    def has_trusted_total(self) -> bool:
        """Whether `meta.total` says how many rows there are, and has been right so far."""
        return self._has_total and self._limits.total_is_reliable

    @property
    def legs(self) -> set[SerializedRecord]:
        """The other rows of calls that came as several rows which differ."""
        return self._calls.legs

    @property
    def passed_start(self) -> bool:
        """Whether reading stopped where all further rows are too old."""
        return self._order.passed_start

    def read_window(self) -> Generator[PageRequest, Page, dict[str, SerializedRecord]]:
        """Read the window, again if rows are missing or their order changed.

        Returns:
            The rows by `logid`.

        Raises:
            WindowTooLargeError: If the window must be narrowed.
            InvalidParameterError: If the server rejects the window or the size.
            ZohoVoiceError: If the end of the window cannot be reached.
        """
        before: list[str] | None = None
        has_moved, was_proven = False, True
        for _ in range(1 + _MAX_REREADS):
            yield from self._read_pass()
            # Rows that change places may be in place once, by chance.
            is_proven = self._is_firm and (not has_moved or _has_same_order(before, self._sequence))
            if self._is_complete(is_proven=is_proven):
                return self.rows
            is_repeated = before is not None and self._seen.keys() == set(before)
            if is_proven and was_proven and is_repeated and self._totals:
                self._limits.total_is_reliable = False
                _LOGGER.warning(
                    "%s: meta.total is %d but only %d distinct calls were returned, twice; "
                    "continuing and ignoring meta.total",
                    self._name,
                    min(self._totals),
                    len(self.rows),
                )
                return self.rows
            if before is not None and (not self._is_firm or self._limits.needs_single_pages):
                break
            has_moved = has_moved or not self._is_firm
            before, was_proven = list(self._sequence), is_proven
        self._limits.require_single_pages()
        raise WindowTooLargeError(max(self._totals, default=None))

    def _is_complete(self, *, is_proven: bool) -> bool:
        """Return whether the passes so far returned all rows.

        Args:
            is_proven: Whether the rows have kept their places.
        """
        has_total = bool(self._totals) and self._limits.total_is_reliable
        if not is_proven or (self._limits.needs_single_pages and not self._is_single_page):
            # Only a total proves that rows which change places were all seen.
            return has_total and len(self.rows) >= max(self._totals)
        if not has_total or self.passed_start:
            return True
        # Several rows of one id count in the total.
        return min(self._totals) <= max(len(self.rows), self._row_count)

    def _read_pass(self) -> Generator[PageRequest, Page, None]:
        """Read from the first row to the last."""
        self._totals.clear()
        self._sequence.clear()
        self._seen.clear()
        self._empty_offsets.clear()
        self._row_count, self._is_firm, self._overlap = 0, True, 1
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
            self._row_count = offset + len(page.rows)
            if self.passed_start or self._is_last(page, offset):
                break
            offset, page = yield from self._get_next(offset, page)
        self._is_single_page = self._row_count == len(first.rows)
        if self._is_single_page and not self.passed_start:
            self._limits.verified_end = max(self._limits.verified_end, self._row_count)

    def _get_next(
        self, offset: int, page: Page
    ) -> Generator[PageRequest, Page, tuple[int, Page | None]]:
        """Get the page behind a page, if there is one."""
        end = offset + len(page.rows)
        has_total = page.total is not None and self._limits.total_is_reliable
        if not has_total and self._can_split and len(self.rows) > self._limits.assumed_offset:
            raise WindowTooLargeError(None)
        # The last row is requested again: if it is not where it was, rows have slid.
        overlap = self._choose_overlap(page)
        offset = end - overlap
        following = yield from self._get(offset)
        if overlap and not self._overlaps(following):
            return (yield from self._step_back(offset, following))
        if following.rows:
            self._check_seam(page, following)
            return offset, following
        self._check_unexpected_end(offset, following)
        return offset, None

    def _choose_overlap(self, page: Page) -> int:
        """Return how many rows of a page to request again; none if it has no others.

        One row that changes its place from request to request may be in place by chance.
        """
        if len(page.rows) <= self._overlap:
            return 0
        is_counted = self._limits.total_exceeds_page and self._limits.total_is_reliable
        is_proven = is_counted or self._limits.firm_overlaps >= _ENOUGH_OVERLAPS
        # An offset without rows is requested again, and must then be the same one.
        is_narrow = is_proven or self._empty_offsets
        self._overlap = 1 if is_narrow else min(_WIDE_OVERLAP, len(page.rows) // 2)
        return self._overlap

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
            self._limits.observe_total(offset, len(page.rows), page.total)
        return page

    def _check_seam(self, page: Page, following: Page) -> None:
        """Check that the rows of two pages which overlap have not changed places."""
        ids = [row.logid for row in following.rows]
        is_end = len(ids) == self._overlap and self._seen.keys() >= set(ids)
        if is_end and len(page.rows) == len(self._sequence):
            return  # a single page has all rows, in whatever order
        first = len(self._sequence)
        if ids[0] in self._seen:
            first -= 1 + self._sequence[::-1].index(ids[0])
        overlap = self._sequence[first:][: len(ids)]
        fresh = following.rows[len(overlap) :]
        # The same row again, behind the overlap, has moved; another leg of its call differs.
        has_moved = any(row.logid in self._seen and row == self.rows[row.logid] for row in fresh)
        is_firm = ids[: len(overlap)] == overlap and not has_moved
        self._is_firm = self._is_firm and is_firm
        if self._overlap > 1:
            self._limits.firm_overlaps = self._limits.firm_overlaps + 1 if is_firm else 0

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
        self._add_rows(page)
        for place, row in enumerate(page.rows, len(self._sequence)):
            self._seen.setdefault(row.logid, place)
        self._sequence += [row.logid for row in page.rows]

    def _add_rows(self, page: Page) -> None:
        # Rows of an overlap, and those of an earlier pass, may have changed since they came.
        repeated = set(self._sequence[-self._overlap :])
        self._calls.add(page.rows, lambda key: key in self._seen and key not in repeated)

    def _overlaps(self, page: Page) -> bool:
        return bool(page.rows) and page.rows[0].logid in self._seen

    def _is_last(self, page: Page, offset: int) -> bool:
        """Return whether a page ends the window."""
        length = len(page.rows)
        self._has_total = page.total is not None
        if page.total is None:
            # A short page may be a capped one; only the overlap alone is the end for certain.
            return bool(offset) and length == self._overlap < self._longest
        # A total may count the rows of its own page, until one does not, or its end was verified.
        is_own = offset == 0 and not (
            self._limits.total_exceeds_page or length <= self._limits.verified_end
        )
        is_full = length >= page.size or (offset > 0 and length >= self._longest)
        # More rows than the total prove that it is wrong.
        return (
            offset + length == page.total and length % _ROUND_PAGE != 0 and not (is_full or is_own)
        )

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
        known = [self._seen[row.logid] for row in back.rows if row.logid in self._seen]
        self._is_firm = self._is_firm and known == sorted(known)
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
        self._add_rows(page)
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


def _has_same_order(before: list[str] | None, now: list[str]) -> bool:
    """Return whether the rows of two passes have one order, but for those of one pass alone."""
    common = set(before or ()) & set(now)
    return [key for key in before or () if key in common] == [key for key in now if key in common]
