"""Where a file is kept: below one folder, whatever the server calls it."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 180
"""Bytes of a name; file systems take 255, and encryption on top of them takes some."""
_DIGITS = 12
_KEPT = 80
_FORBIDDEN = re.compile(r"[/\\:*?\"<>|\[\]]")
# Names of devices, in any folder and with any suffix, on one well-known system.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def storage_path(start_time: str, name: str) -> str:
    """Tell where a file is kept.

    Args:
        start_time: When its call started, in the text form of records.
        name: The file's name as the server sends it.

    Returns:
        A relative path `yyyy/mm/dd/name` with slashes, in which only the name is the server's. A
        name that could lead elsewhere, or that a file system may refuse, is changed, and then
        holds a part of its own hash, so that no two names become one.
    """
    return f"{start_time[:10].replace('-', '/')}/{_safe(name)}"


def _safe(name: str) -> str:
    if _is_safe(name):
        return name
    raw = name.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(raw).hexdigest()[:_DIGITS]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
    stem, dot, suffix = plain.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,8}", suffix):
        stem, dot, suffix = plain, "", ""
    stem = stem.lstrip("._-")[-_KEPT:] or "file"
    return f"{stem}-{digest}{dot}{suffix}"


def _is_safe(name: str) -> bool:
    return bool(
        name.isprintable()  # which lone surrogates and control characters are not
        and not name.startswith((".", " ", "~", "-"))
        and not name.endswith((".", " "))
        and not _FORBIDDEN.search(name)
        and not _DEVICE.fullmatch(name)
        and 0 < len(name.encode()) <= _LONGEST
    )
