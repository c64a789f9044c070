"""Download of recordings and voicemails: one request a file, stored only if it is complete."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import (
    AmbiguousResponseError,
    InvalidParameterError,
    RateLimitedError,
    RateLimitLockoutError,
    RetriesExhaustedError,
    RetryableError,
    TokenRejectedError,
    ZohoVoiceError,
)
from tap_zohovoice.http.body import CHUNK_SIZE, content_length
from tap_zohovoice.http.retry import MAX_LOCKOUTS
from tap_zohovoice.recordings.audio import SNIFF_BYTES, guess_audio_type
from tap_zohovoice.recordings.declared_sizes import DeclaredSizes
from tap_zohovoice.recordings.paths import storage_path

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from tap_zohovoice.http.client import ApiClient
    from tap_zohovoice.recordings.rechecks import Rechecks
    from tap_zohovoice.recordings.storage import Storage, StoredFile

Fields = dict[str, Any]
MAX_ATTEMPTS = 3
FAIL_FAST_AFTER = 3
"""Files in a row without a usable response, after which each gets one attempt."""
MAX_LOCKOUTS_PER_FILE = 1
"""A second one may be words in the response for this file alone."""


@dataclass(slots=True)
class Download:
    """A file to download, and what its responses were like."""

    name: str
    path: str
    declared_size: int | None
    stored: StoredFile | None
    short_digest: str = ""
    """SHA-256 of the last response that was shorter than declared."""
    lockouts: int = 0
    """Responses that looked like a lockout."""
    is_recheck: bool = False
    """Whether it is stored, and requested once more because it may have grown."""
    is_provisional: bool = False
    """Whether it may not be whole, so that a later run must request it once more."""

    @property
    def stored_at(self) -> dt.datetime | None:
        """When the stored file was downloaded; None if the storage does not say."""
        return self.stored.modified if self.stored else None


class RecordingDownloader:
    """Downloads files that are not stored yet.

    Args:
        api: Client of the URL of the files.
        storage: Where files are stored.
        max_bytes: Size of the largest file that is stored.
        results: Counts files that were `fetched`, `skipped` or `failed`.

    Attributes:
        is_unreachable: Whether the last download failed because no service responded.
    """

    def __init__(
        self, api: ApiClient, storage: Storage, *, max_bytes: int, results: Counter[str]
    ) -> None:
        self.is_unreachable = False
        self._api = api
        self._storage = storage
        self._max_bytes = max_bytes
        self._results = results
        self._failures_in_a_row = 0
        self._lockouts_in_a_row = 0
        # Live servers and the documentation disagree about its values.
        self._mode = "play"
        self._is_mode_accepted = False
        self._sizes = DeclaredSizes()

    def download(
        self, name: str, start_time: str, declared_size: int | None, rechecks: Rechecks
    ) -> Fields:
        """Download a file, unless it is stored.

        Args:
            name: Name, as the API uses it.
            start_time: Start of its call, in the form of records.
            declared_size: Bytes according to the log.
            rechecks: Which files are requested once more; updated.

        Returns:
            `uri`, `bytes`, `sha256`, `content_type` and `downloaded_at`; or only `error`.

        Raises:
            StorageError: If the storage fails.
            RateLimitLockoutError: If the URL of the files stays locked.
            ZohoVoiceError: If the reason has nothing to do with this file.
        """
        self.is_unreachable = False
        if any("\ud800" <= char <= "\udfff" for char in name):  # no URL can hold it
            self._results["failed"] += 1
            return {"error": "the name of the file is no text"}
        path = storage_path(start_time, name)
        size = self._sizes.validate(declared_size)
        download = Download(name, path, size, self._storage.stat(path))
        if self._is_unchanged(download):
            is_unknown, modified = self._sizes.is_unknown(size), download.stored_at
            download.is_provisional = is_unknown and rechecks.may_grow(start_time, modified)
            download.is_recheck = download.is_provisional and rechecks.is_due(modified, self._now())
            fields = self._fetch(download) if download.is_recheck else self._read_stored(download)
        else:
            download.is_provisional = rechecks.is_early(start_time, self._now())
            fields = self._fetch(download)
        if "error" not in fields:
            rechecks.record(start_time, is_provisional=download.is_provisional)
        return fields

    def _fetch(self, download: Download) -> Fields:
        try:
            fields = self._request(download)
        except ZohoVoiceError as error:
            is_lockout = isinstance(error, RateLimitLockoutError)
            if not error.summary or (is_lockout and self._is_url_locked(download)):
                raise
            is_passing = isinstance(error, RetriesExhaustedError)
            self._failures_in_a_row += is_passing
            if download.is_recheck:
                download.is_provisional = is_passing or is_lockout
                return self._read_stored(download)
            self.is_unreachable = is_lockout or error.is_unreachable
            self._results["failed"] += 1
            return {"error": error.summary}
        self._failures_in_a_row = 0
        return fields

    def _is_unchanged(self, download: Download) -> bool:
        stored, size = download.stored, download.declared_size
        is_expected = self._sizes.is_unknown(size) or (stored and size == stored.size)
        return bool(stored and stored.size and is_expected)

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._api.clock.now(), dt.UTC)

    def _is_url_locked(self, download: Download) -> bool:
        """Return whether a lockout is more than words in the response for a single file."""
        is_repeated = download.lockouts > MAX_LOCKOUTS_PER_FILE  # else it lasts too long to wait
        return not is_repeated or self._lockouts_in_a_row > MAX_LOCKOUTS

    def _request(self, download: Download) -> Fields:
        try:
            fields = self._request_with_mode(download, self._mode)
        except InvalidParameterError:
            if self._is_mode_accepted or not self._mode:
                raise
            fields = self._request_with_mode(download, "")
            self._mode = ""
        self._is_mode_accepted = True
        return fields

    def _request_with_mode(self, download: Download, mode: str) -> Fields:
        # One name a request: the response to several is not documented.
        params = {"recording_filename": download.name, **({"mode": mode} if mode else {})}
        return self._api.get(
            params,
            lambda response: self._download_once(download, response),
            stream=True,
            max_attempts=MAX_ATTEMPTS if self._failures_in_a_row < FAIL_FAST_AFTER else 1,
            max_lockouts=MAX_LOCKOUTS_PER_FILE,
        )

    def _download_once(self, download: Download, response: requests.Response) -> Fields:
        lockouts, self._lockouts_in_a_row = self._lockouts_in_a_row, 0
        try:
            return self._handle_response(download, response)
        except RateLimitedError:
            download.lockouts += 1
            self._lockouts_in_a_row = lockouts + 1
            raise
        except requests.RequestException as error:
            reason = "the file was cut off"
            raise _truncated(reason) from error

    def _handle_response(self, download: Download, response: requests.Response) -> Fields:
        """Store the file of a response, if it is one.

        Raises:
            RetryableError: If the file is incomplete, or an error may pass.
            ZohoVoiceError: If there is no file, or it is too big.
        """
        chunks = self._api.iter_body(response)
        head = b""
        for chunk in chunks:
            head += chunk
            if len(head) >= SNIFF_BYTES:
                break
        declared_type = response.headers.get("Content-Type", "")
        kind = guess_audio_type(head[:SNIFF_BYTES], declared_type)
        if response.status_code != 200 or not kind:  # noqa: PLR2004
            raise self._unexpected_content(download, response, head + next(chunks, b""))
        length = content_length(response)
        if length is not None and self._is_stored(download, length):
            return self._read_stored(download)
        if length is not None and length > self._max_bytes:
            raise self._too_big()
        return self._store(download, response, itertools.chain([head], chunks), kind)

    def _store(
        self, download: Download, response: requests.Response, chunks: Iterable[bytes], kind: str
    ) -> Fields:
        size, digest = 0, hashlib.sha256()
        with self._storage.write_atomic(download.path) as file:
            for chunk in chunks:
                size += len(chunk)
                if size > self._max_bytes:
                    raise self._too_big()
                digest.update(chunk)
                file.write(chunk)
            if self._is_stored(download, size):
                return self._read_stored(download)
            if error := self._truncation_error(download, response, size, digest.hexdigest()):
                raise error
            downloaded_at = self._now()
            file.commit(downloaded_at)
        download.is_provisional &= self._sizes.is_unknown(download.declared_size)
        self._results["fetched"] += 1
        return self._fields(download, size, digest.hexdigest(), kind, downloaded_at)

    def _is_stored(self, download: Download, size: int) -> bool:
        """Return whether the stored file has this size, or should not be replaced by a part."""
        stored = download.stored
        if stored and (size == stored.size or (download.is_recheck and size < stored.size)):
            self._sizes.compare(download.declared_size, size)
            download.is_provisional = False
            return True
        return False

    def _truncation_error(
        self, download: Download, response: requests.Response, size: int, digest: str
    ) -> RetryableError | None:
        """Return an error if a file is short, unless its response says twice that it is whole."""
        has_length = content_length(response) is not None or "Transfer-Encoding" in response.headers
        declared = download.declared_size or 0
        is_short = size < declared and not self._sizes.are_ignored
        if is_short and not (has_length and digest == download.short_digest):
            download.short_digest = digest
            return _truncated("the file is shorter than its log says")
        if has_length:
            self._sizes.compare(download.declared_size, size)
        return None

    def _unexpected_content(
        self, download: Download, response: requests.Response, body: bytes
    ) -> ZohoVoiceError:
        """Return an error for a response without audio, or raise the one that it states."""
        try:
            self._api.classify(response, body, redact=[download.name])
        except (RateLimitedError, TokenRejectedError):
            raise
        except AmbiguousResponseError:
            pass
        except RetryableError:
            is_page = response.ok and body.lstrip()[:1] not in {b"{", b"["}
            if not is_page:  # which would be the same again
                raise
        summary = f"HTTP {response.status_code}, no audio in the answer"
        return ZohoVoiceError(f"Zoho Voice: {summary}", summary=summary)

    def _too_big(self) -> ZohoVoiceError:
        summary = f"the file is bigger than recordings_max_mb ({self._max_bytes // 1024**2})"
        return ZohoVoiceError(f"Zoho Voice: {summary}", summary=summary)

    def _read_stored(self, download: Download) -> Fields:
        self._results["skipped"] += 1
        digest, head, size = hashlib.sha256(), b"", 0
        with self._storage.open(download.path) as file:
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
            "uri": self._storage.uri(download.path),
            "bytes": size,
            "sha256": digest,
            "content_type": kind,
            "downloaded_at": format_timestamp(at) if at else None,
        }


def _truncated(summary: str) -> RetryableError:
    return RetryableError(f"Zoho Voice: {summary}", summary=summary, is_unreachable=True)
