"""What is observed of the server's paging: limits, page size, order of rows."""

from dataclasses import dataclass

_MAX_ROWS = 15_000
"""Rows of the largest window, where offsets have no limit."""
_MAX_WINDOW_REQUESTS = 50
"""Requests of a window of several days: its records are emitted when it is complete, and a stopped
run should repeat less than two minutes of requests."""
ITEM_WINDOW_REQUESTS = 10
"""The same for streams with a request for each row: after a stop, they list the window again."""
_MIN_CHECKPOINT_ROWS = 1_000
"""Rows that a window may have at any page size: short windows repeat days, as they overlap."""
_LIKELY_LIMITS = (10_000, 5_000, 2_000, 1_000, 500, 200, 100)
"""Likely limits of `from` + `size`, most likely first: the default of the search engine that Zoho's
metrics suggest; clients stop at 5,000 and 2,000; the documentation's sample asks for 100."""
_DOCUMENTED_SIZE = 100
"""The size in the documentation's sample request; clients use larger ones."""
DEFAULT_SIZE = 200
"""The size of first pages, unless `page_size` is set: clients use it."""
_LARGER_SIZES = (1_000, 500)
"""Sizes to try where a window has more rows than a page of `DEFAULT_SIZE`; none is documented."""
LEAST_SIZE = 25
"""The smallest size to request after failures that do not name the size."""
_SHORT_TRIALS = 2
"""Pages without a total and with no more than `DEFAULT_SIZE` rows, after which a size is not tried
again: one of them may be the last page of its window."""
_MIN_ROWS_OF_ORDER = 20
"""Minimum rows of a page that show an order."""
_LATEST = "~"
"""A text that sorts after all timestamps."""


@dataclass
class ServerLimits:
    """Limits of this server's paging, as observed in this run.

    Attributes:
        reachable_rows: Rows of a window that offsets are likely to reach.
        size: Rows requested at once.
        full_page_rows: Rows that a full page has; 0: unknown.
        large_end: Largest `from` + `size` to request with more than the least size.
        failures_beyond: Requests for more than the least size that failed beyond `confirmed_end`.
        deepest_row: Largest offset + number of received rows.
        confirmed_end: Largest `from` + `size` of a request that returned rows.
        proven_window_rows: Rows of the largest window that is proved to be complete.
        proven_page_rows: Rows of the longest first page that is proved to be complete.
        longest_page_rows: Rows of the longest page.
        total_is_reliable: Whether totals have been right so far.
        total_exceeds_page: Whether a total was greater than the rows of its own page.
        firm_overlaps: Consecutive wide overlaps of two pages whose rows kept their order.
        needs_single_pages: Whether each window must fit a page, since the order changes.
        window_requests: Requests that a window of several days may take.
    """

    reachable_rows: int
    size: int
    full_page_rows: int = 0
    large_end: int = _LIKELY_LIMITS[0]
    failures_beyond: int = 0
    deepest_row: int = 0
    confirmed_end: int = 0
    proven_window_rows: int = 0
    proven_page_rows: int = 0
    longest_page_rows: int = 0
    total_is_reliable: bool = True
    total_exceeds_page: bool = False
    firm_overlaps: int = 0
    needs_single_pages: bool = False
    window_requests: int = _MAX_WINDOW_REQUESTS

    @classmethod
    def for_size(cls, size: int) -> "ServerLimits":
        """Return the limits that are likely before the first request of a size."""
        few = min(size, _LIKELY_LIMITS[-1])  # any server pages that far
        return cls(reachable_rows=_LIKELY_LIMITS[0] - size, size=size, proven_window_rows=few)

    @property
    def checkpoint_rows(self) -> int:
        """Rows after which records and STATE must be emitted: more take too many requests."""
        if not self.full_page_rows:
            return _MAX_ROWS
        new_rows = self.full_page_rows - 1  # pages overlap by a row
        return max(self.window_requests * new_rows, _MIN_CHECKPOINT_ROWS)

    @property
    def max_window_rows(self) -> int:
        """Rows that a window of several days may have."""
        return min(self.reachable_rows, self.checkpoint_rows)

    def clip(self, offset: int, size: int, least: int) -> int:
        """Return the size of a page that does not pass `large_end`, but at least so many rows."""
        if offset + size <= self.confirmed_end:
            return size
        return min(size, max(self.large_end - offset, least))

    def lower_large_end(self, end: int, *, is_refused: bool) -> None:
        """Record that a request for rows beyond `end` failed; one failure may be chance."""
        self.failures_beyond += 1
        if is_refused or self.failures_beyond > 1:
            self.large_end = max(self.confirmed_end, end)

    def confirm_offset(self, offset: int, size: int, rows: int) -> None:
        """Record that a request at an offset for so many rows returned some."""
        self.deepest_row = max(self.deepest_row, offset + rows)
        self.longest_page_rows = max(self.longest_page_rows, rows)
        self.confirmed_end = max(self.confirmed_end, offset + size)
        if not self.needs_single_pages:
            self.reachable_rows = max(self.reachable_rows, min(self.deepest_row, _MAX_ROWS))

    def reject_offset(self, offset: int) -> None:
        """Record that an offset returns no rows although there are some."""
        likely = [limit - self.size for limit in _LIKELY_LIMITS if limit - self.size < offset]
        most = min(self.reachable_rows, *likely[:1], offset)
        self.reachable_rows = max(most, self.deepest_row, 1)

    def observe_total(self, offset: int, rows: int, total: int) -> None:
        """Record `meta.total` of a page: it may count the rows of its own page alone."""
        if total > rows and total >= offset + rows:
            self.total_exceeds_page = True
        if offset and rows > 1 and total == rows and not self.total_exceeds_page:
            self.total_is_reliable = False

    def require_single_pages(self) -> None:
        """Require that each window fits a page: the order of rows changes between requests."""
        self.needs_single_pages = True
        self.reachable_rows = max(min(self.reachable_rows, self.size - 1), 1)


