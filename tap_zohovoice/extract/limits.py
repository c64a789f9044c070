"""What is observed of the server's paging: offsets, totals, order of rows."""

from tap_zohovoice.pagination import Page

_MAX_ROWS = 15_000  # of the largest window, where offsets have no limit
_MAX_WINDOW_REQUESTS = 50  # of several days: a stopped run repeats less than two minutes
ITEM_WINDOW_REQUESTS = 10  # with one for each row: after a stop, the window is listed again
_MIN_CHECKPOINT_ROWS = 1_000  # of any window of files: short ones repeat days, as they overlap
LIKELY_LIMITS = (10_000, 5_000, 2_000, 1_000, 500, 200, 100)
"""Likely limits of `from` + `size`, most likely first: the default of the search engine that Zoho's
metrics suggest; clients stop at 5,000 and 2,000; the documentation's sample asks for 100."""
_ROUND_ROWS = 50  # a limit of lists that is not known is likely to be a multiple of this
TRUSTED_DAYS = 7  # of a range, without proof: a daily run requests no more
DEFAULT_SIZE = 200  # of first pages, unless `page_size` is set: clients use it


class ServerLimits:
    """Limits of this server's paging, as observed in this run."""

    def __init__(self, size: int) -> None:
        self.size = size  # rows requested at once
        self.window_requests = _MAX_WINDOW_REQUESTS  # of a window of several days
        self.reachable_rows = LIKELY_LIMITS[0] - size  # that offsets are likely to reach
        self.deepest_row = 0  # largest offset + number of received rows
        self.was_silent = False  # whether the last first page had no rows
        self.confirmed_end = 0  # largest `from` + `size` of a request that returned rows
        self.large_end = LIKELY_LIMITS[0]  # of pages of more than the base, likely or observed
        self.full_page_rows = 0  # 0: unknown
        self.longest_page_rows = 0
        # Rows of the longest first page, and of the largest window, that are known to be complete.
        self.proven_page_rows = 0
        self.proven_window_rows = min(size, LIKELY_LIMITS[-1])  # any server pages that far
        # Rows at which lists may be cut off: few and round, as those of another window may be.
        self.suspect_totals = {*LIKELY_LIMITS[3:]}
        self.total_is_reliable = True  # whether totals have been right so far
        self.total_exceeds_page = False  # whether a total was greater than the rows of its page
        self.total_exceeds_end = False  # whether one was greater than the end of its page
        self.firm_overlaps = 0  # consecutive wide overlaps of pages whose rows kept their order
        self.needs_single_pages = False  # whether each window must fit a page: the order changes

    @property
    def checkpoint_rows(self) -> int:
        """Rows after which records and STATE must be emitted: more take too many requests."""
        if not self.full_page_rows:
            return _MAX_ROWS
        # Pages overlap by a row. Windows of a few rows would only repeat days, as they overlap too.
        new_rows = max(self.full_page_rows - 1, 4)
        most = _MAX_WINDOW_REQUESTS * new_rows
        return max(self.window_requests * new_rows, min(_MIN_CHECKPOINT_ROWS, most))

    @property
    def max_window_rows(self) -> int:
        """Rows that a window of several days may have."""
        return min(self.reachable_rows, self.checkpoint_rows)

    def observe(self, offset: int, page: Page) -> None:
        """Observe a page at an offset."""
        rows, total = len(page.rows), page.total or 0
        if rows:
            self.deepest_row = max(self.deepest_row, offset + rows)
            self.longest_page_rows = max(self.longest_page_rows, rows)
            self.confirmed_end = max(self.confirmed_end, offset + page.size)
            if not self.needs_single_pages:
                self.reachable_rows = max(self.reachable_rows, min(self.deepest_row, _MAX_ROWS))
            if total > 2 * (offset + rows):
                self.full_page_rows = rows
        # A total may count only the rows of its page, or those up to its end.
        if total > rows and total >= offset + rows:
            self.total_exceeds_page = True
            self.total_exceeds_end = self.total_exceeds_end or total > offset + rows
        if offset and rows > 1 and total == rows and not self.total_exceeds_page:
            self.total_is_reliable = False

    def observe_window(self, rows: int) -> None:
        """Observe a window that is complete; another one of such a length may be cut off there."""
        self.proven_window_rows = max(self.proven_window_rows, rows)
        self.suspect_totals.add(max(rows // _ROUND_ROWS * _ROUND_ROWS, LIKELY_LIMITS[-1]))

    def reject_offset(self, offset: int) -> None:
        """Record that an offset returns no rows although there are some."""
        likely = [limit - self.size for limit in LIKELY_LIMITS if limit - self.size < offset]
        most = min(self.reachable_rows, *likely[:1], offset)
        self.reachable_rows = max(most, self.deepest_row, 1)

    def require_single_pages(self) -> None:
        """Require that each window fits a page: the order of rows changes between requests."""
        self.needs_single_pages = True
        self.reachable_rows = max(min(self.reachable_rows, self.size - 1), 1)
