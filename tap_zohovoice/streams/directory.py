"""Streams of lists: users, queues, contacts, messages and others."""

from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import Any, ClassVar

import requests
from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.schemas import directory as fields
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.streams.lists import ListStream

_IN_BOTH = "in_both_lists"  # member of a bookmark: whether archived messages are among the others


class UsersStream(ListStream):
    """Users, who are the agents of the account."""

    name = "users"
    path = "zv/api/users"
    scope = "ZohoVoice.agents.READ"
    primary_keys = ("userid",)
    envelope = "users"
    fields = fields.USER_FIELDS


class QueuesStream(ListStream):
    """Queues of incoming calls."""

    name = "queues"
    path = "zv/api/queues"
    scope = "zohovoice.queues.READ"
    primary_keys = ("id",)
    envelope = "queues"
    fields = fields.QUEUE_FIELDS


class NumbersStream(ListStream):
    """Phone numbers of the account. Experimental: not documented by Zoho."""

    name = "numbers"
    path = "zv/api/v1/numberslist"
    scope = "ZohoVoice.agents.READ"
    primary_keys = ("numberId",)
    envelope = "numberslist"
    fields = fields.NUMBER_FIELDS


class ContactsStream(ListStream):
    """Contacts."""

    name = "contacts"
    path = "zv/contacts"
    scope = "zohovoice.contacts.READ"
    primary_keys = ("contact_id",)
    envelope = "contacts"
    fields = fields.CONTACT_FIELDS
    size_param = "size"


class ContactStatusesStream(ListStream):
    """Statuses that a contact may have."""

    name = "contact_statuses"
    path = "zv/contacts/contact_status"
    scope = "zohovoice.contacts.READ"
    primary_keys = ("id",)
    envelope = "contact_status"
    fields = fields.CONTACT_STATUS_FIELDS
    size_param = ""


class ScheduledSmsStream(ListStream):
    """Text messages that wait to be sent."""

    name = "scheduled_sms"
    path = "v1/sms/schedule"
    scope = "ZohoVoice.sms.READ"
    primary_keys = ("jobId",)
    envelope = "schedule"
    fields = fields.SCHEDULED_SMS_FIELDS
    size_param = "size"
    page_size = 100


class CampaignsStream(ListStream):
    """Campaigns of the power dialer.

    The first request has no index, as in the sample. A round number of rows may be a full page.
    """

    name = "campaigns"
    path = "zv/api/powerdialer"
    scope = "ZohoVoice.powerdialer.READ"
    primary_keys = ("campaign_id",)
    envelope = "records"
    fields = fields.CAMPAIGN_FIELDS
    size_param = ""
    rejects_end = True

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        first, last = next_page_token, next_page_token + self._row_count
        return {"from_index": str(first), "to_index": str(last)} if first else {}

    @override
    def validate_response(self, response: requests.Response) -> None:
        asked = self._row_count if self._seen else 0
        super().validate_response(response)
        count = len(self._rows)
        is_full = count >= asked if asked else count % 10 == 0
        self._row_count = count if is_full else 0


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
    fields = fields.SMS_FIELDS
    size_param = "size"
    page_size = 100

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
            state[_IN_BOTH] = all(known)
        for message in messages:
            is_other = message["submittedTime"] < known_from and state.get(_IN_BOTH)
            if not (is_other or key(message) in others):
                yield {**message, "archived": is_archived}
        if messages:
            self.advance_bookmark(messages[-1]["submittedTime"], context)

    @override
    def validate_response(self, response: requests.Response) -> None:
        last, count = self._last if self._seen else "~", len(self._seen)  # "~": a pass begins
        super().validate_response(response)
        # A message that arrives moves known ones to the next page.
        fresh = {*islice(reversed(self._seen), len(self._seen) - count)}
        rows = (record for record in self._rows if self.record_key(record) in fresh)
        moments = [last, *(record["submittedTime"] for record in rows)]
        # In another order, newer messages may follow older ones.
        self._last = moments[-1] if moments == sorted(moments, reverse=True) else ""
        # Only a row with the same timestamp may follow, and it is not needed.
        if "" < self._last < self._start:
            self._row_count = self._total = 0  # the total counts the older ones too
