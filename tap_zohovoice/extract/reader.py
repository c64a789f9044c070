"""Reader of call logs: window after window, sorted and without duplicates."""

import datetime as dt
from collections.abc import Callable, Generator, Iterable, Mapping
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
from tap_zohovoice.extract.results import Checkpoint, ResultBuilder, WindowResult
from tap_zohovoice.extract.window_reader import WindowReader
from tap_zohovoice.extract.windows import DateWindow, WindowPlanner, midnight
from tap_zohovoice.pagination import Page, PageRequest


class CallLogReader:
    """Reads all calls from `start` until before `end`, as a flow for `SeamPaginator`."""

    def __init__(
        self,
        pages: PageRequester,
        filters: Mapping[str, str],
        *,
        start: dt.datetime,
        end: dt.datetime | None,
        now: dt.datetime,
    ) -> None:
        # An hour for calls that are listed by another time than their start.
        cutoff = format_timestamp(start - dt.timedelta(hours=1))
        # Called with ids and total of each page, and the share of all days that its window has.
        self.on_page: Callable[[Iterable[str], int | None, float], None] = lambda *_: None
        self.emits_types = True  # one by one, with checkpoints, where a day takes long
        self.limits = ServerLimits(pages.size)
        self._windows = WindowReader(pages, self.limits, filters, cutoff, self._observe)
        self.planner = WindowPlanner(start, end, now, self.limits)
        self._proof = RangeProof(self._windows, self.planner, now)
        self._recovery = Recovery(self._windows, self.planner, now.date())
        self.results = ResultBuilder(start, end)
        self._start = start
        self._stopped_at: Checkpoint | None = None
        self._can_split_types = "callType" not in filters

    def continue_at(self, checkpoint: Checkpoint) -> bool:
        """Continue where a run was stopped; return whether the range has that day."""
        self._stopped_at = checkpoint
        self.planner.is_inclusive = checkpoint.is_inclusive
        if checkpoint.range_days:
            self.planner.range_days = max(checkpoint.range_days, self.planner.min_days)
        return self.planner.start_at(checkpoint.window.first, checkpoint.window.last)

    def read_windows(self) -> Generator[PageRequest | WindowResult, Page, None]:
        """Yield page requests and results, the oldest first, or raise `ZohoVoiceError`."""
        try:
            while window := self.planner.next_window():
                calls = yield from self._read(window)
                if calls is None or not (yield from self._proof.is_whole(window, calls.kept)):
                    continue
                covered = self.planner.mark_read(window, len(calls.kept))
                upcoming = self.planner.next_window()
                checkpoint = self.checkpoint_at(upcoming) if upcoming else None
                result = self.results.build(window, calls, checkpoint, covered)
                del calls  # the rows are held once
                yield result
        finally:
            self.results.log_warnings()

    def _read(
        self, window: DateWindow
    ) -> Generator[PageRequest | WindowResult, Page, CallRows | None]:
        """Read a window; None: the planner has another one to read first."""
        by_days, can_split = window.days > self.planner.min_days, self._can_split_types
        # Of a day before the start, only a part is read, so its total cannot be compared.
        by_type = can_split and self.emits_types and self._start <= midnight(window.first)
        begin, end = self.planner.moments_of(window)
        reading = self._windows.read(
            window,
            "days" if by_days else "types" if by_type else "cut" if can_split else "nothing",
            is_silent=begin >= end,
        )
        try:
            return (yield from reading)
        except WindowTooLargeError as error:
            if not by_days:
                return (yield from self._read_dense_day(window, error))
            if not (yield from self._windows.verify_offset(window, error.total)):
                self.planner.shrink(window, error.total, error.days)
        except RequestFailedError as error:
            if not (yield from self._recovery.plan_retry(window, error)):
                raise
        return None

    def _read_dense_day(
        self, window: DateWindow, error: WindowTooLargeError
    ) -> Generator[PageRequest | WindowResult, Page, CallRows]:
        """Read a window that is too long by types of calls, or whole after all."""
        attempts: list[Mapping[str, int]] = [{}, {}]
        stopped, self._stopped_at = self._stopped_at, None
        if stopped and stopped.window == window and stopped.call_types:
            attempts.insert(0, stopped.call_types)  # go on with the other types
            self.results.received.clear()  # those of the types that are known do not come again
        for known in attempts if self._can_split_types else []:
            with suppress(WindowTooLargeError):
                return (yield from self._read_by_call_type(window, error.total, known))
            if len(self._windows.calls.kept) >= self.limits.reachable_rows:
                break
            if not known:
                with suppress(WindowTooLargeError):  # offsets may reach all rows
                    return (yield from self._windows.read(window, "cut"))
        days = window.first if window.days == 1 else window
        problem = f"Too many calls on {days} to page through"
        if self.limits.needs_single_pages:
            problem = f"The order of calls on {days} changes, and they do not fit on one page"
        message = f"{problem}; run once for each value of a filter (e.g. numberIds) for that day"
        raise ZohoVoiceError(message) from error

    def _read_by_call_type(
        self, window: DateWindow, total: int | None, known: Mapping[str, int]
    ) -> Generator[PageRequest | WindowResult, Page, CallRows]:
        """Read a window by those types of calls whose numbers of rows are not known.

        `WindowTooLargeError` is raised if rows are still missing.
        """
        calls, whole, counts = CallRows(), dict(self._windows.calls.kept), dict(known)
        length = len(whole) + len(self._windows.calls.legs)
        # If all types may take too many requests, each is emitted at once.
        is_long = self.limits.total_is_reliable and (total or 0) > self.limits.checkpoint_rows
        emits_types = self.emits_types and (is_long or total is None)
        for call_type in (name for name in CALL_TYPES if name not in known):
            found = yield from self._windows.read(replace(window, call_type=call_type))
            calls.merge(found)
            counts[call_type] = len(found.kept) + len(found.legs)
            if emits_types and call_type != CALL_TYPES[-1]:
                yield self.results.build(window, calls, self.checkpoint_at(window, **counts))
        count = sum(counts.values())
        is_short = self.limits.total_is_reliable and count < (total or 0)
        if not is_short and len(whole) < self.limits.reachable_rows:
            # A total that is wrong, has changed or is missing hides calls of no known type.
            page = yield from self._windows.request_page(window, count, is_probe=True)
            is_short = bool(page.rows)
        is_short = is_short or max(counts.values()) == length < count  # a type was cut off too
        # If a received row has none of these types, there may be more such rows.
        if is_short or not (known or whole.keys() <= calls.kept.keys()):
            raise WindowTooLargeError(total)
        return calls

    def checkpoint_at(self, window: DateWindow, **call_types: int) -> Checkpoint:
        """Return a checkpoint at a window, with what is known of the server."""
        is_inclusive, days = self.planner.is_inclusive, self.planner.range_days
        return Checkpoint(window, call_types, is_inclusive=is_inclusive, range_days=days)

    def _observe(self, window: DateWindow, page: Page) -> None:
        self._recovery.observe()
        self.results.observe(window, page)
        ids = (row.logid for row in page.rows)
        self.on_page(ids, page.total, self.planner.share_of(window))
        if not self.planner.is_inclusive:
            starts = [dt.datetime.fromisoformat(row.start_time) for row in page.rows]
            self.planner.observe(window, starts)
