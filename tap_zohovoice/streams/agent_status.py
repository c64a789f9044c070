"""Stream `agent_status_changes`: status of the agents, `GET zv/metrics/statusaudit/list`."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import InvalidParameterError, UnexpectedResponseError
from tap_zohovoice.pagination import parse_rows
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.directory import STATUS_CHANGE_FIELDS
from tap_zohovoice.streams.directory import UsersStream
from tap_zohovoice.streams.owned import OwnedStream

_PERIOD, _SHORTEST_PERIOD = dt.timedelta(days=366), dt.timedelta(days=1)
_PAGE_SIZE = 100


class AgentStatusChangesStream(OwnedStream):
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

    _gaps = 0

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        start, end = self.get_starting_time(context), self.services.present
        first, self._gaps = format_timestamp(start), 0
        with self.reporting():
            while start < end:
                until = min(start + _PERIOD, end)
                changes = self._read((context or {})["agent_id"], start, until)
                # Periods overlap, since it is not documented whether their ends are included.
                last = format_timestamp(until) if until < end else "~"
                for moment, record in sorted(changes.items()):
                    if first <= moment < last:
                        yield record
                self.write_state()
                start, first = until, last
        self.converter.log_undeclared()
        if self._gaps:
            message = "%d status changes do not follow the previous one; Zoho may not have kept all"
            self.logger.warning(message, self._gaps)

    def _read(self, agent: str, start: dt.datetime, end: dt.datetime) -> dict[str, Record]:
        """Return the changes of a period by their time; request halves if one is missing."""
        changes, previous = self._read_pages(agent, start, end)
        gaps = 0
        for moment, record in sorted(changes.items()):
            began = record["previous_action_time"]
            gaps += bool(previous and began and began != previous)
            previous = moment
        if not gaps or end - start <= _SHORTEST_PERIOD or self._gaps:
            self._gaps += gaps
            return changes
        middle = start + (end - start) / 2
        return self._read(agent, start, middle) | self._read(agent, middle, end)

    def _read_pages(
        self, agent: str, start: dt.datetime, end: dt.datetime
    ) -> tuple[dict[str, Record], str]:
        """Return the changes of a period, and the time of the one before them, if it is known."""
        changes: dict[str, Record] = {}
        previous, count = "", 0
        params = {
            # Whether the ends of a period are included is not documented.
            "fromEpoch": str(round(start.timestamp() * 1000) - 1),
            "toEpoch": str(round(end.timestamp() * 1000) + 1),
            "agentIds": agent,
            "tz": "GMT",
            "size": str(_PAGE_SIZE),
        }
        while True:
            try:
                hits, before = self.api.get_json({**params, "from": str(count)}, _parse_hits)
            except InvalidParameterError as error:
                if not (count and error.is_invalid_value):
                    raise
                # It is after the only agent, if `from` counts agents and nothing else is rejected.
                self.api.get_json({**params, "from": "0"}, _parse_hits)
                return changes, previous
            for record in self._convert(before, agent, 0):
                previous = previous or record["current_action_time"]
            known = len(changes)
            changes |= {
                row["current_action_time"]: row for row in self._convert(hits, agent, count)
            }
            if len(changes) == known:
                return changes, previous
            count += len(hits)

    def _convert(self, hits: list[Any], agent: str, first: int) -> list[Record]:
        named = (
            {**hit, "agent_id": hit.get("agent_id") or agent} if isinstance(hit, dict) else hit
            for hit in hits
        )
        return self.convert_rows(named, first)


def _parse_hits(body: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the changes in a response, and those from before the period."""
    hits: list[Any] = []
    before: list[Any] = []
    for found in parse_rows({**body, "list": body.get("list") or None}, "list", 0)[0]:
        agents = _get_list(found, "agentStatus")
        for agent in agents:
            hits += [hit for day in _get_list(agent, "dates") for hit in _get_list(day, "hits")]
            before += filter(None, [agent.get("previousResult")])
        if not agents and found.keys() - {"agentStatus"}:
            message = "list has no agentStatus"
            raise UnexpectedResponseError(message)
    return hits, before


def _get_list(holder: Any, name: str) -> list[Any]:  # noqa: ANN401 - any JSON
    found = (holder.get(name) or []) if isinstance(holder, dict) else None
    if not isinstance(found, list):
        message = f"{name} is not a list"
        raise UnexpectedResponseError(message)
    return found
