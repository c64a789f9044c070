"""Files of recordings and voicemails: asked for one by one, and kept only if they are whole."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from urllib3.exceptions import HTTPError

from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import RateLimitLockoutError, RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.http.body import PIECE, content_length, iter_body
from tap_zohovoice.http.response import ErrorResolution, ResponseAction
from tap_zohovoice.recordings.audio import ENOUGH, audio_type
from tap_zohovoice.recordings.declared_sizes import ToldSizes
from tap_zohovoice.recordings.paths import storage_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_zohovoice.client import ZohoVoiceStream
    from tap_zohovoice.recordings.storage import Folder, StoredFile

Fields = dict[str, Any]
MEGABYTE = 1024 * 1024
_TRIES = 3
_IMPATIENT = 3
"""Files in a row without a usable answer, after which each is asked for once only."""


@dataclass(slots=True)
class _Wanted:
    """A file to fetch.

    Attributes:
        name: Its name, for the server.
        place: Where it goes.
        declared: Its size as the log tells, in bytes.
        stored: What is in its place.
        shorter: Digest of what came, where that was shorter than declared.
    """

    name: str
    place: str
    declared: int | None
    stored: StoredFile | None
    shorter: str = ""


@dataclass(slots=True)
class RecordingDownloader:
    """Fetches files, and tells what became of each.

    Attributes:
        stream: Asks, for the URL of the files.
        folder: Where files go.
        largest: Size of the largest file that is kept, in bytes.
        results: How many files were fetched, were there already, or failed.
        failed_in_a_row: How many files in a row had no usable answer.
        locks_in_a_row: How many locks were met since the last other answer.
        is_unreachable: Whether the last one failed because no service answered at all.
    """

    stream: ZohoVoiceStream
    folder: Folder
    largest: int
    results: Counter[str] = field(default_factory=Counter)
    failed_in_a_row: int = 0
    locks_in_a_row: int = 0
    is_unreachable: bool = False
    _mode: str = "play"
    _is_mode_proven: bool = False
    _sizes: ToldSizes = field(default_factory=ToldSizes)

    def get(self, name: str, start_time: str, declared: int | None) -> Fields:
        """Fetch a file, unless it is there.

        Args:
            name: Its name, as the server sends it.
            start_time: When its call started, in the text form of records.
            declared: Its size as the log tells, in bytes.

        Returns:
            `uri`, `bytes`, `sha256`, `content_type`, `downloaded_at`; or `error`, the reason why
            there is no file.

        Raises:
            StorageError: If the folder is of no use.
            RateLimitLockoutError: If the address of the files stays locked.
            ZohoVoiceError: If there is no token.
        """
        self.is_unreachable = False
        if any("\ud800" <= char <= "\udfff" for char in name):  # no server can be asked for it
            self.results["failed"] += 1
            return {"error": "the name of the file is no text"}
        place = storage_path(start_time, name)
        stored = self.folder.find(place)
        declared = self._sizes.usable(declared)
        wanted = _Wanted(name, place, declared, stored)
        if stored and stored.size and (self._sizes.lie or declared in {None, stored.size}):
            self.results["there already"] += 1
            return self._describe(place, stored)
        result = self._fetch(wanted)
        if "error" in result:
            self.results["failed"] += 1
        else:
            self.failed_in_a_row = 0
        return result

    def _fetch(self, wanted: _Wanted) -> Fields:
        tries: Counter[ResponseAction] = Counter()
        most = _TRIES if self.failed_in_a_row < _IMPATIENT else 1
        mode = self._mode
        while True:
            verdict = self._attempt(wanted, mode)
            if not isinstance(verdict, ErrorResolution):
                self.locks_in_a_row = 0
                self._mode, self._is_mode_proven = mode, True
                return verdict
            outcome = verdict.outcome
            tries[outcome] += 1
            self.locks_in_a_row = self.locks_in_a_row + 1 if outcome is ResponseAction.WAIT else 0
            if outcome is ResponseAction.REFUSED and mode and not self._is_mode_proven:
                mode = ""  # live servers and documentation disagree about its values
                continue
            try:
                self.stream.react(verdict, self.locks_in_a_row or tries[outcome], most)
            except ZohoVoiceError as error:
                if not error.summary or isinstance(error, RateLimitLockoutError):
                    raise
                if isinstance(error, RetriesExhaustedError):
                    self.failed_in_a_row += 1
                    self.is_unreachable = error.is_unreachable
                return {"error": error.summary}
            if (
                tries[ResponseAction.WAIT] > 1
            ):  # perhaps it is this file's answer that sounds like a lock
                self.is_unreachable = True
                return {"error": verdict.summary}

    def _attempt(self, wanted: _Wanted, mode: str) -> Fields | ErrorResolution:
        """Ask once, and keep what comes if it is the file, whole."""
        # One name a request: what the answer to several looks like is not documented.
        params = {"recording_filename": wanted.name, **({"mode": mode} if mode else {})}
        answer = self.stream.send(params)
        if isinstance(answer, ErrorResolution):
            return answer
        tap = self.stream.tap
        timeout = tap.settings.request_timeout
        with closing(answer):
            try:
                pieces = iter_body(answer, tap.clock, self.stream.asked_at, timeout)
                return self._take(wanted, answer, pieces)
            except (requests.RequestException, HTTPError):
                return ErrorResolution(
                    ResponseAction.RETRY, "the file was cut off", is_unreachable=True
                )

    def _take(
        self, wanted: _Wanted, answer: requests.Response, pieces: Iterator[bytes]
    ) -> Fields | ErrorResolution:
        head = b""
        for piece in pieces:
            head += piece
            if len(head) >= ENOUGH:
                break
        is_file = answer.status_code == 200  # noqa: PLR2004
        kind = audio_type(head[:ENOUGH], answer.headers.get("Content-Type", "")) if is_file else ""
        if not kind:
            return self._no_audio(wanted, answer, head + next(pieces, b""))
        length = content_length(answer)
        if length is not None and wanted.stored and length == wanted.stored.size:
            return self._leave(wanted, wanted.stored)
        if length is not None and length > self.largest:
            return self._too_big()
        return self._write(wanted, answer, itertools.chain([head], pieces), kind)

    def _write(
        self, wanted: _Wanted, answer: requests.Response, pieces: Iterable[bytes], kind: str
    ) -> Fields | ErrorResolution:
        size, digest = 0, hashlib.sha256()
        with self.folder.draft(wanted.place) as draft:
            for piece in pieces:
                size += len(piece)
                if size > self.largest:
                    return self._too_big()
                digest.update(piece)
                draft.write(piece)
            if wanted.stored and size == wanted.stored.size:
                return self._leave(wanted, wanted.stored)
            if trouble := self._shortfall(wanted, answer, size, digest.hexdigest()):
                return ErrorResolution(ResponseAction.RETRY, trouble, is_unreachable=True)
            moment = dt.datetime.fromtimestamp(self.stream.tap.clock.now(), dt.UTC)
            draft.keep(moment)
        self.results["fetched"] += 1
        return self._fields(wanted.place, size, digest.hexdigest(), kind, moment)

    def _leave(self, wanted: _Wanted, stored: StoredFile) -> Fields:
        """Leave what is there: it is what the server has, whatever the log says of its size."""
        self._sizes.compare(wanted.declared, stored.size)
        self.results["there already"] += 1
        return self._describe(wanted.place, stored)

    def _too_big(self) -> ErrorResolution:
        limit = self.largest // MEGABYTE
        return ErrorResolution(
            ResponseAction.STOP, f"the file is bigger than recordings_max_mb ({limit})"
        )

    def _shortfall(self, wanted: _Wanted, answer: requests.Response, size: int, digest: str) -> str:
        """Tell what is missing of a file, empty if nothing is."""
        length = content_length(answer)
        if length is not None and size != length:
            return "the file was cut off"
        is_told = length is not None or "Transfer-Encoding" in answer.headers
        is_short = wanted.declared is not None and size < wanted.declared and not self._sizes.lie
        if is_short and (not is_told or digest != wanted.shorter):
            # Its end is told by nothing but the log, or not yet the same twice.
            wanted.shorter = digest if is_told else ""
            return "the file is shorter than its log says"
        if is_told:
            self._sizes.compare(wanted.declared, size)
        return ""

    def _no_audio(self, wanted: _Wanted, answer: requests.Response, body: bytes) -> ErrorResolution:
        verdict = self.stream.judge(answer, body, wanted.name)
        is_json = body.lstrip()[:1] in {b"{", b"["}
        is_empty_talk = verdict.outcome is ResponseAction.RETRY and not is_json and answer.ok
        if verdict.outcome is ResponseAction.OK or is_empty_talk:
            return ErrorResolution(
                ResponseAction.STOP, f"HTTP {answer.status_code}, no audio in the answer"
            )
        return verdict

    def _describe(self, place: str, stored: StoredFile) -> Fields:
        digest, head, size = hashlib.sha256(), b"", 0
        with self.folder.open(place) as file:
            while piece := file.read(PIECE):
                head = head or piece[:ENOUGH]
                size += len(piece)
                digest.update(piece)
        return self._fields(place, size, digest.hexdigest(), audio_type(head), stored.modified)

    def _fields(
        self, place: str, size: int, digest: str, kind: str | None, moment: dt.datetime | None
    ) -> Fields:
        return {
            "uri": self.folder.uri(place),
            "bytes": size,
            "sha256": digest,
            "content_type": kind,
            "downloaded_at": format_timestamp(moment) if moment else None,
        }
