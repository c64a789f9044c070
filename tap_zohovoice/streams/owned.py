"""Streams that are read for each row of another list: for each queue, agent or campaign.

A call log does not say which of them it belongs to, but the list of calls can be filtered by each.
"""

from collections.abc import Iterator
from typing import ClassVar

from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.types import Field, FieldType
from tap_zohovoice.streams.base import IncrementalStream
from tap_zohovoice.streams.directory import (
    CampaignsStream,
    ListStream,
    QueuesStream,
    UsersStream,
)


class OwnedStream(ZohoVoiceStream):
    """A stream with one partition and one bookmark for each owner, a row of another list."""

    fixed_partitions = None
    owner_key: ClassVar[str]
    owner_stream: ClassVar[type[ListStream]]
    owner_field: ClassVar[str]  # field of that stream with the id
    filter_param: ClassVar[str] = ""  # of the list of calls; source: documentation of `zv/logs`

    @property
    def _owners(self) -> ListStream:
        streams = self.tap.streams.values()
        return next(stream for stream in streams if isinstance(stream, self.owner_stream))

    @property
    def _named_owners(self) -> str:
        """Ids of the owners in the user's filters, separated by commas; empty for all."""
        return self.services.settings.filters.get(self.filter_param, "")

    @property
    @override
    def partitions(self) -> list[dict[str, str]]:
        """One for each owner."""
        if not self.is_connection_test:
            self.services.check_scopes()
        elif not self.selected_by_default:
            return []
        ids = self._named_owners.split(",")
        if not self._named_owners:
            ids = [record[self.owner_field] for record in self._owners.read_records(None)]
        return [{self.owner_key: owner} for owner in dict.fromkeys(filter(None, ids))]

    @override
    def check_access(self) -> None:
        if not self._named_owners:
            self._owners.check_access()

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if context:  # without owners, the SDK requests records without a context
            yield from super().get_records(context)


class CallLinkStream(OwnedStream, IncrementalStream):
    """One row for each call of each owner."""

    is_open = False

    @override
    def __init_subclass__(cls) -> None:
        cls.owner_scope, owner = cls.owner_stream.scope, cls.owner_key.removesuffix("_id")
        cls.fields = (
            Field(cls.owner_key, FieldType.ID, f"Id of the {owner}."),
            Field("logid", FieldType.ID, "Id of the call log."),
            Field("start_time", FieldType.TIMESTAMP, "When the call started."),
        )
        super().__init_subclass__()

    @override
    def get_list_filters(self, context: Context | None) -> dict[str, str]:
        owner = (context or {})[self.owner_key]
        return {**super().get_list_filters(context), self.filter_param: owner}

    @override
    def convert_call(self, call: Record, context: Context | None) -> Iterator[Record]:
        yield {**(context or {}), "logid": call["logid"], "start_time": call["start_time"]}


class CallQueuesStream(CallLinkStream):
    """Calls of each queue."""

    name = "call_queues"
    owner_key = "queue_id"
    primary_keys = (owner_key, "logid")
    owner_stream = QueuesStream
    owner_field = "id"
    filter_param = "groupIds"


class CallAgentsStream(CallLinkStream):
    """Calls of each agent, without those of deleted agents."""

    name = "call_agents"
    owner_key = "agent_id"
    primary_keys = (owner_key, "logid")
    owner_stream = UsersStream
    owner_field = "agentId"
    filter_param = "agent"


class CallCampaignsStream(CallLinkStream):
    """Calls of each campaign of the power dialer."""

    name = "call_campaigns"
    owner_key = "campaign_id"
    primary_keys = (owner_key, "logid")
    owner_stream = CampaignsStream
    owner_field = "campaign_id"
    filter_param = "campaignId"


CALL_LINK_STREAMS = (CallQueuesStream, CallAgentsStream, CallCampaignsStream)
