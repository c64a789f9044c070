"""Call logs, read for whichever stream is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import InvalidRecordError, UnexpectedResponseError, ZohoVoiceError
from tap_zohovoice.extract.limits import ServerLimits
from tap_zohovoice.extract.page_size import PageSizeNegotiation
from tap_zohovoice.extract.planner import WindowPlanner
from tap_zohovoice.extract.window_reader import History, Query
from tap_zohovoice.page_flow import Page
from tap_zohovoice.progress import WindowProgress
from tap_zohovoice.schemas.conversion import RecordConverter
from tap_zohovoice.singer.records import SerializedRecord

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    from tap_zohovoice.client import ZohoVoiceStream
    from tap_zohovoice.extract.window_reader import WindowResult
    from tap_zohovoice.extract.windows import Window
    from tap_zohovoice.schemas.conversion import Record

    Peek = Callable[[Window, int], None]

_ENVELOPE = {"meta", "status", "code", "message"}
"""What may stand beside a missing list; anything else is rows under a name nobody knows."""


class CallLogReader:
    """Reads call logs, window after window.

    Args:
        stream: Asks, for the URL of the logs.
    """

    def __init__(self, stream: ZohoVoiceStream) -> None:
        self._stream = stream
        self._tap = stream.tap
        self._converter = RecordConverter()
        self._sample: list[Record] | None = None

    def chunks(
        self,
        name: str,
        start: dt.datetime,
        end: dt.datetime | None,
        extra: Mapping[str, str] | None = None,
        peek: Peek | None = None,
    ) -> Iterator[WindowResult]:
        """Read the logs of the calls between two moments, oldest first.

        Args:
            name: The stream that they are read for.
            start: First moment of interest.
            end: First moment that is of none; None: no end.
            extra: Query parameters beside the user's filters.
            peek: Called with the days of the first page and how many logs Zoho counts in them.

        Yields:
            What each window added.

        Raises:
            ZohoVoiceError: If they cannot be read completely.
        """
        tap = self._tap
        filters = {**tap.settings.filters, **(extra or {})}
        size = PageSizeNegotiation(tap.settings.page_size)
        reach = ServerLimits.for_size(tap.settings.page_size)
        planner = WindowPlanner(start, end, tap.started, reach)

        def fetch(query: Query) -> Page:
            nonlocal peek
            page = self._fetch_page(query, filters)
            if peek and page.total:
                told, peek = peek, None
                told(query.window, page.total)
            return page

        history = History(
            fetch=fetch,
            planner=planner,
            reach=reach,
            size=size,
            bounds=(format_timestamp(start), format_timestamp(end) if end else None),
            is_typed="callType" in filters,
        )
        progress = WindowProgress(
            name,
            clock=tap.clock,
            limiter=self._stream.throttle,
            share_done=planner.share,
            tokens_fetched=lambda: tap.tokens.fetched,
        )
        try:
            for chunk in history:
                yield chunk
                progress.update(chunk.window, len(chunk.rows))
        finally:
            progress.finish()

    def sample(self, count: int) -> Iterator[Record]:
        """Ask one small question, for a dry run.

        Args:
            count: How many logs are enough.

        Yields:
            Their records, oldest first.
        """
        if self._sample is None:  # all streams of a dry run make do with one answer
            size = min(count, self._tap.settings.page_size)
            params = {"from": "0", "size": str(size), **self._tap.settings.filters}
            page = self._stream.fetch(params, lambda body: self._page(body, 0, size, "the sample"))
            self._sample = [row.record for row in sorted(page.rows)]
        yield from map(dict, self._sample)

    def count(self, window: Window, extra: Mapping[str, str]) -> int | None:
        """Ask how many logs there are.

        Args:
            window: On which days.
            extra: Query parameters beside the user's filters.

        Returns:
            How many Zoho counts; None if there are some, but it does not count.

        Raises:
            InvalidParameterError: If the server refuses such a question.
        """
        page = self._fetch_page(Query(window, 0, 1), {**self._tap.settings.filters, **extra})
        if page.total is None:
            return None if page.rows else 0
        return page.total

    def _fetch_page(self, query: Query, filters: Mapping[str, str]) -> Page:
        params = {
            "from": str(query.offset),
            "size": str(query.size),
            "fromDate": query.window.first.isoformat(),
            "toDate": query.window.last.isoformat(),
            **filters,
        }
        if query.call_type:
            params["callType"] = query.call_type
        return self._stream.fetch(
            params, lambda body: self._page(body, query.offset, query.size, str(query.window))
        )

    def _page(self, body: Mapping[str, Any], offset: int, size: int, where: str) -> Page:
        """Read a page, and be sure that an empty one is empty.

        Raises:
            UnexpectedResponseError: If it is not sure.
            ZohoVoiceError: If a row is unusable.
        """
        logs = body.get("logs")
        if logs is None:
            if unknown := [name for name, value in body.items() if name not in _ENVELOPE and value]:
                message = f"no logs, but {len(unknown)} unknown members"
                raise UnexpectedResponseError(message)
            logs = []
        if not isinstance(logs, list):
            message = "logs is no list"
            raise UnexpectedResponseError(message)
        total = _total(body.get("meta"), len(logs))
        if not logs and not offset and total:
            message = f"no rows although Zoho counts {total}"
            raise UnexpectedResponseError(message)
        rows: list[SerializedRecord] = []
        for index, log in enumerate(logs, offset):
            try:
                rows.append(SerializedRecord.from_record(self._converter.convert(log)))
            except InvalidRecordError as error:
                message = (
                    f"Zoho Voice: row {index} of {where} has {error}; it cannot be stored, and "
                    "leaving it out would lose it; please report it to Zoho's support"
                )
                raise ZohoVoiceError(message) from error
        return Page(rows, total, size)


def _total(meta: object, rows: int) -> int | None:
    """Read `meta.total`; None where it is missing, or no count (-1 was seen for contacts)."""
    total = meta.get("total") if isinstance(meta, dict) else None
    if isinstance(total, str) and total.isdecimal() and total.isascii():
        total = int(total[:18])
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        return None
    return None if total == 0 and rows else total
