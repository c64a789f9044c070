"""SDK paginator over from/size, and what is known of the paging of the server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from singer_sdk.pagination import BaseAPIPaginator

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import InvalidRecordError, UnexpectedResponseError, ZohoVoiceError
from tap_zohovoice.singer.records import SerializedRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    import requests

_Result = TypeVar("_Result")
_ENVELOPE_KEYS = {"meta", "status", "code", "message"}
"""What may stand beside a missing list; anything else is rows under an unknown name."""
_ASSUMED_OFFSET = 5_000
"""Offsets that clients use; whether deeper ones return rows is proved before relying on it."""
_ENOUGH_ROWS = 15_000
"""Rows of a window that are enough, where offsets have no limit."""
_LIKELY_LIMITS = (10_000, 5_000, 2_000, 1_000, 500, 200, 100)
"""Where `from` + `size` may end, the likeliest first: the default of the search engine that Zoho's
metrics suggest; clients stop at 5,000 and 2,000; the documentation's sample asks for 100."""
_DOCUMENTED_SIZE = 100
"""The size in the documentation's sample request; clients use larger ones."""


@dataclass(frozen=True, eq=False, slots=True)
class PageRequest:
    """One page to request. Compared by identity: the SDK takes equal tokens for a loop.

    Attributes:
        offset: `from`: first row, from 0.
        size: `size`: number of rows.
        params: Further query parameters.
        name: What the page is part of, for errors.
    """

    offset: int
    size: int
    params: Mapping[str, str]
    name: str

    def to_query_params(self) -> dict[str, str]:
        """Return all query parameters."""
        return {"from": str(self.offset), "size": str(self.size), **self.params}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of call logs.

    Attributes:
        rows: The records, in the order of the response.
        total: `meta.total`; None if it is missing or unusable.
        size: Number of rows that were requested.
    """

    rows: list[SerializedRecord]
    total: int | None
    size: int

    @classmethod
    def from_body(
        cls,
        body: Mapping[str, Any],
        request: PageRequest,
        convert: Callable[[object], dict[str, Any]],
    ) -> Page:
        """Parse a response.

        Args:
            body: Its JSON object.
            request: What was requested.
            convert: Converts a row to a record.

        Raises:
            UnexpectedResponseError: If it is not certain that an empty page is empty.
            ZohoVoiceError: If a row is unusable.
        """
        logs = body.get("logs")
        if logs is None:
            unknown = [name for name, value in body.items() if name not in _ENVELOPE_KEYS and value]
            if unknown:
                message = f"no logs, but {len(unknown)} unknown members"
                raise UnexpectedResponseError(message)
            logs = []
        if isinstance(logs, dict) and logs:
            logs = [logs]  # a single row
        if not isinstance(logs, list):
            message = "logs is not a list"
            raise UnexpectedResponseError(message)
        total = _parse_total(body.get("meta"), len(logs))
        if not logs and not request.offset and total:
            message = f"no rows although Zoho counts {total}"
            raise UnexpectedResponseError(message)
        rows: list[SerializedRecord] = []
        for index, log in enumerate(logs, request.offset):
            try:
                rows.append(SerializedRecord.from_record(convert(log)))
            except InvalidRecordError as error:
                message = (
                    f"Zoho Voice: row {index} of {request.name} has {error}; it cannot be stored, "
                    "and leaving it out would lose it; please report it to Zoho's support"
                )
                raise ZohoVoiceError(message) from error
        return cls(rows, total, request.size)


def _parse_total(meta: object, rows: int) -> int | None:
    """Parse `meta.total`; None where it is missing, or not a count (contacts have -1)."""
    total = meta.get("total") if isinstance(meta, dict) else None
    if isinstance(total, str) and total.isdecimal() and total.isascii():
        total = int(total[:18])
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        return None
    return None if total == 0 and rows else total


class SeamPaginator(BaseAPIPaginator[PageRequest], Generic[_Result]):
    """Offset paginator over from/size, driven by a flow.

    A flow is a generator without I/O, like an `auth_flow` of httpx: it yields page requests and is
    sent pages, or has the error of a request thrown in. Between them, it yields results.

    Args:
        flow: The flow.
    """

    def __init__(self, flow: Generator[PageRequest | _Result, Page, None]) -> None:
        self._flow = flow
        self._upcoming: PageRequest | None = None
        for _ in self._step(partial(next, flow)):  # no results before the first page
            pass
        super().__init__(self._upcoming or PageRequest(0, 0, {}, ""))

    @property
    @override
    def finished(self) -> bool:
        return self._upcoming is None

    def receive(self, page: Page | Exception) -> Iterator[_Result]:
        """Continue the flow.

        Args:
            page: The page that was requested, or why there is none.

        Yields:
            Each result; the flow continues behind it only when the next one is asked for.

        Raises:
            Exception: `page`, if it is one that the flow cannot recover from.
        """
        if isinstance(page, Exception):
            yield from self._step(partial(self._flow.throw, page))
        else:
            yield from self._step(partial(self._flow.send, page))

    def _step(self, step: Callable[[], PageRequest | _Result]) -> Iterator[_Result]:
        self._upcoming = None
        try:
            item = step()
            while not isinstance(item, PageRequest):
                yield item
                item = next(self._flow)
        except StopIteration:
            return
        self._upcoming = item

    @override
    def continue_if_empty(self, response: requests.Response) -> bool:
        return True  # most pages complete no result

    @override
    def get_next(self, response: requests.Response) -> PageRequest | None:
        return self._upcoming


@dataclass
class ServerLimits:
    """How far paging gets with this server, as observed in this run.

    Attributes:
        max_rows: Rows that a window may hold.
        size: Rows requested at once.
        assumed_offset: Offset up to which no proof is needed.
        max_row_seen: Offset up to which rows have come.
        max_offset_ok: Largest `from` + `size` requested that returned rows.
        verified_rows: Rows of the largest window that is proved to be complete.
        total_is_reliable: Whether totals have been right so far.
    """

    max_rows: int
    size: int
    assumed_offset: int = _ASSUMED_OFFSET
    max_row_seen: int = 0
    max_offset_ok: int = 0
    verified_rows: int = 0
    total_is_reliable: bool = True

    @classmethod
    def for_size(cls, size: int) -> ServerLimits:
        """Return the limits that are likely before the first request.

        Args:
            size: Rows requested at once.
        """
        few = min(size, _LIKELY_LIMITS[-1])  # any server pages that far
        return cls(max_rows=_LIKELY_LIMITS[0] - size, size=size, verified_rows=few)

    def confirm_offset(self, offset: int, size: int, rows: int) -> None:
        """Record that a request at an offset for so many rows returned some."""
        self.max_row_seen = max(self.max_row_seen, offset + rows)
        self.max_offset_ok = max(self.max_offset_ok, offset + size)
        self.max_rows = max(self.max_rows, min(self.max_row_seen, _ENOUGH_ROWS))

    def reject_offset(self, offset: int) -> None:
        """Record that an offset returns no rows although there are some."""
        limits = [limit - self.size for limit in _LIKELY_LIMITS if limit - self.size < offset]
        self.max_rows = max(min(self.max_rows, *limits[:1], offset), self.max_row_seen, 1)
        self.assumed_offset = min(self.assumed_offset, self.max_row_seen)


class PageSizeNegotiation:
    """The size of a page, smaller where the server rejects it.

    A rejection need not name what is rejected. So a size that may be the reason is lowered, and
    tried again once a request has succeeded.

    Args:
        size: Rows to request.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._is_proven = False
        self._suspect: int | None = None
        self._retrial: int | None = None

    @property
    def next(self) -> int:
        """The size to request next."""
        return self._retrial or self._size

    def accepted(self, size: int) -> None:
        """Record that the server accepted a size."""
        self._size = size
        self._is_proven = True
        self._retrial, self._suspect = self._suspect, None

    def rejected(self, size: int, parameter: str) -> bool:
        """Record that the server rejected a request.

        Args:
            size: The size of the request.
            parameter: What the response names as invalid; empty if nothing.

        Returns:
            Whether the size is the reason, so that the next size may succeed.
        """
        if size == self._retrial:
            half = size // 2
            self._retrial = half if half > self._size else None
            return True
        if self._is_proven or parameter != "size":
            return False
        return self.halve()

    def try_smaller(self) -> bool:
        """Lower a size that may be the reason of a rejection; return whether it could be."""
        if self._is_proven or self._size <= _DOCUMENTED_SIZE:
            return False
        self._suspect = self._size
        while self._size > _DOCUMENTED_SIZE:
            self._size //= 2
        return True

    def halve(self) -> bool:
        """Halve the size; return whether it could be."""
        if self._size == 1:
            return False
        self._size //= 2
        return True
