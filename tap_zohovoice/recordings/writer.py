"""Writing of received files: which are needed, and which are complete."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections import Counter
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import RetryableError, ZohoVoiceError
from tap_zohovoice.http.body import CHUNK_SIZE
from tap_zohovoice.recordings.audio import SNIFF_BYTES, guess_audio_type
from tap_zohovoice.recordings.paths import storage_path

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from tap_zohovoice._time import Clock
    from tap_zohovoice.recordings.storage import Storage, StoredFile

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
    declared_size: int | None
    stored: StoredFile | None
    short_digest: str = ""
    """SHA-256 of the last response that was shorter than declared."""
    start_time: str = ""
    """Start of its call, in the form of records."""
    is_recheck: bool = False
    """Whether it is stored, and requested once more because it may have grown."""
    is_provisional: bool = False
    """Whether it may not be whole, so that a later run must request it once more."""

    @property
    def stored_at(self) -> dt.datetime | None:
        """When the stored file was downloaded; None if the storage does not say."""
        return self.stored.modified if self.stored else None

    @property
    def is_text(self) -> bool:
        """Whether a URL can hold the name."""
        return not any("\ud800" <= char <= "\udfff" for char in self.name)


class DeclaredSizes:
    """Compares declared sizes with those of the files."""

    def __init__(self) -> None:
        self._results: Counter[bool] = Counter()

    @property
    def are_ignored(self) -> bool:
        """Whether declared sizes are unusable: several were wrong, and none was right."""
        return self._results[False] >= MIN_WRONG_SIZES and not self._results[True]

    def validate(self, declared: int | None) -> int | None:
        """Return a declared size; None if it cannot be one."""
        is_possible = declared is not None and 0 < declared <= MAX_DECLARED_SIZE
        return declared if is_possible else None

    def is_unknown(self, declared: int | None) -> bool:
        """Return whether it is not known how long a file should be."""
        return declared is None or self.are_ignored

    def compare(self, declared: int | None, size: int) -> None:
        """Compare a declared size with the size of the whole file."""
        if declared is None:
            return
        is_right = size == declared
        if not is_right and not self._results[False]:
            _LOGGER.warning(
                "The call log declares %d bytes for a file of %d bytes; keeping the file",
                declared,
                size,
            )
        self._results[is_right] += 1


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
    sizes: DeclaredSizes = field(default_factory=DeclaredSizes)

    def prepare(self, name: str, start_time: str, declared_size: int | None) -> Download:
        """Look up whether a file is stored; `declared_size` is that of its log, in bytes.

        Raises:
            StorageError: If the storage fails.
        """
        path, size = storage_path(start_time, name), self.sizes.validate(declared_size)
        download = Download(name, path, size, stored=None, start_time=start_time)
        if download.is_text:
            download.stored = self.storage.stat(path)
        return download

    def is_unchanged(self, download: Download) -> bool:
        """Return whether a file is stored, with the size that its log declares."""
        stored, size = download.stored, self.expected_size(download)
        return bool(stored and stored.size and size in {None, stored.size})

    def expected_size(self, download: Download) -> int | None:
        """Return the size that a log declares; None if it does not, or if logs are often wrong."""
        return None if self.sizes.are_ignored else download.declared_size

    def write(  # noqa: PLR0913 - a file has many parts
        self,
        download: Download,
        chunks: Iterator[bytes],
        head: bytes,
        kind: str | None,
        *,
        is_whole: bool,
        max_bytes: int | None = None,
    ) -> Fields:
        """Store a file, and return the fields of its record.

        Args:
            download: The file.
            chunks: Its content behind `head`.
            head: The start of its content.
            kind: Its media type.
            is_whole: Whether the server said where the file ends.
            max_bytes: Its largest size, if that is less than for other files.

        Raises:
            StorageError: If the storage fails.
            RetryableError: If the file is incomplete.
            ZohoVoiceError: If it is too big.
        """
        size, digest = 0, hashlib.sha256()
        limit = min(self.max_bytes, max_bytes or self.max_bytes)
        with self.storage.write_atomic(download.path) as file:
            for chunk in itertools.chain([head], chunks):
                size += len(chunk)
                if size > limit:
                    raise self.too_big()
                digest.update(chunk)
                file.write(chunk)
            if self.is_stored(download, size):
                return self.already_stored(download)
            self._check_whole(download, size, digest.hexdigest(), is_whole=is_whole)
            downloaded_at = self.clock.utcnow()
            file.commit(downloaded_at)
        download.is_provisional &= self.sizes.is_unknown(download.declared_size)
        self.results["fetched"] += 1
        return self._fields(download, size, digest.hexdigest(), kind, downloaded_at)

    def is_stored(self, download: Download, size: int | None) -> bool:
        """Return whether the stored file has this size, or should not be replaced by a part."""
        stored = download.stored
        if stored is None or size is None:
            return False
        if size != stored.size and not (download.is_recheck and size < stored.size):
            return False
        self.sizes.compare(download.declared_size, size)
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
            self.sizes.compare(download.declared_size, size)

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
                head = head or chunk[:SNIFF_BYTES]
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
    text = f"Zoho Voice: {summary}"
    return RetryableError(text, summary=summary, is_unreachable=True, is_truncated=True)


def unusable(summary: str) -> ZohoVoiceError:
    """Return the error of a response that is whole, but not what was requested."""
    return ZohoVoiceError(f"Zoho Voice: {summary}", summary=summary)
