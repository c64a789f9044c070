"""A reading of an account without HTTP: the flow of page requests, driven by the account."""

import datetime as dt
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial

from tap_zohovoice._time import format_epoch_ms
from tap_zohovoice.exceptions import InvalidParameterError, RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.extract.page_size import PageRequester
from tap_zohovoice.extract.reader import CallLogReader
from tap_zohovoice.extract.results import WindowResult
from tap_zohovoice.pagination import Page, PageRequest
from tap_zohovoice.singer.json import SerializedRecord
from tests.support.simulated_account import (
    NOW,
    AccountSpec,
    Row,
    SimulatedAccount,
    build_rows,
    readable_until,
)
from zoho_voice_sandbox.files import AudioFiles
from zoho_voice_sandbox.logs import LogsHandler
from zoho_voice_sandbox.params import InvalidParameterError as RejectedError
from zoho_voice_sandbox.query import LogQuery, QueryFailedError

_REQUEST_SECONDS = 2.0
"""Time between two requests."""
_REJECTED = {"size": "size", "fromDate": "dates", "toDate": "dates"}


@dataclass
class Reading:
    account: AccountSpec
    chunks: list[WindowResult]
    error: ZohoVoiceError | None  # what ended it early
    server: SimulatedAccount  # the server afterwards
    expected: list[Row]  # the calls that existed throughout, by start
    most_between: int  # requests for one result

    @property
    def ids(self) -> list[str]:
        return [row.logid for chunk in self.chunks for row in chunk.rows]

    @property
    def requests(self) -> int:
        return self.server.requests

    @property
    def missing(self) -> list[Row]:
        ids = set(self.ids)
        return [row for row in self.expected if row[1] not in ids]


def read(account: AccountSpec) -> Reading:
    """Read an account to its end, or until an error."""
    server = SimulatedAccount(account.dialect, build_rows(account), account.changes)
    # What the server answers: not today, if it excludes and limits `toDate`.
    end = min(account.end, readable_until(account.dialect, NOW))
    held = server.between(account.start, end)
    days = math.ceil(account.days / min(account.dialect.max_range_days or 30, 30))
    server.max_requests = 50 * (len(server.calls) / max(account.page - 1, 1) + days + 20)
    reader = CallLogReader(
        start=_moment(account.start),
        end=None if account.end_minutes is None else _moment(account.end),
        now=_moment(NOW),
        pages=PageRequester(account.size),
        filters={},
    )
    chunks, error, before, most_between = [], None, 0, 0
    handler = LogsHandler(server, AudioFiles(server))
    respond = partial(_respond, server, handler, account)
    try:
        for chunk in drive(reader.read_windows(), respond):
            chunks.append(chunk)
            most_between, before = max(most_between, server.requests - before), server.requests
    except ZohoVoiceError as problem:
        error = problem
    expected = [row for row in held if row[1] not in server.deleted]
    return Reading(account, chunks, error, server, expected, most_between)


def drive(
    flow: Generator[PageRequest | WindowResult, Page, object],
    respond: Callable[[PageRequest], Page],
) -> Iterator[WindowResult]:
    with suppress(StopIteration):
        item = next(flow)
        while True:
            if not isinstance(item, PageRequest):
                yield item
                item = next(flow)
                continue
            try:
                page = respond(item)
            except ZohoVoiceError as error:
                item = flow.throw(error)
            else:
                item = flow.send(page)


def _respond(
    server: SimulatedAccount, handler: LogsHandler, account: AccountSpec, request: PageRequest
) -> Page:
    """Respond to the tap's request as its reader of responses would."""
    params = dict(request.params)
    first, last = (dt.date.fromisoformat(params.pop(name)) for name in ("fromDate", "toDate"))
    query = LogQuery(request.offset, request.size, first, last, tuple(params.items()))
    server.clock.time += _REQUEST_SECONDS
    server.count_request()
    message = "no answer"
    if (last - first).days > account.most_days:
        raise RetriesExhaustedError(message, summary=message)
    try:
        page = handler.query(query, server.dialect)
    except RejectedError as error:
        if account.fails:
            raise RetriesExhaustedError(message, summary=message) from error
        message = "refused"
        rejected = _REJECTED.get(error.parameter, "other")
        raise InvalidParameterError(message, summary=message, rejected=rejected) from error
    except QueryFailedError as error:
        raise RetriesExhaustedError(message, summary=message) from error
    assert page.total is None or isinstance(page.total, int)
    if not page.rows and not query.offset and page.total:
        message = f"no rows although there are {page.total}"
        raise RetriesExhaustedError(message, summary=message)
    total = None if page.rows and not page.total else page.total
    rows = [server.calls[handle] for handle in page.rows]
    records = [_record(server.sent_start(row), row[1]) for row in rows]
    return Page(records, total, query.size)


@lru_cache(maxsize=200_000)
def _record(start: int, logid: str) -> SerializedRecord:
    return SerializedRecord(format_epoch_ms(start), logid, b"")


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
