"""The forms in which rows are sent: of ids, of numbers and of empty text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect

HIDDEN = "."
"""Keys that begin with it are for filters, and are not sent."""
# Python's encoder writes no float in exponent form below 1e16, so such a float is marked text
# until the response is encoded.
_MARK = "\0"
_MARKED = re.compile(rb'"\\u0000([^"\\]*)\\u0000"')


def rewrite(
    value: Any,  # noqa: ANN401 - rows hold anything
    ids: Collection[str],
    numbers: Collection[str],
    dialect: Dialect,
) -> Any:  # noqa: ANN401 - as above
    """Return a row, or a value in it, in the form that the dialect chooses.

    Args:
        value: The stored value.
        ids: Keys of ids at any depth.
        numbers: Keys of numbers at any depth.
        dialect: The forms.
    """
    if isinstance(value, list):
        return [rewrite(item, ids, numbers, dialect) for item in value]
    if not isinstance(value, dict):
        return value
    sent: Row = {}
    for key, held in value.items():
        if key.startswith(HIDDEN) or (held == "" and dialect.empty_form == "absent"):
            continue
        if held == "":
            sent[key] = None if dialect.empty_form == "null" else held
        elif key in ids and isinstance(held, str):
            sent[key] = int(held) if dialect.id_form == "number" else held
        elif key in numbers and isinstance(held, int):
            sent[key] = _number(held, dialect)
        else:
            sent[key] = rewrite(held, ids, numbers, dialect)
    return sent


def encode(body: object) -> bytes:
    """Return a body, or a row of one, as JSON."""
    # The web framework of the real service writes UTF-8, not escapes; but half a pair of
    # surrogates exists as an escape only.
    try:
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        data = json.dumps(body, separators=(",", ":")).encode()
    return _MARKED.sub(rb"\1", data)


def _number(value: int, dialect: Dialect) -> object:
    if dialect.number_form == "dashes":
        return "--"
    return f"{_MARK}{_exponent(value)}{_MARK}" if dialect.number_form == "exponent" else value


def _exponent(value: int) -> str:
    """Return a number as Java writes large ones, such as `2.0213344E8`."""
    digits = str(abs(value))
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[0]}.{digits[1:].rstrip('0') or '0'}E{len(digits) - 1}"
