"""The whole history: window after window, each read to its end, in order and without repeats."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.config.filters import CALL_TYPES
from tap_zohovoice.exceptions import InvalidParameterError, RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.extract.order import day_of, days_behind
from tap_zohovoice.extract.windows import shift
from tap_zohovoice.page_flow import CAPPED_TOTAL, Pager, WindowTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tap_zohovoice.extract.limits import ServerLimits
    from tap_zohovoice.extract.page_size import PageSizeNegotiation
    from tap_zohovoice.extract.planner import WindowPlanner
    from tap_zohovoice.extract.windows import Window
    from tap_zohovoice.page_flow import Page
    from tap_zohovoice.singer.records import SerializedRecord

_FEW = 10
_SLACK = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Query:
    """What one request asks for.

    Attributes:
        window: Days.
        offset: First row, from 0.
        size: Number of rows.
        call_type: FieldType of call; None: as the filters say.
    """

    window: Window
    offset: int
    size: int
    call_type: str | None = None


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What one window added.

    Attributes:
        window: Days that were read.
        rows: Records that are new in this run, by `start_time`, then `logid`.
        found: How many rows the window held, repeats and rows out of bounds included.
        covered_until: Before this moment no call is left unread.
    """

    window: Window
    rows: list[SerializedRecord]
    found: int
    covered_until: dt.datetime


