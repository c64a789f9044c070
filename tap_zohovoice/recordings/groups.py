"""Groups of files: in the order of the records, and those of each that one request may ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_zohovoice.recordings.writer import Download, FileWriter

MAX_BYTES = 1024**3
"""Of the files of one request: 1 GB. Source: documentation."""
MAX_NAME_CHARS = 10_000
"""Of the names of one request, with their commas. Source: documentation."""
_MAX_DOWNLOADS = 100
"""Files of a group, stored ones included, so that records are not held back for long."""
_SEPARATOR = re.compile(r"[,/\\]")


@dataclass(slots=True)
class Group:
    """Files whose records are emitted together."""

    downloads: list[Download] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Names of those that one request asks for."""
    max_bytes: int = 0
    """Size that the response to it may have."""


def iter_groups(
    downloads: Iterable[Download], writer: FileWriter, limit: Callable[[], int]
) -> Iterator[Group]:
    """Iterate over groups of files, in their order; each is made when the one before is done.

    `limit` returns how many files one request may ask for now.
    """
    group = Group()
    for download in downloads:
        size = writer.expected_size(download) or writer.max_bytes
        is_wanted = download.is_text and not writer.is_unchanged(download)
        if is_wanted and limit() > 1 and _is_listable(download.name) and size <= writer.max_bytes:
            names = quote(",".join([*group.names, download.name]), safe=",")
            if len(names) >= MAX_NAME_CHARS or group.max_bytes + size > MAX_BYTES:
                yield group
                group = Group()
            group.names.append(download.name)
            group.max_bytes += size
        group.downloads.append(download)
        is_full = len(group.names) >= limit() or len(group.downloads) >= _MAX_DOWNLOADS
        if is_full or not group.names:
            yield group
            group = Group()
    if group.downloads:
        yield group


def _is_listable(name: str) -> bool:
    """Return whether a name is the same in a list, and as the last part of a path."""
    return name.isprintable() and name == name.strip() and not _SEPARATOR.search(name)
