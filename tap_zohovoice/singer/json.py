"""JSON in and out, records kept as JSON, and text that every target can store."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, Self

import msgspec

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MAX_DEPTH = 50  # levels of lists and objects that every target can be expected to read
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1  # of databases, which have 64 bits
_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
_FALLBACK_ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@lru_cache(maxsize=4_096)
def _parse_decimal(text: str) -> float | str:
    """Parse a number with a fraction or exponent; one that no float equals stays text."""
    number = float(text)
    with suppress(ArithmeticError):  # an exponent beyond those of decimals
        if repr(number) == text or Decimal(repr(number)) == Decimal(text):
            return number
    return text


_ESCAPE = re.compile(r"\\([\"\\/bfnrt]|u[0-9a-fA-F]{4})?")
_DECODER = msgspec.json.Decoder(float_hook=_parse_decimal)
_FALLBACK_DECODER = json.JSONDecoder(strict=False, parse_constant=str, parse_float=_parse_decimal)


def loads(text: bytes | str) -> Any:  # noqa: ANN401 - JSON of any type
    """Parse JSON in any encoding, also with NaN, lone surrogates or unescaped characters.

    Bytes that are not text become U+FFFD. A number stays text if no float has its digits.
    `ValueError` is raised if it is invalid, `RecursionError` if it is nested too deeply.
    """
    with suppress(msgspec.DecodeError, UnicodeError):
        return _DECODER.decode(text)
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "replace")
    # A backslash that escapes nothing is one that was not escaped itself.
    text = _ESCAPE.sub(lambda found: found[0] if found[1] else r"\\", text)
    return _FALLBACK_DECODER.decode(text)


def dumps(content: Mapping[str, Any]) -> bytes:
    """Serialize to one compact line of UTF-8; lone surrogates are escaped."""
    try:
        return _ENCODER.encode(content)
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 has no bytes for
        return _FALLBACK_ENCODER.encode(content).encode()


def ascii_json(text: bytes) -> bytes:
    """Escape all characters of JSON that are not ASCII."""
    return _FALLBACK_ENCODER.encode(json.loads(text)).encode()


def within_depth(value: object, levels: int = MAX_DEPTH) -> bool:
    """Return whether a parsed value has at most that many levels of lists and objects."""
    with suppress(RecursionError):
        sanitize(value, levels)
        return True
    return False


def sanitize(value: Any, levels: int = 2 * MAX_DEPTH) -> Any:  # noqa: ANN401 - JSON of any type
    """Make a value storable: U+FFFD for U+0000 and lone surrogates, text for large integers.

    `RecursionError` is raised if it has more levels of lists and objects.
    """
    # PostgreSQL stores neither character, UTF-8 has no lone surrogates, and loaders that write
    # with orjson or Arrow fail at an integer beyond 64 bits.
    kind = type(value)
    if kind is str:
        return value if value.isprintable() else _UNSTORABLE.sub(REPLACEMENT, value)
    if kind is int:
        return value if MIN_INTEGER <= value <= MAX_INTEGER else str(value)
    if kind is not list and kind is not dict:
        return value
    if not levels:
        raise RecursionError
    levels -= 1
    if kind is list:
        return [sanitize(item, levels) for item in value]
    sanitized: dict[str, Any] = {}
    for name, item in value.items():
        key = name if name.isprintable() else sanitize(name)
        while key in sanitized:
            key += "_"
        sanitized[key] = sanitize(item, levels)
    return sanitized


def sanitize_json(text: bytes) -> bytes:
    """Sanitize JSON as `dumps` writes it, where both kinds of character are escaped."""
    # Most texts have no backslash at all, which is the cheapest check.
    is_suspect = b"\\" in text and b"\\u" in text
    return dumps(sanitize(loads(text))) if is_suspect else text


class SerializedRecord(NamedTuple):
    """A record kept as JSON until its window is complete; sorts in the order of emission.

    It takes a third of the memory.
    """

    start_time: str
    logid: str
    json: bytes

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Serialize a record of a call log."""
        return cls(record["start_time"], record["logid"], dumps(record))

    @property
    def record(self) -> dict[str, Any]:
        """The record with all its fields."""
        record: dict[str, Any] = loads(self.json)
        return record
