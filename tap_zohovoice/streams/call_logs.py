"""The call logs of the account: `GET zv/logs`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from singer_sdk.mapper import SameRecordTransform

from tap_zohovoice.compat import override
from tap_zohovoice.fields import CALL_LOG_SCHEMA
from tap_zohovoice.reading import LogReader
from tap_zohovoice.streams.bookmarked import BookmarkedStream
from tap_zohovoice.streams.following import feeder
from tap_zohovoice.written import whole

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

    @property
    def is_unchanged(self) -> bool:
        """Whether records leave the tap as they are: no field is left out, and no map applies."""
        declared = self.effective_schema["properties"]
        return (
            all(name in declared for name in self.schema["properties"])
            and all(self.mask.values())
            and all(
                isinstance(step, SameRecordTransform) and not step.flattening_enabled
                for step in self.stream_maps
            )
        )

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if self.ABORT_AT_RECORD_COUNT is not None:
            yield from self.reader.sample(self.ABORT_AT_RECORD_COUNT + 1)
            return
        start = self.first_moment(context)
        feed = feeder(self, start)
        is_unchanged = self.is_unchanged
        for chunk in self.reader.chunks(self.name, start, self.tap.settings.end):
            for row in chunk.rows:
                feed(row)
                yield row if is_unchanged else whole(row)
            if not chunk.rows:
                self.advance(self.end_of_silence(chunk, start))
            self.save()
