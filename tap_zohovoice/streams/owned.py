"""Streams that are read for each row of another list: for each queue, agent or campaign.

A call log does not say which of them it belongs to, but the list of calls can be filtered by each.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, ClassVar

import requests
from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.exceptions import InvalidParameterError, UnexpectedResponseError
from tap_zohovoice.extract.windows import DAY
from tap_zohovoice.pagination import PageRequest, convert_rows, parse_rows
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.types import ID, INTEGER, STRING, Field, FieldType, build_schema
from tap_zohovoice.streams.base import IncrementalStream
from tap_zohovoice.streams.directory import CampaignsStream, QueuesStream, UsersStream
from tap_zohovoice.streams.lists import ListStream

_LONGEST_PERIOD, _RECENT, _SHORTEST_PERIOD = (dt.timedelta(days=days) for days in (366, 30, 7))
_MAX_GAPS = 10  # of an agent, behind each of which older changes are requested


class OwnedStream(ZohoVoiceStream):
    """A stream with one partition and one bookmark for each owner, a row of another list."""

    fixed_partitions = None
    owner_key: ClassVar[str]
    owner_stream: ClassVar[type[ListStream]]
    owner_field: ClassVar[str]  # field of that stream with the id
    filter_param: ClassVar[str] = ""  # of the list of calls; source: documentation of `zv/logs`
    _is_accepted = False  # whether a request for the current owner succeeded
    _rejected = 0  # owners

    @property
    def _owners(self) -> ListStream:
        streams = self.tap.streams.values()
        return next(stream for stream in streams if isinstance(stream, self.owner_stream))

    @property
    def _chosen(self) -> str:
        """Ids of the owners in the user's filters, separated by commas; empty for all."""
        return self.services.settings.filters.get(self.filter_param, "")

    @property
    @override
    def partitions(self) -> list[dict[str, str]]:
        if not self.is_connection_test:
            self.services.check_scopes()
        elif not self.selected_by_default:
            return []
        ids = [owner.strip() for owner in self._chosen.split(",")]
        if not self._chosen:
            ids = [record[self.owner_field] for record in self._owners.read_records(None)]
        return [{self.owner_key: owner} for owner in dict.fromkeys(filter(None, ids))]

    @override
    def check_access(self) -> None:
        if not self._chosen:
            self._owners.check_access()

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if not context:  # without owners, the SDK requests records without a context
            return
        self._is_accepted, pages = False, deepcopy(self.services.pages)
        try:
            yield from super().get_records(context)
        except InvalidParameterError as error:
            self._rejected += 1
            if self._is_accepted or 2 * self._rejected > len(self.partitions):
                raise  # it is not the owner that is rejected
            self.services.pages = pages  # the size was not the reason
            message = "Zoho rejects one of the %ss, whose rows are not read: %s"
            self.logger.warning(message, self.owner_key.removesuffix("_id"), error.summary)

    @override
    def validate_response(self, response: requests.Response) -> None:
        super().validate_response(response)
        self._is_accepted = True


