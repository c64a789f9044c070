"""Streams of lists: users, queues, contacts, messages and others."""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any, ClassVar

from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.types import BOOLEAN, ID, INTEGER, OBJECT, STRING, Field, FieldType
from tap_zohovoice.singer.state import IN_BOTH
from tap_zohovoice.streams.lists import ListStream

# Source of all fields, unless a comment says otherwise: the documentation's samples.
_WAIT_MUSIC = (
    Field("mode", STRING, "Kind of music."),
    Field("audioId", ID, "Id of the audio file; empty for the default."),
    Field("enableDefaultAnnouncements", BOOLEAN, "Same as the field of the queue."),
)
_MESSAGE_FIELDS = (
    Field("messageType", STRING, "INCOMING or OUTGOING."),
    Field("status", STRING, "State, such as DELIVERED or IN_QUEUE."),
    Field("customerNumber", ID, "Number of the other party."),
    Field("customerName", STRING, "Name of the other party, or the number."),
    Field("senderId", ID, "Number of the company."),
    Field("senderIdName", STRING, "Name of that number."),
    Field("message", STRING, "Text of the message."),
    Field("userName", STRING, "Name of the user who sends the message."),
    Field("country", STRING, "Country of the other party, two letters."),
    Field("multipartCount", INTEGER, "Number of segments."),
    Field("zuid", ID, "Zoho account of the user."),
    Field("zsoid", ID, "Id of the organisation."),
)
_PHONE_NUMBERS = [f"{kind}{index}" for kind in ("mobile", "phone") for index in ("", 1, 2, 3)]
_OWNER = (Field("id", ID, "Id of the user."), Field("display_value", STRING, "Name."))


class UsersStream(ListStream):
    """Users, who are the agents of the account."""

    name = "users"
    path = "zv/api/users"
    scope = "ZohoVoice.agents.READ"
    primary_keys = ("userid",)
    envelope = "users"
    fields = (
        Field("userid", ID, "Id of the user."),
        Field("agentId", ID, "Id of the user as a telephony agent."),
        Field("zuid", ID, "Id of the user's Zoho account."),
        Field("name", STRING, "Name."),
        Field("emailid", STRING, "E-mail address."),
        Field("extension", ID, "Internal extension."),
        Field("agentNumber", ID, "Login of the agent's telephone; not a phone number."),
        Field("status", INTEGER, "1 is active, 2 inactive, 3 pending."),
        Field("zvtRole", INTEGER, "Code of the role."),
        Field("zvtRoleName", STRING, "Name of the role, such as ADMIN."),
        Field("onlineStatus", STRING, "State at the time of the request, such as Available."),
        Field(
            "lastActiveTime", FieldType.TIMESTAMP, "Last activity; not when the user was modified."
        ),
        Field("departmentId", ID, "Id of the department."),
        Field("departmentName", STRING, "Name of the department."),
        Field("timezone", STRING, "Abbreviation of the time zone."),
        Field("lang", STRING, "Language."),
        Field("countryCode", ID, "Dialling code of the country."),
        Field("commServerStatus", STRING, "State of the set-up."),
        Field("reportTime", STRING, "Time of the daily report, HH:MM."),
    )


class QueuesStream(ListStream):
    """Queues of incoming calls."""

    name = "queues"
    path = "zv/api/queues"
    scope = "zohovoice.queues.READ"
    primary_keys = ("id",)
    envelope = "queues"
    fields = (
        Field("id", ID, "Id of the queue; `groupid` if only that is sent.", alias="groupid"),
        Field("name", STRING, "Name."),
        Field("emailId", STRING, "E-mail address for notices of missed calls."),
        Field("queueStrategy", STRING, "How calls are distributed, such as ring-all."),
        Field("enableDefaultAnnouncements", BOOLEAN, "Whether default announcements are played."),
        Field("queueWaitMusic", OBJECT, "What callers hear while they wait.", _WAIT_MUSIC),
        Field("extension", ID, "Extension; seen in a client."),
    )


