"""The fields of a call log, and the JSON schema made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from singer_sdk import typing as th


class Kind(Enum):
    """What a field holds; `records` has a cast for each and `_TYPES` a type."""

    ID = "id"
    TEXT = "text"
    MOMENT = "moment"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DURATION = "duration"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a call log.

    Attributes:
        name: Zoho's name.
        kind: What it holds.
        description: What it means.
        members: The fields of an object.
    """

    name: str
    kind: Kind
    description: str
    members: tuple[Field, ...] = ()


def _file_members(what: str) -> tuple[Field, ...]:
    return (
        Field("recording_filename", Kind.TEXT, f"Name of the {what}'s file, the key to fetch it."),
        Field("recording_duration", Kind.NUMBER, f"Length of the {what}, in seconds."),
        Field("content_type", Kind.TEXT, "Media type of the file."),
        Field("dfs_path", Kind.TEXT, "Path in Zoho's file store."),
        Field("block_id", Kind.ID, "Block in Zoho's file store."),
        Field("recording_size_in_bytes", Kind.INTEGER, "Size of the file, in bytes."),
    )


# Those from `contact_name` on are not in the documentation's samples but were seen by clients.
FIELDS: tuple[Field, ...] = (
    Field("logid", Kind.ID, "Id of the call log, a UUID; `uuid` where Zoho sends only that."),
    Field("call_type", Kind.TEXT, "incoming, outgoing, missed, bridged or forward."),
    Field("start_time", Kind.MOMENT, "When the call started."),
    Field("answer_time", Kind.MOMENT, "When the call was answered; null if it was not."),
    Field("end_time", Kind.MOMENT, "When the call ended."),
    Field("duration", Kind.DURATION, "Length of the call as Zoho sends it: MM:SS or HH:MM:SS."),
    Field("caller_id_number", Kind.ID, "Number of the caller."),
    Field("caller_id_name", Kind.TEXT, "Name of the caller."),
    Field("destination_number", Kind.ID, "Number that was called."),
    Field("destination_name", Kind.TEXT, "Name of who was called."),
    Field("user_number", Kind.ID, "Number of the other party, the customer."),
    Field("did_number", Kind.ID, "Number of the company that was used."),
    Field("number_id", Kind.ID, "Id of that number."),
    Field("agent_number", Kind.TEXT, "Display name of the agent, in spite of its name."),
    Field("department", Kind.TEXT, "Name of the department."),
    Field("zsoid", Kind.ID, "Id of the organisation."),
    Field("service", Kind.ID, "Id of the service; exceeds what a float can hold."),
    Field("hangup_cause", Kind.TEXT, "Code of why the call ended, such as NORMAL_CLEARING."),
    Field("hangup_cause_displayname", Kind.TEXT, "The same for people, in the account's language."),
    Field("hangup_cause_description", Kind.TEXT, "The same in a sentence."),
    Field("sip_hangup_disposition", Kind.TEXT, "Which side hung up, in SIP's words."),
    Field("disconnected_by", Kind.TEXT, "Who ended the call: agent or customer."),
    Field("isBlocked", Kind.BOOLEAN, "Whether the number is blocked."),
    Field("is_test_call", Kind.BOOLEAN, "Whether it was a test call."),
    Field("voicemail_read_by", Kind.BOOLEAN, "Whether a voicemail, if any, was listened to."),
    Field(
        "call_recording_transcription_status",
        Kind.TEXT,
        "State of the recording's transcription, such as not_initiated or completed.",
    ),
    Field(
        "bridged_agent",
        Kind.OBJECT,
        "The agent that the call was connected to.",
        (
            Field("agent", Kind.ID, "Agent."),
            Field("domain", Kind.TEXT, "SIP domain."),
            Field("time", Kind.MOMENT, "When the agent was connected."),
            Field("uuid", Kind.ID, "Id of the agent's leg of the call."),
            Field("user_agent", Kind.TEXT, "Software of the agent's phone."),
        ),
    ),
    Field(
        "voice_credits",
        Kind.OBJECT,
        "What the call cost, in credits.",
        (
            Field("voice", Kind.NUMBER, "For the call."),
            Field("free_minutes", Kind.NUMBER, "Free minutes used."),
            Field("total", Kind.NUMBER, "In all."),
            Field("recording", Kind.NUMBER, "For its recording."),
            Field("transcription", Kind.NUMBER, "For its transcription."),
        ),
    ),
    Field("contact_name", Kind.TEXT, "Name of the contact."),
    Field("feedback", Kind.INTEGER, "Rating of the call, 1 to 5."),
    Field("bh_profile", Kind.TEXT, "Profile of business hours."),
    Field("is_bh_off_duty", Kind.BOOLEAN, "Whether the call came outside business hours."),
    Field("call_recording", Kind.OBJECT, "The recording, if any.", _file_members("recording")),
    Field("voicemail", Kind.OBJECT, "The voicemail, if any.", _file_members("voicemail")),
)

_TYPES: dict[Kind, Any] = {
    Kind.ID: th.StringType,
    Kind.TEXT: th.StringType,
    Kind.MOMENT: th.DateTimeType,
    Kind.NUMBER: th.NumberType,
    Kind.INTEGER: th.IntegerType,
    Kind.BOOLEAN: th.BooleanType,
    Kind.DURATION: th.StringType,
}


def _property(field: Field) -> th.Property[Any]:
    kind = _TYPES.get(field.kind)
    if kind is None:
        kind = th.ObjectType(*map(_property, field.members), additional_properties=False)
    return th.Property(field.name, kind, description=field.description)


CALL_LOG_SCHEMA: dict[str, Any] = th.PropertiesList(
    *map(_property, FIELDS),
    th.Property("duration_seconds", th.IntegerType, description="Length of the call, in seconds."),
    th.Property(
        "additional_fields",
        th.ObjectType(additional_properties=True),
        description="What Zoho sends beyond its documentation, and what does not fit its type.",
    ),
    additional_properties=False,
).to_dict()
"""JSON schema of a call log. Sources: the two samples of the documentation, and clients."""
