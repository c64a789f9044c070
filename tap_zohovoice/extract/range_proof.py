"""Proof that all days of a range were returned: some APIs return only a part of a long one."""

import datetime as dt
import logging
import math
from collections.abc import Generator, Iterable
from contextlib import suppress
from itertools import pairwise

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import InvalidParameterError, RequestFailedError
from tap_zohovoice.extract.limits import TRUSTED_DAYS
from tap_zohovoice.extract.window_reader import Rows, WindowReader
from tap_zohovoice.extract.windows import DAY, SHORT_RANGE_DAYS, DateWindow, WindowPlanner
from tap_zohovoice.pagination import Flow
from tap_zohovoice.singer.json import SerializedRecord

_LOGGER = logging.getLogger("tap-zohovoice.windows")
_MAX_PROBES = 20  # of a run, for days without calls; up to two more if one returns calls
_MORE_PROBES = 6  # for windows with calls, if windows without calls took the others
_MIN_ROWS = 5  # of a window that shows which gap between calls is unusual
_MAX_WRONG_CLOCKS = 2  # rows far from the others, at either end of a window
_LEAST_PROBES = 3  # that any window may use, even if its share of the days of the run is small
_MAX_CALL = dt.timedelta(hours=1)  # a call that started before a run may be listed during it