class NumbersStream(ListStream):
    """Phone numbers of the account. Experimental: not documented by Zoho."""

    name = "numbers"
    path = "zv/api/v1/numberslist"
    scope = "ZohoVoice.agents.READ"
    primary_keys = ("numberId",)
    envelope = "numberslist"
    # Source: one client, whose list of fields is known to be incomplete.
    fields = (
        Field("numberId", ID, "Id of the number, else its `numberMapId`.", alias="numberMapId"),
        Field("numberMapId", ID, "Id of the assignment of the number."),
        Field("number", ID, "Phone number, with a space after the country code."),
        Field("displayName", STRING, "Name."),
        Field("isActive", BOOLEAN, "Whether the number is active."),
        Field("isIncomingOrOutgoingActive", BOOLEAN, "Whether calls are possible."),
        Field("isEnabled", INTEGER, "1 if the number is enabled."),
    )


class ContactsStream(ListStream):
    """Contacts."""

    name = "contacts"
    path = "zv/contacts"
    scope = "zohovoice.contacts.READ"
    primary_keys = ("contact_id",)
    envelope = "contacts"
    size_param = "size"
    fields = (
        Field("contact_id", ID, "Id of the contact."),
        Field("contact_owner", OBJECT, "User who owns the contact.", _OWNER),
        Field("first_name", STRING, "First name."),
        Field("last_name", STRING, "Last name."),
        Field("email", STRING, "E-mail address."),
        *(Field(name, ID, "Phone number.") for name in _PHONE_NUMBERS),
        Field("company", STRING, "Company."),
        Field("address", STRING, "Address."),
        Field("state", STRING, "State."),
        Field("country", STRING, "Country."),
        Field("is_favourite", BOOLEAN, "Whether the contact is a favourite."),
        Field("is_spam", BOOLEAN, "Whether the contact is marked as spam."),
    )


class ContactStatusesStream(ListStream):
    """Statuses that a contact may have."""

    name = "contact_statuses"
    path = "zv/contacts/contact_status"
    scope = "zohovoice.contacts.READ"
    primary_keys = ("id",)
    envelope = "contact_status"
    size_param = ""
    fields = (
        Field("id", ID, "Id of the status."),
        Field("display_value", STRING, "Name."),
    )


class ScheduledSmsStream(ListStream):
    """Text messages that wait to be sent."""

    name = "scheduled_sms"
    path = "v1/sms/schedule"
    scope = "ZohoVoice.sms.READ"
    primary_keys = ("jobId",)
    envelope = "schedule"
    size_param = "size"
    page_size = 100
    fields = (
        Field("jobId", ID, "Id of the job."),
        Field("logid", ID, "Id that the message will have."),
        Field("scheduledTime", STRING, "When the message will be sent, in the zone of `timeZone`."),
        Field("timeZone", STRING, "IANA time zone."),
        *_MESSAGE_FIELDS,
        Field("countryCode", ID, "Country, two letters."),
        Field("senderIdCountry", STRING, "Country of the sender, two letters."),
        Field("isLongCode", BOOLEAN, "Whether the sender is a long number."),
    )


class CampaignsStream(ListStream):
    """Campaigns of the power dialer.

    The first request has no index, as in the sample. A round number of rows may be a full page.
    """

    name = "campaigns"
    path = "zv/api/powerdialer"
    scope = "ZohoVoice.powerdialer.READ"
    primary_keys = ("campaign_id",)
    envelope = "records"
    size_param = ""
    rejects_end = True
    # The documented sample is cut off in its first row, so further fields are to be expected.
    fields = (
        Field("campaign_id", ID, "Id of the campaign."),
        Field("name", STRING, "Name."),
        Field("assign_user", ID, "Id of an assigned user."),
        Field("assign_user_name", STRING, "Name of that user."),
        Field("created_by", ID, "Id of the user who created the campaign."),
        Field("created_by_name", STRING, "Name of that user."),
        Field("total_contact_count", INTEGER, "Number of contacts."),
        Field("contact_upload_status", STRING, "State of the upload of contacts."),
    )

    _step = 0  # rows of the last page

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        first = next_page_token.offset
        return {"from_index": str(first), "to_index": str(first + self._step)} if first else {}

    @override
    def next_step(self, rows: list[Record], step: int) -> int:
        is_full = len(rows) >= step if step else len(rows) % 5 == 0
        self._step = len(rows) if is_full else 0
        return self._step


