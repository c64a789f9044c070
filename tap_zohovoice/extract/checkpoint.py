"""Checkpoint of a run in its state: the day at which the next run continues if it is stopped."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.extract.windows import MIN_UTC_OFFSET, add_saturating

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKPOINT = "checkpoint"
"""Member of a bookmark while a run is not finished."""
_RESTART = dt.timedelta(hours=1)
"""A run that starts within it continues the one before, as if that had not been stopped."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the next run continues, instead of at the bookmark less the lookback.

    A runner that stops each run after a while would otherwise read the lookback again each time,
    and might never get beyond it.

    Attributes:
        next_day: First day to request; all days before are read.
    """

    next_day: dt.date

    def to_state(self, bookmark: str, read_at: dt.datetime) -> dict[str, Any]:
        """Return the checkpoint as it is written to the state.

        Args:
            bookmark: The bookmark that is written with it.
            read_at: Start of the run.
        """
        return {
            "replication_key_value": bookmark,
            "read_at": format_timestamp(read_at),
            "next_day": self.next_day.isoformat(),
        }

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], now: dt.datetime, lookback: dt.timedelta
    ) -> Checkpoint | None:
        """Return the checkpoint of a bookmark; None if it has none, or another one was set since.

        Args:
            state: The bookmark.
            now: Start of the run.
            lookback: Calls that were younger when they were read, are read again.
        """
        try:
            found = state[CHECKPOINT]
            if found["replication_key_value"] != state["replication_key_value"]:
                return None
            read_at = min(parse_date(found["read_at"]), now)
            next_day = dt.date.fromisoformat(found["next_day"])
        except (KeyError, TypeError, ValueError):
            return None
        if now - read_at > _RESTART:
            next_day = min(next_day, add_saturating(read_at - lookback, MIN_UTC_OFFSET).date())
        return cls(next_day)
