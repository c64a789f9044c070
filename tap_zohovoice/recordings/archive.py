"""ZIP archives of several files, read in bounded memory whatever sizes they declare."""

import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tap_zohovoice.exceptions import ArchiveError
from tap_zohovoice.http.body import CHUNK_SIZE
from tap_zohovoice.recordings.audio import SNIFF_BYTES

_MAGIC = re.compile(rb"PK(?:\x03\x04|\x05\x06)")
"""First bytes of an archive; the second form is that of an empty one."""
MAX_ENTRIES = 100
_MAX_READ = 256 * 1024
_METHODS = {ZIP_STORED, ZIP_DEFLATED}
"""Compressions that `zipfile` inflates in bounded chunks; it does not bound the others."""
# Exceptions of `zipfile` for invalid data.
_FAULTS = (
    *(BadZipFile, EOFError, OSError, OverflowError, RuntimeError, ValueError),
    *(struct.error, zlib.error),
)


def is_archive(head: bytes) -> bool:
    """Return whether a body is an archive, also after a marker or white space."""
    return bool(_MAGIC.search(head[:SNIFF_BYTES]))


class Archive:
    """The entries of an archive, by the names of their files.

    `ArchiveError` is raised if it is invalid, is truncated or has too many entries.
    """

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._zip = ZipFile(_BoundedReader(file))
        except _FAULTS as error:
            raise ArchiveError from error
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise ArchiveError
        self._entries: defaultdict[str, list[ZipInfo]] = defaultdict(list)
        for entry in entries:
            path = entry.filename
            with suppress(UnicodeError):  # many programs write UTF-8 without the flag for it
                path = path.encode("cp437").decode()
            # Folders of the archive are ignored, so that no path leads to one of this machine.
            self._entries[re.split(r"[/\\]", path)[-1]].append(entry)

    def read(self, name: str) -> Iterator[bytes]:
        """Iterate over the content of a file in chunks, up to the size that its entry declares.

        `ArchiveError` is raised if it is missing, duplicate, encrypted or damaged; the last may be
        found only after the last chunk.
        """
        found = self._entries[name]
        if len(found) != 1 or found[0].compress_type not in _METHODS:
            raise ArchiveError
        try:
            with self._zip.open(found[0]) as content:
                while chunk := content.read(CHUNK_SIZE):  # checks the CRC at the end
                    yield chunk
        except _FAULTS as error:
            raise ArchiveError from error


class _BoundedReader:
    """A file with a limit for each read: `zipfile` reads the whole list of entries at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seekable, self.tell = file.seekable, file.tell

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int | None = -1, /) -> bytes:
        limit = _MAX_READ + 1
        data = self._file.read(limit if size is None or not 0 <= size < limit else size)
        if len(data) == limit:
            raise BadZipFile
        return data
