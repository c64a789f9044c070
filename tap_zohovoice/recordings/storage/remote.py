"""A folder that fsspec reaches: object stores, servers, memory."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import StorageError
from tap_zohovoice.recordings.storage.base import Draft, Folder, StoredFile, told_plainly

if TYPE_CHECKING:
    from collections.abc import Generator

_PART = re.compile(r"/\.[0-9a-f]{16}\.part$")
_LONGEST_WRITE = dt.timedelta(days=1)


class FsspecStorage(Folder):
    """A folder that fsspec reaches.

    Args:
        system: A file system of fsspec.
        root: The folder, as a path of that file system.
    """

    def __init__(self, system: Any, root: str) -> None:  # noqa: ANN401 - fsspec has no types
        self._system = system
        self._root = root.rstrip("/")
        self._swept: set[str] = set()

    @override
    def find(self, place: str) -> StoredFile | None:
        path = self._path(place)
        with told_plainly():
            try:
                found = self._system.info(path)
            except FileNotFoundError:
                return None
            if found["type"] != "file":
                message = "recordings_path: a folder is where a file should go"
                raise StorageError(message)
            return StoredFile(int(found["size"]), self._modified(path))

    @override
    def uri(self, place: str) -> str:
        return str(self._system.unstrip_protocol(self._path(place)))

    @override
    @contextmanager
    def open(self, place: str) -> Generator[IO[bytes]]:
        with told_plainly(), self._system.open(self._path(place), "rb") as file:
            yield file

    @override
    @contextmanager
    def draft(self, place: str) -> Generator[Draft]:
        path = self._path(place)
        parent = path.rpartition("/")[0]
        part = f"{parent}/.{secrets.token_hex(8)}.part"
        with told_plainly():
            self._system.makedirs(parent, exist_ok=True)
            self._sweep(parent)
            file = self._system.open(part, "wb")
        is_kept = False

        def keep(_moment: dt.datetime) -> None:
            nonlocal is_kept
            file.close()
            try:
                self._system.mv(part, path)
            except Exception:
                if not self._system.exists(path):
                    raise
                self._system.rm_file(path)  # some file systems rename to free names only
                self._system.mv(part, path)
            is_kept = True

        try:
            yield Draft(file.write, keep)
        finally:
            if not is_kept:
                # Closing writes what is there, or fails as writing did; either way it must go.
                with suppress(Exception):
                    file.close()
                with suppress(Exception):
                    self._system.rm_file(part)

    def _sweep(self, parent: str) -> None:
        """Remove what runs that were killed left half-written, once a folder and run.

        There are no locks to tell it from what another run writes now, but its age does.
        """
        if parent in self._swept:
            return
        self._swept.add(parent)
        long_ago = dt.datetime.now(dt.UTC) - _LONGEST_WRITE
        for path in map(str, self._system.ls(parent, detail=False)):
            if _PART.search(path):
                modified = self._modified(path)
                if modified and modified < long_ago:
                    with suppress(FileNotFoundError):  # another run sweeps too
                        self._system.rm_file(path)

    def _path(self, place: str) -> str:
        return f"{self._root}/{place}"

    def _modified(self, path: str) -> dt.datetime | None:
        try:
            modified = self._system.modified(path)
        except Exception:  # noqa: BLE001 - not every file system tells, each fails in its way
            return None
        if not isinstance(modified, dt.datetime):
            return None
        return modified if modified.tzinfo else modified.replace(tzinfo=dt.UTC)
