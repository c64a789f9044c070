"""Reader of one date window: to its end, or until it is known to hold too many rows."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace

from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RateLimitLockoutError,
    RetriesExhaustedError,
    WindowTooLargeError,
    ZohoVoiceError,
)
from tap_zohovoice.extract.limits import LEAST_SIZE, PageSizeNegotiation, ServerLimits
from tap_zohovoice.extract.page_flow import TRACK_TOTAL_HITS_CAP, PageFlow
from tap_zohovoice.extract.windows import DateWindow, days_after
from tap_zohovoice.http.retry import MAX_ATTEMPTS, SIZE_ATTEMPTS, TRIAL_LIMITS
from tap_zohovoice.pagination import Page, PageRequest
from tap_zohovoice.singer.records import SerializedRecord

Rows = dict[str, SerializedRecord]
RowsGenerator = Generator[PageRequest, Page, Rows]


class WindowReader:
    """Reads date windows with the documented parameters.

    Args:
        page_size: Rows to request at once; None: as many as the server grants.
        filters: Query parameters.
        cutoff: Timestamp; calls that started before are not needed.
        on_page: Called with the window and each page.

    Attributes:
        rows: Rows of the last window, even if it was not read to its end.
        legs: Rows of the last window whose call has another row, which differs and is kept.
    """

    def __init__(
        self,
        page_size: int | None,
        filters: Mapping[str, str],
        cutoff: str,
        on_page: Callable[[DateWindow, Page], None],
    ) -> None:
        self.rows: Rows = {}
        self.legs: set[SerializedRecord] = set()
        self.page_size = PageSizeNegotiation(page_size)
        self.limits = ServerLimits.for_size(self.page_size.next)
        self._filters = filters
        self._cutoff = cutoff
        self._on_page = on_page
        self._has_verified_offset = False
        self._was_silent = False

    def read(
        self, window: DateWindow, *, can_split: bool, can_split_types: bool = False
    ) -> RowsGenerator:
        """Read a window.

        Args:
            window: The days.
            can_split: Whether fewer days can be requested.
            can_split_types: Whether the types of calls of one day can be requested separately.

        Returns:
            The rows by `logid`.

        Raises:
            WindowTooLargeError: If fewer days, or one type of calls, must be requested.
            InvalidParameterError: If the server rejects the window or the size.
        """
        flow = self._flow(window, can_split=can_split, can_split_types=can_split_types)
        self.rows, self.legs = flow.rows, set()
        rows = yield from flow.read_window()
        if not flow.has_trusted_total and not flow.passed_start:
            if not flow.has_firm_end and len(rows) >= self.limits.proven_window_rows:
                yield from self._verify_end(window, rows, can_split=can_split)
            self.limits.proven_window_rows = max(self.limits.proven_window_rows, len(rows))
        self.legs = flow.legs
        return rows

    def read_call_type(self, window: DateWindow, call_type: str, seen: int) -> RowsGenerator:
        """Read the calls of one type, where `seen` rows of any type were too many.

        Raises:
            WindowTooLargeError: If they are too many as well, or may be cut off as well.
        """
        flow = self._flow(window, can_split=False, call_type=call_type)
        rows = yield from flow.read_window()
        # Without totals, a type that has all there is may have been cut off as well.
        is_long = len(rows) >= self.limits.proven_window_rows and not flow.has_firm_end
        if not flow.has_trusted_total and is_long and len(rows) >= 0.9 * seen:
            raise WindowTooLargeError(None)
        self.legs = flow.legs
        return rows

    def request_page(
        self,
        window: DateWindow,
        offset: int = 0,
        params: Mapping[str, str] | None = None,
        *,
        has_rows: bool = False,
    ) -> Generator[PageRequest, Page, Page]:
        """Request a page, with smaller sizes where the server rejects the size.

        Args:
            window: The days.
            offset: First row.
            params: Query parameters beside offset and size; those of the window by default.
            has_rows: Whether rows are certain to be there, so that a larger size can be tried.
        """
        first = PageRequest(offset, 0, params or self.params_of(window), str(window))
        page = (yield from self._try_larger(first)) if has_rows else None
        if page is None:
            page = yield from self._request_granted(first, has_rows=has_rows)
        if not page.rows and not offset and page.size > self.page_size.least:
            page = yield from self._request_least(first)
        self._was_silent = not page.rows and not offset
        self.limits.size = self.page_size.next
        if page.rows and (page.total or 0) > 2 * (offset + len(page.rows)):  # certainly a full page
            self.limits.full_page_rows = len(page.rows)
        self._on_page(window, page)
        return page

    def _request_granted(
        self, request: PageRequest, *, has_rows: bool
    ) -> Generator[PageRequest, Page, Page]:
        """Request a page, and smaller ones as long as the size may be the reason of a failure."""
        offset, attempts = request.offset, 0
        while True:
            size = self._size_at(offset, has_rows=has_rows)
            limits = {"earlier_attempts": attempts}
            if self.page_size.is_unproven:
                attempts = min(attempts + SIZE_ATTEMPTS, MAX_ATTEMPTS - 1)
                limits["max_attempts"] = attempts
            if offset and not has_rows:
                limits = TRIAL_LIMITS  # a failure means that offsets end before
            try:
                page = yield replace(request, size=size, retry_limits=limits)
            except (InvalidParameterError, RetriesExhaustedError) as error:
                if not self._lower_size(offset, size, error):
                    raise
                has_failed = isinstance(error, RetriesExhaustedError)
                attempts = (attempts or MAX_ATTEMPTS // 2) if has_failed else 0
            else:
                break
        while page.rows and size < self.page_size.next and self.page_size.lower_unproven():
            pass  # that size may have hidden rows
        if page.rows and size == self.page_size.next:
            self.page_size.accepted(size)
            self.page_size.observe_page(offset, len(page.rows), page.total)
            if not offset and self.page_size.has_failed:
                return (yield from self._try_larger(request)) or page
        return page

    def _size_at(self, offset: int, *, has_rows: bool) -> int:
        """Return the size to request at an offset."""
        size = self.limits.clip(offset, self.page_size.next, self.page_size.least)
        has_failed = has_rows and self.page_size.granted and self._is_beyond(offset, size)
        if not offset and self._was_silent:  # after a window without calls, a small page is enough
            return LEAST_SIZE if self.page_size.is_unproven else self.page_size.least
        return self.page_size.least if has_failed else size

    def _request_least(self, request: PageRequest) -> Generator[PageRequest, Page, Page]:
        """Request a page without rows again: its size may not be granted any longer."""
        page = yield replace(request, size=self.page_size.least)
        if page.rows:
            self.page_size.lower_granted()
        return page

    def _try_larger(self, request: PageRequest) -> Generator[PageRequest, Page, Page | None]:
        """Request a page of rows that are there in a larger size; None: it is not granted."""
        while size := self._larger_size(request.offset):
            page, is_refused = None, False
            try:
                page = yield replace(request, size=size, retry_limits=TRIAL_LIMITS)
            except ZohoVoiceError as error:
                is_refused = isinstance(error, InvalidParameterError)
                has_failed = is_refused or isinstance(error, RetriesExhaustedError)
                if isinstance(error, RateLimitLockoutError) or not (has_failed or error.summary):
                    raise
            rows = len(page.rows) if page else 0
            if not self.page_size.granted:
                self.page_size.observe_trial(request.offset, rows, page.total if page else None)
            elif not rows:
                end = request.offset + self.page_size.least
                self.limits.lower_large_end(end, is_refused=is_refused)
                return None
            if rows:
                return page
        return None

    def _larger_size(self, offset: int) -> int | None:
        """Return the size to try at an offset, if there is one."""
        granted, trial = self.page_size.granted, self.page_size.trial
        if granted:
            size = self.limits.clip(offset, granted, self.page_size.least)
            return size if size > self.page_size.least and self._is_beyond(offset, size) else None
        return trial if trial and self.limits.clip(offset, trial, 0) == trial else None

    def _is_beyond(self, offset: int, size: int) -> bool:
        """Return whether no request that far has returned rows yet."""
        return offset > 0 and offset + size > self.limits.confirmed_end

    def _lower_size(
        self, offset: int, size: int, error: InvalidParameterError | RetriesExhaustedError
    ) -> bool:
        """Lower the size if it may have caused a failure; return whether it could be."""
        is_beyond, is_value = self._is_beyond(offset, size), False
        if isinstance(error, InvalidParameterError):
            if error.rejected_param == "size" and self.page_size.lower_rejected():
                return True
            is_value = error.is_invalid_value  # days may be the reason too
            is_beyond = is_beyond or error.rejected_param != "size"
        # An error without a summary is a failure to get a token.
        if error.summary and not is_value and self.page_size.lower_unproven():
            return True
        return not is_beyond and self.page_size.lower_granted()

    def _verify_end(
        self, window: DateWindow, rows: Rows, *, can_split: bool
    ) -> Generator[PageRequest, Page, None]:
        """Verify that a long window without a total was not cut off at the limit of offsets.

        The days after the last row are requested separately.

        Raises:
            WindowTooLargeError: If they have rows that did not come before, or prove nothing.
        """
        if not can_split:
            raise WindowTooLargeError(None)
        for days in days_after(window, [row.start_time for row in rows.values()]):
            found = yield from self._flow(days, can_split=False, known=rows).read_window()
            if len(found) > 0.9 * len(rows):
                raise WindowTooLargeError(None)  # it may be cut off too

    def verify_offset(
        self, window: DateWindow, total: int | None
    ) -> Generator[PageRequest, Page, bool]:
        """Return whether the last row of a large window can be requested, so that it fits.

        Without this, a dense day would be read twice, in two windows of two days.
        """
        if total is None or total == TRACK_TOTAL_HITS_CAP or self._has_verified_offset:
            return False
        if total <= self.limits.reachable_rows:
            return False
        self._has_verified_offset = True
        try:
            page = yield from self.request_page(window, total - 1)
        except (InvalidParameterError, RetriesExhaustedError):
            return False
        if page.rows:
            self.limits.confirm_offset(total - 1, page.size, len(page.rows))
        return total <= self.limits.max_window_rows

    def params_of(self, window: DateWindow) -> dict[str, str]:
        """Return the query parameters of a window."""
        first, last = window.first.isoformat(), window.last.isoformat()
        return {"fromDate": first, "toDate": last, **self._filters}

    def _flow(
        self,
        window: DateWindow,
        *,
        can_split: bool,
        can_split_types: bool = False,
        call_type: str | None = None,
        known: Rows | None = None,
    ) -> PageFlow:
        params = self.params_of(window) | ({"callType": call_type} if call_type else {})

        def request_next(
            offset: int, *, has_rows: bool = True
        ) -> Generator[PageRequest, Page, Page]:
            has_rows = has_rows and offset > 0
            page = yield from self.request_page(window, offset, params, has_rows=has_rows)
            if known is not None and any(row.logid not in known for row in page.rows):
                self.limits.reject_offset(len(known))
                raise WindowTooLargeError(None)
            return page

        name = f"{window} {call_type}" if call_type else str(window)
        flow = PageFlow(
            request_next, self.limits, can_split=can_split, name=name, start=self._cutoff
        )
        flow.can_split_types = can_split_types
        return flow
