"""Results of windows, and checkpoints, at which the next run continues after a stop."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.extract.windows import MIN_UTC_OFFSET, DateWindow
from tap_zohovoice.singer.records import SerializedRecord

CHECKPOINT = "checkpoint"
"""Member of a bookmark while a run is not finished."""
POSITION = "emitted_until"
"""Member of a checkpoint."""
_CLOCK_SKEW = dt.timedelta(minutes=5)
_RESTART = dt.timedelta(hours=1)
"""A run that starts this soon after the start of a stopped one does not read the lookback again."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the next run continues, instead of at the bookmark less the lookback.

    A runner that stops each run after a while would otherwise read the lookback again each time,
    and might never get beyond it.

    Attributes:
        next_day: First day to request; all days before are read.
        last_day: Last day of the next window, of which some types of calls may be read.
        call_types: Number of rows by each of these types.
        emitted_until: Start of the last emitted item, of those that take a request.
    """

    next_day: dt.date
    last_day: dt.date
    call_types: Mapping[str, int] = field(default_factory=dict)
    emitted_until: str = ""

    def to_state(self, bookmark: str, read_at: dt.datetime) -> dict[str, Any]:
        """Return the checkpoint as it is written to the state.

        Args:
            bookmark: The bookmark that is written with it.
            read_at: Start of the run that writes it.
        """
        return {
            "replication_key_value": bookmark,
            "read_at": format_timestamp(read_at),
            "next_day": self.next_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            # A list, since Meltano merges objects: types of another day would stay in it.
            "call_types": [list(item) for item in self.call_types.items()],
        }

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], now: dt.datetime, lookback: dt.timedelta
    ) -> "Checkpoint | None":
        """Return the checkpoint of a bookmark; None if it has none, or was lowered since.

        Args:
            state: The bookmark.
            now: Start of the run that reads it.
            lookback: Calls that were younger than this when they were read are read again.
        """
        try:
            found = state[CHECKPOINT]
            read_at = parse_date(found["read_at"])
            is_lowered = found["replication_key_value"] > (state.get("replication_key_value") or "")
            if is_lowered or read_at > now + _CLOCK_SKEW:
                return None
            next_day, last_day = (
                dt.date.fromisoformat(found[name]) for name in ("next_day", "last_day")
            )
            call_types = {str(name): int(count) for name, count in found["call_types"]}
            oldest = (read_at - lookback + MIN_UTC_OFFSET).date()
        except (KeyError, OverflowError, TypeError, ValueError):
            return None
        if now - read_at > _RESTART and oldest <= last_day:
            return cls(min(oldest, next_day), oldest)
        return cls(next_day, last_day, call_types, str(found.get(POSITION, "")))

    def limited(self, until: dt.datetime) -> "Checkpoint":
        """Return a checkpoint without days that are not over at a moment."""
        day = (until + MIN_UTC_OFFSET).date()
        if self.last_day < day:
            return self
        return Checkpoint(min(self.next_day, day), self.last_day)


@dataclass(frozen=True, slots=True)
class WindowResult:
    """Result of one window.

    Attributes:
        window: Days that were read.
        rows: Records that are new in this run, by `start_time`, then `logid`.
        strays: Records that start far outside the window; they do not move the bookmark.
        legs: Rows that are not kept, of calls with several rows that differ; each call is in `rows`
            or `strays` once, or in an earlier window.
        covered_until: All calls before are read; the bookmark of a window without rows.
        bookmark_limit: Moment that the bookmark less the lookback must not pass, even if rows
            start later, by clocks that are ahead.
        checkpoint: Where the next run continues if this one stops here; None: all days are read.
        is_partial: Whether calls of other types of the day follow; the bookmark must not advance.
    """

    window: DateWindow
    rows: list[SerializedRecord]
    strays: list[SerializedRecord]
    legs: list[SerializedRecord]
    covered_until: dt.datetime
    bookmark_limit: dt.datetime
    checkpoint: Checkpoint | None = None
    is_partial: bool = False
