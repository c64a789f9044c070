"""Streams that read a whole list in each run."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import requests
from singer_sdk import Tap
from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.exceptions import InvalidParameterError, ZohoVoiceError
from tap_zohovoice.pagination import RowOffsetPaginator, convert_row, parse_rows
from tap_zohovoice.schemas import directory as fields
from tap_zohovoice.schemas.conversion import Record, RecordConverter
from tap_zohovoice.schemas.types import Field, build_schema
from tap_zohovoice.services import Services

_MAX_PASSES = 8  # over a list whose order changes, or that lacks rows


class DeclaredStream(ZohoVoiceStream):
    """A stream whose schema is built from its fields, its docstring and its scope."""

    selected_by_default = False
    schema: ClassVar[dict[str, Any]] = {}
    fields: ClassVar[tuple[Field, ...]]
    is_open: ClassVar[bool] = True  # whether rows may have other fields too
    aliases: ClassVar[Mapping[str, str]] = {}  # other names of key fields

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "fields"):
            scope, first_line = cls.owner_scope or cls.scope, (cls.__doc__ or "").partition("\n")[0]
            description = f"{first_line} Requires the scope {scope}."
            cls.schema = build_schema(*cls.fields, is_open=cls.is_open, description=description)

    @cached_property
    def converter(self) -> RecordConverter:
        """Converts rows to records."""
        required = map(str, filter(None, (*self.primary_keys, self.replication_key)))
        return RecordConverter(self.fields, required, self.aliases, self.logger)

    def convert_rows(self, rows: Iterable[Any], first: int) -> list[Record]:
        """Convert rows; `first` is the index of the first row in the list."""
        name, convert = f"the list of {self.name}", self.converter.convert
        return [convert_row(row, convert, index, name) for index, row in enumerate(rows, first)]


class ListStream(DeclaredStream):
    """A stream that reads a whole list in each run; a subclass declares and describes the list."""

    envelope: ClassVar[str]  # member of the response with the rows
    size_param: ClassVar[str] = "offset"  # empty if the list has no pages of this kind
    page_size: ClassVar[int] = 50  # rows to request: the documented maximum, or a similar list's

    _row_count = 0  # of the last page; 0 if no page follows
    _total = 0
    _is_accessible = _has_moved = False  # whether rows changed their order in this pass

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

    @cached_property
    def cached_records(self) -> list[Record]:
        """All records of the list, which is read once a run."""
        return list(self._read_list(None))

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        is_read = "cached_records" in self.__dict__
        yield from self.cached_records if is_read else self._read_list(context)

    def _read_list(self, context: Context | None) -> Iterator[Record]:
        """Read the list, without duplicate rows."""
        self._emitted.clear()
        self._total = duplicates = 0
        with self.reporting():
            for attempt in range(_MAX_PASSES):
                before, self._seen, self._has_moved = len(self._emitted), {}, False
                for record in self.request_records(context):
                    key = self.record_key(record)
                    if key not in self._emitted:
                        self._emitted[key] = record
                        yield record
                    else:
                        duplicates += self._emitted[key] != record and not attempt
                missing = self._total - len(self._emitted)
                may_be_short = missing > 0 and not (attempt and len(self._emitted) == before)
                if not missing or not (may_be_short or self._has_moved):
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
        if self._total > len(self._emitted):
            message = "meta.total is %d but only %d distinct rows were returned"
            self.logger.warning(message, self._total, len(self._emitted))

    # --- the SDK's request loop ---

    @override
    def get_new_paginator(self) -> RowOffsetPaginator:
        return RowOffsetPaginator(lambda: self._row_count, self.page_size)

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        page = {"from": str(next_page_token), self.size_param: str(self.page_size)}
        return page if self.size_param else {}

    @override
    def validate_response(self, response: requests.Response) -> None:
        self._rows = self.api.parse_json(response, self._parse_page)
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

    def _parse_page(self, body: dict[str, Any]) -> list[Record]:
        rows, total = parse_rows(body, self.envelope, len(self._emitted))
        self._total = max(total or 0, self._total)
        return self.convert_rows(rows, len(self._emitted))


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

    The first request has no index, as in the sample. A round number of rows may be a full page.
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
        is_refused = isinstance(error, InvalidParameterError) and error.is_invalid_value
        if not self._emitted or not is_refused:
            raise error
        self.api.get_json({}, dict)  # raises an error, unless it is the index that is rejected
        message = "Zoho returned %d campaigns and rejected the next page; there may be more"
        self.logger.warning(message, len(self._emitted))
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
