"""Relative paths of stored files, safe on any file system."""

from __future__ import annotations

import hashlib
import re

_SAFE = re.compile(r"(?![. ~-])[^/\\:*?\"<>|\[\]]+(?<![. ])")
_MAX_NAME_BYTES = 180
"""File systems allow 255, and encryption on top of them uses some."""
_MAX_STEM = 80
_DIGEST_LENGTH = 12


def storage_path(start_time: str, name: str) -> str:
    """Return `yyyy/mm/dd/name` for a file and the start of its call, in the form of records.

    A name that could lead elsewhere, or that a file system may refuse, is changed and gets a part
    of its hash, so that no two names have one path.
    """
    folder = start_time[:10].replace("-", "/")
    # Lone surrogates and control characters are not printable.
    if _SAFE.fullmatch(name) and name.isprintable() and len(name.encode()) <= _MAX_NAME_BYTES:
        return f"{folder}/{name}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
    found = re.search(r"\.[A-Za-z0-9]{1,8}\Z", plain)
    suffix = found[0] if found else ""
    stem = plain.removesuffix(suffix).lstrip("._-")[-_MAX_STEM:] or "file"
    return f"{folder}/{stem}-{digest}{suffix}"
