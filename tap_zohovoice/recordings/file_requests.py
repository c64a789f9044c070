"""Requests for files: one, or several as long as the server returns archives.

Several names in a request are documented. The form of the response is not.
"""

import itertools
import logging
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import IO, TypeVar
from urllib.parse import quote

import requests

from tap_zohovoice.exceptions import (
    AmbiguousResponseError,
    ArchiveError,
    InvalidParameterError,
    RateLimitedError,
    RetryableError,
    StorageError,
    TokenRejectedError,
    ZohoVoiceError,
)
from tap_zohovoice.http.api import ApiClient
from tap_zohovoice.http.body import content_length
from tap_zohovoice.http.retry import FAIL_FAST_AFTER, ItemFailures
from tap_zohovoice.recordings.archive import Archive, is_archive
from tap_zohovoice.recordings.audio import SNIFF_BYTES, UNKNOWN, guess_audio_type
from tap_zohovoice.recordings.writer import Download, Fields, FileWriter, save, truncated, unusable

_T = TypeVar("_T")
_Handle = Callable[[requests.Response, bytes, Iterator[bytes]], _T | None]
"""Handles a response, given its first bytes and the rest; returns None for other content."""
MAX_BYTES = 1024**3  # of the files of one request; source: documentation
MAX_NAME_CHARS = 10_000  # of the names in one request, with their commas; source: documentation
_MAX_DOWNLOADS = 100  # of a group, including stored files, so that their records are emitted soon
_SEPARATOR = re.compile(r"[,/\\]")
_MAX_OVERHEAD = 1024**2  # bytes of an archive beyond those of its files
_MAX_ATTEMPTS = 2  # of a request for several files
_MAX_FAILURES = 3  # consecutive requests without an archive, after which no more are sent
_MAX_POOR = 2  # archives with fewer than half of the files, after which no more are requested
_LOGGER = logging.getLogger("tap-zohovoice.recordings")


@dataclass(slots=True)
class Group:
    """Files whose records are emitted together."""

    downloads: list[Download] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the files in one request
    max_bytes: int = 0  # of the files in its response


