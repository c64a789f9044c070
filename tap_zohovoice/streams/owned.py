"""Streams that are read for each row of another list: for each queue, agent or campaign.

A call log does not say which of them it belongs to, but the list of calls can be filtered by each.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import UnexpectedResponseError
from tap_zohovoice.pagination import parse_rows
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.directory import STATUS_CHANGE_FIELDS
from tap_zohovoice.schemas.types import Field, FieldType, build_schema
from tap_zohovoice.streams.base import IncrementalStream
from tap_zohovoice.streams.directory import CampaignsStream, QueuesStream, UsersStream
from tap_zohovoice.streams.lists import ListStream, OwnedStream

_PERIOD, _SHORTEST_PERIOD = dt.timedelta(days=366), dt.timedelta(days=1)


class CallLinkStream(OwnedStream, IncrementalStream):
    """One row for each call of each owner."""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.owner_scope, owner = cls.owner_stream.scope, cls.owner_key.removesuffix("_id")
        cls.schema = build_schema(
            Field(cls.owner_key, FieldType.ID, f"Id of the {owner}."),
            Field("logid", FieldType.ID, "Id of the call log."),
            Field("start_time", FieldType.TIMESTAMP, "When the call started."),
            description=f"{cls.__doc__} Requires the scope {cls.owner_scope}.",
        )

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


class AgentStatusChangesStream(OwnedStream, ListStream):
    """Changes of status of each agent.

    Each change carries the time of the one before. So a gap is detected, and its period is
    requested again in halves. Whether `from` and `size` count agents or changes is not documented:
    for a single agent, pages advance by the changes received, which is right for both.
    """

    name = "agent_status_changes"
    path = "zv/metrics/statusaudit/list"
    replication_key = "current_action_time"
    primary_keys = ("agent_id", "current_action_time")
    owner_key = "agent_id"
    owner_stream = UsersStream
    owner_field = "agentId"
    scope = UsersStream.scope
    fields = STATUS_CHANGE_FIELDS
    size_param = "size"
    page_size = 100
    rejects_end = True  # it is after the only agent, if `from` counts agents

    _params: Mapping[str, str]  # of the agent and the period
    _previous = ""  # time of the change before the period, if it is known
    _gaps = 0

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        return {**super().get_url_params(context, next_page_token), **self._params}

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        start, end, self._gaps = self.get_starting_time(context), self.services.present, 0
        while start < end:
            until = min(start + _PERIOD, end)
            yield from self._read_period((context or {})[self.owner_key], start, until)
            start = until
        if self._gaps:
            message = "%d status changes do not follow the previous one; Zoho may not have kept all"
            self.logger.warning(message, self._gaps)

    def _read_period(self, agent: str, start: dt.datetime, end: dt.datetime) -> Iterator[Record]:
        """Return the changes of a period, in order; request its halves if one is missing."""
        # Whether the ends of a period are included is not documented.
        first, last = round(start.timestamp() * 1000) - 1, round(end.timestamp() * 1000) + 1
        period = {"fromEpoch": str(first), "toEpoch": str(last)}
        self._params, self._previous = {**period, "agentIds": agent, "tz": "GMT"}, ""
        changes = sorted(self.read_list(None), key=itemgetter("current_action_time"))
        previous, gaps = self._previous, 0
        for change in changes:
            began = change["previous_action_time"]
            gaps += bool(previous and began and began != previous)
            previous = change["current_action_time"]
        if gaps and not self._gaps and end - start > _SHORTEST_PERIOD:
            middle = start + (end - start) / 2
            yield from self._read_period(agent, start, middle)
            yield from self._read_period(agent, middle, end)
            return
        self._gaps += gaps
        bounds = format_timestamp(start), format_timestamp(end)
        for change in changes:
            if bounds[0] <= change["current_action_time"] < bounds[1]:
                yield change
                self.advance_bookmark(change["current_action_time"], {self.owner_key: agent})
        self.write_state()

    @override
    def parse_page(self, body: dict[str, Any]) -> list[Record]:
        lists = parse_rows({**body, "list": body.get("list") or None}, "list", 0)[0]
        try:
            agents = [agent for found in lists for agent in found.get("agentStatus") or []]
            days = [day for agent in agents for day in agent.get("dates") or []]
            hits = [hit for day in days for hit in day.get("hits") or []]
            before = [agent["previousResult"] for agent in agents if agent.get("previousResult")]
            for row in (*hits, *before):
                row["agent_id"] = row.get("agent_id") or self._params["agentIds"]
            is_known = agents or not any(found.keys() - {"agentStatus"} for found in lists)
        except (AttributeError, TypeError):
            is_known = False
        if not is_known:
            message = "list has an unknown form"
            raise UnexpectedResponseError(message)
        for change in self.convert_rows(before):
            self._previous = self._previous or change["current_action_time"]
        return self.convert_rows(hits)
