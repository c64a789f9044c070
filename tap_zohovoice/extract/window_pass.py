"""One pass over a window: what its pages returned, and whether rows kept their places."""

from collections.abc import Mapping

from tap_zohovoice.extract.limits import ServerLimits
from tap_zohovoice.pagination import Page
from tap_zohovoice.singer.json import SerializedRecord

_WIDE_OVERLAP = 20  # rows that prove their order, where no total does
_ENOUGH_OVERLAPS = 10  # consecutive wide ones, after which one row shows whether rows moved
_MIN_ROWS_OF_ORDER = 20  # of a page that shows an order
_MIN_FRESH_SHARE = 0.1  # new rows of a page, unless the server returns the same rows again


class WindowPass:
    """The rows of one pass, from the first to the last."""

    def __init__(self, limits: ServerLimits, cutoff: str) -> None:
        self._limits = limits
        self.ids: list[str] = []  # in the order of the responses, those of overlaps twice
        self.seen: dict[str, int] = {}  # first place of each id in `ids`
        self.totals: list[int] = []  # `meta.total` of the pages that have it
        self.row_count = 0  # up to the end of the last page
        self.is_single_page = False  # whether the first page has all rows
        self.is_firm = True  # whether no row has changed its place in this pass
        self.has_shifted = False  # whether rows before a seam were gone, or have moved
        self.empty_offsets: set[int] = set()  # that had no row, but should have had one
        self.passed_cutoff = False  # whether all further rows are too old: rows come newest first
        self._cutoff = cutoff  # timestamp; calls that started before are too old
        self._last = "~"  # timestamp of the last row while the newest come first, else empty
        self.stale_pages = 0  # consecutive last pages with hardly a new row
        self.overlap = 1  # rows requested again, of the last page that has others
        self._repeats = 0  # rows received again without being requested again

    @property
    def has_trusted_total(self) -> bool:
        """Whether `meta.total` says how many rows there are, and has been right so far."""
        return bool(self.totals) and self._limits.total_is_reliable

    def add(self, page: Page, offset: int) -> None:
        """Add the rows of a page."""
        fresh = [row.start_time for row in page.rows if row.logid not in self.seen]
        is_stale = len(fresh) < _MIN_FRESH_SHARE * len(page.rows)  # a few calls may have arrived
        self.stale_pages = self.stale_pages + 1 if is_stale else 0
        if fresh:
            self._observe_order(fresh)
        self.row_count = offset + len(page.rows)
        ids = [row.logid for row in page.rows]
        for place, key in enumerate(ids, len(self.ids)):
            self.seen.setdefault(key, place)
        self.ids += ids

    def _observe_order(self, timestamps: list[str]) -> None:
        """Observe the rows of a page that were not on an earlier one, in their order."""
        descends = timestamps[0] <= self._last and timestamps == sorted(timestamps, reverse=True)
        self._last = timestamps[-1] if descends else ""
        # Calls of one millisecond are in any order: some row must be older than the first.
        is_behind = timestamps[-1] < timestamps[0] < self._cutoff
        is_enough = len(timestamps) >= _MIN_ROWS_OF_ORDER
        self.passed_cutoff = descends and is_behind and is_enough

    def choose_overlap(self, page: Page) -> int:
        """Return how many rows of a page to request again; none if it has no others.

        A single row whose place changes between requests may match by chance.
        """
        if len(page.rows) <= self.overlap:
            return 0
        is_counted = self._limits.total_exceeds_page and self._limits.total_is_reliable
        is_order_known = is_counted or self._limits.firm_overlaps >= _ENOUGH_OVERLAPS
        # An offset without rows is requested again, and must then be the same one.
        is_narrow = is_order_known or self.empty_offsets
        self.overlap = 1 if is_narrow else min(_WIDE_OVERLAP, len(page.rows) // 2)
        return self.overlap

    def check_seam(
        self, page: Page, following: Page, known: Mapping[str, SerializedRecord]
    ) -> None:
        """Check that the rows of a page, and of the one that overlaps it, are in their places.

        `known` has the rows by `logid`, those of the first page included.
        """
        ids = [row.logid for row in following.rows]
        is_end = len(ids) == self.overlap and self.seen.keys() >= set(ids)
        if is_end and len(page.rows) == len(self.ids):
            return  # a single page has all rows, in any order
        start = expected = len(self.ids) - self.overlap
        if self.ids[expected] != ids[0]:  # several rows may have it
            behind = self.ids[::-1].index(ids[0]) + 1 if ids[0] in self.seen else 0
            start = len(self.ids) - behind
        self._repeats += max(expected - start, 0)
        overlap = self.ids[start:][: len(ids)]
        # A known row that comes again has moved, unless the page has it twice; another leg differs.
        has_moved = any(
            row.logid in self.seen and row.logid not in overlap and row == known[row.logid]
            for row in following.rows[len(overlap) :]
        )
        is_firm = ids[: len(overlap)] == overlap and not has_moved
        self.is_firm = self.is_firm and is_firm
        if self.overlap > 1:
            self._limits.firm_overlaps = self._limits.firm_overlaps + 1 if is_firm else 0

    def check_order(self, page: Page) -> None:
        """Check that rows which were received before are in the same order."""
        known = [self.seen[row.logid] for row in page.rows if row.logid in self.seen]
        self.is_firm = self.is_firm and known == sorted(known)

    def has_order_of(self, before: "WindowPass") -> bool:
        """Return whether the rows of both passes have the same order."""
        first = [key for key in before.seen if key in self.seen]
        return first == [key for key in self.seen if key in before.seen]

    def is_complete(self, calls: int, *, keeps_order: bool) -> bool:
        """Return whether this pass, with those before, found all rows, as a number of calls.

        `keeps_order` says that the rows have kept their places, in this pass and between passes.
        """
        if not keeps_order or (self._limits.needs_single_pages and not self.is_single_page):
            # Only a total proves that all rows were received if their order changes.
            return self.has_trusted_total and calls == max(self.totals)
        if not self.has_trusted_total or self.passed_cutoff:
            return True
        # Several rows of one id count in the total, but not those that a shift of rows repeats.
        count = 0 if self.has_shifted else self.row_count - self._repeats
        return min(self.totals) <= max(calls, count)
