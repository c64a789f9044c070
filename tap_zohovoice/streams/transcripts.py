"""Stream `transcripts`: transcripts of recordings and voicemails, `GET zv/transcribe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import (
    RateLimitLockoutError,
    RetriesExhaustedError,
    UnexpectedResponseError,
    ZohoVoiceError,
)
from tap_zohovoice.http.retry import item_attempts
from tap_zohovoice.schemas.transcripts import TRANSCRIPT_SCHEMA, parse_transcript
from tap_zohovoice.streams.call_items import CallItemStream
from tap_zohovoice.streams.recordings import FILE_FIELDS, iter_file_references

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_zohovoice.schemas.conversion import Record

_TYPES = {"voicemail": "1", "recording": "2"}
"""`transcriptionType` of each kind. Source: documentation."""


class TranscriptsStream(CallItemStream):
    """The transcript of each call that has one."""

    name = "transcripts"
    primary_keys = ("logid", "kind")
    selected_by_default = False
    schema = TRANSCRIPT_SCHEMA
    item_path = "zv/transcribe"
    item_label = "transcript"
    _failed_in_a_row = 0
    _was_locked = False

    @override
    def get_items(self, record: Record, kind: str) -> Iterator[Record]:
        status = record["call_recording_transcription_status"] or ""
        is_named = record[FILE_FIELDS[kind]] is None or any(iter_file_references(record, kind))
        if status.strip().lower() == "completed" and is_named:
            yield {"logid": record["logid"], "kind": kind, "start_time": record["start_time"]}

    @override
    def request_items(self, items: Sequence[Record]) -> Iterator[Record]:
        yield from map(self._request_item, items)

    def _request_item(self, item: Record) -> Record:
        params = {"logId": item["logid"], "transcriptionType": _TYPES[item["kind"]]}
        attempts = item_attempts(self._failed_in_a_row)
        try:
            transcript = self.item_api.get_json(params, _parse, max_attempts=attempts)
        except ZohoVoiceError as error:
            # One response that looks like a lockout may be about its call; two in a row are not.
            is_locked = isinstance(error, RateLimitLockoutError)
            if not error.summary or (is_locked and self._was_locked):
                raise
            self._was_locked = is_locked
            self.results["failed"] += 1
            self._failed_in_a_row += isinstance(error, RetriesExhaustedError)
            self.record_outcome(is_unreachable=error.is_unreachable or is_locked)
            return {**item, "error": error.summary}
        self._failed_in_a_row, self._was_locked = 0, False
        self.record_outcome(is_unreachable=False)
        self.results["fetched"] += 1
        return {**item, **transcript}


def _parse(body: dict[str, Any]) -> dict[str, Any]:
    content = body.get("transcribeObj")
    if content is None:
        message = "transcribeObj not found"
        raise UnexpectedResponseError(message)
    return parse_transcript(content)
