"""A simple tap for the same logs, as in the documentation of the SDK.

It is what a first version of a tap looks like: a schema, an address, a paginator, and the SDK's
defaults for all the rest. It has no windows, no de-duplication, no limits and no bookmark, and
gives times as Zoho sends them.
"""

from typing import Any, ClassVar

from singer_sdk import RESTStream, Stream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.pagination import OffsetPaginator
from singer_sdk.streams.rest import HTTPRequest, PageContext

from tap_zohovoice._compat import override


def _properties(
    kind: th.JSONTypeHelper[Any] | type[th.JSONTypeHelper[Any]], *names: str
) -> list[th.Property[Any]]:
    return [th.Property(name, kind) for name in names]


class CallLogs(RESTStream[int]):
    """Call logs."""

    name = "call_logs"
    path = "/rest/json/zv/logs"
    primary_keys = ("logid",)
    records_jsonpath = "$.logs[*]"
    schema = th.PropertiesList(
        th.Property("logid", th.StringType, required=True),
        *_properties(
            th.StringType,
            *("call_type", "start_time", "answer_time", "end_time", "duration", "caller_id_number"),
            *("caller_id_name", "destination_number", "destination_name", "user_number"),
            *("did_number", "number_id", "agent_number", "department", "zsoid", "hangup_cause"),
            *("hangup_cause_displayname", "hangup_cause_description", "sip_hangup_disposition"),
            *("disconnected_by", "call_recording_transcription_status", "contact_name"),
            "bh_profile",
        ),
        *_properties(th.IntegerType, "service", "feedback"),
        *_properties(
            th.BooleanType, "isBlocked", "is_test_call", "voicemail_read_by", "is_bh_off_duty"
        ),
        *_properties(
            th.ObjectType(
                *_properties(th.StringType, "agent", "domain", "time", "uuid", "user_agent")
            ),
            "bridged_agent",
        ),
        *_properties(
            th.ObjectType(
                *_properties(
                    th.NumberType, "voice", "free_minutes", "total", "recording", "transcription"
                )
            ),
            "voice_credits",
        ),
        *_properties(
            th.ObjectType(
                *_properties(
                    th.StringType,
                    *("recording_filename", "content_type", "dfs_path", "block_id"),
                ),
                *_properties(th.NumberType, "recording_duration"),
                *_properties(th.IntegerType, "recording_size_in_bytes"),
            ),
            *("call_recording", "voicemail"),
        ),
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
