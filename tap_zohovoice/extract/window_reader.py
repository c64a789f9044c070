"""Reader of one date window: to its end, or until it is known to have too many rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from tap_zohovoice.exceptions import RequestFailedError, WindowTooLargeError
from tap_zohovoice.extract.legs import CallRows
from tap_zohovoice.extract.limits import ServerLimits
from tap_zohovoice.extract.page_flow import TRACK_TOTAL_HITS_CAP, PageFlow, Split
from tap_zohovoice.extract.page_size import PageRequester
from tap_zohovoice.extract.windows import DateWindow, days_after, days_around
from tap_zohovoice.pagination import Flow, Page, PageRequest
from tap_zohovoice.singer.json import SerializedRecord

Rows = dict[str, SerializedRecord]  # by `logid`


@dataclass(eq=False)
class WindowReader:
    """Reads date windows with the documented parameters.

    Calls that started before `cutoff` (timestamp) are not needed.
    """

    pages: PageRequester
    limits: ServerLimits
    filters: Mapping[str, str]
    cutoff: str
    on_page: Callable[[DateWindow, Page], None]
    calls: CallRows = field(default_factory=CallRows, init=False)
    """Those of the last window of all types, even if it was not read to its end."""
    _has_verified_offset = False

    def read(
        self, window: DateWindow, split: Split = "nothing", *, is_silent: bool = False
    ) -> Flow[CallRows]:
        """Read a window as `PageFlow` does; if `is_silent`, it is expected to have no rows."""
        flow = self._page_flow(window, split)
        flow.is_silent = is_silent
        if not window.call_type:
            self.calls = flow.calls
        calls = yield from flow.read_window()
        length = len(calls.kept) + len(calls.legs)
        if not flow.is_end_certain:
            if split == "days":
                yield from self._verify_end(window, calls.kept)
            # Without totals, a type may have been cut off as well, but not if offsets reach deeper.
            elif not window.call_type or length >= 0.9 * self.limits.deepest_row:
                raise WindowTooLargeError(None)
        if not window.call_type:
            self.limits.observe_window(len(calls.kept))
        return calls

    def _page_flow(self, window: DateWindow, split: Split = "nothing") -> PageFlow:
        request = partial(self.request_page, window)
        return PageFlow(request, self.limits, split=split, name=str(window), cutoff=self.cutoff)

    def request_page(
        self,
        window: DateWindow,
        offset: int = 0,
        *,
        is_probe: bool = False,
        had_rows: bool = False,
    ) -> Flow[Page]:
        """Request a page; a probe is expected to have no rows, and has none if an offset fails."""
        params, name = self.params_of(window), str(window)
        request = PageRequest(offset, 0, params, name, is_probe=is_probe, had_rows=had_rows)
        try:
            page = yield from self.pages.request(request, self.limits)
        except RequestFailedError:
            if not (offset and is_probe):
                raise
            self.limits.reject_offset(offset)
            return Page([], None, 0)
        self.on_page(window, page)
        return page

    def _verify_end(self, window: DateWindow, rows: Rows) -> Flow[None]:
        """Verify that a long window was not cut off at the limit of offsets.

        `WindowTooLargeError` is raised if the days after the last row have other rows.
        """
        timestamps = [row.start_time for row in rows.values()]
        for days in days_after(window, timestamps):
            found = yield from self._page_flow(days).read_window()
            if found.kept.keys() - rows:
                self.limits.reject_offset(len(rows))
                raise WindowTooLargeError(None)
            if len(found.kept) > 0.9 * len(rows):
                # It may be cut off too.
                raise WindowTooLargeError(None, days_around(window, timestamps))

    def verify_offset(self, window: DateWindow, total: int | None) -> Flow[bool]:
        """Return whether the last row of a large window can be requested, so that it fits.

        Without this, a dense day would be read twice, in two windows of two days. Only the first
        large window is verified: the request raises `max_window_rows` if it succeeds.
        """
        if not total or total == TRACK_TOTAL_HITS_CAP:  # the number of rows is not known
            return False
        if total <= self.limits.reachable_rows or self._has_verified_offset:
            return False
        self._has_verified_offset = True
        yield from self.request_page(window, total - 1, is_probe=True)
        return total <= self.limits.max_window_rows

    def params_of(self, window: DateWindow) -> dict[str, str]:
        """Return the query parameters of a window."""
        first, last = window.first.isoformat(), window.last.isoformat()
        call_type = {"callType": window.call_type} if window.call_type else {}
        return {"fromDate": first, "toDate": last, **self.filters, **call_type}
