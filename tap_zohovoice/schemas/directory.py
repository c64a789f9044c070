"""Fields of the streams beside call logs and their items: users, messages, status and others."""

from tap_zohovoice.schemas.types import Field, FieldType

_ID, _STRING, _TIMESTAMP = FieldType.ID, FieldType.STRING, FieldType.TIMESTAMP
_INTEGER, _BOOLEAN, _OBJECT = FieldType.INTEGER, FieldType.BOOLEAN, FieldType.OBJECT

# Source of all that follow, unless a comment says otherwise: the documentation's samples.
USER_FIELDS = (
    Field("userid", _ID, "Id of the user."),
    Field("agentId", _ID, "Id of the user as a telephony agent."),
    Field("zuid", _ID, "Id of the user's Zoho account."),
    Field("name", _STRING, "Name."),
    Field("emailid", _STRING, "E-mail address."),
    Field("extension", _ID, "Internal extension."),
    Field("agentNumber", _ID, "Login of the agent's telephone; not a phone number."),
    Field("status", _INTEGER, "1 is active, 2 inactive, 3 pending."),
    Field("zvtRole", _INTEGER, "Code of the role."),
    Field("zvtRoleName", _STRING, "Name of the role, such as ADMIN."),
    Field("onlineStatus", _STRING, "State at the time of the request, such as Available."),
    Field("lastActiveTime", _TIMESTAMP, "Last activity; not when the user was modified."),
    Field("departmentId", _ID, "Id of the department."),
    Field("departmentName", _STRING, "Name of the department."),
    Field("timezone", _STRING, "Abbreviation of the time zone."),
    Field("lang", _STRING, "Language."),
    Field("countryCode", _ID, "Dialling code of the country."),
    Field("commServerStatus", _STRING, "State of the set-up."),
    Field("reportTime", _STRING, "Time of the daily report, HH:MM."),
)
_WAIT_MUSIC = (
    Field("mode", _STRING, "Kind of music."),
    Field("audioId", _ID, "Id of the audio file; empty for the default."),
    Field("enableDefaultAnnouncements", _BOOLEAN, "Same as the field of the queue."),
)
QUEUE_FIELDS = (
    Field("id", _ID, "Id of the queue; `groupid` if only that is sent.", alias="groupid"),
    Field("name", _STRING, "Name."),
    Field("emailId", _STRING, "E-mail address for notices of missed calls."),
    Field("queueStrategy", _STRING, "How calls are distributed, such as ring-all."),
    Field("enableDefaultAnnouncements", _BOOLEAN, "Whether default announcements are played."),
    Field("queueWaitMusic", _OBJECT, "What callers hear while they wait.", _WAIT_MUSIC),
    Field("extension", _ID, "Extension; seen in a client."),
)
# Source: one client, whose list of fields is known to be incomplete.
NUMBER_FIELDS = (
    Field("numberId", _ID, "Id of the number, else its `numberMapId`.", alias="numberMapId"),
    Field("numberMapId", _ID, "Id of the assignment of the number."),
    Field("number", _ID, "Phone number, with a space after the country code."),
    Field("displayName", _STRING, "Name."),
    Field("isActive", _BOOLEAN, "Whether the number is active."),
    Field("isIncomingOrOutgoingActive", _BOOLEAN, "Whether calls are possible."),
    Field("isEnabled", _INTEGER, "1 if the number is enabled."),
)
_PHONE_NUMBERS = [f"{kind}{index}" for kind in ("mobile", "phone") for index in ("", 1, 2, 3)]
_OWNER = (Field("id", _ID, "Id of the user."), Field("display_value", _STRING, "Name."))
CONTACT_FIELDS = (
    Field("contact_id", _ID, "Id of the contact."),
    Field("contact_owner", _OBJECT, "User who owns the contact.", _OWNER),
    Field("first_name", _STRING, "First name."),
    Field("last_name", _STRING, "Last name."),
    Field("email", _STRING, "E-mail address."),
    *(Field(name, _ID, "Phone number.") for name in _PHONE_NUMBERS),
    Field("company", _STRING, "Company."),
    Field("address", _STRING, "Address."),
    Field("state", _STRING, "State."),
    Field("country", _STRING, "Country."),
    Field("is_favourite", _BOOLEAN, "Whether the contact is a favourite."),
    Field("is_spam", _BOOLEAN, "Whether the contact is marked as spam."),
)
CONTACT_STATUS_FIELDS = (
    Field("id", _ID, "Id of the status."),
    Field("display_value", _STRING, "Name."),
)
_MESSAGE_FIELDS = (
    Field("messageType", _STRING, "INCOMING or OUTGOING."),
    Field("status", _STRING, "State, such as DELIVERED or IN_QUEUE."),
    Field("customerNumber", _ID, "Number of the other party."),
    Field("customerName", _STRING, "Name of the other party, or the number."),
    Field("senderId", _ID, "Number of the company."),
    Field("senderIdName", _STRING, "Name of that number."),
    Field("message", _STRING, "Text of the message."),
    Field("userName", _STRING, "Name of the user who sends the message."),
    Field("country", _STRING, "Country of the other party, two letters."),
    Field("multipartCount", _INTEGER, "Number of segments."),
    Field("zuid", _ID, "Zoho account of the user."),
    Field("zsoid", _ID, "Id of the organisation."),
)
SCHEDULED_SMS_FIELDS = (
    Field("jobId", _ID, "Id of the job."),
    Field("logid", _ID, "Id that the message will have."),
    Field("scheduledTime", _STRING, "When the message will be sent, in the zone of `timeZone`."),
    Field("timeZone", _STRING, "IANA time zone."),
    *_MESSAGE_FIELDS,
    Field("countryCode", _ID, "Country, two letters."),
    Field("senderIdCountry", _STRING, "Country of the sender, two letters."),
    Field("isLongCode", _BOOLEAN, "Whether the sender is a long number."),
)
# The documented sample is cut off in its first row, so further fields are to be expected.
CAMPAIGN_FIELDS = (
    Field("campaign_id", _ID, "Id of the campaign."),
    Field("name", _STRING, "Name."),
    Field("assign_user", _ID, "Id of an assigned user."),
    Field("assign_user_name", _STRING, "Name of that user."),
    Field("created_by", _ID, "Id of the user who created the campaign."),
    Field("created_by_name", _STRING, "Name of that user."),
    Field("total_contact_count", _INTEGER, "Number of contacts."),
    Field("contact_upload_status", _STRING, "State of the upload of contacts."),
)

