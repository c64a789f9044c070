"""The parameters of a request for logs: what is allowed, and which rows they let through."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from tap_zohovoice.sandbox.calls import FILE_KEYS
from tap_zohovoice.sandbox.history import DAY_MS
from tap_zohovoice.sandbox.names import identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_zohovoice.sandbox.calls import Row
    from tap_zohovoice.sandbox.dialect import Dialect

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
_EPOCH = date(1970, 1, 1)
_END_OF_TIME = 1 << 62
_NOT_DIGITS = re.compile(r"\D")


class RefusedError(Exception):
    """The request is not as it should be.

    Attributes:
        code: Zoho's code of the error.
        message: Zoho's text for it.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep code and text.

        Args:
            code: Zoho's code of the error.
            message: Zoho's text for it.
        """
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Query:
    """A request for logs that makes sense.

    Attributes:
        offset: Rows to skip.
        size: Rows wanted.
        low_ms: Earliest start, in milliseconds since the epoch.
        high_ms: The first start too late.
        filters: The other parameters that are not empty.
    """

    offset: int
    size: int
    low_ms: int
    high_ms: int
    filters: tuple[tuple[str, str], ...]

    def lets(self, row: Row) -> bool:
        """Tell whether the filters let a row through; the dates are not looked at.

        Args:
            row: The row.

        Returns:
            Whether they do.
        """
        wanted = dict(self.filters)
        media = [key for name, key in FILE_KEYS.items() if wanted.pop(name, "false") == "true"]
        if media and not any(key in row for key in media):
            return False
        return all(_passes(row, name, value) for name, value in wanted.items())

    def hidden(self, dialect: Dialect) -> frozenset[str]:
        """Tell which keys of the rows stay out of the answer.

        Args:
            dialect: Whether files must be asked for.

        Returns:
            The keys.
        """
        if dialect.file_keys == "always":
            return frozenset()
        wanted = dict(self.filters)
        return frozenset(key for name, key in FILE_KEYS.items() if wanted.get(name) != "true")


def read(params: Mapping[str, str], dialect: Dialect, now: float) -> Query:
    """Make sense of the parameters.

    Args:
        params: The parameters as sent; known ones may be empty.
        dialect: What is accepted.
        now: Seconds since the epoch.

    Returns:
        The query.

    Raises:
        RefusedError: If a parameter is unknown or its value is not accepted.
    """
    check(params, _PATTERNS, dialect)
    size = int(params.get("size") or _DEFAULT_SIZE)
    if dialect.max_size is not None and size > dialect.max_size:
        if dialect.size_over == "refuse":
            refuse_value("size", dialect)
        size = dialect.max_size
    low, high = _span(params, dialect, now)
    filters = sorted((name, value) for name, value in params.items() if value)
    return Query(
        int(params.get("from") or 0),
        size,
        low,
        high,
        tuple(pair for pair in filters if pair[0] not in _PAGING),
    )


def check(
    params: Mapping[str, str], patterns: Mapping[str, re.Pattern[str]], dialect: Dialect
) -> None:
    """Check the form of the parameters, of which known ones may be empty.

    Args:
        params: The parameters as sent.
        patterns: The known parameters, and what their values look like.
        dialect: Whether a refusal names the parameter.

    Raises:
        RefusedError: If a parameter is unknown or its value is not accepted.
    """
    for name, value in params.items():
        if name not in patterns:
            code = "ZVT010"
            raise RefusedError(code, f"Extra parameter found: {name[:40]}")
        if value and not patterns[name].fullmatch(value):
            refuse_value(name, dialect)


def refuse_value(name: str, dialect: Dialect) -> NoReturn:
    """Refuse a value.

    Args:
        name: The parameter.
        dialect: Whether the text names it.

    Raises:
        RefusedError: Always.
    """
    named = dialect.bad_value_message == "named"
    message = f"Invalid value for parameter: {name}" if named else "Invalid request."
    code = "ZVT015"
    raise RefusedError(code, message)


def _span(params: Mapping[str, str], dialect: Dialect, now: float) -> tuple[int, int]:
    since, until = _day(params, "fromDate", dialect), _day(params, "toDate", dialect)
    zone = timedelta(minutes=dialect.utc_offset_minutes)
    today = (datetime.fromtimestamp(now, UTC) + zone).date()
    if dialect.future_dates == "refused":
        for name, day in (("fromDate", since), ("toDate", until)):
            if day is not None and day > today:
                refuse_value(name, dialect)
    if since is not None:
        days = ((until or today) - since).days + 1
        if until is not None and until < since:
            refuse_value("toDate", dialect)
        if dialect.max_range_days is not None and days > dialect.max_range_days:
            refuse_value("toDate" if until else "fromDate", dialect)
    low = 0 if since is None else _midnight(since, dialect)
    if until is None:
        return low, _END_OF_TIME
    return low, _midnight(until, dialect) + (DAY_MS if dialect.to_date_inclusive else 0)


def _day(params: Mapping[str, str], name: str, dialect: Dialect) -> date | None:
    if not params.get(name):
        return None
    with suppress(ValueError):
        return date.fromisoformat(params[name])
    refuse_value(name, dialect)


def _midnight(day: date, dialect: Dialect) -> int:
    return (day - _EPOCH).days * DAY_MS - dialect.utc_offset_minutes * 60_000


def _passes(row: Row, name: str, value: str) -> bool:
    if name == "isAllCountry":
        # It only says how `userNumber` is meant.
        return True
    key = _KEYS[name]
    if key not in row:
        return False
    held = str(row[key])
    if name == "contact_name":
        return value.casefold() in held.casefold()
    if name == "userNumber":
        return _NOT_DIGITS.sub("", held).startswith(value)
    return (identity(held) if name in _BY_ID else held) in value.split(",")
