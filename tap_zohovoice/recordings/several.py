"""Several files in one request, as long as the server returns archives.

That several names may be sent is documented, what the response looks like is not.
"""

import itertools
import logging
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO
from urllib.parse import quote

import requests

from tap_zohovoice.exceptions import ArchiveError, RetryableError, StorageError, ZohoVoiceError
from tap_zohovoice.http.retry import FAIL_FAST_AFTER
from tap_zohovoice.recordings.archive import Archive, is_archive
from tap_zohovoice.recordings.audio import UNKNOWN, guess_audio_type
from tap_zohovoice.recordings.file_requests import FileRequests
from tap_zohovoice.recordings.storage import storage_errors
from tap_zohovoice.recordings.writer import (
    Download,
    Fields,
    FileWriter,
    read_head,
    truncated,
    unusable,
)

MAX_BYTES = 1024**3
"""Of the files of one request: 1 GB. Source: documentation."""
MAX_NAME_CHARS = 10_000
"""Of the names of one request, with their commas. Source: documentation."""
_MAX_DOWNLOADS = 100
"""Files of a group, stored ones included, so that records are not held back for long."""
_SEPARATOR = re.compile(r"[,/\\]")
_MAX_OVERHEAD = 1024**2
"""Bytes of an archive beyond those of its files."""
_MAX_FAILURES = 3
"""Requests in a row without an archive, after which no more are made."""
_MAX_POOR = 2
"""Archives with fewer than half of the files, after which no more are requested."""
_LOGGER = logging.getLogger("tap-zohovoice.recordings")


@dataclass(slots=True)
class Group:
    """Files whose records are emitted together."""

    downloads: list[Download] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of those that one request asks for
    max_bytes: int = 0  # of the files in its response


def iter_groups(
    downloads: Iterable[Download], writer: FileWriter, limit: Callable[[], int]
) -> Iterator[Group]:
    """Iterate over groups of files, in their order; each is made when the one before is done.

    `limit` returns how many files one request may ask for now.
    """
    group = Group()
    for download in downloads:
        name, size = download.name, writer.expected_size(download) or writer.max_bytes
        is_wanted = size <= writer.max_bytes and not writer.is_unchanged(download)
        # Any other name may not be the same in a list, or as the last part of a path.
        is_listable = name.isprintable() and name == name.strip() and not _SEPARATOR.search(name)
        if is_wanted and is_listable and limit() > 1:
            names = quote(",".join([*group.names, name]), safe=",")
            if len(names) >= MAX_NAME_CHARS or group.max_bytes + size > MAX_BYTES:
                yield group
                group = Group()
            group.names.append(name)
            group.max_bytes += size
        group.downloads.append(download)
        is_full = len(group.names) >= limit() or len(group.downloads) >= _MAX_DOWNLOADS
        if is_full or not group.names:
            yield group
            group = Group()
    if group.downloads:
        yield group


@dataclass(eq=False, repr=False)
class SeveralFiles:
    """Requests several files at once, and decides whether to continue with it."""

    sender: FileRequests
    writer: FileWriter
    max_files: int
    _is_proven = _is_failure_logged = False
    _taken = _poor = _failures = 0

    @property
    def limit(self) -> int:
        """How many files to request at once; one, as long as requests fail for other reasons."""
        is_working = self.sender.failures_in_a_row < FAIL_FAST_AFTER
        return self.max_files if self.sender.is_mode_accepted and is_working else 1

    def requests_for(self, count: int) -> int:
        """Return an estimate of the requests for a number of files."""
        return -(-count // self.max_files) if self._is_proven else count

    @contextmanager
    def request(self, group: Group) -> Generator[Archive | None]:
        """Request the files of a group; None if each must be requested alone."""
        self._taken = 0
        with ExitStack() as stack:
            archive = self._try_request(group, stack) if len(group.names) > 1 else None
            yield archive
        if archive and self._taken * 2 < len(group.names):
            self._poor += 1
            if self._poor >= _MAX_POOR:
                self._stop("most of the files are missing in the archive")

    def take(self, archive: Archive, download: Download) -> Fields | None:
        """Store a file of an archive; None if it must be requested alone."""
        try:
            chunks = archive.read(download.name)
            head = read_head(chunks)
            kind = guess_audio_type(head)
            if kind is None or kind == UNKNOWN:
                return None
            content = itertools.chain([head], chunks)
            # An entry that is larger than its log declares counts as an error of the archive.
            size = self.writer.expected_size(download)
            fields = self.writer.write(download, content, kind, is_whole=True, max_bytes=size)
        except StorageError:
            raise
        except (ArchiveError, RetryableError, ZohoVoiceError):
            return None
        self._taken += 1
        return fields

    def _try_request(self, group: Group, stack: ExitStack) -> Archive | None:
        try:
            file = stack.enter_context(self.writer.storage.open_scratch())
            archive = self.sender.send(group.names, partial(self._spool, group, file))
        except StorageError as error:  # a single file may still fit
            self._stop(str(error))
        except ZohoVoiceError as error:
            if self.sender.concerns_others(error):
                raise
            self._failures += 1
            if not self._is_proven or self._failures >= _MAX_FAILURES:
                self._stop(error.summary)
            elif not self._is_failure_logged:
                self._is_failure_logged = True
                reason = error.summary
                _LOGGER.info("Requesting the files of a failed request one by one: %s", reason)
        else:
            self._failures = 0
            if not self._is_proven:
                self._is_proven = True
                _LOGGER.info("Requesting up to %d files at once", self.max_files)
            return archive
        stack.close()
        return None

    def _stop(self, reason: str) -> None:
        self.max_files = 1
        _LOGGER.info("Requesting one file at a time: %s", reason)

    def _spool(
        self,
        group: Group,
        file: IO[bytes],
        _response: requests.Response,
        head: bytes,
        rest: Iterator[bytes],
    ) -> Archive | None:
        """Write an archive to a file, in place of what it holds; None for other bodies."""
        if not is_archive(head):
            return None
        limit = min(len(group.names) * self.writer.max_bytes, MAX_BYTES) + _MAX_OVERHEAD
        size = 0
        with storage_errors():
            file.seek(0)
            file.truncate()
        for chunk in itertools.chain([head], rest):
            size += len(chunk)
            if size > limit:
                reason = "the archive exceeds the size limit"
                raise unusable(reason)
            with storage_errors():
                file.write(chunk)
        with storage_errors():
            file.flush()
        try:
            return Archive(file)
        except ArchiveError as error:
            reason = "the archive is incomplete"
            raise truncated(reason) from error
