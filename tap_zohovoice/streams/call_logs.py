"""Stream `call_logs`: the call logs of the account, `GET zv/logs`."""

from collections.abc import Iterator
from typing import Any

from singer_sdk.helpers.types import Context
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.metrics import Counter

from tap_zohovoice._compat import override
from tap_zohovoice.extract.legs import add_other_rows
from tap_zohovoice.extract.results import WindowResult
from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.singer.json import SerializedRecord
from tap_zohovoice.streams.base import IncrementalStream

_WRITE_BATCH_SIZE = 500  # records that are written at once


class CallLogsStream(IncrementalStream):
    """Every call of the account, oldest first."""

    name = "call_logs"
    primary_keys = ("logid",)
    selected_by_default = True
    schema = CALL_LOG_SCHEMA

    @override
    def emit_window(self, window: WindowResult, context: Context | None) -> Iterator[Record]:
        is_plain = all(
            isinstance(step, SameRecordTransform) and not step.flattening_enabled
            for step in self.stream_maps
        )
        is_whole = self.effective_schema["properties"].keys() >= self.schema["properties"].keys()
        if is_plain and is_whole and all(self.mask.values()):  # records are emitted as they are
            self._bulk_write(add_other_rows(window.rows + window.strays, window.legs))
        else:
            # What a selection or a map hides must not be emitted within `additional_fields`.
            yield from super().emit_window(window, context)

    def _bulk_write(self, rows: list[SerializedRecord]) -> None:
        # One by one through the SDK, each record would take longer than everything else takes:
        # `make bench` measures 0.40 of the CPU of the SDK's template tap, and 1.7 without this.
        for first in range(0, len(rows), _WRITE_BATCH_SIZE):
            batch = [row.json for row in rows[first : first + _WRITE_BATCH_SIZE]]
            now = self.services.clock.utcnow()
            for step in self.stream_maps:
                self.services.writer.write_records(step.stream_alias, batch, now)
            self._counter.increment(len(batch))

    @override
    def get_record_counter(self, **options: Any) -> Counter:
        self._counter = super().get_record_counter(**options)
        return self._counter
