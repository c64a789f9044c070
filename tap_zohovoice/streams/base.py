"""What all streams of calls have in common: records in order of time, and a careful bookmark."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import TYPE_CHECKING

from singer_sdk.helpers.conform import TypeConformanceLevel

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.extract.windows import shift

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

    from tap_zohovoice.extract.window_reader import WindowResult
    from tap_zohovoice.schemas.conversion import Record

_CLOCK_SLACK = dt.timedelta(days=1)
"""How far an empty stretch stays behind the clock, even without a lookback: clocks differ."""


class IncrementalStream(ZohoVoiceStream):
    """A stream whose records come oldest first, by the `start_time` of their calls."""

    replication_key = "start_time"
    is_sorted = True
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # `records` gives exact types

    @cached_property
    def _present(self) -> str:
        """When the tap started, in the text form of records."""
        return format_timestamp(self.tap.started)

    @property
    def is_dry_run(self) -> bool:
        """Whether a few records are enough, because only the connection is tested."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @property
    def is_held(self) -> bool:
        """Whether the bookmark must stay where it is for now."""
        return False

    def first_moment(self, context: Context | None) -> dt.datetime:
        """Tell from when on calls are to be read: the bookmark less the lookback.

        Args:
            context: The SDK's context.
        """
        settings = self.tap.settings
        bookmark = self.get_starting_timestamp(context) or settings.start
        return max(settings.start, shift(bookmark, -settings.lookback))

    def advance(self, moment: str, context: Context | None = None) -> None:
        """Move the bookmark, if it is before a moment up to which everything is out.

        Args:
            moment: The moment, in the text form of records.
            context: The SDK's context.
        """
        self._increment_stream_state({"start_time": moment}, context=context)

    def end_of_silence(self, chunk: WindowResult, start: dt.datetime) -> str:
        """Tell how far the bookmark may go behind a stretch without calls.

        Args:
            chunk: The stretch.
            start: Where the run began to read.
        """
        return self.behind(chunk.covered_until, start)

    def behind(self, moment: dt.datetime, start: dt.datetime) -> str:
        """Tell how far the bookmark may go where everything up to a moment was read.

        Args:
            moment: The moment.
            start: Where the run began to read.
        """
        margin = max(self.tap.settings.lookback, _CLOCK_SLACK)
        return format_timestamp(max(shift(moment, -margin), start))

    def save(self) -> None:
        """Write STATE, now that everything before it is out."""
        self.tap.state_writer.write_state(self.tap_state)

    @override
    def post_process(self, row: Record, context: Context | None = None) -> Record:
        """Leave out what the catalog leaves out: the SDK does not, where types are exact."""
        declared = self.effective_schema["properties"]
        if len(declared) < len(row):
            return {name: value for name, value in row.items() if name in declared}
        return row

    @override
    def generate_child_contexts(self, record: Record, context: Context | None) -> tuple[()]:
        """Make none: no stream has children, and to find that out the SDK copies each record."""
        return ()

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Offer no signpost: the bookmark is kept from the future below."""

    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        # The SDK has no public way to keep a bookmark from falling back in a lookback, or from
        # following a phone whose clock runs ahead.
        if self.is_dry_run or self.is_held:
            return
        moment = min(latest_record["start_time"], self._present)
        state = self.get_context_state(context)
        if moment > (state.get("replication_key_value") or ""):
            super()._increment_stream_state({"start_time": moment}, context=context)
