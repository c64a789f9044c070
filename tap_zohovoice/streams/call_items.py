"""Base class of the streams that send a request for each recording and voicemail."""

import datetime as dt
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar

from singer_sdk import Tap
from singer_sdk.helpers.types import Context
from singer_sdk.singerlib import StateMessage

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.extract.limits import ITEM_WINDOW_REQUESTS
from tap_zohovoice.extract.reader import CallLogReader
from tap_zohovoice.extract.results import CHECKPOINT, POSITION, Checkpoint, WindowResult
from tap_zohovoice.http.api import ApiClient
from tap_zohovoice.http.retry import LASTING_OUTAGE, ItemFailures
from tap_zohovoice.progress import DownloadProgress
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.types import INTEGER, NUMBER, STRING
from tap_zohovoice.services import Services
from tap_zohovoice.singer.state import FAILURES, LATEST
from tap_zohovoice.streams.base import IncrementalStream

LIST_FILTERS = {"recording": "isRecording", "voicemail": "isVoiceMail"}
"""Kind, and the filter of `zv/logs` for the calls that have one. Source: documentation."""
FILE_FIELDS = {"recording": "call_recording", "voicemail": "voicemail"}
"""Kind, and the field of a call log that names the file."""
_DEDUPE_WINDOW = 50_000  # keys that are remembered, as two legs of a call may have the same file
_STATE_ITEMS = 10  # items after which STATE is written, where they take requests
_MAX_FAILURES = 1_000


