"""One pass over a window: what its pages returned, and whether rows kept their places."""

from collections.abc import Mapping

from tap_zohovoice.extract.limits import DescendingOrderDetector, ServerLimits
from tap_zohovoice.pagination import Page
from tap_zohovoice.singer.records import SerializedRecord

_WIDE_OVERLAP = 20
"""Rows of an overlap that prove the order of rows, where no total does."""
_ENOUGH_OVERLAPS = 10
"""Wide overlaps in a row after which an overlap of one row shows whether rows moved."""


class WindowPass:
    """The rows of one pass, from the first to the last.

    Attributes:
        ids: Ids of the rows in the order of the responses, those of overlaps twice.
        seen: First place of each id in `ids`.
        totals: `meta.total` of the pages that have it.
        row_count: Number of rows up to the end of the last page.
        is_single_page: Whether the first page has all rows.
        is_firm: Whether no row has changed its place in this pass.
        empty_offsets: Offsets that had no row, but should have had one.
        order: Finds out whether all further rows are too old.
        stale_pages: Number of last pages in a row without a new row.
        overlap: Number of rows of the last page that are requested again.
        repeats: Number of rows that were received again without being requested again.
        has_shifted: Whether rows before a seam were gone, or have moved.
    """

    def __init__(self, start: str) -> None:
        self.ids: list[str] = []
        self.seen: dict[str, int] = {}
        self.totals: list[int] = []
        self.row_count = 0
        self.is_single_page = False
        self.is_firm = True
        self.empty_offsets: set[int] = set()
        self.order = DescendingOrderDetector(start)
        self.stale_pages = 0
        self.overlap = 1
        self.repeats = 0
        self.has_shifted = False

    def observe(self, page: Page, offset: int) -> None:
        """Observe the next page, whose rows are not added yet."""
        fresh = [row.start_time for row in page.rows if row.logid not in self.seen]
        self.stale_pages = 0 if fresh else self.stale_pages + 1
        self.order.observe(fresh)
        self.row_count = offset + len(page.rows)

    def add(self, page: Page) -> None:
        """Add the rows of a page."""
        for place, row in enumerate(page.rows, len(self.ids)):
            self.seen.setdefault(row.logid, place)
        self.ids += [row.logid for row in page.rows]

    def overlaps(self, page: Page) -> bool:
        """Return whether a page starts on a row that came before."""
        return bool(page.rows) and page.rows[0].logid in self.seen

    def choose_overlap(self, page: Page, limits: ServerLimits) -> int:
        """Return how many rows of a page to request again; none if it has no others.

        One row that changes its place from request to request may be in place by chance.
        """
        if len(page.rows) <= self.overlap:
            return 0
        is_counted = limits.total_exceeds_page and limits.total_is_reliable
        is_order_known = is_counted or limits.firm_overlaps >= _ENOUGH_OVERLAPS
        # An offset without rows is requested again, and must then be the same one.
        is_narrow = is_order_known or self.empty_offsets
        self.overlap = 1 if is_narrow else min(_WIDE_OVERLAP, len(page.rows) // 2)
        return self.overlap

    def check_seam(
        self,
        page: Page,
        following: Page,
        known: Mapping[str, SerializedRecord],
        limits: ServerLimits,
    ) -> None:
        """Check that the rows of two pages which overlap have not changed places.

        Args:
            page: The page before, whose rows are added.
            following: The page that overlaps it.
            known: The rows by `logid`.
            limits: What is known of the server; updated.
        """
        rows = following.rows
        is_end = len(rows) == self.overlap and all(row.logid in self.seen for row in rows)
        if is_end and len(page.rows) == len(self.ids):
            return  # a single page has all rows, in any order
        is_firm = self._is_overlap_firm(following, known)
        if self.overlap > 1:
            limits.firm_overlaps = limits.firm_overlaps + 1 if is_firm else 0

    def _is_overlap_firm(self, page: Page, known: Mapping[str, SerializedRecord]) -> bool:
        """Return whether the rows at the start of a page are at the same places as before."""
        ids = [row.logid for row in page.rows]
        first = len(self.ids)
        if ids[0] in self.seen:
            first -= 1 + self.ids[::-1].index(ids[0])
        self.repeats += max(len(self.ids) - first - self.overlap, 0)
        overlap = self.ids[first:][: len(ids)]
        fresh = page.rows[len(overlap) :]
        # The same row again, after the overlap, has moved; another leg of its call differs.
        has_moved = any(row.logid in self.seen and row == known[row.logid] for row in fresh)
        is_firm = ids[: len(overlap)] == overlap and not has_moved
        self.is_firm = self.is_firm and is_firm
        return is_firm

    def check_order(self, page: Page) -> None:
        """Check that the rows of a page that came before are in the same order."""
        known = [self.seen[row.logid] for row in page.rows if row.logid in self.seen]
        self.is_firm = self.is_firm and known == sorted(known)

    def has_order_of(self, before: "WindowPass") -> bool:
        """Return whether the rows that both passes have are in one order."""
        common = before.seen.keys() & self.seen.keys()
        first, second = ([key for key in each.ids if key in common] for each in (before, self))
        return first == second

    def is_complete(self, found: int, limits: ServerLimits, *, keeps_order: bool) -> bool:
        """Return whether this pass, with those before, returned all rows.

        Args:
            found: Number of distinct rows of all passes.
            limits: What is known of the server.
            keeps_order: Whether the rows have kept their places, in this pass and between passes.
        """
        has_total = bool(self.totals) and limits.total_is_reliable
        if not keeps_order or (limits.needs_single_pages and not self.is_single_page):
            # Only a total proves that rows which change places were all seen.
            return has_total and found >= max(self.totals)
        if not has_total or self.order.passed_start:
            return True
        # Several rows of one id count in the total, but not those that a shift of rows repeats.
        count = 0 if self.has_shifted else self.row_count - self.repeats
        return min(self.totals) <= max(found, count)
