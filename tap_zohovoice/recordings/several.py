"""Several files in one request, as long as the server returns archives.

That several names may be sent is documented, what the response looks like is not.
"""

from __future__ import annotations

import itertools
import logging
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from tap_zohovoice.exceptions import (
    ArchiveError,
    RateLimitLockoutError,
    RetryableError,
    StorageError,
    ZohoVoiceError,
)
from tap_zohovoice.http.body import content_length
from tap_zohovoice.recordings.archive import Archive, is_archive
from tap_zohovoice.recordings.audio import SNIFF_BYTES, UNKNOWN, guess_audio_type
from tap_zohovoice.recordings.storage import storage_errors
from tap_zohovoice.recordings.writer import read_head, truncated, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator

    import requests

    from tap_zohovoice.recordings.file_requests import FileRequests
    from tap_zohovoice.recordings.writer import Download, Fields, FileWriter

MAX_BYTES = 1024**3
"""Of the files of one request: 1 GB. Source: documentation."""
MAX_NAME_CHARS = 10_000
"""Of the names of one request, with their commas. Source: documentation."""
_MAX_DOWNLOADS = 100
"""Files of a group, stored ones included, so that records are not held back for long."""
_SEPARATOR = re.compile(r"[,/\\]")
_MAX_ATTEMPTS = 2
_MAX_OVERHEAD = 1024**2
"""Bytes of an archive beyond those of its files."""
_MAX_POOR = 2
"""Archives with fewer than half of the files, after which no more are requested."""
_MAX_OUTAGES = 2
"""Requests in a row without a usable response, after which no more are made."""
_MAX_REFUSALS = 3
"""Requests in a row that are refused, after which no more are made."""
_LOGGER = logging.getLogger("tap-zohovoice.recordings")