# The documented sample is cut off within `mmsMeta`; what follows it was seen by clients.
SMS_FIELDS = (
    Field("logid", _ID, "Id of the message, a UUID."),
    Field("submittedTime", _TIMESTAMP, "When the message was submitted."),
    Field("sentTime", _STRING, "When the message was sent, in an undocumented time zone."),
    *_MESSAGE_FIELDS,
    Field("emailId", _STRING, "E-mail address of the user."),
    Field("isBlocked", _BOOLEAN, "Whether the number is blocked."),
    Field("isMMS", _BOOLEAN, "Whether it is a multimedia message."),
    Field("mmsMeta", FieldType.OBJECTS, "Media files, as Zoho returns them."),
    Field("messageId", _ID, "Id at the provider."),
    Field("statusDescription", _STRING, "Reason of a failure."),
    Field("archived", _BOOLEAN, "Whether the list of archived messages has it, and no other."),
)
STATUS_CHANGE_FIELDS = (
    Field("agent_id", _ID, "Id of the agent."),
    Field("agentName", _STRING, "Name of the agent."),
    Field("agentEmail", _STRING, "E-mail address of the agent."),
    Field("previous_action_time", _TIMESTAMP, "When the former status began."),
    Field("current_action_time", _TIMESTAMP, "When the status changed."),
    Field("duration", _INTEGER, "Time in the former status, in milliseconds."),
    Field("previous_status", _STRING, "The former status."),
    Field("current_status", _STRING, "The new status."),
    Field("triggered_by", _STRING, "Kind of actor that changed the status."),
    Field("triggered_by_medium", _STRING, "Medium of the change, such as Web."),
    Field("triggered_by_username", _STRING, "Name of the user who changed the status."),
    Field("triggered_by_zuid", _ID, "Zoho account of the user who changed the status."),
    Field("triggered_reason", _STRING, "Reason of the change."),
    Field("triggered_reason_desc", _STRING, "Description of the reason."),
    Field("zsoid", _ID, "Id of the organisation."),
)
