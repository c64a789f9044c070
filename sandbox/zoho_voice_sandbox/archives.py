"""Archives of several files, correct and faulty ones."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoho_voice_sandbox.dialect import Dialect

_MEGABYTE = bytes(1 << 20)
_DECLARED_SIZE = 44
_ENCRYPTED = 1
# Offset of the flags in the header before each entry.
_FLAGS_OFFSET = 6


def build_archive(files: Mapping[str, bytes], dialect: Dialect) -> bytes:
    """Return an archive of files by name, with the fault of the dialect in its last entry."""
    form = dialect.several_files
    last = list(files)[-1]
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            if name != last:
                _write(archive, name, content, form)
            elif form in {"zip_bomb", "zip_lying"}:
                _write_bomb(archive, name, dialect)
            elif form != "zip_missing":
                _write(archive, name, content, form)
        if form == "zip_doubled":
            with warnings.catch_warnings(action="ignore"):
                _write(archive, last, files[last], form)
        if form == "zip_broken":
            _flip_bit(buffer, buffer.tell() - 1, 1)
        if form == "zip_lying":
            archive.infolist()[-1].file_size = _DECLARED_SIZE
        if form == "zip_encrypted":
            _set_encrypted(archive, buffer)
    data = buffer.getvalue()
    return data[: len(data) // 2] if form == "zip_cut" else data


def _write(archive: ZipFile, name: str, content: bytes, form: str) -> None:
    path = f"recordings/2026/{name}" if form == "zip_folders" else name
    archive.writestr(ZipInfo(path), content, ZIP_STORED)


def _write_bomb(archive: ZipFile, name: str, dialect: Dialect) -> None:
    info = ZipInfo(name)
    info.compress_type = ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as entry:
        for _ in range(dialect.bomb_mb):
            entry.write(_MEGABYTE)


def _set_encrypted(archive: ZipFile, buffer: io.BytesIO) -> None:
    """Mark all entries as encrypted; without the password, the content does not matter."""
    for info in archive.infolist():
        info.flag_bits |= _ENCRYPTED
        _flip_bit(buffer, info.header_offset + _FLAGS_OFFSET, _ENCRYPTED)


def _flip_bit(buffer: io.BytesIO, offset: int, bit: int) -> None:
    with buffer.getbuffer() as view:
        view[offset] ^= bit
