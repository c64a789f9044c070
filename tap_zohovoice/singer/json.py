"""JSON as it comes in, and as it goes out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from tap_zohovoice.singer.text import storable

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
_LEVELS = 50
_WRITE = json.JSONEncoder(separators=(",", ":"), default=str).encode


def parse(text: bytes | str) -> Any:  # noqa: ANN401
    """Read JSON, and what passes for it: NaN, halves of surrogate pairs, other encodings.

    Args:
        text: The text.

    Returns:
        What it says. A number that no float can hold, or that JSON has not, stays the text that
        it was.

    Raises:
        ValueError: If it is no JSON.
        RecursionError: If it is nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return json.loads(text, parse_constant=str, parse_float=_finite)


def within_depth(value: object, levels: int = _LEVELS) -> bool:
    """Tell whether a value has few levels, so that it can be gone through and written again.

    Args:
        value: What `parse` returned, or a part of it.
        levels: How many levels of lists and objects it may have.
    """
    inner = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(inner, list):
        return True
    return levels > 0 and all(within_depth(item, levels - 1) for item in inner)


def _finite(text: str) -> float | str:
    number = float(text)
    return text if number in {float("inf"), float("-inf")} else number


def dumps(content: Mapping[str, Any]) -> bytes:
    """Write JSON, as short as it can be.

    Args:
        content: What to write.

    Returns:
        One line in UTF-8, with escapes for control characters and halves of surrogate pairs.
    """
    try:
        return _ENCODER.encode(content)
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has no bytes for
        return _WRITE(content).encode()


def storable_json(text: bytes) -> bytes:
    """Replace what databases refuse.

    Args:
        text: JSON, as `dumps` writes it.

    Returns:
        The same without what `storable` replaces.
    """
    # Most texts have no backslash at all, which is the quickest to find out.
    is_suspect = b"\\" in text and b"\\u" in text
    return dumps(storable(parse(text))) if is_suspect else text


def ascii_json(text: bytes) -> bytes:
    """Write JSON anew, with escapes for all that is not ASCII.

    Args:
        text: JSON.
    """
    return _WRITE(json.loads(text)).encode()
