"""Reader of call logs: window after window, each to its end, in order and without repeats."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.config.filters import CALL_TYPES
from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RetriesExhaustedError,
    WindowTooLargeError,
    ZohoVoiceError,
)
from tap_zohovoice.extract.planner import WindowPlanner
from tap_zohovoice.extract.windows import DAY, DateWindow, add_saturating
from tap_zohovoice.page_flow import TRACK_TOTAL_HITS_CAP, PageFlow
from tap_zohovoice.pagination import PageRequest, PageSizeNegotiation, ServerLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

    from tap_zohovoice.pagination import Page
    from tap_zohovoice.singer.records import SerializedRecord

    Rows = dict[str, SerializedRecord]
    RowsGenerator = Generator[PageRequest, Page, Rows]

_FEW_ROWS = 10
_MAX_DATE_ERROR = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What one window added.

    Attributes:
        window: Days that were read.
        rows: Records that are new in this run, by `start_time`, then `logid`.
        row_count: Rows of the window, with repeats and rows out of bounds.
        covered_until: Before this moment no call is unread.
    """

    window: DateWindow
    rows: list[SerializedRecord]
    row_count: int
    covered_until: dt.datetime


class CallLogReader:
    """Reads all calls between two moments, as a flow for `SeamPaginator`.

    Args:
        start: First moment of interest.
        end: First moment that is of none; None: no end.
        now: Current time.
        page_size: Rows to request at once.
        filters: Query parameters.
    """

    def __init__(
        self,
        *,
        start: dt.datetime,
        end: dt.datetime | None,
        now: dt.datetime,
        page_size: int,
        filters: Mapping[str, str],
    ) -> None:
        self._limits = ServerLimits.for_size(page_size)
        self._page_size = PageSizeNegotiation(page_size)
        self.planner = WindowPlanner(start, end, now, self._limits)
        self._start = format_timestamp(start)
        self._end = format_timestamp(end) if end else None
        # An hour for calls that are listed by another time than their start.
        self._cutoff = format_timestamp(add_saturating(start, -dt.timedelta(hours=1)))
        self._filters = filters
        self._retries_size = False
        self._has_verified_offset = False

    def read_windows(self) -> Generator[PageRequest | WindowResult, Page, None]:
        """Read window after window, oldest first.

        Yields:
            Page requests, which are sent pages; and what each window added.

        Raises:
            ZohoVoiceError: If the calls cannot be read completely.
        """
        previous: Collection[str] = ()
        while window := self.planner.next_window():
            found = yield from self._read(window)
            if found is None:
                continue
            rows = sorted(row for key, row in found.items() if key not in previous)
            _check_dates(window, rows)
            rows = rows[_bisect(rows, self._start) : _bisect(rows, self._end)]
            covered_until = self.planner.covered_until(window)
            self.planner.mark_read(window, len(found))
            previous = frozenset(found)
            row_count = len(found)
            del found  # the rows are held once
            yield WindowResult(window, rows, row_count, covered_until)

    def _read(self, window: DateWindow) -> Generator[PageRequest, Page, Rows | None]:
        """Read a window; None: the planner has another one to read first."""
        can_split = self.planner.can_split(window)
        flow = self._flow(window, can_split=can_split)
        try:
            rows = yield from flow.read_window()
            is_certain = flow.has_trusted_total or flow.passed_start
            if not is_certain and len(rows) >= self._limits.verified_rows:
                yield from self._verify_end(window, rows)
        except WindowTooLargeError as error:
            if can_split:
                if not (yield from self._verify_offset(window, error.total)):
                    self.planner.shrink(window, error.total)
                return None
            return (yield from self._read_by_call_type(window, error.total, flow.rows))
        except InvalidParameterError as error:
            if not self._recover_from_rejection(window, error):
                raise
            return None
        return rows

    def _verify_end(self, window: DateWindow, rows: Rows) -> Generator[PageRequest, Page, None]:
        """Verify that a long window without a total did not end where offsets do.

        The days behind the last row are requested by themselves.

        Raises:
            WindowTooLargeError: If they have rows that did not come before, or prove nothing.
        """
        if not self.planner.can_split(window):
            raise WindowTooLargeError(None)
        for behind in _days_behind(window, [row.start_time for row in rows.values()]):
            found = yield from self._flow(behind, can_split=False, known=rows).read_window()
            if len(found) > 0.9 * len(rows):
                raise WindowTooLargeError(None)  # it may have ended in the same place
        self._limits.verified_rows = len(rows)

    def _verify_offset(
        self, window: DateWindow, total: int | None
    ) -> Generator[PageRequest, Page, bool]:
        """Return whether the last row of a large window can be requested, so that it fits.

        Without this, a dense day would be read twice, in two windows of two days.
        """
        if total is None or total == TRACK_TOTAL_HITS_CAP or self._has_verified_offset:
            return False
        self._has_verified_offset = True
        params = self._params(window)
        try:
            page = yield from self._request_page(window, total - 1, params)
        except (InvalidParameterError, RetriesExhaustedError):
            return False
        if page.rows:
            self._limits.confirm_offset(total - 1, page.size, len(page.rows))
        return total <= self._limits.max_rows

    def _params(self, window: DateWindow) -> dict[str, str]:
        first, last = window.first.isoformat(), window.last.isoformat()
        return {"fromDate": first, "toDate": last, **self._filters}

    def _flow(
        self,
        window: DateWindow,
        *,
        can_split: bool,
        call_type: str | None = None,
        known: Rows | None = None,
    ) -> PageFlow:
        params = self._params(window) | ({"callType": call_type} if call_type else {})

        def request_page(offset: int) -> Generator[PageRequest, Page, Page]:
            page = yield from self._request_page(window, offset, params)
            if known is not None and any(row.logid not in known for row in page.rows):
                self._limits.reject_offset(len(known))
                raise WindowTooLargeError(None)
            return page

        name = f"{window} {call_type}" if call_type else str(window)
        return PageFlow(
            request_page, self._limits, can_split=can_split, name=name, start=self._cutoff
        )

    def _request_page(
        self, window: DateWindow, offset: int, params: Mapping[str, str]
    ) -> Generator[PageRequest, Page, Page]:
        while True:
            size = self._page_size.next
            try:
                page = yield PageRequest(offset, size, params, str(window))
            except InvalidParameterError as error:
                if self._page_size.rejected(size, error.rejected_param):
                    continue
                raise
            self._page_size.accepted(size)
            if self._retries_size:
                self.planner.allow_long_windows()  # days were not the reason
                self._retries_size = False
            if not self.planner.boundary.is_inclusive:
                starts = [dt.datetime.fromisoformat(row.start_time) for row in page.rows]
                self.planner.boundary.observe(window, starts)
            return page

    def _recover_from_rejection(self, window: DateWindow, error: InvalidParameterError) -> bool:
        """Request less of what may be rejected: the future, many rows, many days."""
        if not error.is_invalid_value:
            return False
        is_smaller = error.rejected_param != "dates" and self._page_size.try_smaller()
        is_earlier = error.rejected_param != "size" and self.planner.avoid_future(window)
        if is_smaller or is_earlier or self.planner.halve(window):
            return True
        self._retries_size = self._page_size.halve()
        return self._retries_size

    def _read_by_call_type(
        self, window: DateWindow, total: int | None, seen: Collection[str]
    ) -> RowsGenerator:
        """Read a day that holds more rows than offsets reach, one type of call after the other.

        Args:
            window: The day.
            total: How many rows it holds; None if that is not known.
            seen: Ids of those that offsets reached.

        Raises:
            ZohoVoiceError: If this does not return all of them either.
        """
        days = window.first if window.days == 1 else window
        message = (
            f"More calls on {days} than the API lets us page through; run once for each value of "
            "a filter (e.g. numberIds) for that day"
        )
        if "callType" in self._filters:
            raise ZohoVoiceError(message)
        rows: Rows = {}
        for call_type in CALL_TYPES:
            flow = self._flow(window, can_split=False, call_type=call_type)
            try:
                rows.update((yield from flow.read_window()))
            except WindowTooLargeError as error:
                raise ZohoVoiceError(message) from error
            # Without totals, a type that has all there is may have been cut off as well.
            is_long = len(flow.rows) >= self._limits.verified_rows
            if not flow.has_trusted_total and is_long and len(flow.rows) >= 0.9 * len(seen):
                raise ZohoVoiceError(message)
        # Where one of those seen is of no type that can be requested, others may be too.
        is_short = total is not None and len(rows) < total and self._limits.total_is_reliable
        if is_short or any(logid not in rows for logid in seen):
            raise ZohoVoiceError(message)
        return rows


