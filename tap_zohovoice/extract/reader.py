"""Reader of call logs: window after window, sorted and without duplicates."""

import datetime as dt
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import replace

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.config.settings import CALL_TYPES
from tap_zohovoice.exceptions import RequestFailedError, WindowTooLargeError, ZohoVoiceError
from tap_zohovoice.extract.legs import CallRows
from tap_zohovoice.extract.limits import ServerLimits
from tap_zohovoice.extract.page_size import PageRequester
from tap_zohovoice.extract.range_proof import RangeProof
from tap_zohovoice.extract.recovery import Recovery
from tap_zohovoice.extract.results import Checkpoint, WindowResult
from tap_zohovoice.extract.window_reader import Rows, WindowReader
from tap_zohovoice.extract.windows import DateWindow, WindowPlanner, midnight
from tap_zohovoice.pagination import Page, PageRequest

_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_TOLERATED_STRAYS = 10  # calls far outside the days of their window


class CallLogReader:
    """Reads all calls from `start` until before `end`, as a flow for `SeamPaginator`."""

    def __init__(
        self,
        *,
        start: dt.datetime,
        end: dt.datetime | None,
        now: dt.datetime,
        pages: PageRequester,
        filters: Mapping[str, str],
    ) -> None:
        # An hour for calls that are listed by another time than their start.
        cutoff = format_timestamp(start - dt.timedelta(hours=1))
        # Called with each page, and the share of all days that its window has.
        self.on_page: Callable[[Page, float], None] = lambda _page, _share: None
        self.emits_types = False  # one by one, with checkpoints, where a day takes long
        self.limits = ServerLimits(pages.size)
        self._windows = WindowReader(pages, self.limits, filters, cutoff, self._observe)
        self.planner = WindowPlanner(start, end, now, self.limits)
        self._proof = RangeProof(self._windows, self.planner, now)
        self._start = format_timestamp(start)
        self._end = format_timestamp(end) if end else "~"  # sorts after all timestamps
        self._recovery = Recovery(self._windows, self.planner, now.date())
        self._checkpoint: Checkpoint | None = None
        self._emitted: Mapping[str, object] = {}  # of the current window
        self._can_split_types = "callType" not in filters
        self._strays = 0
        self._previous: Mapping[str, str] = {}
        self._differing = 0

    def continue_at(self, checkpoint: Checkpoint) -> bool:
        """Continue where a run was stopped; return whether the range has that day."""
        self._checkpoint = checkpoint
        self.planner.boundary.is_inclusive = checkpoint.is_inclusive
        if checkpoint.range_days:
            self.planner.range_days = checkpoint.range_days
        return self.planner.start_at(checkpoint.window.first, checkpoint.window.last)

    def read_windows(self) -> Generator[PageRequest | WindowResult, Page, None]:
        """Read window after window, oldest first: yield page requests, and results.

        Raises:
            ZohoVoiceError: If the calls cannot be read completely.
        """
        try:
            while window := self.planner.next_window():
                calls = yield from self._read(window)
                if calls is None or not (yield from self._proof.is_whole(window, calls.kept)):
                    continue
                self.planner.mark_read(window, len(calls.kept))
                upcoming = self.planner.next_window()
                checkpoint = self._checkpoint_at(upcoming) if upcoming else None
                result = self._result(window, calls, checkpoint, self.planner.covered_until(window))
                self._previous = {row.logid: row.start_time for row in calls.kept.values()}
                self._emitted = {}
                del calls  # the rows are held once
                yield result
        finally:
            if self._differing:
                _LOGGER.warning(
                    "%d calls have several rows that differ (legs of a call); keeping the row "
                    "of the later response, within one response the one with the later end_time",
                    self._differing,
                )
            if self._strays:
                _LOGGER.warning(
                    "%d calls start more than two days outside the requested days; they are "
                    "emitted, and do not move the bookmark",
                    self._strays,
                )

    def _read(
        self, window: DateWindow
    ) -> Generator[PageRequest | WindowResult, Page, CallRows | None]:
        """Read a window; None: the planner has another one to read first."""
        by_days = window.days > self.planner.min_days
        # Of a day before the start, only a part is read, so its total cannot be compared.
        is_after_start = self._start <= format_timestamp(midnight(window.first))
        by_type = self._can_split_types and self.emits_types and is_after_start
        begin, end = self.planner.moments_of(window)
        reading = self._windows.read(
            window,
            "days" if by_days else "types" if by_type else "nothing",
            is_silent=begin >= end,
        )
        try:
            return (yield from reading)
        except WindowTooLargeError as error:
            if by_days:
                if not (yield from self._windows.verify_offset(window, error.total)):
                    self.planner.shrink(window, error.total)
                return None
            for _ in range(2 if self._can_split_types else 0):
                with suppress(WindowTooLargeError):
                    return (yield from self._read_by_call_type(window, error.total))
                if len(self._windows.rows) >= self.limits.reachable_rows:
                    break
                with suppress(WindowTooLargeError):  # offsets may reach all rows
                    return (yield from self._windows.read(window))
            raise self._too_many_calls(window) from error
        except RequestFailedError as error:
            if not (yield from self._recovery.plan_retry(window, error)):
                raise
        return None

    def _too_many_calls(self, window: DateWindow) -> ZohoVoiceError:
        days = window.first if window.days == 1 else window
        message = f"Too many calls on {days} to page through"
        if self.limits.needs_single_pages:
            message = f"The order of calls on {days} changes, and they do not fit on one page"
        advice = "run once for each value of a filter (e.g. numberIds) for that day"
        return ZohoVoiceError(f"{message}; {advice}")

    def _read_by_call_type(
        self, window: DateWindow, total: int | None
    ) -> Generator[PageRequest | WindowResult, Page, CallRows]:
        """Read a window that is too long by types of calls; raise if rows are still missing."""
        calls, seen = CallRows(), dict(self._windows.rows)
        counts: dict[str, int] = {}
        # If all types may take too many requests, each is emitted at once.
        is_long = self.limits.total_is_reliable and (total or 0) > self.limits.checkpoint_rows
        emits_types = self.emits_types and (is_long or total is None)
        stopped, self._checkpoint = self._checkpoint, None
        if emits_types and stopped and stopped.window == window:
            counts.update(stopped.call_types)
        was_stopped = bool(counts)
        for call_type in (name for name in CALL_TYPES if name not in counts):
            found = yield from self._windows.read(replace(window, call_type=call_type))
            calls.merge(found)
            counts[call_type] = len(found.kept) + len(found.legs)
            if emits_types and call_type != CALL_TYPES[-1]:
                yield self._result(window, calls, self._checkpoint_at(window, **counts))
        count = sum(counts.values())
        is_short = self.limits.total_is_reliable and count < (total or 0)
        if not is_short and len(seen) < self.limits.reachable_rows:
            # A total that is wrong, has changed or is missing hides calls of no known type.
            page = yield from self._windows.request_page(window, count, is_probe=True)
            is_short = bool(page.rows)
        is_short = is_short or max(counts.values()) == len(seen) < count  # one type was cut off too
        # If a received row has none of these types, there may be more such rows.
        if not is_short and (was_stopped or seen.keys() <= calls.kept.keys()):
            return calls
        if was_stopped:
            return (yield from self._read_by_call_type(window, total))
        raise WindowTooLargeError(total)

    def _checkpoint_at(self, window: DateWindow, **call_types: int) -> Checkpoint:
        is_inclusive, days = self.planner.boundary.is_inclusive, self.planner.range_days
        return Checkpoint(window, call_types, is_inclusive=is_inclusive, range_days=days)

    def _get_fresh(self, calls: CallRows) -> Rows:
        """Return the rows that no result of the current window has yet, or not with all legs."""
        legs = Counter(leg.logid for leg in calls.legs)
        versions = {key: (row, legs[key]) for key, row in calls.kept.items()}
        before, self._emitted = self._emitted, versions
        return {key: row for key, row in calls.kept.items() if before.get(key) != versions[key]}

    def _observe(self, window: DateWindow, page: Page) -> None:
        self._recovery.observe()
        self.on_page(page, self.planner.share_of(window))
        if not self.planner.boundary.is_inclusive:
            starts = [dt.datetime.fromisoformat(row.start_time) for row in page.rows]
            self.planner.boundary.observe(window, starts)

    def _result(
        self,
        window: DateWindow,
        calls: CallRows,
        checkpoint: Checkpoint | None,
        covered_until: dt.datetime | None = None,
    ) -> WindowResult:
        found = self._get_fresh(calls) if self._emitted or not covered_until else calls.kept
        previous = self._previous  # a row of these that starts later is another leg of its call
        rows = sorted(row for key, row in found.items() if row.start_time > previous.get(key, ""))
        legs = sorted(calls.legs)
        if covered_until:
            differing = {leg.logid for leg in legs if leg.logid not in previous}
            self._differing += len(
                differing.union(row.logid for row in rows if row.logid in previous)
            )
        first, last = (bisect_left(rows, (format_timestamp(at),)) for at in window.near)
        strays = rows[:first] + rows[last:]
        if len(strays) > max(_TOLERATED_STRAYS, len(rows) // 2):
            message = f"Zoho returned calls of other days than {window}; they are not emitted"
            raise ZohoVoiceError(message)
        self._strays += len(strays)
        rows = rows[first:last]
        rows = rows[bisect_left(rows, (self._start,)) : bisect_left(rows, (self._end,))]
        if legs:
            known = {row.logid for row in rows + strays}
            start, end = self._start, self._end
            legs = [leg for leg in legs if leg.logid in known or start <= leg.start_time < end]
        return WindowResult(window, rows, strays, legs, covered_until, checkpoint)
