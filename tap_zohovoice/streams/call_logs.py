"""The call logs of the account: `GET zv/logs`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers.conform import TypeConformanceLevel

from tap_zohovoice.casts import text_of
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.compat import override
from tap_zohovoice.days import shift
from tap_zohovoice.exceptions import NotUnderstoodError, ZohoVoiceError
from tap_zohovoice.fields import CALL_LOG_SCHEMA
from tap_zohovoice.history import History
from tap_zohovoice.paging import Page
from tap_zohovoice.progress import Progress
from tap_zohovoice.reach import Reach
from tap_zohovoice.records import Converter, UnusableLogError, pack, unpack
from tap_zohovoice.sizes import PageSize
from tap_zohovoice.windows import Planner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_sdk.helpers.types import Context

    from tap_zohovoice.history import Chunk, Query
    from tap_zohovoice.records import Record
    from tap_zohovoice.tap import TapZohoVoice

_ENVELOPE = {"meta", "status", "code", "message"}
"""What may stand beside a missing list; anything else is rows under a name nobody knows."""
_CLOCK_SLACK = dt.timedelta(days=1)
"""How far an empty stretch stays behind the clock, even without a lookback: clocks differ."""


class CallLogsStream(ZohoVoiceStream):
    """Every call of the account, oldest first."""

    name = "call_logs"
    path = "zv/logs"
    primary_keys = ("logid",)
    replication_key = "start_time"
    schema = CALL_LOG_SCHEMA
    is_sorted = True
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # `records` gives exact types

    def __init__(self, tap: TapZohoVoice) -> None:
        """Make the stream.

        Args:
            tap: Its tap.
        """
        super().__init__(tap)
        self._converter = Converter()

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if self.ABORT_AT_RECORD_COUNT is not None:
            yield from self._sample(self.ABORT_AT_RECORD_COUNT + 1)
            return
        settings, started = self.tap.settings, self.tap.started
        bookmark = self.get_starting_timestamp(context) or settings.start
        start = max(settings.start, shift(bookmark, -settings.lookback))
        size = PageSize(settings.page_size)
        reach = Reach.for_size(settings.page_size)
        planner = Planner(start, settings.end, started, reach)
        history = History(
            fetch=self._fetch_page,
            planner=planner,
            reach=reach,
            size=size,
            bounds=(text_of(start), text_of(settings.end) if settings.end else None),
            is_typed="callType" in settings.filters,
        )
        progress = Progress(self.name, planner, self.tap, self.throttle)
        try:
            for chunk in history:
                yield from map(unpack, chunk.rows)
                self._advance(chunk, start)
                progress.note(chunk)
                self.tap.state_writer.write_state(self.tap_state)
        finally:
            progress.summarise()

    @override
    def post_process(self, row: Record, context: Context | None = None) -> Record:
        """Leave out what the catalog leaves out: the SDK does not, where types are exact."""
        declared = self.effective_schema["properties"]
        if len(declared) < len(row):
            return {name: value for name, value in row.items() if name in declared}
        return row

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Offer no signpost: the bookmark is kept from the future below."""

    def _sample(self, count: int) -> Iterator[Record]:
        """Ask one small question, for a dry run."""
        size = min(count, self.tap.settings.page_size)
        params = {"from": "0", "size": str(size), **self.tap.settings.filters}
        page = self.fetch(params, lambda body: self._page(body, 0, size, "the sample"))
        yield from map(unpack, sorted(page.rows, key=lambda row: str(row["start_time"])))

    def _fetch_page(self, query: Query) -> Page:
        params = {
            "from": str(query.offset),
            "size": str(query.size),
            "fromDate": query.window.first.isoformat(),
            "toDate": query.window.last.isoformat(),
            **self.tap.settings.filters,
        }
        if query.call_type:
            params["callType"] = query.call_type
        return self.fetch(
            params, lambda body: self._page(body, query.offset, query.size, str(query.window))
        )

    def _page(self, body: Mapping[str, Any], offset: int, size: int, where: str) -> Page:
        """Read a page, and be sure that an empty one is empty.

        Raises:
            NotUnderstoodError: If it is not sure.
            ZohoVoiceError: If a row is unusable.
        """
        logs = body.get("logs")
        if logs is None:
            if unknown := [name for name, value in body.items() if name not in _ENVELOPE and value]:
                message = f"no logs, but {len(unknown)} unknown members"
                raise NotUnderstoodError(message)
            logs = []
        if not isinstance(logs, list):
            message = "logs is no list"
            raise NotUnderstoodError(message)
        total = _total(body.get("meta"), len(logs))
        if not logs and not offset and total:
            message = f"no rows although Zoho counts {total}"
            raise NotUnderstoodError(message)
        rows = []
        for index, log in enumerate(logs, offset):
            try:
                rows.append(pack(self._converter.convert(log)))
            except UnusableLogError as error:
                message = (
                    f"Zoho Voice: row {index} of {where} has {error}; it cannot be stored, and "
                    "leaving it out would lose it; please report it to Zoho's support"
                )
                raise ZohoVoiceError(message) from error
        return Page(rows, total, size)

    def _advance(self, chunk: Chunk, start: dt.datetime) -> None:
        """Move the bookmark over a stretch without calls."""
        if not chunk.rows:
            margin = max(self.tap.settings.lookback, _CLOCK_SLACK)
            reached = max(shift(chunk.covered_until, -margin), start)
            self._increment_stream_state({"start_time": text_of(reached)})

    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        # The SDK has no public way to keep a bookmark from falling back in a lookback, or from
        # following a phone whose clock runs ahead.
        if self.ABORT_AT_RECORD_COUNT is not None:
            return
        moment = min(latest_record["start_time"], text_of(self.tap.started))
        state = self.get_context_state(context)
        if moment > (state.get("replication_key_value") or ""):
            super()._increment_stream_state({"start_time": moment}, context=context)


def _total(meta: object, rows: int) -> int | None:
    """Read `meta.total`; None where it is missing, or no count (-1 was seen for contacts)."""
    total = meta.get("total") if isinstance(meta, dict) else None
    if isinstance(total, str) and total.isdecimal() and total.isascii():
        total = int(total[:18])
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        return None
    return None if total == 0 and rows else total
