"""Streams beside the calls, through the command line: complete, once, with bookmarks and scopes."""

import datetime as dt
import re
from itertools import count, pairwise
from typing import Any

import pytest
from requests_mock import Mocker

from tap_zohovoice.config.settings import STREAM_NAMES
from tap_zohovoice.tap import STREAMS
from tests.support.account import Account, Accounts, read_cases
from tests.support.cli import NOW, FakeClock, Run, RunTap, selecting
from zoho_voice_sandbox.directory import Directory

LINKS = {"call_queues": "groupIds", "call_agents": "agent", "call_campaigns": "campaignId"}
LISTS = ("users", "queues", "numbers", "contacts", "contact_statuses", "scheduled_sms", "campaigns")
KEYS = {stream.name: stream.primary_keys for stream in STREAMS}
FEW = Directory(users=8, messages=60)
SMALL_PAGES = {"list_max_size": 7, "list_size_over": "cap"}
DIALECTS = read_cases("dialects")["lists"]


@pytest.fixture
def account(run_tap: RunTap, clock: FakeClock) -> Accounts:
    """Make accounts without a limit, whose streams are chosen by the setting."""

    def make(*streams: str, calls: int = 300, **options: Any) -> Account:
        given = {"limit_calls": 10_000, "tokens_limit": 10_000, "directory": FEW, **options}
        box = Account(run_tap, clock, calls, first=dt.date(2026, 1, 1), **given)
        box.own = {"streams": list(streams), "rate_limit_calls": 10_000}
        return box

    return make


def keys(run: Run, stream: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in KEYS[stream]) for row in run.rows(stream)]


def test_setting_knows_all_streams() -> None:
    assert sorted(STREAM_NAMES) == sorted(KEYS)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_each_list_is_complete(account: Accounts, dialect: dict[str, Any]) -> None:
    with account(*LISTS, directory=Directory(), **dialect) as box:
        run = box.succeed()
        directory = box.directory
    counts = {name: len(run.rows(name)) for name in LISTS}
    same = ("users", "queues", "numbers", "contacts", "campaigns")
    expected = {name: getattr(directory, name) for name in same}
    assert counts == {**expected, "contact_statuses": 3, "scheduled_sms": directory.scheduled}
    assert counts == {name: len(set(keys(run, name))) for name in LISTS}


@pytest.mark.parametrize("stream", ["users", "queues", "numbers", "contacts", "scheduled_sms"])
@pytest.mark.parametrize("is_lasting", [False, True])
@pytest.mark.parametrize("body", [{}, {"status": "200", "meta": {"total": 0}}], ids=str)
@pytest.mark.parametrize("number", [2, 3, 4])
def test_empty_page_is_no_end_of_known_rows(
    account: Accounts, stream: str, number: int, body: dict[str, Any], *, is_lasting: bool
) -> None:
    """The first request is the check of the access; each page begins with the row before."""
    cls: Any = next(cls for cls in STREAMS if cls.name == stream)
    empty, sent = {cls.envelope: [], **body}, count(1)

    def is_odd(_: Any) -> bool:
        at = next(sent)
        return at >= number if is_lasting else at == number

    many = Directory(users=120, queues=120, numbers=120, contacts=120, scheduled=220)
    with (
        account(stream, directory=many, list_total="absent") as box,
        Mocker(real_http=True) as mock,
    ):
        url = f"{box.url}/rest/json/{cls.path}"
        mock.get(url, json=empty, additional_matcher=is_odd)
        if is_lasting:
            box.fail(f"The order of the list of {stream} changes, or")
        else:
            assert len(box.succeed().rows(stream)) == (220 if stream == "scheduled_sms" else 120)


def test_list_that_is_checked_twice_had_rows(account: Accounts) -> None:
    sent = count(1)
    with account("queues", "call_queues", calls=20) as box, Mocker(real_http=True) as mock:
        url, empty = f"{box.url}/rest/json/zv/api/queues", {"queues": [], "status": "SUCCESS"}
        mock.get(url, json=empty, additional_matcher=lambda _: next(sent) > 1)
        run = box.fail("The order of the list of queues changes, or")
    assert run.of("RECORD") == []