@dataclass(slots=True)
class Group:
    """Files whose records are emitted together."""

    downloads: list[Download] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Names of those that one request asks for."""
    max_bytes: int = 0
    """Size that the response to it may have."""


def iter_groups(
    downloads: Iterable[Download], writer: FileWriter, limit: Callable[[], int]
) -> Iterator[Group]:
    """Iterate over groups of files, in their order; each is made when the one before is done.

    `limit` returns how many files one request may ask for now.
    """
    group = Group()
    for download in downloads:
        size = writer.expected_size(download) or writer.max_bytes
        is_wanted = download.is_text and not writer.is_unchanged(download)
        if is_wanted and limit() > 1 and _is_listable(download.name) and size <= writer.max_bytes:
            names = quote(",".join([*group.names, download.name]), safe=",")
            if len(names) >= MAX_NAME_CHARS or group.max_bytes + size > MAX_BYTES:
                yield group
                group = Group()
            group.names.append(download.name)
            group.max_bytes += size
        group.downloads.append(download)
        is_full = len(group.names) >= limit() or len(group.downloads) >= _MAX_DOWNLOADS
        if is_full or not group.names:
            yield group
            group = Group()
    if group.downloads:
        yield group


def _is_listable(name: str) -> bool:
    """Return whether a name is the same in a list, and as the last part of a path."""
    return name.isprintable() and name == name.strip() and not _SEPARATOR.search(name)


@dataclass(eq=False, repr=False)
class Delivery:
    """The files of an archive, taken out one after the other."""

    archive: Archive
    names: Collection[str]
    writer: FileWriter
    _tried = _delivered = 0

    @property
    def is_poor(self) -> bool:
        """Whether fewer than half of the files were usable."""
        return self._delivered * 2 < self._tried

    def take(self, download: Download) -> Fields | None:
        """Store a file; return the fields of its record, or None if it must be requested alone.

        Raises:
            StorageError: If the storage fails.
        """
        if download.name not in self.names:
            return None
        self._tried += 1
        try:
            chunks = self.archive.read(download.name)
            head = read_head(chunks)
            kind = guess_audio_type(head[:SNIFF_BYTES])
            if kind in {None, UNKNOWN}:
                return None
            # An entry that is larger than its log declares counts as an error of the archive.
            size = self.writer.expected_size(download)
            fields = self.writer.write(download, chunks, head, kind, is_whole=True, max_bytes=size)
        except StorageError:
            raise
        except (ArchiveError, RetryableError, ZohoVoiceError):
            return None
        self._delivered += 1
        return fields


@dataclass(eq=False, repr=False)
class SeveralFiles:
    """Requests several files at once, and decides whether to continue with it."""

    sender: FileRequests
    writer: FileWriter
    max_files: int
    _is_proven = _is_refusal_logged = False
    _poor = _outages = _refusals = 0

    @property
    def limit(self) -> int:
        """How many files to request at once; one, as long as `mode` may be rejected."""
        return self.max_files if self.sender.is_mode_accepted else 1

    def requests_for(self, count: int) -> int:
        """Return an estimate of the requests for a number of files."""
        return -(-count // self.max_files) if self._is_proven else count

    @contextmanager
    def request(self, group: Group) -> Generator[Delivery | None]:
        """Request the files of a group; None if each must be requested alone.

        Raises:
            RateLimitLockoutError: If the URL of the files stays locked.
            ZohoVoiceError: If the reason has nothing to do with these files.
        """
        with ExitStack() as stack:
            delivery = self._try_request(group, stack) if len(group.names) > 1 else None
            yield delivery
        if delivery:
            self._poor += delivery.is_poor
            if self._poor >= _MAX_POOR:
                self._stop("most of the files are missing in the archive")

    def _try_request(self, group: Group, stack: ExitStack) -> Delivery | None:
        try:
            file = stack.enter_context(self.writer.storage.open_scratch())
            archive = self.sender.send(
                group.names,
                lambda response: self._handle_response(group, response, file),
                max_attempts=_MAX_ATTEMPTS,
            )
        except StorageError as error:  # a single file may still fit
            self._stop(str(error))
        except RateLimitLockoutError as error:
            if not error.summary or self.sender.is_url_locked:
                raise
            self._refuse(error, is_outage=self._is_proven)
        except ZohoVoiceError as error:
            if not error.summary:
                raise
            self._refuse(error, is_outage=error.is_unreachable)
        else:
            self._accept()
            return Delivery(archive, group.names, self.writer)
        stack.close()
        return None

    def _accept(self) -> None:
        self._outages = self._refusals = 0
        if not self._is_proven:
            self._is_proven = True
            _LOGGER.info("Requesting up to %d files at once", self.max_files)

    def _refuse(self, error: ZohoVoiceError, *, is_outage: bool) -> None:
        """Decide what a request without an archive means for the next groups.

        An outage may have nothing to do with several files, the first time.
        """
        self._outages = self._outages + 1 if is_outage else 0
        self._refusals += 1
        is_repeated = self._outages >= _MAX_OUTAGES or self._refusals >= _MAX_REFUSALS
        is_cut = isinstance(error.__cause__, RetryableError) and error.__cause__.is_truncated
        if is_cut or is_repeated or not (self._is_proven or is_outage):
            self._stop(error.summary)
        elif not self._is_refusal_logged:
            self._is_refusal_logged = True
            _LOGGER.info("Requesting the files of a failed request one by one: %s", error.summary)

    def _stop(self, reason: str) -> None:
        self.max_files = 1
        _LOGGER.info("Requesting one file at a time: %s", reason)

    def _handle_response(
        self, group: Group, response: requests.Response, file: IO[bytes]
    ) -> Archive:
        """Return the archive of a response, which is written to a file; or raise an error."""
        chunks = self.sender.api.iter_body(response)
        head = read_head(chunks)
        if response.status_code != 200 or not is_archive(head):  # noqa: PLR2004
            if response.ok and guess_audio_type(head[:SNIFF_BYTES]):
                reason = "no archive in the response"
                raise unusable(reason)
            body = head + next(chunks, b"")
            raise self.sender.unexpected_content(group.names, response, body)
        limit = min(len(group.names) * self.writer.max_bytes, MAX_BYTES) + _MAX_OVERHEAD
        if (content_length(response) or 0) > limit:
            raise _too_big()
        _spool(head, chunks, file, limit)
        try:
            return Archive(file)
        except ArchiveError as error:
            reason = "the archive is incomplete"
            raise truncated(reason) from error


def _spool(head: bytes, chunks: Iterator[bytes], file: IO[bytes], limit: int) -> None:
    """Write a body to a file, in place of what it holds."""
    with storage_errors():
        file.seek(0)
        file.truncate()
    size = 0
    for chunk in itertools.chain([head], chunks):
        size += len(chunk)
        if size > limit:
            raise _too_big()
        with storage_errors():
            file.write(chunk)
    with storage_errors():
        file.flush()


def _too_big() -> ZohoVoiceError:
    return unusable("the archive exceeds the size limit")
