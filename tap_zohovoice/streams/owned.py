"""Streams that say which calls belong to a queue, an agent or a campaign.

A call log does not say it, but the list of calls can be filtered by each.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.types import Field, FieldType, build_schema
from tap_zohovoice.streams.base import IncrementalStream
from tap_zohovoice.streams.directory import CampaignsStream, QueuesStream, UsersStream
from tap_zohovoice.streams.owned import OwnedStream


class CallLinkStream(OwnedStream, IncrementalStream):
    """One row for each call of each owner."""

    schema: ClassVar[dict[str, Any]] = {}

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.owner_scope = cls.owner_stream.scope
        owner = cls.owner_key.removesuffix("_id")
        cls.schema = build_schema(
            Field(cls.owner_key, FieldType.ID, f"Id of the {owner}."),
            Field("logid", FieldType.ID, "Id of the call log."),
            Field("start_time", FieldType.TIMESTAMP, "When the call started."),
            description=f"Calls of each {owner}. Requires the scope {cls.owner_scope}.",
        )

    @override
    def get_list_filters(self, context: Context | None) -> dict[str, str]:
        return {self.filter_param: (context or {})[self.owner_key]}

    @override
    def convert_call(self, call: Record, context: Context | None) -> Iterator[Record]:
        yield {**(context or {}), "logid": call["logid"], "start_time": call["start_time"]}


class CallQueuesStream(CallLinkStream):
    """Which calls came in by which queue."""

    name = "call_queues"
    owner_key = "queue_id"
    primary_keys = (owner_key, "logid")
    owner_stream = QueuesStream
    owner_field = "id"
    filter_param = "groupIds"


class CallAgentsStream(CallLinkStream):
    """Which calls belong to which agent; those of deleted agents belong to none."""

    name = "call_agents"
    owner_key = "agent_id"
    primary_keys = (owner_key, "logid")
    owner_stream = UsersStream
    owner_field = "agentId"
    filter_param = "agent"


class CallCampaignsStream(CallLinkStream):
    """Which calls belong to which campaign of the power dialer."""

    name = "call_campaigns"
    owner_key = "campaign_id"
    primary_keys = (owner_key, "logid")
    owner_stream = CampaignsStream
    owner_field = "campaign_id"
    filter_param = "campaignId"


CALL_LINK_STREAMS = (CallQueuesStream, CallAgentsStream, CallCampaignsStream)
