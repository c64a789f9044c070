"""Stream `sms_logs`: text messages, `GET v1/sms/logs`."""

from collections.abc import Iterator
from typing import Any, ClassVar

import requests
from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.client import BookmarkedStream
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.directory import SMS_FIELDS
from tap_zohovoice.streams.directory import ListStream


class SmsLogsStream(ListStream, BookmarkedStream):
    """Text messages, sent and received.

    Archived ones have a separate partition. The format and the time zone of the date filters are
    not documented, so none is sent. If the newest messages come first, the stream stops at messages
    older than the bookmark minus the lookback. Otherwise it reads to the end.
    """

    name = "sms_logs"
    path = "v1/sms/logs"
    replication_key = "submittedTime"
    primary_keys = ("logid",)
    scope = "ZohoVoice.sms.READ"
    fixed_partitions: ClassVar = [{"archived": "false"}, {"archived": "true"}]
    partitions = fixed_partitions
    envelope = "smsLogQuery"
    fields = SMS_FIELDS
    size_param = "size"
    page_size = 100

    _start = ""
    _last = "~"
    _complete_until = ""  # timestamp of the newest message, once all of a partition are emitted
    _emitted_before: frozenset[str] = frozenset()  # keys of the partition before

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        params = super().get_url_params(context, next_page_token)
        is_archived = (context or {}).get("archived") == "true"
        return {**params, "optArchived": "true"} if is_archived else params

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        self._start, self._last = format_timestamp(self.get_starting_time(context)), "~"
        self._complete_until = newest = ""
        for record in super().read_records(context):
            if record["submittedTime"] >= self._start:
                newest = max(newest, record["submittedTime"])
                # Archived messages may be among the others too.
                if self.record_key(record) not in self._emitted_before:
                    record["archived"] = (context or {}).get("archived") == "true"
                    yield record
        self._emitted_before = frozenset(self._emitted)
        self._complete_until = newest
        if newest:
            self.advance_bookmark(newest, context)

    @override
    def is_bookmark(self, timestamp: str) -> bool:
        return timestamp == self._complete_until  # the newest messages come first

    @override
    def validate_response(self, response: requests.Response) -> None:
        super().validate_response(response)
        moments = [record["submittedTime"] for record in self._rows]
        if moments and self._last >= moments[0] and moments == sorted(moments, reverse=True):
            self._last = moments[-1]
            # Only a row with the same timestamp may follow, and it is not needed.
            if self._last < self._start:
                self._row_count = self._total = 0  # the total counts the older ones too
        else:
            self._last = ""  # in another order, newer messages may follow older ones
