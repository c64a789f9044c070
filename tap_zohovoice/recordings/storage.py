"""Storage of files: a local folder, or any file system of fsspec.

A file is written to a temporary local file, and appears under its name when it is complete.
"""

from __future__ import annotations

import datetime as dt
import os
import stat
import sys
import tempfile
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

import fsspec

from tap_zohovoice._compat import override
from tap_zohovoice.config.validation import STORAGE_URL
from tap_zohovoice.exceptions import StorageError, ZohoVoiceError

if sys.platform != "win32":
    from fcntl import LOCK_EX, LOCK_NB, flock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from tempfile import _TemporaryFileWrapper
    from typing import Self

# No stored file begins with a dot, so none is mistaken for a temporary one.
_TEMP_PREFIX, _TEMP_SUFFIX = ".tap-zohovoice-", ".part"
_NOT_A_FILE = "recordings_path: the path of a file exists, but is not a regular file"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Size in bytes, and time of the last change where the storage provides it."""

    size: int
    modified: dt.datetime | None


class Storage(ABC):
    """Files by relative paths with slashes. Every method raises `StorageError` on failure."""

    @abstractmethod
    def stat(self, path: str) -> StoredFile | None:
        """Return size and time of a file; None if it does not exist."""

    @abstractmethod
    def uri(self, path: str) -> str:
        """Return the URI of a file."""

    @abstractmethod
    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file for reading."""

    @abstractmethod
    def write_atomic(self, path: str) -> AtomicFile:
        """Open a temporary file that becomes `path` when it is committed."""

    @abstractmethod
    def temp_folder(self) -> Path:
        """Return a local folder that has room for a file."""

    @contextmanager
    def open_scratch(self) -> Generator[IO[bytes]]:
        """Open a local file without a name, which is gone after the block."""
        with storage_errors():
            file = tempfile.TemporaryFile(  # noqa: SIM115 - closing it can fail
                prefix=_TEMP_PREFIX, suffix=_TEMP_SUFFIX, dir=self.temp_folder()
            )
        try:
            yield file
        finally:
            with suppress(OSError):  # on a full disk, what is left to write fails again
                file.close()


@dataclass(eq=False, repr=False)
class AtomicFile:
    """Context manager of a temporary file in a folder, removed unless it is committed."""

    folder: Path
    publish: Callable[[Path], object]

    def __enter__(self) -> Self:
        """Create the temporary file."""
        with storage_errors():
            self._file = _create_temp(self.folder)
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the temporary file."""
        with suppress(OSError):  # a full disk may be why it was not committed
            self._file.close()
        with suppress(OSError):
            Path(self._file.name).unlink()

    def write(self, data: bytes) -> None:
        """Append data; raises `StorageError`."""
        with storage_errors():
            self._file.write(data)

    def commit(self, modified: dt.datetime) -> None:
        """Publish the file with this time of change, in place of an older one.

        Raises:
            StorageError: If the file cannot be published.
        """
        with storage_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            os.utime(self._file.name, (modified.timestamp(), modified.timestamp()))
            if sys.platform == "win32":
                self._file.close()  # an open file cannot be renamed there
            self.publish(Path(self._file.name))


class LocalStorage(Storage):
    """A local folder; what is created in it is accessible to its owner alone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cleaned: set[Path] = set()

    @override
    def stat(self, path: str) -> StoredFile | None:
        target = self._root / path
        with storage_errors():
            if target.parent not in self._cleaned:
                self._cleaned.add(target.parent)
                _remove_stale_files(target.parent)
            try:
                found = target.stat()
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(found.st_mode):
                raise StorageError(_NOT_A_FILE)
            return StoredFile(found.st_size, dt.datetime.fromtimestamp(found.st_mtime, dt.UTC))

    @override
    def uri(self, path: str) -> str:
        return (self._root / path).as_uri()

    @override
    @contextmanager
    def open(self, path: str) -> Generator[IO[bytes]]:
        with storage_errors(), (self._root / path).open("rb") as file:
            yield file

    @override
    def write_atomic(self, path: str) -> AtomicFile:
        target = self._root / path
        with storage_errors():
            _mkdir_private(target.parent)
        return AtomicFile(target.parent, lambda temp: temp.replace(target))

    @override
    def temp_folder(self) -> Path:
        _mkdir_private(self._root)
        return self._root  # the system's folder may be in memory