def _check_dates(window: DateWindow, rows: list[SerializedRecord]) -> None:
    """Raise if the server ignores the dates: each window would be everything."""
    after = (dt.datetime.combine(window.first, dt.time()) - _MAX_DATE_ERROR).isoformat()
    before = (dt.datetime.combine(window.last, dt.time()) + 2 * _MAX_DATE_ERROR).isoformat()
    astray = len(rows) - (_bisect(rows, before) - _bisect(rows, after))
    if astray > _FEW_ROWS and astray * 2 > len(rows):
        message = f"Zoho answers with calls of other days than {window}; they are not stored"
        raise ZohoVoiceError(message)


def _bisect(rows: list[SerializedRecord], timestamp: str | None) -> int:
    """Return how many rows started before a timestamp; None is after all."""
    return len(rows) if timestamp is None else bisect_left(rows, (timestamp,))


def _days_behind(window: DateWindow, timestamps: Sequence[str]) -> list[DateWindow]:
    """Return the days of rows beyond the last one that offsets reach, if there are any.

    Args:
        window: The days that were read.
        timestamps: When the calls started, in the order of the server; without an order of time,
            both halves of the window are possible.
    """
    last = dt.date.fromisoformat(timestamps[-1][:10])
    if list(timestamps) == sorted(timestamps):
        return [DateWindow(min(max(last - DAY, window.first), window.last), window.last)]
    if list(timestamps) == sorted(timestamps, reverse=True):
        return [DateWindow(window.first, max(min(last + DAY, window.last), window.first))]
    middle = window.last - (window.days // 2) * DAY
    return [DateWindow(window.first, middle), DateWindow(middle, window.last)]