def iter_groups(
    downloads: Iterable[Download], writer: FileWriter, limit: Callable[[], int]
) -> Iterator[Group]:
    """Iterate over groups of files, in their order; each is built after the one before is done.

    `limit` returns the current maximum of files in a request.
    """
    group = Group()
    for download in downloads:
        name, size = download.name, writer.expected_size(download) or writer.max_bytes
        is_wanted = size <= writer.max_bytes and not writer.is_unchanged(download)
        # Other names may be changed by a list with commas, or by the path in an archive.
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
class FileRequests:
    """Sends requests for files, for several at once as long as that saves requests."""

    api: ApiClient
    writer: FileWriter
    max_files: int  # of one request
    failures: ItemFailures
    _mode = "play"  # live servers and the documentation disagree about its values
    _is_mode_accepted = False  # whether a request succeeded, so that `mode` is no cause later
    _is_proven = _is_failure_logged = False
    _taken = _poor = _failures = 0
    _archive: Archive | None = None

    @property
    def limit(self) -> int:
        """How many files to request at once: one before the first success and after failures."""
        is_working = self.failures.unusable < FAIL_FAST_AFTER
        return self.max_files if self._is_mode_accepted and is_working else 1

    def requests_for(self, count: int) -> int:
        """Return an estimate of the requests for a number of files."""
        return -(-count // self.max_files) if self._is_proven else count

    def request_one(self, download: Download) -> Fields:
        """Request a file, and store it."""
        return self._request([download.name], partial(self._store, download))

    def _request(self, names: Sequence[str], handle: _Handle[_T]) -> _T:
        try:
            result = self._send(names, handle, self._mode)
        except InvalidParameterError:
            if self._is_mode_accepted or not self._mode:
                raise
            result, self._mode = self._send(names, handle, ""), ""
        self._is_mode_accepted = True
        return result

    def _send(self, names: Sequence[str], handle: _Handle[_T], mode: str) -> _T:
        params = {"recording_filename": ",".join(names), **({"mode": mode} if mode else {})}
        receive, is_single = partial(self._receive, names, handle), len(names) == 1
        limits = {"max_attempts": self.failures.attempts if is_single else _MAX_ATTEMPTS}
        try:
            result = self.api.get(params, receive, stream=True, max_lockouts=1, **limits)
        except ZohoVoiceError as error:
            self.failures.observe(error, is_single=is_single)
            raise
        self.failures.observe(None)
        return result

    def _receive(
        self, names: Sequence[str], handle: _Handle[_T], response: requests.Response
    ) -> _T:
        try:
            chunks = self.api.iter_body(response)
            head = _read_head(chunks)
            is_ok = response.status_code == HTTPStatus.OK
            result = handle(response, head, chunks) if is_ok else None
            if result is None:
                raise self._unexpected_content(names, response, head + next(chunks, b""))
        except requests.RequestException as error:
            reason = "the file is incomplete"
            raise truncated(reason) from error
        return result

    def _unexpected_content(
        self, names: Sequence[str], response: requests.Response, body: bytes
    ) -> ZohoVoiceError:
        """Return an error for a response without files, or raise the error that it contains."""
        declared_type, may_be_token = response.headers.get("Content-Type", ""), False
        try:
            if not (response.ok and guess_audio_type(body, declared_type)):  # audio is no error
                self.api.validate(response, body, redact=names)
        except AmbiguousResponseError:
            pass
        except RetryableError as error:
            is_page = response.ok and body.lstrip()[:1] not in {b"{", b"["}
            # A retry would return the same page.
            if not is_page or isinstance(error, RateLimitedError | TokenRejectedError):
                raise
            may_be_token = error.may_be_token
        expected = "audio" if len(names) == 1 else "archive"
        return unusable(f"HTTP {response.status_code}, no {expected} in the response", may_be_token)

    @contextmanager
    def request_several(self, names: list[str]) -> Generator[None]:
        """Request files at once, if there are several, for `take_from_archive`."""
        self._taken = 0
        with ExitStack() as stack:
            self._archive = self._try_request(names, stack) if len(names) > 1 else None
            yield
        if self._archive and self._taken * 2 < len(names):
            self._poor += 1
            if self._poor >= _MAX_POOR:
                self._stop("most of the files are missing in the archive")

    def take_from_archive(self, download: Download) -> Fields | None:
        """Store a file of the archive; None if it must be requested separately."""
        if not self._archive:
            return None
        try:
            chunks = self._archive.read(download.name)
            head = _read_head(chunks)
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

    def _try_request(self, names: list[str], stack: ExitStack) -> Archive | None:
        try:
            file = stack.enter_context(self.writer.storage.open_scratch())
            archive = self._request(names, partial(self._spool, len(names), file))
        except ZohoVoiceError as error:
            stack.close()
            is_disk = isinstance(error, StorageError)  # where a single file may still fit
            if not is_disk and self.failures.concerns_others(error):
                raise
            self._failures += 1
            if is_disk or not self._is_proven or self._failures >= _MAX_FAILURES:
                self._stop(error.summary or str(error))
            elif not self._is_failure_logged:
                self._is_failure_logged = True
                text = "Requesting the files of a failed request one by one: %s"
                _LOGGER.info(text, error.summary)
            return None
        self._failures = 0
        if not self._is_proven:
            self._is_proven = True
            _LOGGER.info("Requesting up to %d files at once", self.max_files)
        return archive

    def _stop(self, reason: str) -> None:
        self.max_files = 1
        _LOGGER.info("Requesting one file at a time: %s", reason)

    def _store(
        self, download: Download, response: requests.Response, head: bytes, rest: Iterator[bytes]
    ) -> Fields | None:
        """Store the file of a response; None if it is not audio."""
        kind = guess_audio_type(head, response.headers.get("Content-Type", ""))
        if not kind:
            return None
        length, writer = content_length(response), self.writer
        if writer.is_stored(download, length):
            return writer.already_stored(download)
        if length is not None and length > writer.max_bytes:
            raise writer.too_big()
        is_whole = length is not None or "Transfer-Encoding" in response.headers
        chunks = itertools.chain([head], rest)
        return writer.write(download, chunks, kind, is_whole=is_whole)

    def _spool(
        self,
        count: int,
        file: IO[bytes],
        _response: requests.Response,
        head: bytes,
        rest: Iterator[bytes],
    ) -> Archive | None:
        """Write an archive to a file, replacing its content; None for other bodies."""
        if not is_archive(head):
            return None
        limit = min(count * self.writer.max_bytes, MAX_BYTES) + _MAX_OVERHEAD
        too_big = unusable("the archive exceeds the size limit")
        save(itertools.chain([head], rest), file, limit, too_big)
        try:
            return Archive(file)
        except ArchiveError as error:
            reason = "the archive is incomplete"
            raise truncated(reason) from error


def _read_head(chunks: Iterable[bytes]) -> bytes:
    """Read the bytes that show the media type of a file, or all if it is shorter."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= SNIFF_BYTES:
            break
    return head
