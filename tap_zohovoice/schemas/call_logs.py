"""Fields and JSON schema of call logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from singer_sdk import typing as th

from tap_zohovoice.schemas.types import JSON_TYPES, FieldType


@dataclass(frozen=True, slots=True)
class Field:
    """A field under Zoho's name, with its properties if it is an object."""

    name: str
    type: FieldType
    description: str
    properties: tuple[Field, ...] = ()


def _file_fields(what: str) -> tuple[Field, ...]:
    return (
        Field(
            "recording_filename",
            FieldType.STRING,
            f"Name of the {what}'s file, the key to fetch it.",
        ),
        Field("recording_duration", FieldType.NUMBER, f"Length of the {what}, in seconds."),
        Field("content_type", FieldType.STRING, "Media type of the file."),
        Field("dfs_path", FieldType.STRING, "Path in Zoho's file store."),
        Field("block_id", FieldType.ID, "Block in Zoho's file store."),
        Field("recording_size_in_bytes", FieldType.INTEGER, "Size of the file, in bytes."),
    )


# Those from `contact_name` on are not in the documentation's samples but were seen by clients.
FIELDS: tuple[Field, ...] = (
    Field("logid", FieldType.ID, "Id of the call log, a UUID; `uuid` where Zoho sends only that."),
    Field("call_type", FieldType.STRING, "incoming, outgoing, missed, bridged or forward."),
    Field("start_time", FieldType.TIMESTAMP, "When the call started."),
    Field("answer_time", FieldType.TIMESTAMP, "When the call was answered; null if it was not."),
    Field("end_time", FieldType.TIMESTAMP, "When the call ended."),
    Field(
        "duration", FieldType.DURATION, "Length of the call as Zoho sends it: MM:SS or HH:MM:SS."
    ),
    Field("caller_id_number", FieldType.ID, "Number of the caller."),
    Field("caller_id_name", FieldType.STRING, "Name of the caller."),
    Field("destination_number", FieldType.ID, "Number that was called."),
    Field("destination_name", FieldType.STRING, "Name of who was called."),
    Field("user_number", FieldType.ID, "Number of the other party, the customer."),
    Field("did_number", FieldType.ID, "Number of the company that was used."),
    Field("number_id", FieldType.ID, "Id of that number."),
    Field("agent_number", FieldType.STRING, "Display name of the agent, in spite of its name."),
    Field("department", FieldType.STRING, "Name of the department."),
    Field("zsoid", FieldType.ID, "Id of the organisation."),
    Field("service", FieldType.ID, "Id of the service; exceeds what a float can hold."),
    Field("hangup_cause", FieldType.STRING, "Code of why the call ended, such as NORMAL_CLEARING."),
    Field(
        "hangup_cause_displayname",
        FieldType.STRING,
        "The same for people, in the account's language.",
    ),
    Field("hangup_cause_description", FieldType.STRING, "The same in a sentence."),
    Field("sip_hangup_disposition", FieldType.STRING, "Which side hung up, in SIP's words."),
    Field("disconnected_by", FieldType.STRING, "Who ended the call: agent or customer."),
    Field("isBlocked", FieldType.BOOLEAN, "Whether the number is blocked."),
    Field("is_test_call", FieldType.BOOLEAN, "Whether it was a test call."),
    Field("voicemail_read_by", FieldType.BOOLEAN, "Whether a voicemail, if any, was listened to."),
    Field(
        "call_recording_transcription_status",
        FieldType.STRING,
        "State of the recording's transcription, such as not_initiated or completed.",
    ),
    Field(
        "bridged_agent",
        FieldType.OBJECT,
        "The agent that the call was connected to.",
        (
            Field("agent", FieldType.ID, "Agent."),
            Field("domain", FieldType.STRING, "SIP domain."),
            Field("time", FieldType.TIMESTAMP, "When the agent was connected."),
            Field("uuid", FieldType.ID, "Id of the agent's leg of the call."),
            Field("user_agent", FieldType.STRING, "Software of the agent's phone."),
        ),
    ),
    Field(
        "voice_credits",
        FieldType.OBJECT,
        "What the call cost, in credits.",
        (
            Field("voice", FieldType.NUMBER, "For the call."),
            Field("free_minutes", FieldType.NUMBER, "Free minutes used."),
            Field("total", FieldType.NUMBER, "In all."),
            Field("recording", FieldType.NUMBER, "For its recording."),
            Field("transcription", FieldType.NUMBER, "For its transcription."),
        ),
    ),
    Field("contact_name", FieldType.STRING, "Name of the contact."),
    Field("feedback", FieldType.INTEGER, "Rating of the call, 1 to 5."),
    Field("bh_profile", FieldType.STRING, "Profile of business hours."),
    Field("is_bh_off_duty", FieldType.BOOLEAN, "Whether the call came outside business hours."),
    Field("call_recording", FieldType.OBJECT, "The recording, if any.", _file_fields("recording")),
    Field("voicemail", FieldType.OBJECT, "The voicemail, if any.", _file_fields("voicemail")),
)


def _property(field: Field) -> th.Property[Any]:
    json_type = JSON_TYPES.get(field.type)
    if json_type is None:
        properties = map(_property, field.properties)
        json_type = th.ObjectType(*properties, additional_properties=False)
    return th.Property(field.name, json_type, description=field.description)


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
