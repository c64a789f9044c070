"""Types of fields: their JSON types, and casts from what the API sends."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_zohovoice._time import format_epoch_ms
from tap_zohovoice.exceptions import CastError

if TYPE_CHECKING:
    from collections.abc import Callable

_INT64_LIMIT = 2**63
_MILLISECONDS = re.compile(r"\s*-?\d{1,17}\s*", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
_DURATION = re.compile(r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9})(?:\.0+)?", re.ASCII)


class FieldType(Enum):
    """Type of a field; each has a cast in `CASTS`."""

    ID = "id"
    STRING = "string"
    TIMESTAMP = "timestamp"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DURATION = "duration"
    OBJECT = "object"


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise CastError


def _id(value: object) -> str:
    # Some endpoints send the same id as a number and others as a string; 2^53 is exceeded.
    return str(value) if type(value) is int else _string(value)


def _milliseconds(value: object) -> int:
    if isinstance(value, str) and _MILLISECONDS.fullmatch(value):
        return int(value)
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise CastError


def _timestamp(value: object) -> str | None:
    if value == "":
        return None
    milliseconds = _milliseconds(value)
    if milliseconds <= 0:
        # The epoch comes from a clock that was never set, not from a call in 1970.
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
    # Databases hold integers in 64 bits; a larger one would fail every run at the same call.
    if float(number).is_integer() and -_INT64_LIMIT <= number < _INT64_LIMIT:
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
    return _string(value)


def _object(value: object) -> None:
    # Objects are converted property by property; what is cast here is something else.
    if value != "":
        raise CastError


CASTS: dict[FieldType, Callable[[object], object]] = {
    FieldType.ID: _id,
    FieldType.STRING: _string,
    FieldType.TIMESTAMP: _timestamp,
    FieldType.NUMBER: _number,
    FieldType.INTEGER: _integer,
    FieldType.BOOLEAN: _boolean,
    FieldType.DURATION: _duration,
    FieldType.OBJECT: _object,
}
"""Cast of each type; it raises `CastError` or `OverflowError` if a value does not fit."""

JSON_TYPES: dict[FieldType, Any] = {
    FieldType.ID: th.StringType,
    FieldType.STRING: th.StringType,
    FieldType.TIMESTAMP: th.DateTimeType,
    FieldType.NUMBER: th.NumberType,
    FieldType.INTEGER: th.IntegerType,
    FieldType.BOOLEAN: th.BooleanType,
    FieldType.DURATION: th.StringType,
}
"""JSON type of each type but objects."""


@lru_cache(maxsize=4_096)
def parse_duration(text: str) -> int | None:
    """Parse `MM:SS`, `HH:MM:SS` or plain seconds; the first is documented, clients saw the others.

    Returns:
        Seconds; None if the text is something else.
    """
    parts = _DURATION.fullmatch(text.strip())
    if not parts:
        return None
    hours, minutes, seconds = parts.groups("0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