@pytest.mark.parametrize("stream", LINKS)
def test_links_name_each_call_of_each_owner(account: Accounts, stream: str) -> None:
    with account("call_logs", stream) as box:
        run = box.succeed()
        links = keys(run, stream)
        owner, before = links[0][0], {name: each.requests for name, each in box.stats.lists.items()}
        filtered = box.succeed(filters={LINKS[stream]: owner})
        assert {name: each.requests for name, each in box.stats.lists.items()} == before
        second = box.succeed(lookback_days=2, state=run.state)
    assert len(links) == len(set(links)) > 0
    assert {logid for _, logid in links} <= set(run.ids)
    starts = {record["logid"]: record["start_time"] for record in run.records}
    assert all(row["start_time"] == starts[row["logid"]] for row in run.rows(stream))
    assert keys(filtered, stream) == [link for link in links if link[0] == owner]
    assert {logid for _, logid in keys(filtered, stream)} == set(filtered.ids)
    assert set() < set(keys(second, stream)) < set(links)
    first, after = run.bookmarks(stream), second.bookmarks(stream)
    assert first.keys() == after.keys()
    assert all(after[owner] >= first[owner] for owner in first)


@pytest.mark.parametrize("stream", ["call_agents", "agent_status_changes"])
@pytest.mark.parametrize(
    "error", [{"code": "ZVT015", "message": "No"}, {"code": "500", "message": "Invalid agent."}]
)
def test_rejected_owner_stops_no_other(account: Accounts, stream: str, error: Any) -> None:
    refusal = {"status_code": 400, "json": {**error, "status": "ERROR"}}
    with account(stream) as box:
        box.own |= {"start_date": "2026-02-20"}
        expected = keys(box.succeed(), stream)
        agent = expected[0][0]
        with Mocker(real_http=True) as mock:
            mock.get(re.compile(f"agent(Ids)?={agent}"), **refusal)
            before = box.stats.requests
            run = box.succeed()
            assert box.stats.requests - before <= 2 * len(expected)
            sent = [each.qs for each in mock.request_history if "agentids" in each.qs]
            assert {query["size"][0] for query in sent if query["agentids"] != [agent]} <= {"100"}
        assert keys(run, stream) == [key for key in expected if key[0] != agent]
        assert "Zoho rejects one of the agents, whose rows are not read: HTTP 400" in run.log
        later = keys(box.succeed(state=run.state), stream)
        assert {key for key in expected if key[0] == agent} <= {*later}
        with Mocker(real_http=True) as mock:
            mock.get(re.compile("agent(Ids)?="), **refusal)
            box.fail(error["message"])


@pytest.mark.parametrize("archived", ["separate", "everywhere"])
@pytest.mark.parametrize("pages", [{}, SMALL_PAGES], ids=["large pages", "small pages"])
def test_each_message_comes_once(account: Accounts, archived: str, pages: dict[str, Any]) -> None:
    habits = {"directory": Directory(), "sms_archived": archived, **pages}
    with account("sms_logs", **habits) as box:
        run = box.succeed()
        rows, found = run.rows("sms_logs"), keys(run, "sms_logs")
        assert len(found) == len(set(found)) == box.directory.messages
        declared = run.of("SCHEMA")[0]["schema"]["properties"]
        assert all(row.keys() == declared.keys() for row in rows)
        assert {row["archived"] for row in rows} <= {True, False}
        assert {row["isMMS"] for row in rows if row["mmsMeta"]} == {True}
        assert "does not match its type" not in run.log
        newest = max(row["submittedTime"] for row in rows)
        assert max(run.bookmarks("sms_logs").values()) == newest
        before = box.stats.lists["sms_logs"].requests
        again = box.succeed(lookback_days=0, state=run.state)
        assert 0 < len(again.rows("sms_logs")) < box.directory.messages / 2
        assert all(row in rows for row in again.rows("sms_logs"))  # with `archived` as before
        assert "meta.total" not in again.log
        assert box.stats.lists["sms_logs"].requests - before < before