class PageSizeNegotiation:
    """The size of a page: the largest one granted, or a smaller one where the server rejects it.

    A rejection need not name what is rejected. So a size that may be the reason is lowered, and
    tried again later. Sizes are tried after a full page, where more rows are certain to follow: a
    response without rows, or with no more than before, means that the size is not granted.

    Args:
        size: Rows to request; None: as many as the server grants.

    Attributes:
        least: The size that needs no trial.
        granted: The larger size that the server has granted, if any.
    """

    def __init__(self, size: int | None) -> None:
        self.least = self._first_size = self._wish = size or DEFAULT_SIZE
        self._trials = list(_LARGER_SIZES) if size is None else []
        self.granted: int | None = None
        self._has_full_page = False
        self._short_trials = 0
        self._is_accepted = False

    @property
    def next(self) -> int:
        """The size to request next."""
        return self.granted or self.least

    @property
    def is_unproven(self) -> bool:
        """Whether a failure of the next size may be due to the size, since none has passed."""
        return not self._is_accepted and self.least > LEAST_SIZE

    @property
    def trial(self) -> int | None:
        """The larger size to try next, where rows are certain to follow."""
        is_ready = self._has_full_page and self.least == self._first_size and not self.granted
        return self._trials[0] if is_ready and self._trials else None

    @property
    def has_failed(self) -> bool:
        """Whether a size failed that is not larger than the first one, perhaps by chance."""
        return any(size <= self._wish for size in self._trials)

    def accepted(self, size: int) -> None:
        """Record that the server returned rows for a size."""
        if not self.granted:
            self.least = size
            self._is_accepted = True

    def observe_page(self, offset: int, rows: int, total: int | None) -> None:
        """Record how many rows a page of `next` has: a full page allows a trial."""
        left = total - offset - rows if total is not None else 0
        self._has_full_page = rows >= self.least and not 0 < left <= self.least

    def observe_trial(self, offset: int, rows: int, total: int | None) -> None:
        """Record how many rows a page of `trial` has; none if it failed."""
        self._short_trials += 1
        size, *others = self._trials
        if rows > self.least and size <= self._wish:  # it failed by chance
            self.least = self._first_size = size
            self._trials = [other for other in others if other > size]
            self._has_full_page = False  # this one may have been the last
        elif rows > self.least:
            self.granted = size
        elif not rows or (total or 0) > offset + rows or self._short_trials == _SHORT_TRIALS:
            self._trials = [other for other in others if other < size]
            self._short_trials = 0

    def lower_granted(self) -> bool:
        """Lower a size that was granted but fails now; return whether there was one."""
        if not self.granted:
            return False
        smaller = [size for size in _LARGER_SIZES if size < self.granted]
        self.granted, self._trials = next(iter(smaller), None), []
        return True

    def lower_rejected(self) -> bool:
        """Lower a size that the server rejects by name; return whether it could be."""
        return not self._is_accepted and self.halve()

    def lower_unproven(self) -> bool:
        """Lower a size that may have caused a failure, to try it later; return whether it was."""
        if not self.is_unproven:
            return False
        failed, place = self.least, sum(size <= self._wish for size in self._trials)
        self.least = self._first_size = max(min(failed // 2, _DOCUMENTED_SIZE), LEAST_SIZE)
        while failed > self.least:
            self._trials.insert(place, failed)
            failed, place = failed // 2, place + 1
        return True

    def halve(self) -> bool:
        """Halve the size; return whether it could be."""
        if self.lower_granted():
            return True
        if self.least == 1:
            return False
        self.least //= 2
        return True


class DescendingOrderDetector:
    """Detects that all further rows are too old, where rows come newest first.

    Args:
        start: Timestamp; calls that started before are too old.
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
