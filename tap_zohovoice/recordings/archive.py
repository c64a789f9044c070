"""ZIP archives of several files, read in bounded memory whatever sizes they declare."""

import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tap_zohovoice.exceptions import RetryableError
from tap_zohovoice.http.session import CHUNK_SIZE

Archive = dict[str, tuple[int, Iterator[bytes]]]  # size and content of usable files, by name
MAGIC = re.compile(rb"PK(?:\x03\x04|\x05\x06)")  # a marker or white space may precede it
_MAX_READ = 256 * 1024
_METHODS = {ZIP_STORED, ZIP_DEFLATED}  # those that `zipfile` inflates in bounded chunks
_ENCRYPTED = 1  # flag of an entry
_DAMAGED = "the archive is incomplete"
# Exceptions of `zipfile` for invalid data.
_FAULTS = (
    *(BadZipFile, EOFError, OSError, OverflowError, RuntimeError, ValueError),
    *(struct.error, zlib.error),
)


def open_archive(file: IO[bytes]) -> Archive:
    """Open an archive, without the files that are encrypted or have no unique name.

    `RetryableError` is raised if it is damaged, for one file maybe only after its last chunk.
    """
    try:
        archive = ZipFile(_BoundedReader(file))
    except _FAULTS as error:
        raise RetryableError(_DAMAGED, is_unreachable=True) from error
    counts = Counter(map(_file_name, archive.infolist()))
    return {
        _file_name(entry): (entry.file_size, _read(archive, entry))
        for entry in archive.infolist()
        if counts[_file_name(entry)] == 1
        and entry.compress_type in _METHODS
        and not entry.flag_bits & _ENCRYPTED
    }


def _read(archive: ZipFile, entry: ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(entry) as content:
            while chunk := content.read(CHUNK_SIZE):  # checks the CRC at the end
                yield chunk
    except _FAULTS as error:
        raise RetryableError(_DAMAGED, is_unreachable=True) from error


def _file_name(entry: ZipInfo) -> str:
    """Return the last part of the path of an entry, so that no path leads out of a folder."""
    return re.split(r"[/\\]", entry.filename)[-1]


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
