"""Streams that say which calls belong to a queue, an agent or a campaign.

A call log does not say it, but the list of calls can be filtered by each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tap_zohovoice._compat import override
from tap_zohovoice.schemas.directory import build_link_schema
from tap_zohovoice.streams.base import IncrementalStream
from tap_zohovoice.streams.directory import CampaignsStream, QueuesStream, UsersStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context

    from tap_zohovoice.extract.results import WindowResult
    from tap_zohovoice.schemas.conversion import Record
    from tap_zohovoice.streams.lists import ListStream


class CallLinkStream(IncrementalStream):
    """One row for each call of each owner: one partition and one bookmark an owner."""

    selected_by_default = False
    fixed_partitions = None
    schema: ClassVar[dict[str, Any]] = {}
    owner_key: ClassVar[str]
    owner_stream: ClassVar[type[ListStream]]
    owner_field: ClassVar[str]
    """Field of that stream that holds the id."""
    filter_param: ClassVar[str]
    """Filter of the list of calls. Source: documentation of `zv/logs`."""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.owner_scope = cls.owner_stream.scope
        cls.schema = build_link_schema(cls.owner_key, cls.owner_scope)

    @property
    @override
    def partitions(self) -> list[dict[str, str]]:
        """One for each owner, or for those that the user's filters name."""
        if self.is_connection_test and not self.selected_by_default:
            return []
        self.services.check_access()
        owners, named = self.owner_stream.of(self.tap), self._named_owners
        ids = named.split(",") if named else owners.get_values(self.owner_field)
        return [{self.owner_key: owner} for owner in ids]

    @property
    def _named_owners(self) -> str:
        """Owners that the user's filters name, with commas; empty if they name none."""
        return self.services.settings.filters.get(self.filter_param, "")

    @override
    def check_access(self) -> None:
        if not self._named_owners:
            self.owner_stream.of(self.tap).check_access()

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if context:  # without owners, the SDK requests records without a context
            yield from super().get_records(context)

    @override
    def get_list_filters(self, context: Context | None) -> dict[str, str]:
        return {self.filter_param: (context or {})[self.owner_key]}

    @override
    def emit_window(self, window: WindowResult, context: Context | None) -> Iterator[Record]:
        for row in window.rows + window.strays:
            yield self._link(row.record, context)

    @override
    def get_sample(self, context: Context | None) -> Iterator[Record]:
        for record in super().get_sample(context):
            yield self._link(record, context)

    def _link(self, record: Record, context: Context | None) -> Record:
        names = ("logid", "start_time")
        return {**(context or {}), **{name: record[name] for name in names}}


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
