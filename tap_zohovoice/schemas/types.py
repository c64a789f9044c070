"""Types of fields: JSON types, casts from what the API sends, and JSON schemas."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, partial
from math import isfinite
from types import NoneType
from typing import Any

from singer_sdk import typing as th

from tap_zohovoice._time import format_epoch_ms, parse_date
from tap_zohovoice.exceptions import CastError
from tap_zohovoice.singer.json import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER, sanitize

_Cast = Callable[[object], object]
_MS_DIGITS = 13  # of milliseconds from 2001 to 2286
_EPOCH = re.compile(r"\s*-?\d{1,19}(\.\d{1,15})?\s*", re.ASCII)
_ISO = re.compile(r"\s*\d{4}-\d\d-\d\d[Tt ][\d:.,]{4,20}([Zz]|[+-][\d:]{2,6})\s*", re.ASCII)
"""Date-time with a zone; without one, its moment is not known."""
# As milliseconds, seconds would be of 1970, micro- and nanoseconds beyond the year 9999.
_MIN_SECONDS, _MAX_SECONDS, _UNITS_PER_SECOND = 946_684_800, 10**10, (1, 10**6, 10**9)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
# An exponent comes with a number as sent whose digits exceed those of a float.
_NUMBER = re.compile(r"-?\d{1,400}(\.\d{1,15}|\.\d{15,400}([eE][+-]?\d{1,3})?)?", re.ASCII)
_DURATION = re.compile(r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9})(?:\.0+)?", re.ASCII)


def _text(types: tuple[type, ...], value: object) -> str:
    if type(value) in types:
        return str(value)
    raise CastError


def _timestamp(value: object) -> str:
    # Nearly all have this form; a regular expression takes twice as long.
    if type(value) is str and len(value) == _MS_DIGITS and value.isdecimal() and value.isascii():
        return format_epoch_ms(int(value))
    # The epoch comes from a clock that was never set, not from a call in 1970.
    if (milliseconds := _milliseconds(value)) > 0:
        return format_epoch_ms(milliseconds)
    raise CastError


def _start(value: object) -> str:
    try:  # faster than a context manager, for each call
        return _timestamp(value)
    except CastError:  # the clock was never set; a call without a start would end each run
        return format_epoch_ms(max(_milliseconds(value), 0))


def _milliseconds(value: object) -> int:
    if isinstance(value, str) and _EPOCH.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, str) and _ISO.fullmatch(value):
        with suppress(ValueError):
            value = round(parse_date(value.strip().upper()).timestamp() * 1000)
    elif isinstance(value, int | float):
        # Other telephony APIs send seconds, with or without a fraction, or microseconds.
        for per_second in _UNITS_PER_SECOND:
            if _MIN_SECONDS * per_second <= value < _MAX_SECONDS * per_second:
                value = round(value * 1000) if per_second == 1 else int(value) * 1000 // per_second
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int:
        return value
    raise CastError


def _number(value: object) -> float:
    if type(value) is int:
        return value if MIN_INTEGER <= value <= MAX_INTEGER else float(value)
    if isinstance(value, float):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value) and isfinite(number := float(value)):
        return number
    raise CastError


def _integer(value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    # Databases hold integers in 64 bits; a larger one would fail every run at the same call.
    number = value if type(value) is int else _number(value)
    if MIN_INTEGER <= number <= MAX_INTEGER and number == int(number):
        return int(number)
    raise CastError


@lru_cache(maxsize=4_096)
def _parse_duration(text: str) -> int:
    """Parse `MM:SS` (documented), `HH:MM:SS` or seconds (seen by clients)."""
    parts = _DURATION.fullmatch(text.strip())
    if not parts:
        raise CastError
    hours, minutes, seconds = parts.groups("0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def _boolean(value: object) -> bool:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise CastError


def _objects(value: object) -> object:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        with suppress(RecursionError):
            return sanitize(value, MAX_DEPTH)
    raise CastError


# target-snowflake's SDK reads `properties` of each item, and drops keys that are not allowed.
_OPEN_ITEM = {"type": "object", "properties": {}, "additionalProperties": True}


class FieldType(Enum):
    """Type of a field: JSON type, cast, and Python types of values that need no cast."""

    # A cast raises `CastError` or `OverflowError` if the value does not fit.

    # Some endpoints send the same id as a number and others as a string; 2^53 is exceeded.
    ID = (th.StringType, partial(_text, (str, int)), str)
    STRING = (th.StringType, partial(_text, (str,)), str)
    TIMESTAMP = (th.DateTimeType, _timestamp)
    START = (th.DateTimeType, _start)
    NUMBER = (th.NumberType, _number, float)
    INTEGER = (th.IntegerType, _integer)
    BOOLEAN = (th.BooleanType, _boolean, bool)
    DURATION = (th.StringType, partial(_text, (str, int, float)), str)  # clients saw seconds too
    SECONDS = (th.IntegerType, lambda value: _parse_duration(str(value)))
    OBJECT = (th.CustomType({"type": "object"}), partial(_text, ()))  # cast property by property
    OBJECTS = (th.ArrayType(th.CustomType(_OPEN_ITEM)), _objects)

    def __init__(self, json_type: Any, cast: _Cast, *exact: type) -> None:  # noqa: ANN401 - the SDK's types have no common base
        self.json_type = json_type
        self.cast = cast
        self.exact_types = (*exact, NoneType)

    def cast_or_none(self, value: object) -> Any:  # noqa: ANN401 - of any of the types
        """Cast a value that is reported elsewhere if it does not fit."""
        try:
            return self.cast(value)
        except (CastError, OverflowError):
            return None


# The frequent ones.
ID, STRING, NUMBER = FieldType.ID, FieldType.STRING, FieldType.NUMBER
INTEGER, BOOLEAN, OBJECT = FieldType.INTEGER, FieldType.BOOLEAN, FieldType.OBJECT


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a stream; an object without properties is open."""

    name: str
    type: FieldType
    description: str
    properties: "tuple[Field, ...]" = ()
    required: bool = False
    alias: str = ""  # another field with its value, if a row has none

    def to_property(self) -> th.Property[Any]:
        """Return the SDK's form of the field."""
        schema = self.type.json_type
        if self.properties:
            members = (field.to_property() for field in self.properties)
            schema = th.ObjectType(*members, additional_properties=False)
        return th.Property(self.name, schema, required=self.required, description=self.description)


def build_schema(*fields: Field, is_open: bool = False, description: str = "") -> dict[str, Any]:
    """Build the JSON schema of a stream; an open one has `additional_fields` too."""
    if is_open:
        more = "Undocumented fields, and values that do not match their type."
        fields = (*fields, Field("additional_fields", FieldType.OBJECT, more))
    schema = th.PropertiesList(*(field.to_property() for field in fields)).to_dict()
    schema.pop("$schema", None)
    return {"description": description, **schema} if description else schema
