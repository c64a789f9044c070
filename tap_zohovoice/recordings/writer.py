"""Writing of received files: which are needed, and which are complete."""

import datetime as dt
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from tap_zohovoice._time import Clock, format_timestamp
from tap_zohovoice.exceptions import RetryableError, ZohoVoiceError
from tap_zohovoice.http.body import CHUNK_SIZE
from tap_zohovoice.recordings.audio import SNIFF_BYTES, guess_audio_type
from tap_zohovoice.recordings.storage import Storage, StoredFile, storage_errors, storage_path

Fields = dict[str, Any]
MAX_DECLARED_SIZE = 2**40
MIN_WRONG_SIZES = 3
"""Files of another size than declared, after which declared sizes are ignored."""
_LOGGER = logging.getLogger("tap-zohovoice.recordings")


@dataclass(slots=True)
class Download:
    """A file to download, and what its responses were like."""

    name: str
    path: str
    start_time: str  # of its call, in the form of records
    declared_size: int | None
    stored: StoredFile | None
    short_digest: str = ""  # SHA-256 of the last response that was shorter than declared
    is_recheck: bool = False
    """Whether it is stored, and requested once more because it may have grown."""
    is_provisional: bool = False
    """Whether it may not be whole, so that a later run must request it once more."""

    @property
    def stored_at(self) -> dt.datetime | None:
        """When the stored file was downloaded; None if the storage does not say."""
        return self.stored.modified if self.stored else None


@dataclass(eq=False, repr=False)
class FileWriter:
    """Writes files to the storage, if they are complete and not stored already.

    It counts the results `fetched` and `skipped`.
    """

    storage: Storage
    _: KW_ONLY
    max_bytes: int
    results: Counter[str]
    clock: Clock
    _sizes: Counter[bool] = field(default_factory=Counter, init=False)
    """Number of declared sizes that were right, and that were wrong."""

    def prepare(self, name: str, start_time: str, declared_size: int | None) -> Download:
        """Look up whether a file is stored; `declared_size` is that of its log, in bytes."""
        path = storage_path(start_time, name)
        is_possible = declared_size is not None and 0 < declared_size <= MAX_DECLARED_SIZE
        return Download(
            name.encode("utf-8", "backslashreplace").decode(),  # no URL holds a lone surrogate
            path,
            start_time,
            declared_size if is_possible else None,
            self.storage.stat(path),
        )

    def is_unchanged(self, download: Download) -> bool:
        """Return whether a file is stored, with the size that its log declares."""
        stored, size = download.stored, self.expected_size(download)
        return bool(stored and stored.size and size in {None, stored.size})

    def expected_size(self, download: Download) -> int | None:
        """Return the size that a log declares; None if it does not, or if all logs are wrong."""
        are_ignored = self._sizes[False] >= MIN_WRONG_SIZES and not self._sizes[True]
        return None if are_ignored else download.declared_size

    def write(
        self,
        download: Download,
        chunks: Iterable[bytes],
        kind: str,
        *,
        is_whole: bool,
        max_bytes: int | None = None,
    ) -> Fields:
        """Store a file of some media type, and return the fields of its record.

        `is_whole` says whether the server said where the file ends; `max_bytes` is the largest size
        of the file, if that is less than for other files.

        Raises:
            RetryableError: If the file is incomplete.
            ZohoVoiceError: If it is too big, or the storage fails.
        """
        size, digest = 0, hashlib.sha256()
        limit = min(self.max_bytes, max_bytes or self.max_bytes)
        with self.storage.open_temporary(download.path) as file:
            for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise self.too_big()
                digest.update(chunk)
                with storage_errors():
                    file.write(chunk)
            if self.is_stored(download, size):
                return self.already_stored(download)
            self._check_whole(download, size, digest.hexdigest(), is_whole=is_whole)
            downloaded_at = self.clock.utcnow()
            self.storage.publish(file, download.path, downloaded_at)
        download.is_provisional &= self.expected_size(download) is None
        self.results["fetched"] += 1
        return self._fields(download, size, digest.hexdigest(), kind, downloaded_at)

    def is_stored(self, download: Download, size: int | None) -> bool:
        """Return whether the stored file has this size, or should not be replaced by a part."""
        stored = download.stored
        if stored is None or size is None:
            return False
        if size != stored.size and not (download.is_recheck and size < stored.size):
            return False
        self._compare_size(download.declared_size, size)
        download.is_provisional = False
        return True

    def _check_whole(self, download: Download, size: int, digest: str, *, is_whole: bool) -> None:
        """Raise an error if a file is short, unless its response says twice that it is whole."""
        is_short = size < (self.expected_size(download) or 0)
        if is_short and not (is_whole and digest == download.short_digest):
            download.short_digest = digest
            reason = "the file is shorter than the call log declares"
            raise truncated(reason)
        if is_whole:
            self._compare_size(download.declared_size, size)

    def _compare_size(self, declared: int | None, size: int) -> None:
        """Compare a declared size with the size of the whole file."""
        if declared is None:
            return
        if size != declared and not self._sizes[False]:
            text = "The call log declares %d bytes for a file of %d bytes; keeping the file"
            _LOGGER.warning(text, declared, size)
        self._sizes[size == declared] += 1

    def too_big(self) -> ZohoVoiceError:
        """Return the error of a file that is too big."""
        limit = self.max_bytes // 1024**2
        return unusable(f"the file is larger than recordings_max_mb ({limit})")

    def already_stored(self, download: Download) -> Fields:
        """Return the fields of the record of a file that is stored."""
        self.results["skipped"] += 1
        digest, head, size = hashlib.sha256(), b"", 0
        with self.storage.open(download.path) as file:
            while chunk := file.read(CHUNK_SIZE):
                head = head or chunk
                size += len(chunk)
                digest.update(chunk)
        kind = guess_audio_type(head)
        return self._fields(download, size, digest.hexdigest(), kind, download.stored_at)

    def _fields(
        self, download: Download, size: int, digest: str, kind: str | None, at: dt.datetime | None
    ) -> Fields:
        return {
            "uri": self.storage.uri(download.path),
            "bytes": size,
            "sha256": digest,
            "content_type": kind,
            "downloaded_at": format_timestamp(at) if at else None,
        }


def read_head(chunks: Iterable[bytes]) -> bytes:
    """Read the bytes that show the media type of a file, or all if it is shorter."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= SNIFF_BYTES:
            break
    return head


def truncated(summary: str) -> RetryableError:
    """Return the error of a response that is not whole."""
    return RetryableError(f"Zoho Voice: {summary}", summary=summary, is_unreachable=True)


def unusable(summary: str) -> ZohoVoiceError:
    """Return the error of a response that is whole, but not what was requested."""
    return ZohoVoiceError(f"Zoho Voice: {summary}", summary=summary)
