"""The transcripts of recordings and voicemails: `GET zv/transcribe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_zohovoice.compat import override
from tap_zohovoice.exceptions import NotUnderstoodError, ZohoVoiceError
from tap_zohovoice.streams.following import FollowingStream
from tap_zohovoice.streams.recordings import KINDS
from tap_zohovoice.transcripts import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_zohovoice.records import Record

_TYPES = {"voicemail": "1", "recording": "2"}
"""`transcriptionType` of each kind. Source: documentation."""
_COMPLETED = "completed"
_TRIES = 3

_SEGMENT = th.ObjectType(
    th.Property("speaker", th.StringType, description="Who speaks."),
    th.Property("start", th.NumberType, description="Beginning; its unit is not documented."),
    th.Property("end", th.NumberType, description="End, in the same unit."),
    th.Property("text", th.StringType, description="What is said."),
    th.Property(
        "additional_fields",
        th.ObjectType(additional_properties=True),
        description="What else Zoho sends.",
    ),
    additional_properties=False,
)


class TranscriptsStream(FollowingStream):
    """The transcript of each call that has one; a request each."""

    name = "transcripts"
    path = "zv/transcribe"
    primary_keys = ("logid", "kind")
    selected_by_default = False
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("logid", th.StringType, required=True, description="Id of the call log."),
        th.Property(
            "kind",
            th.StringType,
            required=True,
            description="What was transcribed: recording or voicemail.",
        ),
        th.Property("start_time", th.DateTimeType, description="When the call started."),
        th.Property("provider", th.StringType, description="Who transcribed it."),
        th.Property("segments", th.ArrayType(_SEGMENT), description="What was said, in order."),
        th.Property(
            "analytics",
            th.ObjectType(additional_properties=True),
            description="Results of Zoho's analysis by feature, such as sentiment or summary.",
        ),
        th.Property(
            "additional_fields",
            th.ObjectType(additional_properties=True),
            description="What Zoho sends beyond that.",
        ),
        th.Property(
            "raw", th.StringType, description="The transcript as sent, where it does not parse."
        ),
        th.Property("error", th.StringType, description="Why there is no transcript."),
        additional_properties=False,
    ).to_dict()

    @override
    def named_by(self, record: Record) -> Iterator[Record]:
        status = record["call_recording_transcription_status"] or ""
        if status.strip().lower() != _COMPLETED:
            return
        kinds = [kind for kind, field in KINDS.items() if record[field] is not None]
        for kind in kinds or ["recording"]:
            yield {"logid": record["logid"], "kind": kind, "start_time": record["start_time"]}

    @override
    def complete(self, row: Record) -> Record:
        record = {**dict.fromkeys(self.schema["properties"]), **row}
        params = {"logId": row["logid"], "transcriptionType": _TYPES[row["kind"]]}
        try:
            return {**record, **self.fetch(params, _read, tries=_TRIES)}
        except ZohoVoiceError as error:
            if not error.brief:
                raise
            return {**record, "error": error.brief}


def _read(body: dict[str, Any]) -> dict[str, Any]:
    content = body.get("transcribeObj")
    if content is None:
        message = "no transcribeObj"
        raise NotUnderstoodError(message)
    return parts_of(content)