class RangeProof:
    """Verifies that windows are complete, by requests for their days without rows.

    A server that returns only a part of a range returns its last days, or its first. So only the
    days between the first and the last row prove that ranges of that length are complete.
    """

    def __init__(self, windows: WindowReader, planner: WindowPlanner, now: dt.datetime) -> None:
        self._windows = windows
        self._planner = planner
        self._arriving = format_timestamp(now - _MAX_CALL)
        self._proven_days = TRUSTED_DAYS
        self._probes = 0
        self._follows_rows = False

    def is_whole(self, window: DateWindow, rows: Rows) -> Flow[bool]:
        """Return whether a window that was read is complete; if not, shorter ones are planned."""
        starts = self._observe(window, rows.values())
        follows_rows, self._follows_rows = self._follows_rows, len(starts) >= _MIN_ROWS
        # A server may return no row of a range that ends in the future.
        begun = DateWindow(window.first, min(window.last, self._planner.earliest_today))
        is_future = not starts and 1 < begun.days < window.days
        if window.days <= self._proven_days and not is_future:
            return True
        silences = [begun if is_future else window]
        if starts:
            silences = self._silences(window, starts)
        elif not (is_future or follows_rows or window.days > SHORT_RANGE_DAYS):
            return True
        for probe in self._probes_of(silences, window):
            try:
                if not (yield from self._has_new_rows(probe, rows)):
                    continue
            except RequestFailedError:
                days = SHORT_RANGE_DAYS if window.days > SHORT_RANGE_DAYS else self._proven_days
                problem = f"Requests for {probe} alone fail"
            else:
                if is_future and (probe == begun or (yield from self._has_new_rows(begun, rows))):
                    return not self._planner.avoid_future(window)
                days = min(self._proven_days, SHORT_RANGE_DAYS)
                problem = "Zoho returns only some of the calls of long date ranges"
            _LOGGER.warning("%s; reading windows of %d days", problem, days)
            self._planner.range_days = days
            return False
        return True

    def _observe(self, window: DateWindow, rows: Iterable[SerializedRecord]) -> list[dt.datetime]:
        """Observe rows of a window, and return when they start, in order."""
        # The time zone of the days is not known; rows of other days have a wrong time.
        first, last = map(format_timestamp, window.possible_starts)
        near = sorted(row.start_time for row in rows if first <= row.start_time < last)
        starts = _without_wrong_clocks([*map(dt.datetime.fromisoformat, near)])
        if starts:
            days = (starts[-1].date() - starts[0].date()).days
            self._proven_days = max(self._proven_days, days)
        return starts

    def _has_new_rows(self, probe: DateWindow, rows: Rows) -> Flow[bool]:
        """Return whether a window has rows that were not received before."""
        self._probes += 1
        try:
            page = yield from self._windows.request_page(probe, is_probe=True)
        except InvalidParameterError:
            return False
        # Calls that were added after the window was read do not count; the next run reads them.
        if all(row.logid in rows or row.start_time > self._arriving for row in page.rows):
            return False
        self._observe(probe, page.rows)
        if self._proven_days < SHORT_RANGE_DAYS:  # the more days are proven, the fewer windows
            longer = DateWindow(probe.last - (SHORT_RANGE_DAYS - 1) * DAY, probe.last)
            with suppress(RequestFailedError):
                page = yield from self._windows.request_page(longer)
                ends = page.rows
                if page.total and page.total > len(ends):
                    last = page.total - 1
                    page = yield from self._windows.request_page(longer, last, is_probe=True)
                    ends = ends + page.rows
                self._observe(longer, ends)
        return True

    def _silences(self, window: DateWindow, starts: list[dt.datetime]) -> list[DateWindow]:
        """Return the days before and after all rows, if a gap of that length is unusual."""
        is_short = window.days <= SHORT_RANGE_DAYS
        if is_short and len(starts) < _MIN_ROWS:
            return []
        # A run of few days, such as a daily run, verifies only the most unusual gap.
        least_days = 1
        if is_short and self._planner.is_whole_range(window):
            least_days = 2 if window.days <= 3 * TRUSTED_DAYS else TRUSTED_DAYS
        longest = max((after - before for before, after in pairwise(starts)), default=2 * DAY)
        begin, end = self._planner.moments_of(window)
        first, last = starts[0].date(), starts[-1].date()
        last_day = min(window.last, end.date())
        silences = (
            (window.first, first - DAY, (first - begin.date()).days, starts[0] - begin),
            (last + DAY, window.last, (last_day - last).days, end - starts[-1]),
        )
        return [
            DateWindow(first, last)
            for first, last, days, silence in silences
            if days >= least_days and (silence > longest or not (days == 1 or is_short))
        ]

    def _probes_of(self, silences: list[DateWindow], window: DateWindow) -> list[DateWindow]:
        """Return windows that together have all days of a window without calls.

        Each has no more days than are proven, or as few as its share of the requests allows.
        """
        share = math.ceil(_MAX_PROBES * self._planner.share_of(window))
        left = _MAX_PROBES + _MORE_PROBES * (window not in silences) - self._probes
        most = min(max(share, _LEAST_PROBES), left)
        if not 0 < len(silences) <= most:
            return []
        days = max(sum(silent.days for silent in silences) // most, self._proven_days)
        while len(found := [day for silent in silences for day in self._cut(silent, days)]) > most:
            days += max(days // 50, 1)
        return found

    def _cut(self, silent: DateWindow, most_days: int) -> Generator[DateWindow]:
        """Cut days into windows, newest first and shortest first: calls are likely to be recent."""
        end = self._planner.moments_of(silent)[1].date()  # no day after it has calls
        shared = 0 if self._planner.is_inclusive else 1
        last, days = silent.last, max(self._proven_days, most_days // 8)
        while True:
            left = max((min(last, end) - silent.first).days, 0)
            first = silent.first + max(left + 1 - min(days, most_days), 0) * DAY
            yield DateWindow(first, last)
            if first == silent.first:
                return
            last, days = first - (1 - shared) * DAY, 2 * days


def _without_wrong_clocks(starts: list[dt.datetime]) -> list[dt.datetime]:
    """Return starts without the few that are far from all others, by wrong clocks."""
    count, most = len(starts), _MAX_WRONG_CLOCKS
    ends = (at for at in (*range(1, most + 1), *range(count - most, count)) if 0 < at < count)
    gaps = [at for at in ends if starts[at] - starts[at - 1] > SHORT_RANGE_DAYS * DAY]
    first = max((at for at in gaps if at <= most), default=0)
    last = min((at for at in gaps if count - at <= most), default=count)
    return starts[first:last] if last - first >= _MIN_ROWS else starts