class CallLinkStream(OwnedStream, IncrementalStream):
    """One row for each call of each owner."""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.owner_scope, owner = cls.owner_stream.scope, cls.owner_key.removesuffix("_id")
        cls.schema = build_schema(
            Field(cls.owner_key, ID, f"Id of the {owner}."),
            Field("logid", ID, "Id of the call log."),
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

    Each change carries the time of the one before, which is requested if it was not returned.
    For one agent, pages advance by the changes received: `from` may count agents or changes.
    """

    name = "agent_status_changes"
    path = "zv/metrics/statusaudit/list"
    replication_key = "current_action_time"
    primary_keys = ("agent_id", "current_action_time")
    owner_key = "agent_id"
    owner_stream = UsersStream
    owner_field = "agentId"
    scope = UsersStream.scope
    size_param = "size"
    page_size = 100
    rejects_end = True  # it is after the only agent, if `from` counts agents
    fields = (
        Field("agent_id", ID, "Id of the agent."),
        Field("agentName", STRING, "Name of the agent."),
        Field("agentEmail", STRING, "E-mail address of the agent."),
        Field("previous_action_time", FieldType.TIMESTAMP, "When the former status began."),
        Field("current_action_time", FieldType.TIMESTAMP, "When the status changed."),
        Field("duration", INTEGER, "Time in the former status, in milliseconds."),
        Field("previous_status", STRING, "The former status."),
        Field("current_status", STRING, "The new status."),
        Field("triggered_by", STRING, "Kind of actor that changed the status."),
        Field("triggered_by_medium", STRING, "Medium of the change, such as Web."),
        Field("triggered_by_username", STRING, "Name of the user who changed the status."),
        Field("triggered_by_zuid", ID, "Zoho account of the user who changed the status."),
        Field("triggered_reason", STRING, "Reason of the change."),
        Field("triggered_reason_desc", STRING, "Description of the reason."),
        Field("zsoid", ID, "Id of the organisation."),
    )

    _params: Mapping[str, str]  # of the agent and the period
    _accepted_from = dt.datetime.min.replace(tzinfo=dt.UTC)  # earlier periods are rejected
    _period = _LONGEST_PERIOD  # shorter if Zoho rejects it, or returns a part of the changes
    _before: set[str]  # times of changes that others follow

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        return {**super().get_url_params(context, next_page_token), **self._params}

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        agent, end = (context or {})[self.owner_key], self.services.present
        begin = start = max(self.get_starting_time(context), self._accepted_from)
        last, has_last, lost, gaps = "", False, set[str](), 0
        while start < end:
            last = last or format_timestamp(start - dt.timedelta.resolution)
            # Recent changes are a period of their own: they show whether a longer one lacks some.
            until = min(start + self._period, end - _RECENT if end - start > _RECENT else end)
            self._before = set()
            try:
                changes = self._fetch(agent, start, until)
            except InvalidParameterError as error:
                self._period = (until - start) / 4
                if until - start <= _SHORTEST_PERIOD:
                    self._period = _LONGEST_PERIOD
                    if start > begin or not error.rejected:
                        raise
                    begin = start = self._find_accepted(agent, start, end)
                    last = ""
                continue
            while missing := {time for time in self._before - lost if time > last} - changes.keys():
                moment = max(missing)
                changes |= {} if gaps >= _MAX_GAPS else self._fetch_until(agent, moment)
                if moment not in changes:
                    lost.add(moment)
                    gaps += has_last or moment > min(changes, default=moment)
            first_later = format_timestamp(until)
            for time in sorted(time for time in changes if last < time < first_later):
                yield changes[time]
                self.advance_bookmark(time, context)
                last, has_last = time, True
            self.write_state()
            start = until
        if gaps:
            message = "%d status changes do not follow the previous one; Zoho may not have kept all"
            self.logger.warning(message, gaps)

    def _find_accepted(self, agent: str, rejected: dt.datetime, end: dt.datetime) -> dt.datetime:
        """Return from when on Zoho accepts periods, as an early one is rejected; raise if none."""
        accepted = max(end - DAY, rejected)
        self._fetch(agent, accepted, end)
        while accepted - rejected > DAY / 24:
            middle = accepted - (accepted - rejected) / 2
            try:
                self._fetch(agent, middle, middle + _SHORTEST_PERIOD)
            except InvalidParameterError as error:
                if not error.rejected:
                    raise
                rejected = middle
            else:
                accepted = middle
        message = "Zoho rejects days before %s; emitting the status changes since then"
        self.logger.warning(message, format_timestamp(accepted))
        self._accepted_from = accepted
        return accepted

    def _fetch_until(self, agent: str, time: str) -> dict[str, Record]:
        """Return a change that a longer period lacks, if Zoho has it, and some before it."""
        moment, found = parse_date(time), dict[str, Record]()
        if self._period < _LONGEST_PERIOD:
            found = self._fetch(agent, moment - self._period, moment)
        if time not in found and time in (found := self._fetch(agent, moment, moment)):
            self._period = max(min(self._period / 4, _RECENT), _SHORTEST_PERIOD)
        return found

    def _fetch(self, agent: str, start: dt.datetime, end: dt.datetime) -> dict[str, Record]:
        """Return the changes of a period by their times."""
        # Whether the ends of a period are included is not documented.
        low, high = round(start.timestamp() * 1000) - 1, round(end.timestamp() * 1000) + 1
        self._params = {"fromEpoch": str(low), "toEpoch": str(high), "tz": "GMT", "agentIds": agent}
        return {change["current_action_time"]: change for change in self.read_list(None)}

    @override
    def parse_page(self, request: PageRequest, body: dict[str, Any]) -> list[Record]:
        cast = FieldType.TIMESTAMP.cast_or_none
        lists = parse_rows({**body, "list": body.get("list") or None}, "list", 0)[0]
        try:
            agents = [agent for found in lists for agent in found.get("agentStatus") or []]
            days = [day for agent in agents for day in agent.get("dates") or []]
            hits = [hit for day in days for hit in day.get("hits") or []]
            before = [agent["previousResult"] for agent in agents if agent.get("previousResult")]
            times = [cast(row.get("current_action_time")) for row in before]
            for row in hits:
                row["agent_id"] = row.get("agent_id") or self._params["agentIds"]
            is_known = agents or not any(found.keys() - {"agentStatus"} for found in lists)
        except (AttributeError, TypeError):
            is_known = False
        if not is_known:
            message = "list has an unknown form"
            raise UnexpectedResponseError(message)
        convert, count = self.converter.convert, len(self._found)
        changes = [*convert_rows(hits, convert, count, request.name)]
        times += [change["previous_action_time"] for change in changes]
        self._before.update(filter(None, times))
        return changes
