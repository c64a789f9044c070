"""The call logs of the account: `GET zv/logs`."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk.mapper import SameRecordTransform

from tap_zohovoice._compat import override
from tap_zohovoice.extract.reader import CallLogReader
from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tap_zohovoice.streams.base import IncrementalStream
from tap_zohovoice.streams.dependent import feeder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers.types import Context
    from singer_sdk.metrics import Counter

    from tap_zohovoice.schemas.conversion import Record
    from tap_zohovoice.singer.records import SerializedRecord

_AT_ONCE = 500
"""Records that are written at once; the bookmark follows behind them."""


class CallLogsStream(IncrementalStream):
    """Every call of the account, oldest first."""

    name = "call_logs"
    path = "zv/logs"
    primary_keys = ("logid",)
    schema = CALL_LOG_SCHEMA

    @cached_property
    def reader(self) -> CallLogReader:
        """Reads the logs, for this stream and for those that are made of them."""
        return CallLogReader(self)

    @property
    def is_unchanged(self) -> bool:
        """Whether records leave the tap as they are: no field is left out, and no map applies."""
        declared = self.effective_schema["properties"]
        return (
            self.selected
            and all(name in declared for name in self.schema["properties"])
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
            if is_unchanged:
                self._write(chunk.rows, feed)
            else:
                for record in (row.record for row in chunk.rows):
                    if feed:
                        feed(record)
                    yield record
            if not chunk.rows:
                self.advance(self.end_of_silence(chunk, start))
            self.save()

    def _write(self, rows: list[SerializedRecord], feed: Callable[[Record], None] | None) -> None:
        """Write records as they are, many at a time.

        Handed to the SDK one by one, each would take it longer than everything else takes.
        """
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            if feed:
                for row in some:
                    feed(row.record)
            now = dt.datetime.fromtimestamp(self.tap.clock.now(), dt.UTC)
            for step in self.stream_maps:
                self.tap.writer.write_records(step.stream_alias, some, now)
            self.advance(some[-1].start_time)
            self._counter.increment(len(some))

    @override
    def get_record_counter(self, **options: Any) -> Counter:
        self._counter = super().get_record_counter(**options)
        return self._counter