class History:
    """Reads all calls between two moments.

    Args:
        fetch: Asks for one page.
        planner: Cuts history into windows.
        reach: What is known of the server's paging.
        size: The size of pages.
        bounds: `start_time` of the first call of interest, and of the first beyond it (None: no
            end), both in the text form of records.
        is_typed: Whether a filter already asks for one kind of call.
    """

    def __init__(  # noqa: PLR0913 - the parts of the machine, each by its name
        self,
        *,
        fetch: Callable[[Query], Page],
        planner: WindowPlanner,
        reach: ServerLimits,
        size: PageSizeNegotiation,
        bounds: tuple[str, str | None],
        is_typed: bool,
    ) -> None:
        self._fetch = fetch
        self._planner = planner
        self._reach = reach
        self._size = size
        self._start, self._end = bounds
        # An hour for calls that are listed by another time than their start.
        hour_before = shift(dt.datetime.fromisoformat(self._start), -dt.timedelta(hours=1))
        self._past = format_timestamp(hour_before)
        self._is_typed = is_typed
        self._has_looked = False
        self._blames_size = False

    def __iter__(self) -> Iterator[WindowResult]:
        """Read window after window, oldest first.

        Yields:
            What each window added.

        Raises:
            ZohoVoiceError: If history cannot be read completely.
        """
        previous: Collection[str] = ()
        while window := self._planner.window():
            found = self._read(window)
            if found is None:
                continue
            rows = sorted(row for key, row in found.items() if key not in previous)
            self._check_dates(window, rows)
            rows = rows[_place(rows, self._start) : _place(rows, self._end)]
            covered_until = self._planner.covered_until(window)
            self._planner.done(window, len(found))
            previous = frozenset(found)
            count = len(found)
            del found  # the rows are held once
            yield WindowResult(window, rows, count, covered_until)

    def _read(self, window: Window) -> dict[str, SerializedRecord] | None:
        """Read a window; None: another one must be asked for first."""
        divisible = self._planner.can_narrow(window)
        pager = self._pager(window, divisible=divisible)
        try:
            rows = pager.read()
            is_sure = pager.is_counted or pager.is_past
            if not is_sure and len(rows) >= self._reach.complete:
                self._check_end(window, rows)
        except WindowTooLargeError as error:
            if divisible:
                oldest, newest = self._ends(window, error)
                total = error.total
                is_proven = error.first_page and total and total <= self._reach.most
                if not is_proven or not total or total == CAPPED_TOTAL:
                    self._planner.narrow(window, total, oldest, newest)
                return None  # where looking for the ends proved that offsets reach, it fits now
            return self._read_by_type(window, error.total, pager.rows)
        except InvalidParameterError as error:
            if not self._relax(window, error):
                raise
            return None
        return rows

    def _ends(
        self, window: Window, error: WindowTooLargeError
    ) -> tuple[dt.date | None, dt.date | None]:
        """Find the days of the oldest and the newest row, so as not to search silent years.

        They are only hints for the next windows: all days are asked for anyway.
        """
        if not error.first_page or not error.total:
            return None, None
        moments = [row.start_time for row in error.first_page.rows]
        if moments == sorted(moments):
            return day_of(moments[0]), None
        if moments != sorted(moments, reverse=True):
            return None, None
        newest = day_of(moments[0])
        if self._has_looked:
            return None, newest
        self._has_looked = True
        offset = error.total - 1
        try:
            rows = self._ask(window, offset, None).rows
        except (InvalidParameterError, RetriesExhaustedError):
            rows = []
        if not rows:
            self._reach.ends_at(offset)
            return None, newest
        self._reach.reaches(offset, self._size.next, len(rows))
        return min(day_of(row.start_time) for row in rows), newest

    def _check_end(self, window: Window, rows: dict[str, SerializedRecord]) -> None:
        """Make sure that a long window without a count did not end where offsets do.

        The days behind the last row are asked for by themselves.

        Raises:
            WindowTooLargeError: If there are rows that were not there before, or no way to know.
        """
        if not self._planner.can_narrow(window):
            raise WindowTooLargeError(None)
        for behind in days_behind(window, [row.start_time for row in rows.values()]):

            def ask(offset: int, behind: Window = behind) -> Page:
                page = self._ask(behind, offset, None)
                if any(row.logid not in rows for row in page.rows):
                    self._reach.ends_at(len(rows))
                    raise WindowTooLargeError(None)
                return page

            found = Pager(ask, self._reach, divisible=False, name=str(behind)).read()
            if len(found) > 0.9 * len(rows):
                raise WindowTooLargeError(None)  # it may have ended in the same place
        self._reach.complete = len(rows)

    def _pager(self, window: Window, *, divisible: bool, call_type: str | None = None) -> Pager:
        return Pager(
            lambda offset: self._ask(window, offset, call_type),
            self._reach,
            divisible=divisible,
            name=f"{window} {call_type}" if call_type else str(window),
            past=self._past,
        )

    def _ask(self, window: Window, offset: int, call_type: str | None) -> Page:
        while True:
            size = self._size.next
            try:
                page = self._fetch(Query(window, offset, size, call_type))
            except InvalidParameterError as error:
                if self._size.refuse(size, error.blames):
                    continue
                raise
            self._size.accept(size)
            if self._blames_size:
                self._planner.allow_more()  # days were not the reason
                self._blames_size = False
            boundary = self._planner.boundary
            if not boundary.is_inclusive:  # once known, it is known
                moments = [dt.datetime.fromisoformat(row.start_time) for row in page.rows]
                boundary.learn(window, moments)
            return page

    def _relax(self, window: Window, error: InvalidParameterError) -> bool:
        """Ask for less of what the server may have refused: the future, many rows, many days."""
        if not error.is_value:
            return False
        lowered = error.blames != "dates" and self._size.suspect()
        avoided = error.blames != "size" and self._planner.avoid_future(window)
        if lowered or avoided or self._planner.halve(window):
            return True
        self._blames_size = self._size.lower()
        return self._blames_size

    def _read_by_type(
        self, window: Window, total: int | None, seen: Collection[str]
    ) -> dict[str, SerializedRecord]:
        """Read a day that holds more rows than offsets reach, one kind of call after the other.

        Args:
            window: The day.
            total: How many rows it holds, if known.
            seen: Ids of those that offsets reached.

        Raises:
            ZohoVoiceError: If this does not bring all of them either.
        """
        days = window.first if window.days == 1 else window
        trouble = (
            f"Zoho does not hand out all calls of {days}: there are more than its offsets "
            "reach; read this day with several runs that differ in filters"
        )
        if self._is_typed:
            raise ZohoVoiceError(trouble)
        rows: dict[str, SerializedRecord] = {}
        for call_type in CALL_TYPES:
            pager = self._pager(window, divisible=False, call_type=call_type)
            try:
                rows.update(pager.read())
            except WindowTooLargeError as error:
                raise ZohoVoiceError(trouble) from error
            # Without counts, a kind that is all there is may have been cut off as well.
            is_long = len(pager.rows) >= self._reach.complete
            if not pager.is_counted and is_long and len(pager.rows) >= 0.9 * len(seen):
                raise ZohoVoiceError(trouble)
        # Where one of those seen is of no kind that can be asked for, others may be too.
        is_short = total is not None and len(rows) < total and self._reach.trusts_total
        if is_short or any(logid not in rows for logid in seen):
            raise ZohoVoiceError(trouble)
        return rows

    def _check_dates(self, window: Window, rows: list[SerializedRecord]) -> None:
        """Make sure that the server keeps to the dates: else every window would be everything."""
        after = (dt.datetime.combine(window.first, dt.time()) - _SLACK).isoformat()
        before = (dt.datetime.combine(window.last, dt.time()) + _SLACK + _SLACK).isoformat()
        astray = len(rows) - (_place(rows, before) - _place(rows, after))
        if astray > _FEW and astray * 2 > len(rows):
            message = f"Zoho answers with calls of other days than {window}; they are not stored"
            raise ZohoVoiceError(message)


def _place(rows: list[SerializedRecord], moment: str | None) -> int:
    """Tell how many rows started before a moment; None is after all."""
    return len(rows) if moment is None else bisect_left(rows, (moment,))
