"""Results of windows, and checkpoints, at which the next run continues after a stop."""

import datetime as dt
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.exceptions import MissingCallsError, ZohoVoiceError
from tap_zohovoice.extract.legs import CallRows
from tap_zohovoice.extract.page_flow import MAX_DELETED
from tap_zohovoice.extract.windows import MIN_UTC_OFFSET, DateWindow
from tap_zohovoice.pagination import Page
from tap_zohovoice.singer.json import SerializedRecord

_LOGGER = logging.getLogger("tap-zohovoice.windows")
CHECKPOINT = "checkpoint"  # member of a bookmark while a run is not finished
POSITION = "emitted_until"  # member of a checkpoint
_TOLERATED_STRAYS = 10  # calls far outside the days of their window
_CLOCK_SKEW = dt.timedelta(minutes=5)
_RESTART = dt.timedelta(hours=1)  # after a stopped run began; later, the lookback is read again


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the next run continues, instead of at the bookmark minus the lookback.

    Otherwise, runs that are always stopped after a while might never get beyond the lookback.
    """

    window: DateWindow  # to request next; all days before are read
    call_types: Mapping[str, int] = field(default_factory=dict)
    """Types of calls of the window that are read, with their numbers of rows."""
    emitted_until: str = ""  # start of the last emitted item, of those that take a request
    is_inclusive: bool = False  # whether `toDate` is known to be
    range_days: int = 0  # that may be requested at once; 0: any number

    def to_state(self, bookmark: str, read_at: dt.datetime) -> dict[str, Any]:
        """Return it as a run that started at `read_at` writes it; without `emitted_until`."""
        return {
            "replication_key_value": bookmark,
            "read_at": format_timestamp(read_at),
            "next_day": self.window.first.isoformat(),
            "last_day": self.window.last.isoformat(),
            "is_inclusive": self.is_inclusive,
            "range_days": self.range_days,
            # A list, since Meltano merges objects: types of another day would stay in it.
            "call_types": [list(item) for item in self.call_types.items()],
        }

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], now: dt.datetime, lookback: dt.timedelta
    ) -> "Checkpoint | None":
        """Return the checkpoint of a bookmark; None if it has none, or was lowered since.

        Calls that were younger than the lookback when they were read are read again.
        """
        try:
            found = state[CHECKPOINT]
            read_at = parse_date(found["read_at"])
            is_lowered = found["replication_key_value"] > (state.get("replication_key_value") or "")
            if is_lowered or read_at > now + _CLOCK_SKEW:
                return None
            first, last = (dt.date.fromisoformat(found[name]) for name in ("next_day", "last_day"))
            call_types = {str(name): int(count) for name, count in found["call_types"]}
            oldest = (read_at - lookback + MIN_UTC_OFFSET).date()
            is_inclusive, range_days = found.get("is_inclusive"), int(found.get("range_days", 0))
        except (KeyError, OverflowError, TypeError, ValueError):
            return None
        window, position = DateWindow(first, last), str(found.get(POSITION, ""))
        if now - read_at > _RESTART and oldest <= last:
            window, call_types, position = DateWindow(min(oldest, first), oldest), {}, ""
        elif not (call_types or position):  # these days may take longer than a run has
            window = DateWindow(first, first + (last - first) // 2)
        return cls(window, call_types, position, is_inclusive is True, max(range_days, 0))

    def limited(self, until: dt.datetime) -> "Checkpoint":
        """Return a checkpoint without days that are not over at a moment."""
        day = (until + MIN_UTC_OFFSET).date()
        if self.window.last < day:
            return self
        window = DateWindow(min(self.window.first, day), self.window.last)
        return replace(self, window=window, call_types={}, emitted_until="")


@dataclass(frozen=True, slots=True)
class WindowResult:
    """Result of one window."""

    window: DateWindow
    rows: list[SerializedRecord]  # new in this run, by `start_time`, then `logid`
    strays: list[SerializedRecord]  # far outside the window; they do not move the bookmark
    legs: list[SerializedRecord]  # rows that are not kept, of calls in this or an earlier window
    covered_until: dt.datetime | None
    """All calls before are read, so the bookmark less the lookback must not pass it, even if rows
    start later, by clocks that are ahead; None: calls of other types of the day follow."""
    checkpoint: Checkpoint | None  # where the next run continues; None: all days are read


class ResultBuilder:
    """Builds results of windows, with rows that no earlier result has."""

    def __init__(self, start: dt.datetime, end: dt.datetime | None) -> None:
        self._start = format_timestamp(start)
        self._end = format_timestamp(end) if end else "~"  # sorts after all timestamps
        self._previous: Mapping[str, str] = {}  # start of the calls of the window before
        self._emitted: Mapping[str, int] = {}  # number of legs, of types of a day; else empty
        self.received: dict[str, dt.date] = {}
        """Calls that no result has yet, and the last of the days for which they were received."""
        self._strays = 0
        self._differing = 0  # calls with several rows that differ

    def observe(self, window: DateWindow, page: Page) -> None:
        """Observe a page, whose calls must be in a result of its days."""
        rows = (row.logid for row in page.rows if row.start_time >= self._start)
        self.received |= dict.fromkeys(rows, window.last)

    def build(
        self,
        window: DateWindow,
        calls: CallRows,
        checkpoint: Checkpoint | None,
        covered_until: dt.datetime | None = None,
    ) -> WindowResult:
        """Build the result of a window, or of the types of its calls that are read so far.

        Raises:
            ZohoVoiceError: If the calls are not of the days that were requested, or if many calls
                that were received before are not among them.
        """
        if covered_until:
            self._check_received(window, calls)
        found = self._get_fresh(calls) if self._emitted or not covered_until else calls.kept
        previous = self._previous  # a row of these that starts later is another leg of its call
        repeated = found.keys() & previous.keys()
        old = {key for key in repeated if found[key].start_time <= previous[key]}
        rows = sorted([row for key, row in found.items() if key not in old])
        legs = sorted(calls.legs)
        if covered_until:
            differing = {leg.logid for leg in legs if leg.logid not in previous}
            self._differing += len(differing | (repeated - old))
            self._previous = {key: row.start_time for key, row in calls.kept.items()}
            self._emitted = {}
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

    def _check_received(self, window: DateWindow, calls: CallRows) -> None:
        missing = {key: last for key, last in self.received.items() if key not in calls.kept}
        self.received = {key: last for key, last in missing.items() if last > window.last}
        gone = len(missing) - len(self.received)
        if gone > MAX_DELETED:
            message = f"Zoho no longer returns {gone} calls that it returned; run again later"
            raise MissingCallsError(message)

    def log_warnings(self) -> None:
        """Log how many calls had several rows, or were far outside the requested days."""
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

    def _get_fresh(self, calls: CallRows) -> dict[str, SerializedRecord]:
        """Return the rows that no result of the current window has yet, or not with all legs."""
        legs = Counter(leg.logid for leg in calls.legs)
        counts = {key: legs[key] for key in calls.kept}
        before, self._emitted = self._emitted, {**self._emitted, **counts}
        return {key: row for key, row in calls.kept.items() if before.get(key) != counts[key]}
