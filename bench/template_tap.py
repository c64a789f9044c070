"""A simple tap for the same logs, as in the documentation of the SDK.

It is what a first version of a tap looks like: a schema, an address, a paginator, and the SDK's
defaults for all the rest. It has no windows, no de-duplication, no limits and no bookmark, and
gives times as Zoho sends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, Stream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.pagination import OffsetPaginator

from tap_zohovoice._compat import override

if TYPE_CHECKING:
    from singer_sdk.streams.rest import HTTPRequest, PageContext

_FILE = th.ObjectType(
    th.Property("recording_filename", th.StringType),
    th.Property("recording_duration", th.NumberType),
    th.Property("content_type", th.StringType),
    th.Property("dfs_path", th.StringType),
    th.Property("block_id", th.StringType),
    th.Property("recording_size_in_bytes", th.IntegerType),
)


class CallLogs(RESTStream[int]):
    """Call logs."""

    name = "call_logs"
    path = "/rest/json/zv/logs"
    primary_keys = ("logid",)
    records_jsonpath = "$.logs[*]"
    schema = th.PropertiesList(
        th.Property("logid", th.StringType, required=True),
        th.Property("call_type", th.StringType),
        th.Property("start_time", th.StringType),
        th.Property("answer_time", th.StringType),
        th.Property("end_time", th.StringType),
        th.Property("duration", th.StringType),
        th.Property("caller_id_number", th.StringType),
        th.Property("caller_id_name", th.StringType),
        th.Property("destination_number", th.StringType),
        th.Property("destination_name", th.StringType),
        th.Property("user_number", th.StringType),
        th.Property("did_number", th.StringType),
        th.Property("number_id", th.StringType),
        th.Property("agent_number", th.StringType),
        th.Property("department", th.StringType),
        th.Property("zsoid", th.StringType),
        th.Property("service", th.IntegerType),
        th.Property("hangup_cause", th.StringType),
        th.Property("hangup_cause_displayname", th.StringType),
        th.Property("hangup_cause_description", th.StringType),
        th.Property("sip_hangup_disposition", th.StringType),
        th.Property("disconnected_by", th.StringType),
        th.Property("isBlocked", th.BooleanType),
        th.Property("is_test_call", th.BooleanType),
        th.Property("voicemail_read_by", th.BooleanType),
        th.Property("call_recording_transcription_status", th.StringType),
        th.Property(
            "bridged_agent",
            th.ObjectType(
                th.Property("agent", th.StringType),
                th.Property("domain", th.StringType),
                th.Property("time", th.StringType),
                th.Property("uuid", th.StringType),
                th.Property("user_agent", th.StringType),
            ),
        ),
        th.Property(
            "voice_credits",
            th.ObjectType(
                th.Property("voice", th.NumberType),
                th.Property("free_minutes", th.NumberType),
                th.Property("total", th.NumberType),
                th.Property("recording", th.NumberType),
                th.Property("transcription", th.NumberType),
            ),
        ),
        th.Property("contact_name", th.StringType),
        th.Property("feedback", th.IntegerType),
        th.Property("bh_profile", th.StringType),
        th.Property("is_bh_off_duty", th.BooleanType),
        th.Property("call_recording", _FILE),
        th.Property("voicemail", _FILE),
    ).to_dict()

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["api_url"])

    @property
    @override
    def authenticator(self) -> APIKeyAuthenticator:
        return APIKeyAuthenticator(key="Authorization", value="Zoho-oauthtoken made-up")

    @override
    def get_new_paginator(self) -> OffsetPaginator:
        return OffsetPaginator(start_value=0, page_size=self.config["page_size"])

    @override
    def get_http_request(self, *, page: PageContext[int]) -> HTTPRequest:
        request = super().get_http_request(page=page)
        size = self.config["page_size"]
        request.params = {"from": page.next_page_token or 0, "size": size}
        return request


class TemplateTap(Tap):
    """A simple tap."""

    name = "tap-template"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("page_size", th.IntegerType, default=200),
    ).to_dict()

    @override
    def discover_streams(self) -> list[Stream]:
        return [CallLogs(self)]


if __name__ == "__main__":
    TemplateTap.cli()
