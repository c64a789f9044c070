"""The call logs of the account: `GET zv/logs`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tap_zohovoice.compat import override
from tap_zohovoice.fields import CALL_LOG_SCHEMA
from tap_zohovoice.reading import LogReader
from tap_zohovoice.records import unpack
from tap_zohovoice.streams.bookmarked import BookmarkedStream
from tap_zohovoice.streams.following import feeder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context

    from tap_zohovoice.records import Record


class CallLogsStream(BookmarkedStream):
    """Every call of the account, oldest first."""

    name = "call_logs"
    path = "zv/logs"
    primary_keys = ("logid",)
    schema = CALL_LOG_SCHEMA

    @cached_property
    def reader(self) -> LogReader:
        """Reads the logs, for this stream and for those that are made of them."""
        return LogReader(self)

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if self.ABORT_AT_RECORD_COUNT is not None:
            yield from self.reader.sample(self.ABORT_AT_RECORD_COUNT + 1)
            return
        start = self.first_moment(context)
        feed = feeder(self, start)
        for chunk in self.reader.chunks(self.name, start, self.tap.settings.end):
            for record in map(unpack, chunk.rows):
                feed(record)
                yield record
            if not chunk.rows:
                self.advance(self.end_of_silence(chunk, start))
            self.save()
