"""What a folder must be able to do, so that nothing half-written is ever found in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from tap_zohovoice.exceptions import StorageError, ZohoVoiceError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is there.

    Attributes:
        size: Its size, in bytes.
        modified: When it was written; None where the folder does not tell.
    """

    size: int
    modified: dt.datetime | None


class Draft:
    """A file being written under a temporary name; it is gone unless it is kept.

    Args:
        write: Appends bytes.
        keep: Gives the file its name.
    """

    def __init__(
        self, write: Callable[[bytes], object], keep: Callable[[dt.datetime], None]
    ) -> None:
        self._write = write
        self._keep = keep

    def write(self, data: bytes) -> None:
        """Append to the file.

        Args:
            data: What to append.

        Raises:
            StorageError: If that fails.
        """
        with told_plainly():
            self._write(data)

    def keep(self, moment: dt.datetime) -> None:
        """Give the file its name, now that it is whole.

        Args:
            moment: When it was fetched, for the file to bear.

        Raises:
            StorageError: If that fails; the file is not there then.
        """
        with told_plainly():
            self._keep(moment)


class Folder(ABC):
    """A folder of files that are whole. All places are relative to it, with slashes.

    Every method raises `StorageError` if the folder is of no use.
    """

    @abstractmethod
    def find(self, place: str) -> StoredFile | None:
        """Look for a file.

        Args:
            place: Where it would be.
        """

    @abstractmethod
    def uri(self, place: str) -> str:
        """Return the address of a file.

        Args:
            place: Where it is.
        """

    @abstractmethod
    def open(self, place: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file for reading.

        Args:
            place: Where it is.
        """

    @abstractmethod
    def draft(self, place: str) -> AbstractContextManager[Draft]:
        """Begin to write a file.

        Args:
            place: Where it goes once it is whole.
        """


@contextmanager
def told_plainly() -> Generator[None]:
    """Turn what a file system raises into one plain line without names of files.

    Raises:
        StorageError: If the block fails.
    """
    try:
        yield
    except ZohoVoiceError:
        raise
    except OSError as error:
        message = f"recordings_path: {error.strerror or type(error).__name__}"
        raise StorageError(message) from error
    except Exception as error:  # drivers of fsspec raise errors of their own
        message = f"recordings_path: the folder cannot be used ({type(error).__name__})"
        raise StorageError(message) from error
