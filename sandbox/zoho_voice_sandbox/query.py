"""The query of call logs: parameters, filters, order, offsets and totals.

It knows neither HTTP nor how rows are stored, so that a server and a simulation share it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeAlias, TypeVar

from zoho_voice_sandbox.calls import FILE_KEYS
from zoho_voice_sandbox.contacts_fixtures import build_id
from zoho_voice_sandbox.date_filter import time_range
from zoho_voice_sandbox.params import reject_value, validate_params
from zoho_voice_sandbox.row_order import order_places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.date_filter import TimeRange
    from zoho_voice_sandbox.dialect import Dialect

RowT = TypeVar("RowT")
RowT_co = TypeVar("RowT_co", covariant=True)

_IDS = r"\d{1,19}(,\d{1,19})*"
_DAY = r"\d{4}-\d\d-\d\d"
_PARAMETERS = {
    "from": r"\d{1,9}",
    "size": r"[1-9]\d{0,8}",
    "fromDate": _DAY,
    "toDate": _DAY,
    "numberIds": _IDS,
    "userNumber": r"\d{1,20}",
    "agent": r"\d{1,19}",
    "callType": "incoming|outgoing|missed|bridged|forward",
    "feedback": "[1-5]",
    "contact_name": ".{1,200}",
    "isAllCountry": "true|false",
    "isVoiceMail": "true|false",
    "isRecording": "true|false",
    "departmentId": _IDS,
    "groupIds": _IDS,
    "campaignId": r"[\w-]{1,50}",
}
_PATTERNS = {name: re.compile(pattern, re.ASCII) for name, pattern in _PARAMETERS.items()}
_PATTERNS["contact_name"] = re.compile(_PARAMETERS["contact_name"])
_KEYS = {
    "numberIds": "number_id",
    "userNumber": "user_number",
    "agent": "agent_number",
    "callType": "call_type",
    "feedback": "feedback",
    "contact_name": "contact_name",
    "departmentId": "department",
    "groupIds": "queue_name",
    "campaignId": "campaign_name",
}
_BY_ID = {"agent", "departmentId", "groupIds", "campaignId"}
_PAGING = {"from", "size", "fromDate", "toDate"}
_DEFAULT_SIZE = 100
_NOT_DIGITS = re.compile(r"\D")


Failure: TypeAlias = Literal["error500", "timeout", "cut"]


class QueryFailedError(Exception):
    """The server fails to respond.

    Attributes:
        failure: HTTP status 500, no response, or one that breaks off.
    """

    def __init__(self, failure: Failure = "error500") -> None:
        """Create the error."""
        super().__init__(failure)
        self.failure = failure


class Rows(Protocol[RowT_co]):
    """Rows of which each is looked up when needed."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def __getitem__(self, index: int, /) -> RowT_co:
        """Return a row."""
        ...


@dataclass(frozen=True)
class LogQuery:
    """The parameters of a request for call logs.

    Attributes:
        offset: Rows to skip (`from`).
        size: Rows wanted.
        from_date: First day, None for no limit.
        to_date: Last day, None for no limit.
        filters: The other parameters, those with a value.
    """

    offset: int = 0
    size: int = _DEFAULT_SIZE
    from_date: date | None = None
    to_date: date | None = None
    filters: tuple[tuple[str, str], ...] = ()

    def matcher(self) -> Callable[[Row], bool]:
        """Return a function that tells whether the filters match a row, dates aside."""
        wanted = dict(self.filters)
        files = [key for name, key in FILE_KEYS.items() if wanted.pop(name, "false") == "true"]
        wanted.pop("isAllCountry", None)  # it only changes the meaning of `userNumber`
        tests = [(_KEYS[name], _value_matcher(name, value)) for name, value in wanted.items()]

        def matches(row: Row) -> bool:
            if files and not any(key in row for key in files):
                return False
            return all(key in row and test(str(row[key])) for key, test in tests)

        return matches

    def hidden_keys(self, dialect: Dialect) -> frozenset[str]:
        """Return the keys that rows lack because no filter asks for them."""
        if dialect.file_keys == "always":
            return frozenset()
        wanted = dict(self.filters)
        return frozenset(key for name, key in FILE_KEYS.items() if wanted.get(name) != "true")


@dataclass(frozen=True)
class Page(Generic[RowT]):
    """The result of a query.

    Attributes:
        rows: Rows of the page.
        total: `meta.total`, None if it is absent.
    """

    rows: list[RowT]
    total: int | str | None


