"""Streams that read a whole list in each run: users, queues, numbers, contacts and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import InvalidParameterError
from tap_zohovoice.schemas import directory as fields
from tap_zohovoice.streams.lists import ListStream

if TYPE_CHECKING:
    import requests
    from singer_sdk.helpers.types import Context


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
    aliases = {"id": "groupid"}  # noqa: RUF012


class NumbersStream(ListStream):
    """Phone numbers of the account. Experimental: not documented by Zoho."""

    name = "numbers"
    path = "zv/api/v1/numberslist"
    scope = "ZohoVoice.agents.READ"
    primary_keys = ("numberId",)
    envelope = "numberslist"
    fields = fields.NUMBER_FIELDS
    aliases = {"numberId": "numberMapId"}  # noqa: RUF012


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

    Their paging is hardly documented. The first request has no index, as in the documented sample;
    a round number of rows may be a page, so the next ones are requested too.
    """

    name = "campaigns"
    path = "zv/api/powerdialer"
    scope = "ZohoVoice.powerdialer.READ"
    primary_keys = ("campaign_id",)
    envelope = "records"
    fields = fields.CAMPAIGN_FIELDS
    size_param = ""

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        first, last = next_page_token, next_page_token + self._row_count
        return {"from_index": str(first), "to_index": str(last)} if first else {}

    @override
    def validate_response(self, response: requests.Response) -> None:
        super().validate_response(response)
        count = len(self._rows)
        self._row_count = 0 if count % 10 else count  # no page has another length

    @override
    def handle_error(self, error: Exception) -> None:
        if not self._emitted or not isinstance(error, InvalidParameterError):
            raise error
        self.logger.warning(
            "Zoho returned %d campaigns and rejected the next page; there may be more",
            len(self._emitted),
        )
        self._rows, self._row_count = [], 0


DIRECTORY_STREAMS = (
    UsersStream,
    QueuesStream,
    NumbersStream,
    ContactsStream,
    ContactStatusesStream,
    ScheduledSmsStream,
    CampaignsStream,
)