class CallItemStream(IncrementalStream):
    """A stream with one record for each recording and voicemail, partitioned by kind."""

    fixed_partitions: ClassVar = [{"kind": kind} for kind in LIST_FILTERS]
    item_path: ClassVar[str]  # path of the requests for items
    item_headers: ClassVar[dict[str, str]] = {}
    continues_windows: ClassVar[bool] = True  # whether a resumed run skips what was emitted

    def __init__(self, tap: Tap, services: Services) -> None:
        super().__init__(tap, services)
        self.results: Counter[str] = Counter()
        self.failures = ItemFailures()
        self._emitted: dict[str, None] = {}

    def get_items(self, record: Record, kind: str) -> Iterator[Record]:
        """Return the files of a kind in a call log, each with its values in the log."""
        field = FILE_FIELDS[kind]
        value = record[field] or (record["additional_fields"] or {}).get(field)
        for file in value if isinstance(value, list) else [value]:
            found = file if isinstance(file, dict) else {"recording_filename": file}
            if name := STRING.cast_or_none(found.get("recording_filename")):
                yield {
                    "recording_filename": name,
                    "logid": record["logid"],
                    "kind": kind,
                    "start_time": record["start_time"],
                    "duration_seconds": NUMBER.cast_or_none(found.get("recording_duration")),
                    "size": INTEGER.cast_or_none(found.get("recording_size_in_bytes")),
                    "content_type": STRING.cast_or_none(found.get("content_type")),
                }

    @abstractmethod
    def request_items(self, items: Sequence[Record]) -> Iterator[Record]:
        """Request items, and return a record for each, in the same order."""

    def requests_for(self, count: int) -> int:
        """Return how many requests that many items take; 0 if they are only listed."""
        return count

    @property
    @override
    def partitions(self) -> list[dict[str, str]]:
        """One for each kind that the user's filters do not exclude."""
        filters = self.services.settings.filters
        chosen = [kind for kind, name in LIST_FILTERS.items() if filters.get(name) == "true"]
        return [{"kind": kind} for kind in chosen or LIST_FILTERS]

    @cached_property
    def item_api(self) -> ApiClient:
        """Client of the URL of the items."""
        headers = {**self.http_headers, **self.item_headers}
        api = self.services.client_for(f"{self.url_base}{self.item_path}", headers)
        api.policy.causes.failures_before_renewal = 4  # a few items may fail for other reasons
        return api

    @cached_property
    def _progress(self) -> DownloadProgress:
        api, item, results = self.item_api, self.item_label, self.results
        common = self.name, api.policy.limiter, self.services.writer
        return DownloadProgress(*common, item, results, lambda: api.bytes_received)

    @override
    def start_reader(self, start: dt.datetime, context: Context | None) -> CallLogReader:
        state = self.get_context_state(context)
        latest = (state.get(name) or "" for name in ("replication_key_value", LATEST))
        self._latest_emitted = max(latest)
        reader = super().start_reader(start, context)
        reader.emits_types = not self.continues_windows
        if self.requests_for(1):
            reader.limits.window_requests = ITEM_WINDOW_REQUESTS
        return reader

    @override
    def get_list_filters(self, context: Context | None) -> dict[str, str]:
        return {**super().get_list_filters(context), LIST_FILTERS[(context or {})["kind"]]: "true"}

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        self._suppressed = 0
        yield from super().read_records(context)
        if self._suppressed:
            text = "%d error records are not emitted: an earlier run may have emitted these items"
            self.logger.warning(text, self._suppressed)
        if context == self.partitions[-1]:
            self._progress.finish()
            if self.results.total() == self.results["failed"] >= LASTING_OUTAGE:
                text = "All %d %ss failed; their records have the reasons"
                self.logger.warning(text, self.results["failed"], self.item_label)

    @override
    def emit_window(self, window: WindowResult, context: Context | None) -> Iterator[Record]:
        state, days, resumed = self.get_context_state(context), window.window, self.resumed
        # Items of a leg are emitted too, although another row of its call is kept.
        rows = sorted(window.rows + window.legs, key=attrgetter("start_time"))
        if resumed and days.last <= resumed.window.last:
            rows = [row for row in rows if row.start_time >= resumed.emitted_until]
        # Strays do not move the position in the checkpoint, so they come first.
        calls = (row.record for row in window.strays + rows)
        items = [item for call in calls for item in self.convert_call(call, context)]
        if window.covered_until:  # until all items are emitted, a run begins with this window
            self.set_checkpoint(self.reader.checkpoint_at(days), state)
        if not items:
            return
        self._progress.add_total(len(items), self.requests_for(len(items)))
        checkpoint = state.get(CHECKPOINT) or {}
        with self.services.reporter.task(self._progress.snapshot):
            for number, record in enumerate(self.request_items(items), 1):
                if self._should_emit(record, state):
                    yield record
                start, last = record["start_time"], min(days.near[1], self.services.clock.utcnow())
                is_in_order = window.covered_until and start <= format_timestamp(last)
                if is_in_order and not record["error"]:
                    state[LATEST] = max(state.get(LATEST) or "", start)
                if start <= self.bookmark_limit(window):
                    self.advance_bookmark(start, context)
                    if self.continues_windows:
                        checkpoint[POSITION] = start
                if number % _STATE_ITEMS == 0 and self.requests_for(1):
                    # The SDK drops a state that is the same, as it is between types of a day.
                    self.services.writer.write_message(StateMessage(value=self.tap_state))

    @override
    def convert_call(self, call: Record, context: Context | None) -> Iterator[Record]:
        """Return the items of a call, without keys that were emitted before."""
        for item in self.get_items(call, (context or {})["kind"]):
            if (key := self.record_key(item)) not in self._emitted:
                self._emitted[key] = None
                if len(self._emitted) > _DEDUPE_WINDOW:
                    del self._emitted[next(iter(self._emitted))]
                yield {**dict.fromkeys(self.schema["properties"]), **item}

    def _should_emit(self, record: Record, state: Record) -> bool:
        """Return whether to emit a record, and note in the state whether its item failed."""
        # No error may replace a record without one. No earlier run has emitted such a record only
        # for keys in the state, and for newer calls.
        key, failed = self.record_key(record), state.get(FAILURES) or []
        if record["error"] and key not in failed and record["start_time"] <= self._latest_emitted:
            self._suppressed += 1
            return False
        failed = [other for other in failed if other != key] + [key] * bool(record["error"])
        state[FAILURES] = failed[-_MAX_FAILURES:]
        if not failed:
            del state[FAILURES]
        return True

    @override
    def bookmark_limit(self, window: WindowResult) -> str:
        return "" if self.failures.outages else super().bookmark_limit(window)

    @override
    def set_checkpoint(self, checkpoint: Checkpoint | None, state: dict[str, Any]) -> None:
        if not (checkpoint and self.failures.outages):
            super().set_checkpoint(checkpoint, state)