DIRECTORY_STREAMS = (  # those that are read as a whole in each run
    *(UsersStream, QueuesStream, NumbersStream, ContactsStream, ContactStatusesStream),
    *(ScheduledSmsStream, CampaignsStream),
)


class SmsLogsStream(ListStream):
    """Text messages, sent and received.

    Archived ones have a separate partition. The form of the date filters is not documented, so none
    is sent. If the newest messages come first, the stream stops at the bookmark minus the lookback.
    """

    name = "sms_logs"
    path = "v1/sms/logs"
    replication_key = "submittedTime"
    primary_keys = ("logid",)
    scope = "ZohoVoice.sms.READ"
    fixed_partitions: ClassVar = [{"archived": "false"}, {"archived": "true"}]
    partitions = fixed_partitions
    envelope = "smsLogQuery"
    size_param = "size"
    page_size = 100
    # The documented sample is cut off within `mmsMeta`; what follows it was seen by clients.
    fields = (
        Field("logid", ID, "Id of the message, a UUID."),
        Field("submittedTime", FieldType.TIMESTAMP, "When the message was submitted."),
        Field("sentTime", STRING, "When the message was sent, in an undocumented time zone."),
        *_MESSAGE_FIELDS,
        Field("emailId", STRING, "E-mail address of the user."),
        Field("isBlocked", BOOLEAN, "Whether the number is blocked."),
        Field("isMMS", BOOLEAN, "Whether it is a multimedia message."),
        Field("mmsMeta", FieldType.OBJECTS, "Media files, as Zoho returns them."),
        Field("messageId", ID, "Id at the provider."),
        Field("statusDescription", STRING, "Reason of a failure."),
        Field("archived", BOOLEAN, "Whether the list of archived messages has it, and no other."),
    )

    _start = ""
    _last = ""  # time of the last message while the newest ones come first, else empty

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        params = super().get_url_params(context, next_page_token)
        is_archived = context == self.partitions[1]
        return {**params, "optArchived": "true"} if is_archived else params

    @override
    def read_sample(self, context: Context | None) -> Iterator[Record]:
        return self.read_list(context)

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        is_archived, key = context == self.partitions[1], self.record_key
        # From a time on, it is known which archived messages are among the others too.
        others, known_from = (self._found, self._start) if is_archived else ({}, "~")
        self._start = format_timestamp(self.get_starting_time(context))
        messages = [row for row in self.read_list(context) if row["submittedTime"] >= self._start]
        messages.sort(key=itemgetter("submittedTime"))
        state = self.get_context_state(context)
        if known := [key(row) in others for row in messages if row["submittedTime"] >= known_from]:
            state[IN_BOTH] = all(known)
        for message in messages:
            is_other = message["submittedTime"] < known_from and state.get(IN_BOTH)
            if not (is_other or key(message) in others):
                yield {**message, "archived": is_archived}
        if messages:
            self.advance_bookmark(messages[-1]["submittedTime"], context)

    @override
    def next_step(self, rows: list[Record], step: int) -> int:
        # A message that arrives moves known ones to the next page.
        fresh = (message for message in rows if self.record_key(message) not in self._seen)
        last = self._last if step else "~"  # a pass begins
        moments = [last, *(message["submittedTime"] for message in fresh)]
        # In another order, newer messages may follow older ones.
        self._last = moments[-1] if moments == sorted(moments, reverse=True) else ""
        if not "" < self._last < self._start:
            return super().next_step(rows, step)
        # Only a row with the same timestamp may follow, and it is not needed.
        self._total = 0  # it counts the older ones too
        return 0
