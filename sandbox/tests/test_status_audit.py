"""The audit of agent status."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from sandbox_client import FIRST, Caller, FakeClock, set_dialect
from zoho_voice_sandbox import Sandbox

if TYPE_CHECKING:
    import requests

AUDIT = "zv/metrics/statusaudit/list"
DAY_MS = 86_400_000
START = int(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def agents(caller: Caller) -> list[dict[str, Any]]:
    users = caller.get("zv/api/users").json()["users"]
    return [user for user in users if "agentId" in user]


def ask(caller: Caller, agents: list[dict[str, Any]], **params: Any) -> requests.Response:
    given = {
        "fromEpoch": START,
        "toEpoch": START + 14 * DAY_MS,
        "agentIds": ",".join(agent["agentId"] for agent in agents),
        "tz": "GMT",
        "size": 1000,
    }
    return caller.get(AUDIT, **given | params)


def audit(caller: Caller, agents: list[dict[str, Any]], **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(caller, agents, **params).json()["list"]["agentStatus"]
    return found


def hits_of(audited: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [hit for agent in audited for day in agent["dates"] for hit in day["hits"]]


def test_response_has_the_documented_shape(caller: Caller, agents: list[dict[str, Any]]) -> None:
    start = START + 7 * DAY_MS
    body = ask(caller, agents[:2], fromEpoch=start).json()
    assert body.keys() == {"code", "list", "status"}
    assert (body["code"], body["status"]) == ("200", "SUCCESS")
    audited = body["list"]["agentStatus"]
    assert [row["agent_id"] for row in audited] == [agent["agentId"] for agent in agents[:2]]
    for row, agent in zip(audited, agents, strict=False):
        assert row.keys() == {"agent_id", "agentEmail", "agentName", "previousResult", "dates"}
        hits = hits_of([row])
        assert hits
        for hit in hits:
            assert (hit["agentName"], hit["agentEmail"]) == (agent["name"], agent["emailid"])
            assert hit["triggered_by_zuid"] == str(agent["zuid"])
            assert start <= hit["current_action_time"] < START + 14 * DAY_MS
        previous = row["previousResult"]
        assert hits[0].keys() - previous.keys() == {"triggered_reason_desc"}
        assert previous["current_action_time"] < start


def test_changes_form_an_unbroken_chain(caller: Caller, agents: list[dict[str, Any]]) -> None:
    first, second = (START, START + 9 * DAY_MS), (START + 9 * DAY_MS, START + 40 * DAY_MS)
    keys: set[tuple[str, int]] = set()
    chains: dict[str, list[dict[str, Any]]] = {}
    for start, end in (first, second):
        for row in audit(caller, agents, fromEpoch=start, toEpoch=end):
            hits = hits_of([row])
            if start == START:
                assert "previousResult" not in row
            elif hits:
                assert (
                    row["previousResult"]["current_action_time"] == hits[0]["previous_action_time"]
                )
            chains.setdefault(row["agent_id"], []).extend(hits)
            keys |= {(hit["agent_id"], hit["current_action_time"]) for hit in hits}
    assert chains.keys() == {agent["agentId"] for agent in agents}
    assert len(keys) == sum(map(len, chains.values())) > 5_000
    for chain in chains.values():
        assert chain[0]["previous_action_time"] == START
        for before, after in pairwise(chain):
            assert before["current_action_time"] == after["previous_action_time"]
            assert before["current_status"] == after["previous_status"] != after["current_status"]
        for hit in chain:
            assert hit["duration"] > 0
            assert hit["duration"] == hit["current_action_time"] - hit["previous_action_time"]


def test_gap_in_the_chain(caller: Caller, agents: list[dict[str, Any]]) -> None:
    before = hits_of(audit(caller, agents[:1]))
    gone = before[4]
    caller.box.statuses.drop(gone["agent_id"], gone["current_action_time"])
    assert hits_of(audit(caller, agents[:1])) == before[:4] + before[5:]


def test_changes_until_now_agree_with_users(caller: Caller, agents: list[dict[str, Any]]) -> None:
    # Monday at noon.
    caller.clock.sleep(12 * 3600)
    now = int(caller.clock.now() * 1000)
    caller.token = ""
    users = caller.get("zv/api/users").json()["users"]
    params = {"fromEpoch": now - 9 * DAY_MS, "toEpoch": now + 9 * DAY_MS}
    last = {row["agent_id"]: hits_of([row])[-1] for row in audit(caller, agents, **params)}
    online = {user["agentId"]: user["onlineStatus"] for user in users if "agentId" in user}
    assert online == {agent: hit["current_status"] for agent, hit in last.items()}
    assert len(set(online.values())) > 2
    assert all(hit["current_action_time"] <= now for hit in last.values())
    by_status = caller.get("zv/api/users", agentStatus=0).json()["users"]
    assert {user["agentId"] for user in by_status} & online.keys() == {
        agent for agent, status in online.items() if status == "Available"
    }


@pytest.mark.parametrize("zone", ["GMT", "Asia/Kolkata", "America/Los_Angeles"])
def test_days_are_those_of_the_zone(
    caller: Caller, agents: list[dict[str, Any]], zone: str
) -> None:
    expected = hits_of(audit(caller, agents[:3]))
    audited = audit(caller, agents[:3], tz=zone)
    assert hits_of(audited) == expected
    for row in audited:
        days = [day["date"] for day in row["dates"]]
        assert days == sorted(set(days))
        for day in row["dates"]:
            for hit in day["hits"]:
                moment = datetime.fromtimestamp(hit["current_action_time"] / 1000, ZoneInfo(zone))
                assert moment.date().isoformat() == day["date"]


@pytest.mark.parametrize("form", ["included", "excluded"])
def test_ends_of_the_period(caller: Caller, agents: list[dict[str, Any]], form: str) -> None:
    set_dialect(caller, to_epoch=form)
    hits = hits_of(audit(caller, agents[:1]))
    ends = {"fromEpoch": hits[2]["current_action_time"], "toEpoch": hits[6]["current_action_time"]}
    assert hits_of(audit(caller, agents[:1], **ends)) == hits[2 : 7 if form == "included" else 6]


def test_end_in_seconds_selects_nothing(caller: Caller, agents: list[dict[str, Any]]) -> None:
    assert hits_of(audit(caller, agents, toEpoch=(START + 14 * DAY_MS) // 1000)) == []
    assert hits_of(audit(caller, agents, fromEpoch=10**14, toEpoch=10**15 - 1)) == []


@pytest.mark.parametrize("missing", ["fromEpoch", "toEpoch", "agentIds", "tz"])
def test_missing_parameter_is_refused(
    caller: Caller, agents: list[dict[str, Any]], missing: str
) -> None:
    answer = ask(caller, agents, **{missing: ""})
    assert answer.json()["code"] == "ZVT015"
    assert missing in answer.json()["message"]


@pytest.mark.parametrize("zone", ["Nowhere/Land", "../etc", "GMT+5:30"])
def test_unknown_zone_is_refused(caller: Caller, agents: list[dict[str, Any]], zone: str) -> None:
    assert ask(caller, agents, tz=zone).json()["code"] == "ZVT015"


def test_agents_that_do_not_exist_are_passed_over(
    caller: Caller, agents: list[dict[str, Any]]
) -> None:
    strangers = [{"agentId": "1"}, *agents[:1], {"agentId": "2"}]
    assert audit(caller, strangers) == audit(caller, agents[:1])


def test_pages_of_agents(caller: Caller, agents: list[dict[str, Any]]) -> None:
    everything = audit(caller, agents)
    assert audit(caller, agents, from_=3, size=4) == everything[3:7]
    assert audit(caller, agents, size="") == everything[:10]
    assert audit(caller, agents, from_=len(agents)) == []


def test_pages_of_hits(caller: Caller, agents: list[dict[str, Any]]) -> None:
    expected = hits_of(audit(caller, agents[:5]))
    set_dialect(caller, audit_size_counts="hits", list_max_size=100, list_size_over="cap")
    found: list[dict[str, Any]] = []
    while page := hits_of(audit(caller, agents[:5], from_=len(found))):
        assert len(page) <= 100
        found += page
    assert found == expected
    assert len(found) > 200


def test_agents_without_changes(caller: Caller, agents: list[dict[str, Any]]) -> None:
    night = {"fromEpoch": START, "toEpoch": START + 3_600_000}
    idle = audit(caller, agents, **night)
    assert [row["dates"] for row in idle] == [[]] * len(agents)
    set_dialect(caller, audit_idle_agents="absent")
    assert audit(caller, agents, **night) == []
    set_dialect(caller, rows_form="no_content")
    assert ask(caller, agents, **night).status_code == 204
    set_dialect(caller, rows_form="missing")
    assert ask(caller, agents, **night).json()["list"] == {}
    set_dialect(caller, rows_form="null")
    assert ask(caller, agents, **night).json()["list"] == {"agentStatus": None}


def test_number_of_agents_may_be_limited(caller: Caller, agents: list[dict[str, Any]]) -> None:
    set_dialect(caller, audit_max_agents=3)
    assert len(audit(caller, agents[:3])) == 3
    assert ask(caller, agents[:4]).json()["code"] == "ZVT015"


def test_previous_change_may_be_absent(caller: Caller, agents: list[dict[str, Any]]) -> None:
    late = {"fromEpoch": START + 7 * DAY_MS}
    assert all("previousResult" in row for row in audit(caller, agents, **late))
    set_dialect(caller, audit_previous="absent")
    assert not any("previousResult" in row for row in audit(caller, agents, **late))


def test_excluded_status_and_days_are_left_out(
    caller: Caller, agents: list[dict[str, Any]]
) -> None:
    hits = hits_of(audit(caller, agents))
    kept = hits_of(audit(caller, agents, excludeStatus="On Break,Offline"))
    assert kept == [hit for hit in hits if hit["current_status"] not in {"On Break", "Offline"}]
    week = hits_of(audit(caller, agents, excludeDays="67"))
    assert week == [
        hit
        for hit in hits
        if datetime.fromtimestamp(hit["current_action_time"] / 1000, UTC).isoweekday() < 6
    ]
    assert len(hits) > len(kept) > 0
    assert len(hits) > len(week) > 0


def test_forms_of_ids_and_durations(caller: Caller, agents: list[dict[str, Any]]) -> None:
    plain = hits_of(audit(caller, agents[:1]))
    set_dialect(caller, id_form="number", number_form="exponent")
    answer = ask(caller, agents[:1])
    sent = hits_of(answer.json()["list"]["agentStatus"])
    assert [str(hit["agent_id"]) for hit in sent] == [hit["agent_id"] for hit in plain]
    assert all(isinstance(hit["duration"], float) for hit in sent)
    assert [hit["duration"] for hit in sent] == [hit["duration"] for hit in plain]
    assert f'E{len(str(plain[0]["duration"])) - 1},"previous_status"' in answer.text
    set_dialect(caller, number_form="dashes")
    assert {hit["duration"] for hit in hits_of(audit(caller, agents[:1]))} == {"--"}


def test_faults_make_responses_malformed(caller: Caller, agents: list[dict[str, Any]]) -> None:
    caller.box.list_faults = {"status_audit": {1: "hollow", 2: "renamed", 3: "array", 4: "nan"}}
    assert ask(caller, agents).json()["list"] == {"agentStatus": []}
    assert "agentStatus" not in ask(caller, agents).json()["list"]
    assert isinstance(ask(caller, agents).json(), list)
    assert "NaN" in ask(caller, agents).text
    assert json.loads(ask(caller, agents).text)["list"]["agentStatus"]


def test_account_without_history_begins_now() -> None:
    clock = FakeClock()
    with Sandbox(clock=clock) as box:
        caller = Caller(box, clock)
        agents = caller.get("zv/api/users").json()["users"][:8]
        now = int(clock.now() * 1000)
        period = {"fromEpoch": now - 9 * DAY_MS, "toEpoch": now}
        assert hits_of(audit(caller, agents, **period)) == []
        clock.sleep(2 * 86_400)
        caller.token = ""
        period["toEpoch"] = int(clock.now() * 1000)
        assert hits_of(audit(caller, agents, **period))
