"""The audit of agent status: `zv/metrics/statusaudit/list`. Its sorting is not served."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zoho_voice_sandbox.filters import IDS, TEXT
from zoho_voice_sandbox.paging import OffsetPaging
from zoho_voice_sandbox.params import InvalidParameterError, reject_value, validate_params
from zoho_voice_sandbox.responses import empty_response, error_response, json_response
from zoho_voice_sandbox.row_forms import rewrite
from zoho_voice_sandbox.sms_logs import ZSOID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from werkzeug import Response

    from zoho_voice_sandbox.agent_status import AgentStatus, Change
    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.directory import Person

_EPOCH = r"\d{1,15}"
_REQUIRED = ("fromEpoch", "toEpoch", "agentIds", "tz")
_PAGING = OffsetPaging("size", default=10)
_PATTERNS = {
    name: re.compile(pattern, re.ASCII)
    for name, pattern in {
        "fromEpoch": _EPOCH,
        "toEpoch": _EPOCH,
        "agentIds": IDS,
        "tz": r"[A-Za-z][\w/+-]{1,40}",
        "excludeDays": "[1-7]{1,7}",
        "excludeStatus": TEXT,
        **_PAGING.patterns,
    }.items()
}
_IDS = frozenset({"agent_id", "triggered_by_zuid", "zsoid"})
_NUMBERS = frozenset({"duration"})


class StatusAuditHandler:
    """Responds to requests for changes of status."""

    def __init__(
        self, statuses: AgentStatus, people: Sequence[Person], now_ms: Callable[[], int]
    ) -> None:
        """Create the handler.

        Args:
            statuses: The changes.
            people: The users; those with an agent id have changes.
            now_ms: Returns the time, in milliseconds since the epoch.
        """
        self._statuses = statuses
        self._agents = {person.agent_id: person for person in people if person.agent_id}
        self._now_ms = now_ms

    def handle(self, params: Mapping[str, str], dialect: Dialect) -> Response:
        """Respond to a request with these parameters."""
        try:
            agents = self._audit(params, dialect)
        except InvalidParameterError as error:
            return error_response(error.code, error.message)
        form = "list" if agents else dialect.rows_form
        if form in {"no_content", "body", "bare_list", "error"}:
            return empty_response(form)
        sent = [rewrite(agent, _IDS, _NUMBERS, dialect) for agent in agents]
        found = {} if form == "missing" else {"agentStatus": None if form == "null" else sent}
        return json_response({"code": "200", "list": found, "status": "SUCCESS"})

    def _audit(self, params: Mapping[str, str], dialect: Dialect) -> list[Row]:
        """Return the agents of a page with their changes.

        Raises:
            InvalidParameterError: If a parameter is unknown, missing or invalid.
        """
        validate_params(params, _PATTERNS, dialect)
        for name in _REQUIRED:
            if not params.get(name):
                reject_value(name, dialect)
        zone = _zone(params["tz"], dialect)
        # Nothing has changed after this moment.
        behind_ms = self._now_ms() + 1
        start_ms = min(int(params["fromEpoch"]), behind_ms)
        end_ms = min(int(params["toEpoch"]) + (dialect.to_epoch == "included"), behind_ms)
        ids = list(dict.fromkeys(params["agentIds"].split(",")))
        if dialect.audit_max_agents is not None and len(ids) > dialect.audit_max_agents:
            reject_value("agentIds", dialect)
        found = [
            (agent, change)
            for agent in map(self._agents.get, ids)
            if agent
            for change in self._changes(agent, (start_ms, end_ms), params, zone)
        ]
        if dialect.audit_size_counts == "hits":
            offsets = _PAGING.offsets(params, dialect, len(found))
            found = found[offsets.start : offsets.stop]
            listed = list(dict.fromkeys(agent for agent, _ in found))
        else:
            active = {agent for agent, _ in found}
            is_idle_listed = dialect.audit_idle_agents == "listed"
            agents = [agent for agent in map(self._agents.get, ids) if agent]
            listed = [agent for agent in agents if is_idle_listed or agent in active]
            offsets = _PAGING.offsets(params, dialect, len(listed))
            listed = listed[offsets.start : offsets.stop]
        return [
            self._agent_row(
                agent,
                [change for owner, change in found if owner == agent],
                start_ms,
                zone,
                dialect,
            )
            for agent in listed
        ]

    def _changes(
        self, agent: Person, period: tuple[int, int], params: Mapping[str, str], zone: tzinfo
    ) -> list[Change]:
        days = params.get("excludeDays", "")
        statuses = params.get("excludeStatus", "").split(",")
        return [
            change
            for change in self._statuses.changes(agent.agent_id, *period)
            if change.status not in statuses and str(_moment(change, zone).isoweekday()) not in days
        ]

    def _agent_row(
        self,
        agent: Person,
        changes: Sequence[Change],
        start_ms: int,
        zone: tzinfo,
        dialect: Dialect,
    ) -> Row:
        row: Row = {
            "agent_id": agent.agent_id,
            "agentEmail": agent.email,
            "agentName": agent.name,
        }
        previous = self._statuses.last_change(agent.agent_id, start_ms)
        if previous and dialect.audit_previous == "sent":
            row["previousResult"] = _hit(agent, previous)
        by_day = groupby(changes, key=lambda change: _moment(change, zone).date().isoformat())
        row["dates"] = [
            {
                "date": day,
                "hits": [
                    {**_hit(agent, change), "triggered_reason_desc": _reason(change)}
                    for change in hits
                ],
            }
            for day, hits in by_day
        ]
        return row


def _zone(name: str, dialect: Dialect) -> tzinfo:
    if name in {"GMT", "UTC"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError):
        reject_value("tz", dialect)


def _moment(change: Change, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(change.changed_ms / 1000, zone)


def _reason(change: Change) -> str:
    return "Automatic Check In" if change.former == "Offline" else ""


def _hit(agent: Person, change: Change) -> Row:
    return {
        "agent_id": agent.agent_id,
        "agentName": agent.name,
        "agentEmail": agent.email,
        "previous_action_time": change.began_ms,
        "current_action_time": change.changed_ms,
        "duration": change.changed_ms - change.began_ms,
        "previous_status": change.former,
        "current_status": change.status,
        "triggered_by": "User",
        "triggered_by_medium": "Mobile" if change.changed_ms % 3 == 0 else "Web",
        "triggered_by_username": agent.name,
        "triggered_by_zuid": str(agent.zuid),
        "triggered_reason": "",
        "zsoid": ZSOID,
    }
