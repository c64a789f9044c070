"""Writer of received files: checks which are needed, and which are complete."""

import datetime as dt
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO

from tap_zohovoice._time import Clock, format_timestamp
from tap_zohovoice.exceptions import RetryableError, ZohoVoiceError
from tap_zohovoice.recordings.audio import guess_audio_type
from tap_zohovoice.recordings.storage import Storage, StoredFile, storage_errors, storage_path
from tap_zohovoice.schemas.conversion import Record

_WAV_HEADER_BYTES = 44
_SETTLING_TIME = dt.timedelta(minutes=10)  # that the server has at the least to complete a file
MIN_WRONG_SIZES = 3  # after which declared sizes are ignored
_LOGGER = logging.getLogger("tap-zohovoice.recordings")


@dataclass(slots=True)
class Download:
    """A file of a call log, and whether to request it."""

    item: Record  # with the values of the call log
    name: str
    path: str
    declared_size: int | None  # None too if it is impossible, or if such sizes are unreliable
    stored: StoredFile
    is_needed: bool  # whether it is not stored, or may have grown
    is_provisional: bool  # whether it may be incomplete, and a later run must request it
    short_digest: str = ""  # SHA-256 of the last response that was shorter than declared


class Rechecks:
    """Which files of unknown size to request once more, as they may not have been complete.

    Calls come in the order of their start, so that the files of all calls up to `verified_until`
    need no further request. Those of calls before `oldest` get none.
    """

    def __init__(self, verified_until: str, lookback: dt.timedelta, oldest: str = "") -> None:
        self.verified_until = verified_until
        self._after = max(verified_until, oldest)
        self._lookback = lookback
        self._has_provisional = False

    def may_grow(self, start_time: str, at: dt.datetime | None, *, is_new: bool = False) -> bool:
        """Return whether a file that is downloaded at a time, if that is known, may grow later."""
        age = dt.timedelta(0) if at is None else at - dt.datetime.fromisoformat(start_time)
        return age < self._lookback and (is_new or start_time > self._after)

    def record(self, start_time: str, *, is_provisional: bool) -> None:
        """Record whether a later run must request a file of a call once more."""
        if is_provisional:
            self._has_provisional = True
            before = dt.datetime.fromisoformat(start_time) - dt.timedelta(microseconds=1)
            self.verified_until = min(self.verified_until, format_timestamp(before))
        elif not self._has_provisional:
            self.verified_until = max(self.verified_until, start_time)


@dataclass(eq=False, repr=False)
class FileWriter:
    """Writes files to the storage, if they are complete and not stored already."""

    storage: Storage
    max_bytes: int
    results: Counter[str]  # of files that were `fetched`, `skipped` or `failed`
    clock: Clock
    _sizes: Counter[bool] = field(default_factory=Counter, init=False)  # by whether one was right

    def prepare(self, item: Record, rechecks: Rechecks) -> Download:
        """Look up whether a file is stored, and decide whether to request it."""
        name, size = item["recording_filename"], item["size"] or 0
        path = storage_path(item["start_time"], name)
        stored, now = self.storage.stat(path), self.clock.utcnow()
        are_ignored = self._sizes[False] >= MIN_WRONG_SIZES and not self._sizes[True]
        declared_size = size if 0 < size < 2**40 and not are_ignored else None
        is_new = not stored.size or declared_size not in {None, stored.size}
        at = now if is_new else stored.modified
        may_grow = rechecks.may_grow(item["start_time"], at, is_new=is_new)
        is_provisional = may_grow and declared_size is None
        is_settled = at is None or now - at >= _SETTLING_TIME
        is_needed = is_new or (is_provisional and is_settled)
        name = name.encode("utf-8", "backslashreplace").decode()  # URLs have no lone surrogates
        return Download(item, name, path, declared_size, stored, is_needed, is_provisional)

    def write(
        self, download: Download, chunks: Iterable[bytes], kind: str, *, is_whole: bool
    ) -> Record:
        """Store a file of some media type, and return the fields of its record.

        `is_whole` says whether the response has a length or an end. `RetryableError` is raised if
        the file is incomplete, `ZohoVoiceError` if it is too big.
        """
        declared_size, stored_size = download.declared_size, download.stored.size
        with self.storage.open_temporary() as file:
            size, digest = save(chunks, file, self.max_bytes, self.too_big)
            is_stored = size == stored_size or (size < stored_size and declared_size is None)
            is_short = size < (declared_size or 0) and not is_stored
            if is_short and not (is_whole and digest == download.short_digest):
                download.short_digest = digest  # a second response may prove that it is complete
                message = "the file is shorter than the call log declares"
                raise RetryableError(message, is_unreachable=True)
            declared = download.item["size"] or 0
            if is_whole and declared > 0:
                if size != declared and not self._sizes[False]:
                    text = "The call log declares %d bytes for a file of %d bytes; keeping the file"
                    _LOGGER.warning(text, declared, size)
                self._sizes[size == declared] += 1
            if is_stored:
                # A part, or the header of a WAV file alone, may be followed by more.
                download.is_provisional &= size < stored_size or size <= _WAV_HEADER_BYTES
                return self.already_stored(download)
            now = self.clock.utcnow()
            self.storage.publish(file, download.path, now)
            download.stored = StoredFile(size, now)
        self.results["fetched"] += 1
        return self._fields(download, digest, kind)

    @property
    def are_sizes_doubtful(self) -> bool:
        """Whether the next files decide if declared sizes are ignored."""
        return 0 < self._sizes[False] < MIN_WRONG_SIZES and not self._sizes[True]

    @property
    def too_big(self) -> str:
        """Why a file is not stored that is too big."""
        return f"the file is larger than recordings_max_mb ({self.max_bytes // 1024**2})"

    def already_stored(self, download: Download) -> Record:
        """Return the fields of the record of a file that is stored."""
        self.results["skipped"] += 1
        sha256, head = hashlib.sha256(), b""
        for chunk in self.storage.read(download.path):
            head = head or chunk
            sha256.update(chunk)
        return self._fields(download, sha256.hexdigest(), guess_audio_type(head))

    def _fields(self, download: Download, digest: str, kind: str | None) -> Record:
        size, modified = download.stored
        return {
            "uri": self.storage.uri(download.path),
            "bytes": size,
            "sha256": digest,
            "content_type": kind,
            "downloaded_at": format_timestamp(modified) if modified else None,
        }


def save(chunks: Iterable[bytes], file: IO[bytes], max_bytes: int, too_big: str) -> tuple[int, str]:
    """Write chunks to a file, replacing its content; return their size and SHA-256."""
    size, sha256 = 0, hashlib.sha256()
    with storage_errors():
        file.seek(0)
        file.truncate()
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ZohoVoiceError(too_big, summary=too_big)
        sha256.update(chunk)
        with storage_errors():
            file.write(chunk)
    with storage_errors():
        file.flush()
    return size, sha256.hexdigest()
