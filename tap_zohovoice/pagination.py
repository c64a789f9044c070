"""Pages: what to request, how to parse a response, and an SDK paginator over them."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from singer_sdk.pagination import BaseAPIPaginator

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import InvalidRecordError, UnexpectedResponseError, ZohoVoiceError
from tap_zohovoice.http.retry import DEFAULT_LIMITS, RetryLimits
from tap_zohovoice.singer.json import SerializedRecord

_Result = TypeVar("_Result")
_META_KEYS = {"meta", "status", "code", "message"}  # any other member may hold the rows


def parse_rows(body: Mapping[str, Any], key: str, offset: int) -> tuple[list[Any], int | None]:
    """Return the rows of a page, or raise `UnexpectedResponseError`; and a usable `meta.total`."""
    rows = body.get(key)
    if rows in (None, ""):
        unknown = [name for name, value in body.items() if name not in _META_KEYS and value]
        if unknown:
            message = f"{key} not found, but {len(unknown)} unknown members"
            raise UnexpectedResponseError(message)
        rows = []
    if isinstance(rows, dict) and rows:
        rows = [rows]  # a single row
    if not isinstance(rows, list):
        message = f"{key} is not a list"
        raise UnexpectedResponseError(message)
    total = parse_total(body.get("meta"), has_rows=bool(rows))
    if not rows and not offset and total:
        message = f"no rows although meta.total is {total}"
        raise UnexpectedResponseError(message)
    return rows, total


def convert_rows(
    rows: Iterable[object], convert: Callable[[object], dict[str, Any]], offset: int, name: str
) -> Iterator[dict[str, Any]]:
    """Convert the rows of a page, or raise `ZohoVoiceError` with the index of one and its list."""
    for index, row in enumerate(rows, offset):
        try:
            yield convert(row)
        except InvalidRecordError as error:
            message = (
                f"Zoho Voice: row {index} of {name} {error}; the row cannot be emitted, "
                "and skipping it would lose data; report it to Zoho's support"
            )
            raise ZohoVoiceError(message) from error


@dataclass(frozen=True, eq=False, slots=True)
class PageRequest:
    """One page to request. Compared by identity: the SDK treats equal tokens as a loop."""

    offset: int  # of the first row, from 0
    size: int
    params: Mapping[str, str]  # further query parameters
    name: str  # what the page is part of, for errors
    retry_limits: RetryLimits = DEFAULT_LIMITS
    is_probe: bool = False  # whether it is expected to have no rows
    had_rows: bool = False  # whether rows of it were received before

    def to_query_params(self) -> dict[str, str]:
        """Return all query parameters."""
        return {"from": str(self.offset), "size": str(self.size), **self.params}

    def parse(self, body: Mapping[str, Any], convert: Callable[[object], dict[str, Any]]) -> "Page":
        """Parse the response; the errors are those of `parse_rows` and `convert_rows`."""
        logs, total = parse_rows(body, "logs", self.offset)
        if self.had_rows and not logs:
            message = "no rows although there were some before"
            raise UnexpectedResponseError(message)
        records = convert_rows(logs, convert, self.offset, self.name)
        return Page([*map(SerializedRecord.from_record, records)], total, self.size)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of call logs."""

    rows: list[SerializedRecord]  # in the order of the response
    total: int | None  # `meta.total`; None if it is missing or unusable
    size: int  # number of rows that were requested


Flow = Generator[PageRequest, Page, _Result]
"""Yields page requests, is sent pages or has errors of requests thrown in, and returns a result."""


def parse_total(meta: object, *, has_rows: bool) -> int | None:
    """Parse `meta.total`; None where it is missing, or not a count (contacts have -1)."""
    total = meta.get("total") if isinstance(meta, dict) else None
    if isinstance(total, str) and total.isdecimal() and total.isascii():
        total = int(total[:18])
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        return None
    return None if total == 0 and has_rows else total


class SeamPaginator(BaseAPIPaginator[PageRequest]):
    """Offset paginator, over from/size in most lists, that is driven by a flow.

    A flow is a generator without I/O, like an `auth_flow` of httpx: it yields page requests and is
    sent pages, or has the error of a request thrown in. Between them, it yields results.
    """

    def __init__(self, flow: Generator[Any, Any, None]) -> None:
        self._flow = flow
        self._upcoming: PageRequest | None = next(flow, None)
        super().__init__(self._upcoming or PageRequest(0, 0, {}, ""))

    @property
    @override
    def finished(self) -> bool:
        return self._upcoming is None

    def receive(self, page: object) -> Iterator[Any]:
        """Continue the flow with a page, or with the error of its request, and yield its results.

        It continues only when the next result is requested. An error that it cannot recover from
        is raised.
        """
        self._upcoming = None
        with suppress(StopIteration):
            item = self._flow.throw(page) if isinstance(page, Exception) else self._flow.send(page)
            while not isinstance(item, PageRequest):
                yield item
                item = next(self._flow)
            self._upcoming = item

    @override
    def continue_if_empty(self, response: requests.Response) -> bool:
        return True  # most pages complete no result

    @override
    def get_next(self, response: requests.Response) -> PageRequest | None:
        return self._upcoming
