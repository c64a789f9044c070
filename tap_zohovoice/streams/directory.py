"""Streams that read a whole list in each run."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import requests
from singer_sdk import Tap
from singer_sdk.helpers.types import Context, RequestFunc

from tap_zohovoice._compat import override
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.exceptions import InvalidParameterError, ZohoVoiceError
from tap_zohovoice.pagination import RowOffsetPaginator, convert_row, parse_rows
from tap_zohovoice.schemas import directory as fields
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.services import Services

_MAX_PASSES = 8  # over a list whose order changes, or that lacks rows


class ListStream(ZohoVoiceStream):
    """A stream that reads a whole list in each run; a subclass declares and describes the list."""

    envelope: ClassVar[str]  # member of the response with the rows
    size_param: ClassVar[str] = "offset"  # empty if the list has no pages of this kind
    page_size: ClassVar[int] = 50  # rows to request: the documented maximum, or a similar list's
    rejects_end: ClassVar[bool] = False  # whether an offset after the last row may be rejected

    _row_count = 0  # of the last page; 0 if no page follows
    _total = 0
    _is_accessible = _is_read = False
    _has_moved = False  # whether rows changed their order in this pass

    def __init__(self, tap: Tap, services: Services) -> None:
        super().__init__(tap, services)
        self._rows: list[Record] = []
        self._emitted: dict[str, Record] = {}
        self._seen: dict[str, None] = {}  # keys of this pass over the list

    @override
    def check_access(self) -> None:
        if not self._is_accessible:  # other streams check it too
            params = self.get_url_params(None, 0)
            self.api.get_json(params | ({self.size_param: "1"} if params else {}), dict)
            self._is_accessible = True

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        """Return the records of the list, which is requested once a run."""
        yield from self._emitted.values() if self._is_read else self.read_list(context)
        self._is_read = True

    def read_list(self, context: Context | None) -> Iterator[Record]:
        """Request the list, and return its rows without duplicates."""
        self._emitted = {}
        self._total = duplicates = 0
        with self.reporting():
            for attempt in range(_MAX_PASSES):
                before, self._seen, self._has_moved = len(self._emitted), {}, False
                for record in self.request_records(context):
                    known = self._emitted.setdefault(self.record_key(record), record)
                    if known is record:
                        yield record
                    duplicates += known != record and not attempt
                missing = self._total - len(self._emitted)
                is_stuck = attempt and len(self._emitted) == before
                if not missing or not (self._has_moved or (missing > 0 and not is_stuck)):
                    break
            else:
                message = (
                    f"The order of the list of {self.name} changes, or Zoho returns the same rows "
                    "of the list again; run again later"
                )
                raise ZohoVoiceError(message)
        self.converter.log_undeclared()
        if duplicates:
            message = "%d rows have a duplicate id, but other values; keeping the first row"
            self.logger.warning(message, duplicates)
        if missing > 0:
            message = "meta.total is %d but only %d distinct rows were returned"
            self.logger.warning(message, self._total, len(self._emitted))

    def convert_rows(self, rows: Iterable[Any]) -> list[Record]:
        """Convert the rows of a page; an error names their place in the list."""
        first, name, convert = (
            len(self._emitted),
            f"the list of {self.name}",
            self.converter.convert,
        )
        return [convert_row(row, convert, index, name) for index, row in enumerate(rows, first)]

    # --- the SDK's request loop ---

    @override
    def get_new_paginator(self) -> RowOffsetPaginator:
        return RowOffsetPaginator(lambda: self._row_count, self.page_size)

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        page = {"from": str(next_page_token), self.size_param: str(self.page_size)}
        return page if self.size_param else {}

    @override
    def request_decorator(self, func: RequestFunc) -> RequestFunc:
        decorated = super().request_decorator(func)

        def request(*args: Any) -> requests.Response:  # noqa: ANN401 - the SDK's
            try:
                return decorated(*args)
            except InvalidParameterError as error:
                if not (self.rejects_end and self._seen and error.is_invalid_value):
                    raise
                # It raises an error, unless it is the offset that is rejected.
                self.api.get_json(self.get_url_params(args[1], 0), dict)
                if not self.size_param:  # whether it has pages is not documented
                    message = "Zoho returned %d %s and rejected the next page; there may be more"
                    self.logger.warning(message, len(self._seen), self.name)
                self._rows, self._row_count = [], 0
                return requests.Response()

        return request

    @override
    def validate_response(self, response: requests.Response) -> None:
        self._rows = self.api.parse_json(response, self.parse_page)
        keys = [self.record_key(record) for record in self._rows]
        known = [key for key in self._seen if key in keys]
        self._has_moved |= known != keys[: len(known)]  # a new row moves all others by one
        if keys and len(known) == len(keys):
            # If offsets count from 1, a single row may be the last row again.
            self._has_moved |= keys != list(self._seen)[-1:]
            self._rows = []
        self._seen |= dict.fromkeys(keys)
        self._row_count = len(self._rows) if self.size_param else 0

    @override
    def parse_response(self, response: requests.Response) -> Iterator[Record]:
        yield from self._rows

    def parse_page(self, body: dict[str, Any]) -> list[Record]:
        """Parse a response to records, or raise `UnexpectedResponseError`."""
        rows, total = parse_rows(body, self.envelope, len(self._emitted))
        self._total = max(total or 0, self._total)
        return self.convert_rows(rows)


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
        super().validate_response(response)
        count = len(self._rows)
        self._row_count = 0 if count % 10 else count  # no page has another length


DIRECTORY_STREAMS = (
    UsersStream,
    QueuesStream,
    NumbersStream,
    ContactsStream,
    ContactStatusesStream,
    ScheduledSmsStream,
    CampaignsStream,
)
