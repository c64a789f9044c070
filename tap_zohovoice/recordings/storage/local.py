"""A folder of this machine."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import stat
import sys
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import StorageError
from tap_zohovoice.recordings.storage.base import Draft, Folder, StoredFile, told_plainly

if sys.platform != "win32":
    from fcntl import LOCK_EX, LOCK_NB, flock

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_PRIVATE = 0o700
_PART = ".part"


class LocalStorage(Folder):
    """A folder of this machine; what is made in it can be read by its owner alone.

    Args:
        path: The folder; it is made when the first file comes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._swept: set[Path] = set()

    @override
    def find(self, place: str) -> StoredFile | None:
        with told_plainly():
            path = self._path / place
            self._sweep(path.parent)
            try:
                found = path.stat()
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(found.st_mode):
                message = "recordings_path: something that is no file is where one should go"
                raise StorageError(message)
            return StoredFile(found.st_size, dt.datetime.fromtimestamp(found.st_mtime, dt.UTC))

    @override
    def uri(self, place: str) -> str:
        return (self._path / place).as_uri()

    @override
    @contextmanager
    def open(self, place: str) -> Generator[IO[bytes]]:
        with told_plainly(), (self._path / place).open("rb") as file:
            yield file

    @override
    @contextmanager
    def draft(self, place: str) -> Generator[Draft]:
        path = self._path / place
        with told_plainly():
            _make(path.parent)
            self._sweep(path.parent)
            part, file = _new_part(path.parent)

        def keep(moment: dt.datetime) -> None:
            file.flush()
            os.fsync(file.fileno())
            os.utime(part, (moment.timestamp(), moment.timestamp()))
            if sys.platform == "win32":
                file.close()  # what is open cannot be renamed there
            part.replace(path)

        try:
            yield Draft(file.write, keep)
        finally:
            with suppress(OSError):  # a full disk may be why it is given up
                file.close()
            with suppress(OSError):
                part.unlink()

    def _sweep(self, folder: Path) -> None:
        """Remove what runs that were killed left half-written, once a folder and run."""
        if folder in self._swept:
            return
        self._swept.add(folder)
        for part in folder.glob(f".{16 * '[0-9a-f]'}{_PART}"):
            with suppress(OSError):
                if not stat.S_ISREG(part.lstat().st_mode):
                    continue  # others may wait for ever when they are opened
                with part.open("rb") as file:
                    _claim(file)
                    part.unlink()


def _new_part(folder: Path) -> tuple[Path, IO[bytes]]:
    """Make a file with a temporary name, and claim it."""
    while True:
        # No name of the server begins with a dot, so none is taken for a temporary one.
        part = folder / f".{secrets.token_hex(8)}{_PART}"
        file = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        try:
            _claim(file)
        except BlockingIOError:
            pass  # another run sweeps it away
        except OSError:
            return part, file  # a file system without locks, so nobody sweeps
        else:
            if sys.platform == "win32" or os.fstat(file.fileno()).st_nlink:
                return part, file
        file.close()


def _claim(file: IO[bytes]) -> None:
    """Say that somebody is at a file, or find out that somebody is.

    Raises:
        OSError: If another process claimed it before.
    """
    if sys.platform != "win32":  # there, nobody can remove what is open
        flock(file, LOCK_EX | LOCK_NB)


def _make(folder: Path) -> None:
    """Make a folder and those above it, each for its owner alone."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(_PRIVATE, exist_ok=True)