class FsspecStorage(Storage):
    """A folder of a file system of fsspec."""

    def __init__(self, filesystem: Any, root: str) -> None:  # noqa: ANN401 - fsspec is untyped
        self._fs = filesystem
        self._root = root.rstrip("/")
        _remove_stale_files(self.temp_folder())

    @override
    def stat(self, path: str) -> StoredFile | None:
        target = self._full(path)
        with storage_errors():
            try:
                found = self._fs.info(target)
            except FileNotFoundError:
                return None
            if found["type"] != "file":
                raise StorageError(_NOT_A_FILE)
            return StoredFile(int(found["size"]), self._modified(target))

    @override
    def uri(self, path: str) -> str:
        return str(self._fs.unstrip_protocol(self._full(path)))

    @override
    @contextmanager
    def open(self, path: str) -> Generator[IO[bytes]]:
        with storage_errors(), self._fs.open(self._full(path), "rb") as file:
            yield file

    @override
    def write_atomic(self, path: str) -> AtomicFile:
        target = self._full(path)
        return AtomicFile(self.temp_folder(), lambda temp: self._put(str(temp), target))

    @override
    def temp_folder(self) -> Path:
        return Path(tempfile.gettempdir())

    def _put(self, source: str, target: str) -> None:
        try:
            self._fs.put_file(source, target)
        except FileNotFoundError:  # a missing folder, which object stores do without
            if not self._fs.exists(target.partition("/")[0] or "/"):
                raise  # a bucket is not created for a misspelt address
            self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._fs.put_file(source, target)
        except FileExistsError:  # adlfs does not replace a file by default
            self._fs.rm_file(target)
            self._fs.put_file(source, target)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _modified(self, target: str) -> dt.datetime | None:
        try:
            modified = self._fs.modified(target)
        except Exception:  # noqa: BLE001 - unsupported, by an error of each driver's own
            return None
        if not isinstance(modified, dt.datetime):
            return None
        return modified if modified.tzinfo else modified.replace(tzinfo=dt.UTC)


@contextmanager
def storage_errors() -> Generator[None]:
    """Turn errors of file systems and drivers into `StorageError`, without their text."""
    try:
        yield
    except ZohoVoiceError:
        raise
    except Exception as error:
        # Drivers put names and addresses even into `strerror`.
        code = error.errno if isinstance(error, OSError) else None
        message = f"recordings_path: {os.strerror(code) if code else type(error).__name__}"
        raise StorageError(message) from error


def open_storage(path: str) -> Storage:
    """Open the storage at a local path or a URL of fsspec, such as `s3://bucket/calls`.

    Raises:
        StorageError: If the file system of the URL cannot be opened.
    """
    if path.lower().startswith("file:///"):
        path = unquote(path[len("file://") :])
    if not STORAGE_URL.match(path):
        return LocalStorage(Path(path).expanduser().absolute())
    with storage_errors():
        return FsspecStorage(*fsspec.core.url_to_fs(path))


def _create_temp(folder: Path) -> _TemporaryFileWrapper[bytes]:
    """Create a file of mode 0600, locked so that other runs do not take it for a stale one."""
    while True:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by the caller
            prefix=_TEMP_PREFIX, suffix=_TEMP_SUFFIX, dir=folder, delete=False
        )
        with suppress(OSError):  # without locks, no other run removes it either
            _lock(file, wait=True)
        if sys.platform == "win32" or os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another run removed it before it was locked


def _lock(file: IO[bytes], *, wait: bool) -> None:
    if sys.platform != "win32":  # where an open file cannot be removed anyway
        flock(file, LOCK_EX if wait else LOCK_EX | LOCK_NB)


def _remove_stale_files(folder: Path) -> None:
    """Remove the temporary files of killed runs: those that are not locked any more."""
    for path in folder.glob(f"{_TEMP_PREFIX}*{_TEMP_SUFFIX}"):
        with suppress(OSError):
            if path.is_file():  # to open a pipe could block
                with path.open("rb") as file:
                    _lock(file, wait=False)
                    path.unlink()


def _mkdir_private(folder: Path) -> None:
    """Create a folder and its parents with mode 0700; `Path.mkdir` gives parents another one."""
    if not folder.is_dir():
        _mkdir_private(folder.parent)
        folder.mkdir(0o700, exist_ok=True)
