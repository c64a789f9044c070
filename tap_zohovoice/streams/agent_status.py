"""Stream `agent_status_changes`: who was available when, `GET zv/metrics/statusaudit/list`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.exceptions import InvalidParameterError, UnexpectedResponseError
from tap_zohovoice.pagination import convert_row
from tap_zohovoice.schemas.directory import STATUS_CHANGE_FIELDS, ListConverter, build_list_schema
from tap_zohovoice.streams.directory import UsersStream
from tap_zohovoice.streams.lists import OwnedStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_zohovoice.schemas.conversion import Record
    from tap_zohovoice.services import Services

_PERIOD = dt.timedelta(days=366)
_SHORTEST_PERIOD = dt.timedelta(days=1)
_MILLISECOND = dt.timedelta(milliseconds=1)
_PAGE_SIZE = 100
_KEYS = ("agent_id", "current_action_time")


class AgentStatusChangesStream(OwnedStream):
    """Changes of status of each agent.

    Each change carries the time of the one before. So a gap is detected, and its period is
    requested again in halves. Whether `from` and `size` count agents or changes is not documented:
    for a single agent, pages advance by the changes received, which is right for both.
    """

    name = "agent_status_changes"
    path = "zv/metrics/statusaudit/list"
    replication_key = "current_action_time"
    primary_keys = _KEYS
    owner_key = "agent_id"
    owner_stream = UsersStream
    owner_field = "agentId"
    scope = UsersStream.scope
    schema = build_list_schema(STATUS_CHANGE_FIELDS, "Changes of the status of agents.", scope)

    def __init__(self, tap: Tap, services: Services) -> None:
        super().__init__(tap, services)
        self._gaps = 0
        self._converter = ListConverter(STATUS_CHANGE_FIELDS, _KEYS, {}, self.logger)

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        with self.reporting():
            yield from self._read_periods(context or {})
        self._converter.log_undeclared()
        if self._gaps:
            self.logger.warning(
                "%d status changes do not follow the previous one; Zoho may not have kept all",
                self._gaps,
            )
            self._gaps = 0

    def _read_periods(self, context: Context) -> Iterator[Record]:
        start, end = self.get_starting_time(context), self.services.present
        first = format_timestamp(start)
        while start < end:
            until = min(start + _PERIOD, end)
            changes = self._read(context["agent_id"], start, until)
            # Periods overlap, since it is not documented whether their ends are included.
            last = format_timestamp(until) if until < end else "~"
            for moment, record in sorted(changes.items()):
                if first <= moment < last:
                    yield record
            self.write_state()
            start, first = until, last

    def _read(self, agent: str, start: dt.datetime, end: dt.datetime) -> dict[str, Record]:
        """Read the changes of a period, by their time, in halves where one is missing."""
        changes, previous = self._read_pages(agent, start, end)
        gaps = self._count_gaps(changes, previous)
        if not gaps or end - start <= _SHORTEST_PERIOD or self._gaps:
            self._gaps += gaps
            return changes
        middle = start + (end - start) / 2
        return self._read(agent, start, middle) | self._read(agent, middle, end)

    def _count_gaps(self, changes: dict[str, Record], previous: str) -> int:
        gaps = 0
        for moment, record in sorted(changes.items()):
            began = record["previous_action_time"]
            gaps += bool(previous and began and began != previous)
            previous = moment
        return gaps

    def _read_pages(
        self, agent: str, start: dt.datetime, end: dt.datetime
    ) -> tuple[dict[str, Record], str]:
        """Request all pages of a period; whether its ends are included is not documented.

        Returns:
            The changes by their time, and the time of the one before them, if that is known.
        """
        changes: dict[str, Record] = {}
        previous, count = "", 0
        params = {
            "fromEpoch": str(_epoch_ms(start - _MILLISECOND)),
            "toEpoch": str(_epoch_ms(end + _MILLISECOND)),
            "agentIds": agent,
            "tz": "GMT",
            "size": str(_PAGE_SIZE),
        }
        while True:
            try:
                hits, before = self.api.get_json({**params, "from": str(count)}, _parse_hits)
            except InvalidParameterError:
                if not count:
                    raise
                break  # after the only agent, if `from` counts agents
            records = [self._convert(hit, agent, count + index) for index, hit in enumerate(hits)]
            for hit in before:
                previous = previous or self._convert(hit, agent, 0)["current_action_time"]
            fresh = [r for r in records if r["current_action_time"] not in changes]
            changes |= {record["current_action_time"]: record for record in records}
            if not fresh:
                break
            count += len(records)
        return changes, previous

    def _convert(self, hit: Any, agent: str, index: int) -> Record:  # noqa: ANN401 - any JSON
        if isinstance(hit, dict) and not hit.get("agent_id"):
            hit = {**hit, "agent_id": agent}
        return convert_row(hit, self._converter.convert, index, "the changes of an agent")


def _epoch_ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def _parse_hits(body: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the changes in a response, and those that came before the period.

    Raises:
        UnexpectedResponseError: If there are no changes, but there may be some.
    """
    found = body.get("list") or {}
    agents = found.get("agentStatus") if isinstance(found, dict) else found
    if not isinstance(agents, list | None) or (not agents and set(found) - {"agentStatus"}):
        message = "list has no agentStatus"
        raise UnexpectedResponseError(message)
    hits: list[Any] = []
    before: list[Any] = []
    for agent in agents or ():
        days = agent.get("dates") if isinstance(agent, dict) else agent
        if not isinstance(days, list | None):
            message = "agentStatus has no dates"
            raise UnexpectedResponseError(message)
        if agent.get("previousResult"):
            before.append(agent["previousResult"])
        for day in days or ():
            changes = day.get("hits") if isinstance(day, dict) else day
            if not isinstance(changes, list | None):
                message = "dates have no hits"
                raise UnexpectedResponseError(message)
            hits += changes or ()
    return hits, before
