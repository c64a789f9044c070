"""Base class of the streams that read the list of calls: bookmarks, windows, records."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from singer_sdk.helpers.conform import TypeConformanceLevel

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.extract.reader import CallLogReader, WindowResult
from tap_zohovoice.extract.windows import add_saturating
from tap_zohovoice.pagination import Page, PageRequest, SeamPaginator
from tap_zohovoice.progress import WindowProgress
from tap_zohovoice.schemas.conversion import RecordConverter
from tap_zohovoice.singer.state import NEWEST, lower_future_bookmark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import requests
    from singer_sdk.helpers.types import Context
    from singer_sdk.streams.rest import HTTPRequest, PageContext

    from tap_zohovoice.schemas.conversion import Record

_CLOCK_SKEW = dt.timedelta(days=1)
"""How far the bookmark of an empty window stays behind the clock, even without a lookback."""


class IncrementalStream(ZohoVoiceStream):
    """A stream whose records come oldest first, by the `start_time` of their calls.

    It reads the list of calls window by window. After each window it writes STATE.
    """

    path = "zv/logs"
    replication_key = "start_time"
    is_sorted = True
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # records already have exact types
    list_params: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Query parameters of the list, by `kind` of the partition."""
    item_label: ClassVar[str] = "call"
    """What a record is, in the singular, for the summary."""

    _paginator: SeamPaginator[WindowResult]
    _page: Page | Exception
    _present = ""
    _bounds = ("", "~")
    """Timestamps of records that may move the bookmark: those of the current window."""
    _sampled = 0

    @abstractmethod
    def emit_window(self, window: WindowResult, context: Context | None) -> Iterator[Record]:
        """Return the records of a window, and advance the bookmark behind them.

        Args:
            window: The window.
            context: Partition.
        """

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if self.is_connection_test:
            for record in self.get_sample(context):
                if self._sampled < (self.ABORT_AT_RECORD_COUNT or 0):  # one more aborts the sync
                    self._sampled += 1
                    yield record
            return
        services, start = self.services, self.get_starting_time(context)
        reader = self.get_reader(start, context)
        progress = WindowProgress(
            self.name,
            clock=services.clock,
            limiter=services.limiter_for(self.get_url(context)),
            share_done=reader.planner.share_done,
            tokens_fetched=lambda: services.tokens.fetched,
        )
        written_before = services.writer.records_written
        try:
            for window in self.request_windows(reader, context):
                first, last = window.window.near
                self._present = format_timestamp(services.present)
                self._bounds = format_timestamp(first), format_timestamp(last)
                yield from self.emit_window(window, context)
                is_empty = not window.rows
                safe = self._safe_bookmark(window.covered_until, start)
                self.advance_bookmark(safe if is_empty else window.rows[-1].start_time, context)
                if not is_empty:
                    state = self.get_context_state(context)
                    newest = min(window.rows[-1].start_time, self._present)
                    state[NEWEST] = max(state.get(NEWEST) or "", newest)
                self.write_state()
                progress.update(window.window, len(window.rows) + len(window.strays))
        finally:
            written = services.writer.records_written - written_before
            progress.finish(written, self.item_label)

    def get_reader(self, start: dt.datetime, context: Context | None) -> CallLogReader:
        """Return a reader of the list of calls.

        Args:
            start: First moment of interest.
            context: Partition.
        """
        settings = self.services.settings
        return CallLogReader(
            start=start,
            end=settings.end,
            now=self.services.started,
            page_size=settings.page_size,
            filters=self._list_params(context),
        )

    def request_windows(
        self, reader: CallLogReader, context: Context | None
    ) -> Iterator[WindowResult]:
        """Run a reader in the SDK's request loop.

        Args:
            reader: The reader.
            context: Partition.

        Yields:
            Each window.
        """
        self._paginator = SeamPaginator(reader.read_windows())
        yield from cast("Iterable[WindowResult]", self.request_records(context))

    # --- the SDK's request loop ---

    @override
    def get_new_paginator(self) -> SeamPaginator[WindowResult]:
        return self._paginator

    @override
    def get_http_request(self, *, page: PageContext[PageRequest]) -> HTTPRequest:
        request = super().get_http_request(page=page)
        if page.next_page_token:
            request.params = {**page.next_page_token.to_query_params()}
        return request

    @override
    def handle_error(self, error: Exception) -> None:
        self._page = error  # the paginator's flow recovers from it, or raises it

    @override
    def validate_response(self, response: requests.Response) -> None:
        parse = partial(self._parse_page, self._paginator.current_value)
        self._page = self.api.parse_json(response, parse)

    @override
    def parse_response(self, response: requests.Response) -> Iterable[Any]:
        # Windows, not records: `get_records` unpacks them, so that STATE follows each.
        yield from self._paginator.receive(self._page)

    def _parse_page(self, request: PageRequest, body: Mapping[str, Any]) -> Page:
        return Page.from_body(body, request, self._converter.convert)

    @cached_property
    def _converter(self) -> RecordConverter:
        return RecordConverter()

    def _list_params(self, context: Context | None) -> dict[str, str]:
        """Return the user's filters, and those of the partition."""
        own = self.list_params[context["kind"]] if context else {}
        return {**self.services.settings.filters, **own}

    def get_sample(self, context: Context | None) -> Iterator[Record]:
        """Get a few records with one small request, to test the connection.

        Args:
            context: Partition.
        """
        size = min((self.ABORT_AT_RECORD_COUNT or 0) + 1, self.services.settings.page_size)
        request = PageRequest(0, size, self._list_params(context), "the sample")
        page = self.api.get_json(request.to_query_params(), partial(self._parse_page, request))
        for row in sorted(page.rows):
            yield row.record

    # --- bookmarks ---

    @property
    def is_bookmark_frozen(self) -> bool:
        """Whether the bookmark must not advance for now."""
        return False

    def get_starting_time(self, context: Context | None) -> dt.datetime:
        """Return from when on calls are read: the bookmark less the lookback.

        Args:
            context: Partition.
        """
        settings, state = self.services.settings, self.get_context_state(context)
        bookmark = self.get_starting_timestamp(context) or settings.start
        if state.get("replication_key_value"):
            self.services.tokens.access_token()  # the first response has the server's time
            lower_future_bookmark(self.name, state, self.services.present)
            value = state.get("replication_key_value")
            bookmark = min(bookmark, parse_date(value)) if value else settings.start
        return max(settings.start, add_saturating(bookmark, -settings.lookback))

    def advance_bookmark(self, timestamp: str, context: Context | None) -> None:
        """Advance the bookmark; it never moves back.

        Args:
            timestamp: Everything before it is emitted.
            context: Partition.
        """
        self._increment_stream_state({"start_time": timestamp}, context=context)

    def _safe_bookmark(self, covered_until: dt.datetime, start: dt.datetime) -> str:
        """Return how far the bookmark may advance after an empty window: clocks differ."""
        margin = max(self.services.settings.lookback, _CLOCK_SKEW)
        covered_until = min(covered_until, self.services.present)
        return format_timestamp(max(add_saturating(covered_until, -margin), start))

    def write_state(self) -> None:
        """Write STATE, now that everything before it is emitted."""
        self.tap.state_writer.write_state(self.tap_state)

    @override
    def post_process(self, row: Record, context: Context | None = None) -> Record:
        # Without type conformance, the SDK does not leave out what the catalog leaves out.
        declared = self.effective_schema["properties"]
        if len(declared) < len(row):
            return {name: value for name, value in row.items() if name in declared}
        return row

    @override
    def generate_child_contexts(self, record: Record, context: Context | None) -> tuple[()]:
        return ()  # there are no children, and the SDK would copy each record to find out

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        return None  # the bookmark is kept from the future below

    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        # The SDK has no public way to keep a bookmark from moving back in a lookback, or from
        # following a phone whose clock is ahead.
        if self.is_connection_test or self.is_bookmark_frozen:
            return
        timestamp = latest_record["start_time"]
        if not self._bounds[0] <= timestamp <= self._bounds[1]:
            return  # a call far outside its window says nothing about the calls before it
        timestamp = min(timestamp, self._present)
        state = self.get_context_state(context)
        if timestamp > (state.get("replication_key_value") or ""):
            super()._increment_stream_state({"start_time": timestamp}, context=context)
