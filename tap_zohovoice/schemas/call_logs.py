"""Fields and JSON schema of call logs."""

from typing import Any

from tap_zohovoice.schemas.types import ID, NUMBER, OBJECT, STRING, Field, FieldType, build_schema


def _file_fields(what: str) -> tuple[Field, ...]:
    return (
        Field("recording_filename", STRING, f"Name of the {what}'s file, which identifies it."),
        Field("recording_duration", NUMBER, f"Length of the {what}, in seconds."),
        Field("content_type", STRING, "Media type of the file."),
        Field("dfs_path", STRING, "Path in Zoho's file store."),
        Field("block_id", ID, "Block in Zoho's file store."),
        Field("recording_size_in_bytes", FieldType.INTEGER, "Size of the file, in bytes."),
    )


_AGENT_FIELDS = (
    Field("agent", ID, "Id of the agent."),
    Field("domain", STRING, "SIP domain."),
    Field("time", FieldType.TIMESTAMP, "When the agent was connected."),
    Field("uuid", ID, "Id of the agent's leg of the call."),
    Field("user_agent", STRING, "Software of the agent's phone."),
)
_CREDIT_FIELDS = (
    Field("voice", NUMBER, "Credits for the call."),
    Field("free_minutes", NUMBER, "Free minutes used."),
    Field("total", NUMBER, "Total credits."),
    Field("recording", NUMBER, "Credits for its recording."),
    Field("transcription", NUMBER, "Credits for its transcription."),
)
# Those from `contact_name` on are not in the documentation's samples but were seen by clients.
FIELDS: tuple[Field, ...] = (
    Field("logid", ID, "Id of the call log, a UUID; `uuid` if only that is sent.", alias="uuid"),
    Field("call_type", STRING, "incoming, outgoing, missed, bridged or forward."),
    Field("start_time", FieldType.START, "When the call started."),
    Field("answer_time", FieldType.TIMESTAMP, "When the call was answered; null if it was not."),
    Field("end_time", FieldType.TIMESTAMP, "When the call ended."),
    Field("duration", FieldType.DURATION, "Length as Zoho sends it: MM:SS or HH:MM:SS."),
    Field("caller_id_number", ID, "Number of the caller."),
    Field("caller_id_name", STRING, "Name of the caller."),
    Field("destination_number", ID, "Number that was called."),
    Field("destination_name", STRING, "Name of the called party."),
    Field("user_number", ID, "Number of the other party, the customer."),
    Field("did_number", ID, "Phone number of the company that the call used."),
    Field("number_id", ID, "Id of that phone number."),
    Field("agent_number", STRING, "Display name of the agent; not a phone number."),
    Field("department", STRING, "Name of the department."),
    Field("zsoid", ID, "Id of the organisation."),
    Field("service", ID, "Id of the service; text, as it exceeds the precision of a float."),
    Field("hangup_cause", STRING, "Why the call ended, as a code such as NORMAL_CLEARING."),
    Field("hangup_cause_displayname", STRING, "Name of that reason in the account's language."),
    Field("hangup_cause_description", STRING, "Description of that reason."),
    Field("sip_hangup_disposition", STRING, "Side that hung up, as a SIP disposition."),
    Field("disconnected_by", STRING, "Who ended the call: agent or customer."),
    Field("isBlocked", FieldType.BOOLEAN, "Whether the number is blocked."),
    Field("is_test_call", FieldType.BOOLEAN, "Whether it was a test call."),
    Field("voicemail_read_by", FieldType.BOOLEAN, "Whether a voicemail, if any, was listened to."),
    Field("call_recording_transcription_status", STRING, "State of transcription: completed, ..."),
    Field("bridged_agent", OBJECT, "The agent that the call was connected to.", _AGENT_FIELDS),
    Field("voice_credits", OBJECT, "What the call cost, in credits.", _CREDIT_FIELDS),
    Field("contact_name", STRING, "Name of the contact."),
    Field("feedback", FieldType.INTEGER, "Rating of the call, 1 to 5."),
    Field("bh_profile", STRING, "Profile of business hours."),
    Field("is_bh_off_duty", FieldType.BOOLEAN, "Whether the call came outside business hours."),
    Field("call_recording", OBJECT, "The recording, if any.", _file_fields("recording")),
    Field("voicemail", OBJECT, "The voicemail, if any.", _file_fields("voicemail")),
    Field(
        "duration_seconds", FieldType.SECONDS, "Length of the call, in seconds.", alias="duration"
    ),
)
CALL_LOG_SCHEMA: dict[str, Any] = build_schema(*FIELDS, is_open=True)
"""JSON schema of a call log. Sources: the two samples of the documentation, and clients."""
