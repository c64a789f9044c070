"""JSON in and out, and text that every target can store."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MAX_DEPTH = 50
"""Levels of lists and objects that every target can be expected to read."""
_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
_FALLBACK_ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def loads(text: bytes | str) -> Any:  # noqa: ANN401 - JSON of any type
    """Parse JSON, also with NaN, lone surrogates or in another encoding than UTF-8.

    A number that neither JSON nor a float can hold stays text.

    Raises:
        ValueError: If it is invalid.
        RecursionError: If it is nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return json.loads(text, parse_constant=str, parse_float=_parse_finite)


def _parse_finite(text: str) -> float | str:
    number = float(text)
    return text if number in {float("inf"), float("-inf")} else number


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
    inner = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(inner, list):
        return True
    return levels > 0 and all(within_depth(item, levels - 1) for item in inner)


def sanitize(value: Any) -> Any:  # noqa: ANN401 - JSON of any type
    """Replace U+0000 and lone surrogates by U+FFFD, in keys as well.

    PostgreSQL stores neither, and UTF-8 cannot encode a lone surrogate.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, list):
        return [sanitize(item) for item in value]
    if not isinstance(value, dict):
        return value
    sanitized: dict[str, Any] = {}
    for name, item in value.items():
        key = sanitize(name)
        while key in sanitized:
            key += "_"
        sanitized[key] = sanitize(item)
    return sanitized


def sanitize_json(text: bytes) -> bytes:
    """Sanitize JSON as `dumps` writes it, where both kinds of character are escaped."""
    # Most texts have no backslash at all, which is the cheapest to find out.
    is_suspect = b"\\" in text and b"\\u" in text
    return dumps(sanitize(loads(text))) if is_suspect else text
