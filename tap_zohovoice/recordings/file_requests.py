"""Requests for files: one, or several as long as the server returns archives.

Several names in a request are documented. The form of the response is not.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from itertools import chain, islice
from typing import IO, TypeVar
from urllib.parse import quote

import requests

from tap_zohovoice.exceptions import InvalidParameterError, RetryableError, ZohoVoiceError
from tap_zohovoice.http.api import ApiClient
from tap_zohovoice.http.retry import FAIL_FAST_AFTER, FEW_ATTEMPTS, ItemFailures
from tap_zohovoice.recordings.archive import MAGIC, Archive, open_archive
from tap_zohovoice.recordings.audio import SNIFF_BYTES, UNKNOWN, guess_audio_type
from tap_zohovoice.recordings.writer import Download, FileWriter, save
from tap_zohovoice.schemas.conversion import Record

_T = TypeVar("_T")
_Group = tuple[list[Download], list[str]]
_Handle = Callable[[requests.Response, bytes, Iterator[bytes]], _T | None]
"""Handles a response, given its first bytes and all of them; returns None for other content."""
MAX_BYTES = 1024**3  # of the files of one request; source: documentation
MAX_NAME_CHARS = 10_000  # of the names in one request, with their commas; source: documentation
_SEPARATOR = re.compile(r"[,/\\]")
_MAX_OVERHEAD = 1024**2  # bytes of an archive beyond those of its files
_MAX_POOR = 2  # archives with fewer than half of the files, after which no more are requested
_LOGGER = logging.getLogger("tap-zohovoice.recordings")


@dataclass(eq=False, repr=False)
class FileRequests:
    """Sends requests for files, for several at once as long as that saves requests."""

    api: ApiClient
    writer: FileWriter
    max_files: int  # of one request
    failures: ItemFailures
    _mode = "play"  # live servers and the documentation disagree about its values
    _is_mode_accepted = False  # whether a request succeeded, so that `mode` is no cause later
    _is_proven = False  # whether an archive came
    _poor = 0

    @property
    def limit(self) -> int:
        """How many files to request at once: one before the first success and after failures."""
        is_failing = self.failures.unusable >= FAIL_FAST_AFTER or self.writer.are_sizes_doubtful
        return self.max_files if self._is_mode_accepted and not is_failing else 1

    def requests_for(self, count: int) -> int:
        """Return an estimate of the requests for a number of files."""
        return -(-count // self.max_files) if self._is_proven else count

    def download_all(self, downloads: Iterable[Download]) -> Iterator[tuple[Download, Record]]:
        """Download files where necessary; iterate over them, with fields of their records."""
        for group, names in self.iter_groups(downloads):
            several = self.writer.storage.open_temporary() if len(names) > 1 else nullcontext()
            with several as file:
                archive = self._request_archive(names, file) if file else {}
                for download in group:
                    yield download, self._fields_of(download, archive)

    def iter_groups(self, downloads: Iterable[Download]) -> Iterator[_Group]:
        """Iterate over groups of files, with the names to request at once by the limit then."""
        group, names, total = list[Download](), list[str](), 0
        for download in downloads:
            name, size = download.name, download.declared_size or self.writer.max_bytes
            is_wanted = download.is_needed and size <= self.writer.max_bytes
            # Other names may be changed by a list with commas, or by the path in an archive.
            is_plain = name.isprintable() and name == name.strip() and not _SEPARATOR.search(name)
            if is_wanted and is_plain and self.limit > 1:
                listed = quote(",".join([*names, name]), safe=",")
                if len(listed) >= MAX_NAME_CHARS or total + size > MAX_BYTES:
                    yield group, names
                    group, names, total = [], [], 0
                names.append(name)
                total += size
            group.append(download)
            if not names or len(names) >= self.limit:
                yield group, names
                group, names, total = [], [], 0
        if group:
            yield group, names

    def _request_archive(self, names: Sequence[str], file: IO[bytes]) -> Archive:
        most = min(len(names) * self.writer.max_bytes, MAX_BYTES) + _MAX_OVERHEAD
        try:
            archive = self._request(names, partial(self._spool, file, most))
        except ZohoVoiceError as error:
            if self.failures.concerns_others(error):
                raise
            if self._is_proven:
                _LOGGER.info("Requesting these files one by one: %s", error.summary)
            else:
                self._stop(error.summary)
            return {}
        if not self._is_proven:
            self._is_proven = True
            _LOGGER.info("Requesting up to %d files at once", self.max_files)
        self._poor += 2 * len(archive.keys() & names) < len(names)
        if self._poor >= _MAX_POOR:
            self._stop("most of the files are missing in the archive")
        return archive

    def _fields_of(self, download: Download, archive: Archive) -> Record:
        if not download.is_needed:
            return self.writer.already_stored(download)
        try:
            return self.download(download, archive)
        except ZohoVoiceError as error:
            if self.failures.concerns_others(error):
                raise
            if download.stored.size and download.is_provisional:  # what is stored may be complete
                return self.writer.already_stored(download)
            self.writer.results["failed"] += 1
            return {"error": error.summary}

    def download(self, download: Download, archive: Archive) -> Record:
        """Store a file, of an archive or by a request of its own; return fields of its record."""
        size, content = archive.get(download.name, (0, iter(())))
        if download.declared_size in {None, size} and size <= self.writer.max_bytes:
            with suppress(RetryableError):
                head, chunks = _peek(content)
                kind = guess_audio_type(head)
                if kind and kind != UNKNOWN:
                    return self.writer.write(download, chunks, kind, is_whole=True)
        return self._request([download.name], partial(self._store, download))

    def _stop(self, reason: str) -> None:
        self.max_files = 1
        _LOGGER.info("Requesting one file at a time: %s", reason)

    def _request(self, names: Sequence[str], handle: _Handle[_T], mode: str | None = None) -> _T:
        mode, is_single = self._mode if mode is None else mode, len(names) == 1
        params = {"recording_filename": ",".join(names), **({"mode": mode} if mode else {})}
        receive = partial(self._receive, names, handle)
        limits = self.failures.limits if is_single else FEW_ATTEMPTS
        try:
            result = self.api.get(params, receive, replace(limits, lockouts=1))
        except ZohoVoiceError as error:
            self.failures.observe(error, is_single=is_single)
            is_mode = isinstance(error, InvalidParameterError) and not self._is_mode_accepted
            if is_mode and mode:
                return self._request(names, handle, "")
            raise
        self.failures.observe(None)
        self._mode, self._is_mode_accepted = mode, True
        return result

    def _receive(
        self, names: Sequence[str], handle: _Handle[_T], response: requests.Response
    ) -> _T:
        head, chunks = _peek(self.api.iter_body(response))
        is_ok = response.status_code == HTTPStatus.OK
        result = handle(response, head, chunks) if is_ok else None
        if result is None:
            body = b"".join(islice(chunks, 2))
            declared_type = response.headers.get("Content-Type", "")
            if not (response.ok and guess_audio_type(body, declared_type)):  # audio is no error
                self.api.validate(response, body, redact=names)
            expected = "audio" if len(names) == 1 else "archive"
            reason = f"HTTP {response.status_code}, no {expected} in the response"
            raise ZohoVoiceError(reason, summary=reason)
        return result

    def _store(
        self, download: Download, response: requests.Response, head: bytes, chunks: Iterator[bytes]
    ) -> Record | None:
        """Store the file of a response; None if it is not audio."""
        kind = guess_audio_type(head, response.headers.get("Content-Type", ""))
        if not kind:
            return None
        left, writer = response.raw.length_remaining, self.writer  # None if it is unknown
        if (left or 0) > writer.max_bytes:
            raise ZohoVoiceError(writer.too_big, summary=writer.too_big)
        is_whole = left is not None or "Transfer-Encoding" in response.headers
        return writer.write(download, chunks, kind, is_whole=is_whole)

    def _spool(
        self, file: IO[bytes], most: int, _: requests.Response, head: bytes, chunks: Iterator[bytes]
    ) -> Archive | None:
        """Write an archive of limited size to a file, replacing its content; None for others."""
        if not MAGIC.search(head[:SNIFF_BYTES]):
            return None
        save(chunks, file, most, "the archive exceeds the size limit")
        return open_archive(file)


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the bytes that show the media type of a file, or all of it, and all its chunks."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= SNIFF_BYTES:
            break
    return head, chain([head], chunks)
