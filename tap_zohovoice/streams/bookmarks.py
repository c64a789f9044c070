"""Bookmarks that never move back, and never into the future."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.extract.windows import add_saturating
from tap_zohovoice.singer.state import lower_future_bookmark

if TYPE_CHECKING:
    import datetime as dt

    from singer_sdk.helpers.types import Context

    from tap_zohovoice.schemas.conversion import Record


class BookmarkedStream(ZohoVoiceStream):
    """An incremental stream that controls how far its bookmark advances."""

    is_sorted = True  # else the SDK moves the bookmark at the end alone, back too

    @cached_property
    def present(self) -> str:
        """The timestamp that no bookmark passes, known once a response has come."""
        return format_timestamp(self.services.present)

    def is_bookmark(self, timestamp: str) -> bool:  # noqa: ARG002 - a hook
        """Return whether a timestamp may be a bookmark."""
        return True

    def get_starting_time(self, context: Context | None) -> dt.datetime:
        """Return from when on rows are read: the bookmark less the lookback."""
        settings, state = self.services.settings, self.get_context_state(context)
        bookmark = self.get_starting_timestamp(context) or settings.start
        if state.get("replication_key_value"):
            self.services.tokens.access_token()  # the first response has the server's time
            lower_future_bookmark(self.name, state, self.services.present)
            value = state.get("replication_key_value")
            bookmark = min(bookmark, parse_date(value)) if value else settings.start
        return max(settings.start, add_saturating(bookmark, -settings.lookback))

    def advance_bookmark(self, timestamp: str, context: Context | None) -> None:
        """Advance the bookmark, now that everything before is emitted; it never moves back."""
        self._increment_stream_state({str(self.replication_key): timestamp}, context=context)

    def write_state(self) -> None:
        """Write STATE, now that everything before it is emitted."""
        self.tap.state_writer.write_state(self.tap_state)

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        return None  # the bookmark is kept from the future below

    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        # The SDK has no public way to keep a bookmark from moving back in a lookback, or from
        # following a phone whose clock is ahead.
        key = str(self.replication_key)
        timestamp = latest_record[key]
        if self.is_connection_test or not self.is_bookmark(timestamp):
            return
        timestamp = min(timestamp, self.present)
        state = self.get_context_state(context)
        if timestamp > (state.get("replication_key_value") or ""):
            super()._increment_stream_state({key: timestamp}, context=context)
