"""Storage of files: a local folder, or any file system of fsspec.

A file is written to a temporary local file, and appears under its name when it is complete.
"""

import datetime as dt
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import unquote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from tap_zohovoice._compat import override
from tap_zohovoice.config.validation import STORAGE_URL
from tap_zohovoice.exceptions import StorageError
from tap_zohovoice.http.session import CHUNK_SIZE

if sys.platform != "win32":
    from fcntl import LOCK_EX, LOCK_NB, flock

# No stored file begins with a dot, so none is mistaken for a temporary one.
_TEMP_PREFIX, _TEMP_SUFFIX = ".tap-zohovoice-", ".part"
_SAFE_NAME = re.compile(r"(?![. ~-])[^/\\:*?\"<>|\[\]]+(?<![. ])")
_MAX_NAME_BYTES = 180  # file systems allow 255, and encryption on top of them uses some


class StoredFile(NamedTuple):
    """What the storage has of a file."""

    size: int  # in bytes; 0 if it does not exist
    modified: dt.datetime | None = None  # time of the last change, where the storage provides it


class Storage:
    """A folder of a file system of fsspec, with files by relative paths with slashes.

    Every method raises `StorageError` on failure.
    """

    def __init__(self, filesystem: Any, root: str, temp_folder: str = "") -> None:  # noqa: ANN401 - fsspec is untyped
        self._fs = filesystem
        self._root = root.rstrip("/")
        self._temp_folder = Path(temp_folder or tempfile.gettempdir())
        # Those of killed runs are not locked any more.
        for path in self._temp_folder.glob(f"{_TEMP_PREFIX}*{_TEMP_SUFFIX}"):
            with suppress(OSError), path.open("rb") as file:
                _lock(file)
                path.unlink()

    def stat(self, path: str) -> StoredFile:
        """Return size and time of a file."""
        target = self._full(path)
        with storage_errors(), suppress(FileNotFoundError):
            return StoredFile(int(self._fs.info(target)["size"]), self._modified(target))
        return StoredFile(0)

    def uri(self, path: str) -> str:
        """Return the URI of a file."""
        return str(self._fs.unstrip_protocol(self._full(path)))

    def read(self, path: str) -> Iterator[bytes]:
        """Iterate over the content of a file."""
        with storage_errors(), self._fs.open(self._full(path), "rb") as file:
            yield from iter(lambda: file.read(CHUNK_SIZE), b"")

    @contextmanager
    def open_temporary(self) -> Generator[IO[bytes]]:
        """Open a local file, which is removed after the block unless it is published."""
        with storage_errors():
            _mkdir_private(self._temp_folder)
            file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closing it can fail
                prefix=_TEMP_PREFIX, suffix=_TEMP_SUFFIX, dir=self._temp_folder, delete=False
            )
        with suppress(OSError):  # without locks, no other run removes it either
            _lock(file)
        try:
            yield file
        finally:
            with suppress(OSError):  # on a full disk, the flush of the rest fails again
                file.close()
            with suppress(OSError):
                Path(file.name).unlink()

    def publish(self, file: IO[bytes], path: str, modified: dt.datetime) -> None:
        """Store a temporary file with this time of change, in place of an older one."""
        with storage_errors():
            file.flush()
            os.fsync(file.fileno())
            os.utime(file.name, (modified.timestamp(), modified.timestamp()))
            if sys.platform == "win32":
                file.close()  # an open file cannot be renamed there
            self._put(file.name, self._full(path))

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _put(self, temp: str, target: str) -> None:
        try:
            self._fs.put_file(temp, target)
        except FileNotFoundError:  # a missing folder, which object stores do without
            if not self._fs.exists(target.partition("/")[0] or "/"):
                raise  # do not create a bucket for a misspelt address
            self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._fs.put_file(temp, target)
        except FileExistsError:  # adlfs does not replace a file by default
            self._fs.rm_file(target)
            self._fs.put_file(temp, target)

    def _modified(self, target: str) -> dt.datetime | None:
        with suppress(Exception):  # unsupported, by an error or a value of each driver's own
            modified: dt.datetime = self._fs.modified(target)
            return modified if modified.tzinfo else modified.replace(tzinfo=dt.UTC)
        return None


class LocalStorage(Storage):
    """A local folder; what is created in it is accessible to its owner alone."""

    def __init__(self, root: Path) -> None:
        # Temporary files are in the same file system, and the system's folder may be in memory.
        super().__init__(LocalFileSystem(), str(root), str(root))

    @override
    def uri(self, path: str) -> str:
        return Path(self._full(path)).as_uri()

    @override
    def _put(self, temp: str, target: str) -> None:
        _mkdir_private(Path(target).parent)
        Path(temp).replace(target)


@contextmanager
def storage_errors() -> Generator[None]:
    """Turn errors of file systems and drivers into `StorageError`, without their text."""
    try:
        yield
    except Exception as error:
        # Drivers put names and addresses even into `strerror`.
        code = (error.errno or 0) if isinstance(error, OSError) else 0  # negative for host names
        message = f"recordings_path: {os.strerror(code) if code > 0 else type(error).__name__}"
        raise StorageError(message) from error


def open_storage(path: str) -> Storage:
    """Open the storage at a local path or a URL of fsspec, such as `s3://bucket/calls`."""
    if path.lower().startswith("file:///"):
        path = unquote(path[len("file://") :])
    with storage_errors():
        if not STORAGE_URL.match(path):
            return LocalStorage(Path(path).expanduser().absolute())  # `~name` may be unknown
        return Storage(*fsspec.core.url_to_fs(path))


def storage_path(start_time: str, name: str) -> str:
    """Return `yyyy/mm/dd/name` for a file and the start of its call, in the form of records.

    A hash replaces a name that could lead elsewhere, or that a file system may refuse.
    """
    folder = start_time[:10].replace("-", "/")
    # Lone surrogates and control characters are not printable.
    if _SAFE_NAME.fullmatch(name) and name.isprintable() and len(name.encode()) <= _MAX_NAME_BYTES:
        return f"{folder}/{name}"
    suffix = re.search(r"\.[A-Za-z0-9]{1,8}\Z", name)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{folder}/{digest}{suffix[0] if suffix else ''}"


def _lock(file: IO[bytes]) -> None:
    if sys.platform != "win32":  # where an open file cannot be removed anyway
        flock(file, LOCK_EX | LOCK_NB)


def _mkdir_private(folder: Path) -> None:
    """Create a folder and its parents with mode 0700; `Path.mkdir` gives parents another one."""
    if not folder.is_dir():
        _mkdir_private(folder.parent)
        folder.mkdir(0o700, exist_ok=True)