@pytest.mark.parametrize("counts", ["agents", "hits"])
@pytest.mark.parametrize("to_epoch", ["included", "excluded"])
@pytest.mark.parametrize("idle", ["listed", "absent"])
def test_status_changes_are_a_chain(
    account: Accounts, counts: str, to_epoch: str, idle: str
) -> None:
    stream = "agent_status_changes"
    habits = {"audit_size_counts": counts, "to_epoch": to_epoch, "audit_idle_agents": idle}
    with account(stream, **habits) as box:
        box.own |= {"start_date": "2026-02-20", "lookback_days": 1}
        run = box.succeed()
        again = box.succeed(state=run.state)
    assert len(set(keys(run, stream))) == len(keys(run, stream)) > 0
    by_agent: dict[str, list[dict[str, Any]]] = {}
    for row in run.rows(stream):
        by_agent.setdefault(row["agent_id"], []).append(row)
    for changes in by_agent.values():
        for before, after in pairwise(changes):
            assert after["previous_action_time"] == before["current_action_time"]
    newest = {agent: changes[-1]["current_action_time"] for agent, changes in by_agent.items()}
    assert run.bookmarks(stream) == newest
    assert set(keys(again, stream)) <= set(keys(run, stream))


def test_missing_scopes_stop_the_run_before_any_record(account: Accounts) -> None:
    scopes = {"ZohoVoice.call.READ", "ZohoVoice.sms.READ"}
    with account(*STREAM_NAMES, calls=20, scopes=scopes) as box:
        run = box.fail(
            "zohovoice.contacts.READ for contact_statuses, contacts",
            "zohovoice.queues.READ for call_queues, queues",
            "ZohoVoice.agents.READ for agent_status_changes, call_agents",
            "^((?!sms).)*$",
        )
    assert not run.of("RECORD")


def test_list_of_owners_is_read_once(account: Accounts) -> None:
    streams = ("users", "call_agents", "agent_status_changes")
    with account(*streams, calls=20, directory=Directory()) as box:
        box.succeed(start_date="2026-02-28")
        sizes = [query["offset"] for _, query, _ in box.stats.lists["users"].log]
    assert sizes == ["1", "1", "1", "50", "50", "50"]  # three checks, two pages and the end


def test_test_asks_selected_streams_only(account: Accounts) -> None:
    with account("call_logs", scopes={"ZohoVoice.call.READ"}) as box:
        box.succeed("--test")
        assert not any(stats.requests for stats in box.stats.lists.values())
    with account("sms_logs", **SMALL_PAGES) as box:
        box.succeed("--test")
        assert box.stats.lists["sms_logs"].requests == 1  # of nine pages


def test_blanks_between_ids_are_no_part_of_them(account: Accounts) -> None:
    with account("call_queues") as box:
        queues = sorted({queue for queue, _ in keys(box.succeed(), "call_queues")})[:2]
        run = box.succeed(filters={"groupIds": ", ".join(queues)})
    assert sorted({queue for queue, _ in keys(run, "call_queues")}) == queues


def test_deselected_member_makes_no_duplicate(account: Accounts) -> None:
    catalog = selecting("contacts")
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if len(item["breadcrumb"]) == 4:
                item["metadata"]["selected"] = False
    with account(list_max_size=20, list_size_over="cap") as box:
        run = box.succeed(catalog=catalog)
    assert len(run.rows("contacts")) > 20
    assert "duplicate" not in run.log


def test_catalog_goes_before_the_setting(account: Accounts) -> None:
    with account("users") as box:
        run = box.succeed(catalog=selecting("queues", "call_logs"))
    assert "streams is ignored" in run.log
    assert {message["stream"] for message in run.of("RECORD")} == {"queues", "call_logs"}


FAULTY = {"users": "users", "sms_logs": "sms_logs", "agent_status_changes": "status_audit"}


@pytest.fixture(scope="module")
def keys_without_faults() -> dict[str, list[tuple[Any, ...]]]:
    """Keep the keys of each stream, which the first test that needs them reads."""
    return {}


@pytest.mark.parametrize(
    "fault", ["500", "502_html", "html", "cut", "token", "lock", "error_200", "cut_body"]
)
@pytest.mark.parametrize("at", [1, 2])
def test_faults_lose_no_row(
    account: Accounts, keys_without_faults: dict[str, Any], fault: str, at: int
) -> None:
    def read(faults: Any) -> dict[str, Any]:
        with account(
            *FAULTY, calls=60, directory=Directory(users=8, messages=60), list_faults=faults
        ) as box:
            box.clock.time = NOW
            run = box.succeed(start_date="2026-02-20")
        return {name: keys(run, name) for name in FAULTY}

    if not keys_without_faults:
        keys_without_faults |= read({})
    assert read({name: {at: fault} for name in FAULTY.values()}) == keys_without_faults
    assert all(keys_without_faults.values())
