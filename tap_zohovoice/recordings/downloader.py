"""Download of recordings and voicemails, stored only if they are complete."""

import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

import requests

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import RateLimitLockoutError, RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.http.body import content_length
from tap_zohovoice.recordings.audio import guess_audio_type
from tap_zohovoice.recordings.file_requests import MAX_BYTES, FileRequests
from tap_zohovoice.recordings.writer import Download, Fields, FileWriter

MAX_NAME_CHARS = 10_000  # of the names in one request, with their commas; source: documentation
_MAX_DOWNLOADS = 100  # of a group, including stored files, so that their records are emitted soon
_SEPARATOR = re.compile(r"[,/\\]")
_SETTLING_TIME = dt.timedelta(minutes=10)  # between a download and the next one, at the least


class Rechecks:
    """Which files of unknown size to request once more, before their calls leave the lookback.

    They may have been downloaded before they were complete. Calls come in the order of their start,
    so that a single timestamp shows which ones are done: the files of calls up to `verified_until`
    need no further request. Those of calls before `oldest` are not requested again. All timestamps
    are in the form of records.
    """

    def __init__(self, verified_until: str, oldest: str, lookback: dt.timedelta) -> None:
        self.verified_until = verified_until
        self._after = max(verified_until, oldest)
        self._lookback = lookback
        self._has_provisional = False

    def may_grow(self, start_time: str, downloaded_at: dt.datetime | None) -> bool:
        """Return whether a stored file may have grown since its download, if that is known."""
        return start_time > self._after and self.was_in_lookback(start_time, downloaded_at)

    def was_in_lookback(self, start_time: str, at: dt.datetime | None) -> bool:
        """Return whether a call was in the lookback at a time; true if that is unknown."""
        age = dt.timedelta(0) if at is None else at - dt.datetime.fromisoformat(start_time)
        return age < self._lookback

    def is_due(self, downloaded_at: dt.datetime | None, now: dt.datetime) -> bool:
        """Return whether the server has had the time to complete a file."""
        return downloaded_at is None or now - downloaded_at >= _SETTLING_TIME

    def record(self, start_time: str, *, is_provisional: bool) -> None:
        """Record whether a later run must request a file of a call once more."""
        if is_provisional:
            self._has_provisional = True
            before = dt.datetime.fromisoformat(start_time) - dt.timedelta(microseconds=1)
            self.verified_until = min(self.verified_until, format_timestamp(before))
        elif not self._has_provisional:
            self.verified_until = max(self.verified_until, start_time)


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
class RecordingDownloader:
    """Downloads files that are not stored yet."""

    sender: FileRequests

    def download(
        self, files: Iterable[tuple[str, str, int | None]], rechecks: Rechecks
    ) -> Iterator[Fields]:
        """Download files, except those that are stored, and update the rechecks.

        A file is its name, the start of its call in the form of records, and its bytes according to
        the log. The fields of each are `uri`, `bytes`, `sha256`, `content_type` and
        `downloaded_at`; or only `error`. An error that is not about a single file is raised.
        """
        writer = self.sender.writer
        downloads = (writer.prepare(*file) for file in files)
        for group in iter_groups(downloads, writer, lambda: self.sender.limit):
            with self.sender.request_several(group.names):
                for download in group.downloads:
                    fields = self._download(download, rechecks)
                    if "error" not in fields:
                        is_provisional = download.is_provisional
                        rechecks.record(download.start_time, is_provisional=is_provisional)
                    yield fields

    def _download(self, download: Download, rechecks: Rechecks) -> Fields:
        writer, start = self.sender.writer, download.start_time
        now = writer.clock.utcnow()
        if writer.is_unchanged(download):
            is_unknown, stored_at = writer.expected_size(download) is None, download.stored.modified
            download.is_provisional = is_unknown and rechecks.may_grow(start, stored_at)
            download.is_recheck = download.is_provisional and rechecks.is_due(stored_at, now)
            if not download.is_recheck:
                return writer.already_stored(download)
        else:
            download.is_provisional = rechecks.was_in_lookback(start, now)
            if fields := self.sender.take_from_archive(download):
                return fields
        try:
            return self.sender.send([download.name], partial(self._store, download))
        except ZohoVoiceError as error:
            if self.sender.failures.concerns_others(error):
                raise
            if download.is_recheck:
                is_passing = isinstance(error, RateLimitLockoutError | RetriesExhaustedError)
                download.is_provisional = is_passing
                return writer.already_stored(download)
            writer.results["failed"] += 1
            return {"error": error.summary}

    def _store(
        self, download: Download, response: requests.Response, head: bytes, rest: Iterator[bytes]
    ) -> Fields | None:
        """Store the file of a response; None if it is not audio."""
        kind = guess_audio_type(head, response.headers.get("Content-Type", ""))
        if not kind:
            return None
        length, writer = content_length(response), self.sender.writer
        if writer.is_stored(download, length):
            return writer.already_stored(download)
        if length is not None and length > writer.max_bytes:
            raise writer.too_big()
        is_whole = length is not None or "Transfer-Encoding" in response.headers
        chunks = itertools.chain([head], rest)
        return writer.write(download, chunks, kind, is_whole=is_whole)
