"""The transcripts of recordings and voicemails: `GET zv/transcribe`."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import (
    RateLimitLockoutError,
    RetriesExhaustedError,
    UnexpectedResponseError,
    ZohoVoiceError,
)
from tap_zohovoice.progress import DownloadProgress
from tap_zohovoice.schemas.transcripts import TRANSCRIPT_SCHEMA, parse_transcript
from tap_zohovoice.streams.dependent import CallLogDependentStream
from tap_zohovoice.streams.recordings import named_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context

    from tap_zohovoice.schemas.conversion import Record

_TYPES = {"voicemail": "1", "recording": "2"}
"""`transcriptionType` of each kind. Source: documentation."""
_COMPLETED = "completed"
_TRIES = 3
_IMPATIENT = 3
"""Transcripts in a row without a usable answer, after which each is asked for once only."""


class TranscriptsStream(CallLogDependentStream):
    """The transcript of each call that has one; a request each."""

    _unanswered = 0
    _is_locked = False
    name = "transcripts"
    path = "zv/transcribe"
    primary_keys = ("logid", "kind")
    selected_by_default = False
    schema = TRANSCRIPT_SCHEMA

    @cached_property
    def _results(self) -> Counter[str]:
        return Counter()

    @override
    def named_by(self, record: Record) -> Iterator[Record]:
        status = record["call_recording_transcription_status"] or ""
        if status.strip().lower() != _COMPLETED:
            return
        kinds = dict.fromkeys(row["kind"] for row in named_files(record))
        for kind in kinds or ["recording"]:
            yield {"logid": record["logid"], "kind": kind, "start_time": record["start_time"]}

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if not self.is_dry_run:
            self.progress = DownloadProgress(
                self.name,
                "transcript",
                clock=self.tap.clock,
                limiter=self.throttle,
                results=self._results,
            )
        yield from super().get_records(context)

    @override
    def complete(self, row: Record) -> Record:
        record = {**dict.fromkeys(self.schema["properties"]), **row}
        params = {"logId": row["logid"], "transcriptionType": _TYPES[row["kind"]]}
        tries = _TRIES if self._unanswered < _IMPATIENT else 1
        try:
            record |= self.fetch(params, _read, tries=tries)
        except ZohoVoiceError as error:
            # One answer that sounds like a lock may be about its call; two in a row are not.
            was_locked, self._is_locked = self._is_locked, isinstance(error, RateLimitLockoutError)
            if not error.brief or (was_locked and self._is_locked):
                raise
            self._results["failed"] += 1
            self._unanswered += isinstance(error, RetriesExhaustedError)
            self.note_answer(is_outage=error.is_outage or self._is_locked)
            return {**record, "error": error.brief}
        self._unanswered, self._is_locked = 0, False
        self.note_answer(is_outage=False)
        self._results["fetched"] += 1
        return record


def _read(body: dict[str, Any]) -> dict[str, Any]:
    content = body.get("transcribeObj")
    if content is None:
        message = "no transcribeObj"
        raise UnexpectedResponseError(message)
    return parse_transcript(content)
