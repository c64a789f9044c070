"""Base class of the streams that read the list of calls: bookmarks, windows, records."""

import datetime as dt
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, ClassVar, cast

from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.exceptions import MissingCallsError
from tap_zohovoice.extract.reader import CallLogReader
from tap_zohovoice.extract.results import CHECKPOINT, Checkpoint, WindowResult
from tap_zohovoice.extract.windows import DAY
from tap_zohovoice.pagination import Page, PageRequest
from tap_zohovoice.progress import Snapshot, WindowProgress
from tap_zohovoice.schemas.call_logs import FIELDS
from tap_zohovoice.schemas.conversion import Record, RecordConverter
from tap_zohovoice.singer.state import NEWEST


class IncrementalStream(ZohoVoiceStream):
    """A stream whose records come oldest first, by the `start_time` of their calls.

    It reads the list of calls window by window. After each window it writes STATE.
    """

    path = "zv/logs"
    replication_key = "start_time"
    resumed: Checkpoint | None = None  # where a stopped run is continued
    item_label: ClassVar[str] = "call"  # what a record is, in the singular, for the summary

    reader: CallLogReader

    def get_list_filters(self, context: Context | None) -> Mapping[str, str]:  # noqa: ARG002 - a hook
        """Return the filters of a partition, which include those of the user."""
        return self.services.settings.filters

    def convert_call(self, call: Record, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        """Return the records of a call."""
        yield call

    def emit_window(self, window: WindowResult, context: Context | None) -> Iterator[Record]:
        """Return the records of a window; one that takes long may write STATE in between."""
        for row in window.rows + window.strays:
            yield from self.convert_call(row.record, context)

    @override
    def read_sample(self, context: Context | None) -> Iterator[Record]:
        size = (self.ABORT_AT_RECORD_COUNT or 0) + 1
        request = PageRequest(0, size, self.get_list_filters(context), "the sample")
        page = self.api.get_json(request.to_query_params(), partial(self.parse_page, request))
        for row in sorted(page.rows):
            yield from self.convert_call(row.record, context)

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        services = self.services
        with services.reporter.task(lambda: Snapshot(self.name, "requesting an access token")):
            start = self.get_starting_time(context)
        self.reader = reader = self.start_reader(start, context)
        limiter, share_done = self.api.policy.limiter, reader.planner.share_done
        progress = WindowProgress(self.name, limiter, services.writer, share_done)
        reader.on_page = progress.add_page
        with services.reporter.task(progress.snapshot):
            try:
                for window in cast("Iterable[WindowResult]", self.request_records(context)):
                    services.pages.store(self.get_context_state(context), services.started)
                    yield from self._sync_window(window, start, context)
                    progress.finish_window(window.window, len(window.rows) + len(window.strays))
            except MissingCallsError:  # the next run begins at the bookmark, before these days
                self.get_context_state(context).pop(CHECKPOINT, None)
                self.write_state()
                raise
            finally:
                self.converter.log_undeclared()
                progress.finish(self.item_label, services.tokens.fetched)

    def start_reader(self, start: dt.datetime, context: Context | None) -> CallLogReader:
        """Start to read the list of calls; continue a stopped run, and note that in STATE."""
        settings, started = self.services.settings, self.services.started
        pages, state = self.services.pages, self.get_context_state(context)
        pages.restore(state, started)
        filters = self.get_list_filters(context)
        reader = CallLogReader(pages, filters, start=start, end=settings.end, now=started)
        self.resumed = found = Checkpoint.from_state(state, started, settings.lookback)
        if not found:
            state.pop(CHECKPOINT, None)
        elif reader.continue_at(found):
            message = "Continuing at %s, because the last run was stopped"
            self.logger.info(message, found.window.first)
            # If this run is stopped before it has read these days, the next one tries fewer.
            last_day = max(found.window.last.isoformat(), state[CHECKPOINT]["next_day"])
            state[CHECKPOINT]["last_day"] = last_day
            self.write_state()
        return reader

    def _sync_window(
        self, window: WindowResult, start: dt.datetime, context: Context | None
    ) -> Iterator[Record]:
        """Emit the records of a window, advance the bookmark, then write STATE."""
        yield from self.emit_window(window, context)
        state, latest = self.get_context_state(context), self.bookmark_limit(window)
        if latest and window.rows:
            newest = window.rows[-1].start_time
            self.advance_bookmark(min(newest, latest), context)
            state[NEWEST] = max(state.get(NEWEST) or "", min(newest, self.max_bookmark))
        # If received calls are missing in the end, these days may have had calls too.
        elif latest and window.covered_until and not self.reader.results.received:
            lookback = max(self.services.settings.lookback, DAY)  # calls may appear later
            safe = min(window.covered_until, self.services.present) - lookback
            self.advance_bookmark(format_timestamp(max(safe, start)), context)
        self.set_checkpoint(window.checkpoint, state)
        self.write_state()

    def set_checkpoint(self, checkpoint: Checkpoint | None, state: dict[str, Any]) -> None:
        """Set where the next run continues if this one stops; None: all is read."""
        state.pop(CHECKPOINT, None)
        if checkpoint:
            present, end = self.services.present, self.services.settings.end
            limited = checkpoint.limited(min(present, end or present))
            state[CHECKPOINT] = limited.to_state(state.get("replication_key_value") or "", present)

    def bookmark_limit(self, window: WindowResult) -> str:
        """Return the limit of the bookmark after a window; empty if it must not move."""
        if not window.covered_until:  # earlier calls may follow
            return ""
        # A call far outside its window does not show that all calls before it are read.
        last = window.covered_until + self.services.settings.lookback
        return format_timestamp(min(window.window.near[1], last))

    @override
    def read_pages(self) -> Generator[PageRequest | WindowResult, Page, None]:
        # Windows, not records: `read_records` unpacks them, so that STATE follows each.
        return self.reader.read_windows()

    @override
    def parse_page(self, request: PageRequest, body: dict[str, Any]) -> Page:
        return request.parse(body, self.converter.convert)

    @cached_property
    def converter(self) -> RecordConverter:
        """Converts rows to records."""
        return RecordConverter(FIELDS, ("logid", "start_time"), self.logger)
