"""Streams beside the calls, through the command line: complete, once, with bookmarks and scopes."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tap_zohovoice.config.settings import STREAM_NAMES
from tap_zohovoice.tap import STREAMS
from tests.support.calls import history
from tests.support.cli import NOW, FakeClock, Run, RunTap
from zoho_voice_sandbox import Dialect, Sandbox

FIRST = dt.date(2026, 1, 1)
LINKS = {"call_queues": "queue_id", "call_agents": "agent_id", "call_campaigns": "campaign_id"}
FILTERS = {"call_queues": "groupIds", "call_agents": "agent", "call_campaigns": "campaignId"}
LISTS = ("users", "queues", "numbers", "contacts", "contact_statuses", "scheduled_sms", "campaigns")
KEYS = {stream.name: stream.primary_keys for stream in STREAMS}
DIALECT = Dialect(limit_calls=10_000, tokens_limit=10_000)
DIALECTS = {
    "usual": DIALECT,
    "from 1": replace(DIALECT, users_from="one"),
    "small pages": replace(DIALECT, list_max_size=7, list_size_over="cap"),
    "ids as numbers": replace(DIALECT, id_form="number"),
    "groupid": replace(DIALECT, queue_key="groupid"),
}


def settings(box: Sandbox, *names: str, **more: Any) -> dict[str, Any]:
    return {
        **box.config,
        "streams": list(names),
        "start_date": "2026-01-01",
        "rate_limit_calls": 10_000,
        **more,
    }


@pytest.fixture
def box(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(history=history(300, first=FIRST), dialect=DIALECT, clock=clock) as running:
        yield running


def keys(run: Run, stream: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in KEYS[stream]) for row in run.rows(stream)]


def bookmarks(run: Run, stream: str) -> dict[str, str]:
    partitions = run.state["bookmarks"][stream]["partitions"]
    return {
        next(iter(partition["context"].values())): partition["replication_key_value"]
        for partition in partitions
        if "replication_key_value" in partition
    }


def test_setting_knows_all_streams() -> None:
    assert sorted(STREAM_NAMES) == sorted(KEYS)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_each_list_is_complete(run_tap: RunTap, clock: FakeClock, dialect: Dialect) -> None:
    with Sandbox(history=history(300, first=FIRST), dialect=dialect, clock=clock) as box:
        run = run_tap(settings(box, *LISTS))
        assert run.exit_code == 0, run.log
        counts = {name: len(run.rows(name)) for name in LISTS}
        directory = box.directory
    assert counts == {
        "users": directory.users,
        "queues": directory.queues,
        "numbers": directory.numbers,
        "contacts": directory.contacts,
        "contact_statuses": 3,
        "scheduled_sms": directory.scheduled,
        "campaigns": directory.campaigns,
    }
    for name in LISTS:
        assert len(set(keys(run, name))) == counts[name]


@pytest.mark.parametrize("stream", LINKS)
def test_links_name_each_call_of_each_owner(run_tap: RunTap, box: Sandbox, stream: str) -> None:
    run = run_tap(settings(box, "call_logs", stream))
    assert run.exit_code == 0, run.log
    links = keys(run, stream)
    assert len(links) == len(set(links)) > 0
    assert {logid for _, logid in links} <= set(run.ids)
    starts = {record["logid"]: record["start_time"] for record in run.records}
    assert all(row["start_time"] == starts[row["logid"]] for row in run.rows(stream))
    owner = links[0][0]
    filtered = run_tap(settings(box, "call_logs", filters={FILTERS[stream]: owner}))
    assert {logid for of, logid in links if of == owner} == set(filtered.ids)


def test_links_of_a_second_run_are_those_of_the_lookback(run_tap: RunTap, box: Sandbox) -> None:
    config = settings(box, "call_agents", lookback_days=2)
    first = run_tap(config)
    second = run_tap(config, state=first.state)
    assert second.exit_code == 0, second.log
    assert 0 < len(second.rows("call_agents")) < len(first.rows("call_agents"))
    assert set(keys(second, "call_agents")) <= set(keys(first, "call_agents"))
    before, after = bookmarks(first, "call_agents"), bookmarks(second, "call_agents")
    assert before.keys() == after.keys()
    assert all(after[agent] >= before[agent] for agent in before)


def test_filter_of_the_user_chooses_the_owners(run_tap: RunTap, box: Sandbox) -> None:
    links = keys(run_tap(settings(box, "call_queues")), "call_queues")
    queue, before = links[0][0], box.stats.lists["queues"].requests
    run = run_tap(settings(box, "call_queues", filters={"groupIds": [queue]}))
    assert keys(run, "call_queues") == [link for link in links if link[0] == queue]
    assert box.stats.lists["queues"].requests == before


@pytest.mark.parametrize("archived", ["separate", "everywhere"])
@pytest.mark.parametrize("max_size", [None, 7])
def test_each_message_comes_once(
    run_tap: RunTap, clock: FakeClock, archived: Any, max_size: int | None
) -> None:
    dialect = replace(DIALECT, sms_archived=archived, list_max_size=max_size, list_size_over="cap")
    with Sandbox(history=history(300, first=FIRST), dialect=dialect, clock=clock) as box:
        run = run_tap(settings(box, "sms_logs"))
        assert run.exit_code == 0, run.log
        assert len(keys(run, "sms_logs")) == box.directory.messages
        assert len(set(keys(run, "sms_logs"))) == box.directory.messages
        newest = max(row["submittedTime"] for row in run.rows("sms_logs"))
        assert max(bookmarks(run, "sms_logs").values()) == newest
        before = box.stats.lists["sms_logs"].requests
        again = run_tap(settings(box, "sms_logs", lookback_days=0), state=run.state)
        assert again.exit_code == 0, again.log
        assert 0 < len(again.rows("sms_logs")) < box.directory.messages / 2
        assert "meta.total" not in again.log
        assert box.stats.lists["sms_logs"].requests - before < before


@pytest.mark.parametrize("counts", ["agents", "hits"])
@pytest.mark.parametrize("to_epoch", ["included", "excluded"])
@pytest.mark.parametrize("idle", ["listed", "absent"])
def test_changes_of_status_are_an_unbroken_chain(
    run_tap: RunTap, clock: FakeClock, counts: Any, to_epoch: Any, idle: Any
) -> None:
    dialect = replace(DIALECT, audit_size_counts=counts, to_epoch=to_epoch, audit_idle_agents=idle)
    with Sandbox(history=history(300, first=FIRST), dialect=dialect, clock=clock) as box:
        config = settings(box, "agent_status_changes", start_date="2026-02-20", lookback_days=1)
        run = run_tap(config)
        assert run.exit_code == 0, run.log
        rows = run.rows("agent_status_changes")
        assert len(set(keys(run, "agent_status_changes"))) == len(rows) > 0
        by_agent: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            by_agent.setdefault(row["agent_id"], []).append(row)
        for changes in by_agent.values():
            for before, after in pairwise(changes):
                assert after["previous_action_time"] == before["current_action_time"]
        assert bookmarks(run, "agent_status_changes") == {
            agent: changes[-1]["current_action_time"] for agent, changes in by_agent.items()
        }
        again = run_tap(config, state=run.state)
        assert again.exit_code == 0, again.log
        assert set(keys(again, "agent_status_changes")) <= set(keys(run, "agent_status_changes"))


def test_missing_scopes_stop_the_run_before_any_record(run_tap: RunTap, clock: FakeClock) -> None:
    scopes = {"ZohoVoice.call.READ", "ZohoVoice.sms.READ"}
    made_up = history(20, first=FIRST)
    with Sandbox(history=made_up, dialect=DIALECT, clock=clock, scopes=scopes) as box:
        run = run_tap(settings(box, *STREAM_NAMES))
    assert run.exit_code == 1
    assert not run.of("RECORD")
    error = run.log.splitlines()[-1]
    assert "zohovoice.contacts.READ for contact_statuses, contacts" in error
    assert "zohovoice.queues.READ for call_queues, queues" in error
    assert "ZohoVoice.agents.READ for agent_status_changes, call_agents" in error
    assert "sms" not in error


def test_access_to_a_list_is_checked_once_for_all_streams(run_tap: RunTap, box: Sandbox) -> None:
    run = run_tap(
        settings(box, "users", "call_agents", "agent_status_changes", start_date="2026-02-20")
    )
    assert run.exit_code == 0, run.log
    sizes = [query["offset"] for _, query, _ in box.stats.lists["users"].log]
    assert sizes == ["1", "50", "50", "50"]  # the check, two pages and the end


def test_test_asks_selected_streams_only(run_tap: RunTap, box: Sandbox) -> None:
    box.scopes = {"ZohoVoice.call.READ"}
    run = run_tap(settings(box, "call_logs"), "--test")
    assert run.exit_code == 0, run.log
    assert not any(stats.requests for stats in box.stats.lists.values())


def test_catalog_goes_before_the_setting(run_tap: RunTap, box: Sandbox) -> None:
    catalog = {"streams": [entry("queues"), entry("call_logs")]}
    run = run_tap(settings(box, "users"), catalog=catalog)
    assert run.exit_code == 0, run.log
    assert "streams is ignored" in run.log
    assert {message["stream"] for message in run.of("RECORD")} == {"queues", "call_logs"}


def test_unknown_stream_is_one_line_before_any_request(run_tap: RunTap, box: Sandbox) -> None:
    run = run_tap(settings(box, "calls"))
    assert run.exit_code == 1
    assert "streams.0 must be one of call_logs" in run.log
    assert box.stats.requests == 0


def test_streams_in_the_environment(
    run_tap: RunTap, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(box)
    del config["streams"]
    for name, value in config.items():
        monkeypatch.setenv(f"TAP_ZOHOVOICE_{name.upper()}", str(value))
    monkeypatch.setenv("TAP_ZOHOVOICE_STREAMS", "queues, numbers")
    run = run_tap(None, "--config=ENV")
    assert run.exit_code == 0, run.log
    assert {message["stream"] for message in run.of("RECORD")} == {"queues", "numbers"}


def entry(name: str) -> dict[str, Any]:
    stream = next(stream for stream in STREAMS if stream.name == name)
    return {
        "tap_stream_id": name,
        "stream": name,
        "schema": dict(stream.schema),
        "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
    }


@pytest.fixture(scope="module")
def keys_without_faults() -> dict[str, list[tuple[Any, ...]]]:
    """Keep the keys of each stream, which the first test that needs them reads."""
    return {}


@pytest.mark.parametrize(
    "fault", ["500", "502_html", "html", "cut", "token", "lock", "error_200", "cut_body"]
)
@pytest.mark.parametrize("at", [1, 2])
def test_faults_lose_no_row(
    run_tap: RunTap,
    clock: FakeClock,
    keys_without_faults: dict[str, list[tuple[Any, ...]]],
    fault: str,
    at: int,
) -> None:
    names = ("users", "sms_logs", "agent_status_changes")
    lists = ("users", "sms_logs", "status_audit")
    if not keys_without_faults:
        plain = _read_with_faults(run_tap, clock, {}, names)
        assert plain.exit_code == 0, plain.log
        keys_without_faults |= {name: keys(plain, name) for name in names}
    run = _read_with_faults(run_tap, clock, {name: {at: fault} for name in lists}, names)
    assert run.exit_code == 0, run.log
    for name in names:
        assert keys(run, name) == keys_without_faults[name]
        assert keys(run, name)


def _read_with_faults(
    run_tap: RunTap, clock: FakeClock, faults: Any, names: tuple[str, ...]
) -> Run:
    clock.time = NOW
    made_up = history(60, first=FIRST)
    with Sandbox(history=made_up, dialect=DIALECT, clock=clock, list_faults=faults) as box:
        return run_tap(settings(box, *names, start_date="2026-02-20"))