def parse_query(params: Mapping[str, str], dialect: Dialect) -> LogQuery:
    """Parse the parameters of a request.

    Raises:
        InvalidParameterError: If a parameter is unknown or its value is invalid.
    """
    validate_params(params, _PATTERNS, dialect)
    filters = sorted((name, value) for name, value in params.items() if value)
    return LogQuery(
        int(params.get("from") or 0),
        int(params.get("size") or _DEFAULT_SIZE),
        _parse_day(params, "fromDate", dialect),
        _parse_day(params, "toDate", dialect),
        tuple(pair for pair in filters if pair[0] not in _PAGING),
    )


def run_query(
    query: LogQuery,
    dialect: Dialect,
    now_ms: int,
    select: Callable[[TimeRange], Rows[RowT]],
    request_number: int = 0,
) -> Page[RowT]:
    """Return one page of rows.

    Args:
        query: The request.
        dialect: What the server accepts, and how it orders, limits and counts rows.
        now_ms: The server's time, in milliseconds since the epoch.
        select: Returns the matching rows of a time range: by start time, or by id where the
            dialect orders by id.
        request_number: Number of the request, on which changing orders depend.

    Raises:
        InvalidParameterError: If the dialect rejects dates, size or offset.
        QueryFailedError: If the offset or the size is too high and the dialect fails there.
    """
    selected = time_range(query.from_date, query.to_date, dialect, now_ms)
    size = _granted_size(query.size, dialect)
    rows = select(selected)
    count = len(rows)
    start = _start(query.offset, count, size, dialect)
    end = _end(query.offset, start + size, size, dialect)
    offsets = range(min(start, count), min(end, count))
    places = order_places(count, offsets, dialect, request_number)
    is_uncounted = (not end and dialect.offset_over == "empty_uncounted") or (
        not size and dialect.size_over == "nothing"
    )
    if dialect.total == "page_end":
        total: int | str | None = offsets.start + len(places)
    elif dialect.total == "page" or is_uncounted:
        total = len(places)
    else:
        total = _total(count, dialect)
    return Page([rows[place] for place in places], total)


def _granted_size(size: int, dialect: Dialect) -> int:
    """Return the number of rows of a full page."""
    if dialect.min_size <= size <= (dialect.max_size or size):
        return size
    if size < dialect.min_size or dialect.size_over == "refuse":
        reject_value("size" if dialect.size_named else "", dialect)
    if dialect.size_over == "cap":
        return dialect.max_size or size
    if dialect.size_over == "empty" or dialect.size_over == "nothing":  # noqa: PLR1714 - narrows
        return 0
    raise QueryFailedError(dialect.size_over)


def _start(offset: int, count: int, size: int, dialect: Dialect) -> int:
    """Return the offset at which the page starts."""
    most = dialect.max_offset
    if dialect.from_ignored:
        return 0
    if most and offset + size > most and dialect.offset_over in {"first_page", "last_page"}:
        return max(most - size, 0) if dialect.offset_over == "last_page" else 0
    if not offset or offset < count or dialect.from_behind == "empty":
        return offset
    if dialect.from_behind == "refuse":
        reject_value("from", dialect)
    if dialect.from_behind == "error500":
        raise QueryFailedError
    return max(count - 1, 0) // max(size, 1) * size


def _end(offset: int, end: int, size: int, dialect: Dialect) -> int:
    """Return the offset at which the page ends, given the limit of offsets."""
    most = dialect.max_offset
    if most is None:
        return end
    if dialect.offset_over in {"cut", "first_page", "last_page"}:
        return min(end, most)
    if offset + (size if dialect.offset_counts_size else 0) <= most:
        return end
    if dialect.offset_over == "refuse":
        reject_value("" if dialect.offset_named == "none" else dialect.offset_named, dialect)
    if dialect.offset_over == "error500":
        raise QueryFailedError
    return 0


def _total(count: int, dialect: Dialect) -> int | str | None:
    # Even a stale index knows that there are no rows.
    error = dialect.total_error if count else 0
    totals: dict[str, int | str | None] = {
        "exact": count,
        "absent": None,
        "minus_one": -1,
        "text": str(count),
        "words": "many",
        "stale_high": count + error,
        "stale_low": max(min(count, 1), count - error),
        "capped": min(count, error),
    }
    return totals[dialect.total]


def _parse_day(params: Mapping[str, str], name: str, dialect: Dialect) -> date | None:
    if not params.get(name):
        return None
    try:
        return date.fromisoformat(params[name])
    except ValueError:
        reject_value(name, dialect)


def _value_matcher(name: str, value: str) -> Callable[[str], bool]:
    """Return a function that tells whether a filter matches the value that a row holds."""
    if name == "contact_name":
        part = value.casefold()
        return lambda held: part in held.casefold()
    if name == "userNumber":
        return lambda held: _NOT_DIGITS.sub("", held).startswith(value)
    values = value.split(",")
    if name in _BY_ID:
        return lambda held: build_id(held) in values
    return values.__contains__
