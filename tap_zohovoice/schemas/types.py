"""Single values: what Zoho sends, in the types that the schema declares."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from tap_zohovoice.schemas.call_logs import FieldType

if TYPE_CHECKING:
    from collections.abc import Callable

_INTEGERS = 2**63
_EPOCH = dt.date(1970, 1, 1)
_DAY_MS = 86_400_000
_MINUTES = [f"{hour:02}:{minute:02}" for hour in range(24) for minute in range(60)]
_SECONDS = [f"{second:02}" for second in range(60)]
_THOUSANDTHS = [f"{thousandth:03}000" for thousandth in range(1000)]
_MILLISECONDS = re.compile(r"\s*-?\d{1,17}\s*", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
_DURATION = re.compile(r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9})(?:\.0+)?", re.ASCII)


class CastError(ValueError):
    """A value that its type cannot hold."""


def format_epoch_ms(milliseconds: int) -> str:
    """Write a moment in the one form that bookmarks are compared in.

    Args:
        milliseconds: Milliseconds since the epoch.

    Returns:
        RFC 3339 in UTC with microseconds, such as `2025-12-04T06:54:58.000000+00:00`.

    Raises:
        OverflowError: If the calendar does not reach that far.
    """
    # A call has four moments, its dearest part; by `datetime` they would take five times as long.
    day = _day(milliseconds // _DAY_MS)
    minute = _MINUTES[milliseconds // 60_000 % 1440]
    second = _SECONDS[milliseconds // 1000 % 60]
    return f"{day}T{minute}:{second}.{_THOUSANDTHS[milliseconds % 1000]}+00:00"


@lru_cache(maxsize=512)
def _day(days: int) -> str:
    return (_EPOCH + dt.timedelta(days)).isoformat()


def format_timestamp(moment: dt.datetime) -> str:
    """Write a moment as `format_epoch_ms` does.

    Args:
        moment: A moment of any zone.

    Returns:
        RFC 3339 in UTC with microseconds.
    """
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise CastError


def _id(value: object) -> str:
    # Some endpoints send the same id as a number and others as a string; 2^53 is exceeded.
    return str(value) if type(value) is int else _text(value)


def _milliseconds(value: object) -> int:
    if isinstance(value, str) and _MILLISECONDS.fullmatch(value):
        return int(value)
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise CastError


def _moment(value: object) -> str | None:
    if value == "":
        return None
    milliseconds = _milliseconds(value)
    if milliseconds <= 0:
        # An answer at the epoch is a clock that was never set, not an answer in 1970.
        raise CastError
    return format_epoch_ms(milliseconds)


def _number(value: object) -> float | None:
    if type(value) is int:
        float(value)  # an integer that no float can hold overflows here
        return value
    if isinstance(value, float):
        return value
    if value == "":
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    raise CastError


def _integer(value: object) -> int | None:
    number = _number(value)
    if number is None:
        return None
    # Databases hold integers in 64 bits; a larger one would stop every run at the same call.
    if float(number).is_integer() and -_INTEGERS <= number < _INTEGERS:
        return int(number)
    raise CastError


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value == "":
            return None
        if value.lower() in {"true", "false"}:
            return value.lower() == "true"
    raise CastError


def _duration(value: object) -> str | None:
    # Clients have seen plain seconds too, as a number.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _object(value: object) -> None:
    # Objects have members, each with a cast of its own; what is cast here is something else.
    if value != "":
        raise CastError


CASTS: dict[FieldType, Callable[[object], object]] = {
    FieldType.ID: _id,
    FieldType.TEXT: _text,
    FieldType.MOMENT: _moment,
    FieldType.NUMBER: _number,
    FieldType.INTEGER: _integer,
    FieldType.BOOLEAN: _boolean,
    FieldType.DURATION: _duration,
    FieldType.OBJECT: _object,
}


@lru_cache(maxsize=4_096)
def duration_seconds(text: str) -> int | None:
    """Read a duration.

    Args:
        text: `MM:SS`, `HH:MM:SS` or plain seconds (the first is documented, the others were seen
            or are likely).

    Returns:
        Seconds; None if the text is something else.
    """
    parts = _DURATION.fullmatch(text.strip())
    if not parts:
        return None
    hours, minutes, seconds = parts.groups("0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
