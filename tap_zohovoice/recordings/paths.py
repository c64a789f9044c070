"""Relative paths of stored files, safe on any file system."""

from __future__ import annotations

import hashlib
import re

_MAX_NAME_BYTES = 180
"""File systems allow 255, and encryption on top of them uses some."""
_MAX_STEM = 80
_DIGEST_LENGTH = 12
_FORBIDDEN = re.compile(r"[/\\:*?\"<>|\[\]]")


def storage_path(start_time: str, name: str) -> str:
    """Return `yyyy/mm/dd/name` for a file and the start of its call, in the form of records.

    A name that could lead elsewhere, or that a file system may refuse, is changed and gets a part
    of its hash, so that no two names have one path.
    """
    return f"{start_time[:10].replace('-', '/')}/{_safe_name(name)}"


def _safe_name(name: str) -> str:
    if _is_safe(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
    stem, dot, suffix = plain.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,8}", suffix):
        stem, dot, suffix = plain, "", ""
    stem = stem.lstrip("._-")[-_MAX_STEM:] or "file"
    return f"{stem}-{digest}{dot}{suffix}"


def _is_safe(name: str) -> bool:
    return bool(
        name.isprintable()  # which lone surrogates and control characters are not
        and not name.startswith((".", " ", "~", "-"))
        and not name.endswith((".", " "))
        and not _FORBIDDEN.search(name)
        and 0 < len(name.encode()) <= _MAX_NAME_BYTES
    )
