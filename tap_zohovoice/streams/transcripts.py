"""Stream `transcripts`: transcripts of recordings and voicemails, `GET zv/transcribe`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import UnexpectedResponseError, ZohoVoiceError
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.types import OBJECT, STRING, Field, FieldType, build_schema
from tap_zohovoice.singer.json import loads, sanitize, within_depth
from tap_zohovoice.streams.call_items import FILE_FIELDS, CallItemStream

# Source of these names: documentation of call transcription, and clients.
_PROVIDER, _SEGMENTS, _ANALYTICS = "transcriptionProvider", "transcriptJson", "callAnalytics"
_TYPES = {"voicemail": "1", "recording": "2"}  # `transcriptionType`; source: documentation


class TranscriptsStream(CallItemStream):
    """The transcript of each call that has one."""

    name = "transcripts"
    primary_keys = ("logid", "kind")
    # The properties of a segment are not documented.
    schema = build_schema(
        Field("logid", STRING, "Id of the call log.", required=True),
        Field("kind", STRING, "Source: recording or voicemail.", required=True),
        Field("start_time", FieldType.TIMESTAMP, "When the call started."),
        Field("provider", STRING, "Provider of the transcription."),
        Field("segments", FieldType.OBJECTS, "Segments of speech, in order, as Zoho returns them."),
        Field("analytics", OBJECT, "Analysis by feature, such as sentiment or summary."),
        Field("additional_fields", OBJECT, "Other members of the transcript."),
        Field("raw", STRING, "Raw text of a transcript that cannot be parsed."),
        Field("error", STRING, "Reason why there is no transcript."),
    )
    item_path = "zv/transcribe"
    item_label = "transcript"

    @override
    def get_items(self, record: Record, kind: str) -> Iterator[Record]:
        status = record["call_recording_transcription_status"] or ""
        is_named = record[FILE_FIELDS[kind]] is None or any(super().get_items(record, kind))
        if status.strip().lower() == "completed" and is_named:
            yield {"logid": record["logid"], "kind": kind, "start_time": record["start_time"]}

    @override
    def request_items(self, items: Sequence[Record]) -> Iterator[Record]:
        for item in items:
            params = {"logId": item["logid"], "transcriptionType": _TYPES[item["kind"]]}
            try:
                found = self.item_api.get_json(params, parse_transcript, self.failures.limits)
                self.failures.observe(None)
            except ZohoVoiceError as error:
                self.failures.observe(error)
                if self.failures.concerns_others(error):
                    raise
                found = {"error": error.summary}
            self.results["failed" if "error" in found else "fetched"] += 1
            yield {**item, **found}


def parse_transcript(body: Record) -> Record:
    """Parse `transcribeObj`, an object or JSON in a string, to fields; if invalid, to `raw`."""
    sent = body.get("transcribeObj")
    extra = _parse_nested(sent) if within_depth(sent) else None
    if not extra:  # an empty one must not replace a transcript
        message = "transcribeObj not found, empty, or nested too deeply"
        raise UnexpectedResponseError(message)
    if not isinstance(extra, dict):
        return {"raw": sent if isinstance(sent, str) else json.dumps(sent)}
    provider = extra.pop(_PROVIDER, None)
    segments, analytics = (_parse_nested(extra.pop(name, None)) for name in (_SEGMENTS, _ANALYTICS))
    if isinstance(segments, dict):
        segments = [segments]
    if isinstance(analytics, list):
        analytics = _by_feature(analytics, extra)
    return {
        "provider": _accept(provider, str, extra, _PROVIDER),
        "segments": _accept(segments, list, extra, _SEGMENTS),
        "analytics": _accept(analytics, dict, extra, _ANALYTICS),
        "additional_fields": extra or None,
    }


def _parse_nested(value: object) -> Any:  # noqa: ANN401 - JSON of any type
    """Parse JSON in a string; return the value unchanged if it is invalid or nested too deeply."""
    content = value
    with suppress(ValueError, RecursionError):
        while isinstance(content, str):  # it may be encoded several times
            content = loads(content)
    return sanitize(content) if within_depth(content) else value


def _accept(value: object, expected: type, extra: Record, name: str) -> object:
    """Return a value of the expected type; keep any other among the extra fields."""
    members = value if isinstance(value, list) else []
    if isinstance(value, expected | None) and all(isinstance(item, dict) for item in members):
        return value
    extra[name] = value
    return None


def _by_feature(analytics: list[Any], extra: Record) -> Record | None:
    """Turn a list of `{feature, result}` into an object; keep what is more than that."""
    found: Record = {}
    for entry in analytics:
        if isinstance(entry, dict) and isinstance(entry.get("feature"), str):
            found.setdefault(entry["feature"], entry.get("result"))
    plain = [{"feature": name, "result": result} for name, result in found.items()]
    if rest := [entry for entry in analytics if entry not in plain]:
        extra[_ANALYTICS] = rest
    return found or None
