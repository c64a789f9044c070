"""Text that every target can store."""

from __future__ import annotations

import re
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_MARK = "\N{REPLACEMENT CHARACTER}"


def storable(value: Any) -> Any:  # noqa: ANN401
    """Replace what databases refuse: U+0000 and halves of surrogate pairs.

    JSON can carry both. PostgreSQL stores neither, and half a pair cannot be written in UTF-8 at
    all; so one such character in one name would stop every run at the same call, for ever.

    Args:
        value: Anything that JSON can hold.

    Returns:
        The same, with U+FFFD in the place of each such character, in keys as well.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub(_MARK, value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        stored: dict[str, Any] = {}
        for name, item in value.items():
            key = storable(name)
            while key in stored:
                key += "_"
            stored[key] = storable(item)
        return stored
    return value
