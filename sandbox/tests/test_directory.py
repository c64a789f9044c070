"""Users, queues and numbers, and what all lists beside the call logs have in common."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sandbox_client import Caller, FakeClock, history, set_dialect
from zoho_voice_sandbox import Directory, Sandbox
from zoho_voice_sandbox.addresses import LISTS, PATHS, scope_of

if TYPE_CHECKING:
    from zoho_voice_sandbox.addresses import ListName

USERS, QUEUES, NUMBERS = "zv/api/users", "zv/api/queues", "zv/api/v1/numberslist"
CONTACTS, CAMPAIGNS = "zv/contacts", "zv/api/powerdialer"
ROWS = {USERS: "users", QUEUES: "queues", NUMBERS: "numberslist"}
IDS = {USERS: "userid", QUEUES: "id", NUMBERS: "numberId"}
COUNTS = {USERS: 60, QUEUES: 7, NUMBERS: 9}
PATH_OF = {name: path.removeprefix("/rest/json/") for path, name in PATHS.items()}


def rows_of(caller: Caller, path: str, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.get(path, **params).json()[ROWS[path]]
    return found


def pages_of(caller: Caller, path: str, first: int, size: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while rows := rows_of(caller, path, from_=first + len(found), offset=size):
        found += rows
    return found


# What the lists hold


def test_documented_shape_of_users(caller: Caller) -> None:
    body = caller.get(USERS, from_=0, offset=50).json()
    assert body.keys() == {"code", "meta", "users", "status"}
    assert (body["code"], body["status"]) == ("200", "SUCCESS")
    assert body["meta"] == {"total": 60}
    assert len(body["users"]) == 50
    first = body["users"][0]
    assert {key: type(first[key]).__name__ for key in ("extension", "zuid", "userid")} == {
        "extension": "int",
        "zuid": "int",
        "userid": "str",
    }
    assert len(first) == 19


def test_documented_shape_of_queues(caller: Caller) -> None:
    body = caller.get(QUEUES, from_=0, offset=50).json()
    assert body.keys() == {"code", "queues", "status"}
    first, second = body["queues"][:2]
    assert first.keys() - second.keys() == {"emailId"}
    assert first["queueWaitMusic"].keys() == {"mode", "audioId", "enableDefaultAnnouncements"}


@pytest.mark.parametrize("path", ROWS)
def test_pages_hold_each_row_once(caller: Caller, path: str) -> None:
    ids = [row[IDS[path]] for row in pages_of(caller, path, 0, 4)]
    assert len(ids) == len(set(ids)) == COUNTS[path]
    assert rows_of(caller, path, from_=500, offset=5) == []


def test_agents_of_calls_are_users(caller: Caller) -> None:
    users = {row["name"]: row for row in pages_of(caller, USERS, 0, 50)}
    agents = {row["agent_number"] for row in caller.rows() if "agent_number" in row}
    assert len(agents) == 8
    assert agents <= users.keys()
    for name in agents:
        by_agent = caller.rows(agent=users[name]["agentId"])
        assert by_agent
        assert by_agent == [row for row in caller.rows() if row.get("agent_number") == name]


def test_queues_and_numbers_of_calls_are_listed(caller: Caller) -> None:
    queues = {row["id"]: row["name"] for row in rows_of(caller, QUEUES)}
    numbers = {row["numberId"]: row["number"] for row in rows_of(caller, NUMBERS)}
    calls = caller.rows()
    assert {(row["number_id"], row["did_number"]) for row in calls} <= set(numbers.items())
    found = {
        row["logid"]: name for queue, name in queues.items() for row in caller.rows(groupIds=queue)
    }
    assert found == {row["logid"]: row["queue_name"] for row in calls if "queue_name" in row} != {}


def test_departments_of_users_filter_calls(caller: Caller) -> None:
    department = rows_of(caller, USERS)[0]
    expected = [row for row in caller.rows() if row["department"] == department["departmentName"]]
    assert caller.rows(departmentId=department["departmentId"]) == expected != []


def test_contacts_are_the_customers_of_calls(caller: Caller) -> None:
    contacts: list[dict[str, Any]] = []
    while rows := caller.get(CONTACTS, from_=len(contacts)).json()["contacts"]:
        contacts += rows
    assert len({row["contact_id"] for row in contacts}) == len(contacts) == 180
    names = {
        row["mobile"] or row["phone"]: f"{row['first_name']} {row['last_name']}".strip()
        for row in contacts
    }
    assert not any(" " in number for number in names)
    users = {row["userid"]: row["name"] for row in pages_of(caller, USERS, 0, 50)}
    owners = {
        (row["contact_owner"]["id"], row["contact_owner"]["display_value"]) for row in contacts
    }
    assert owners <= set(users.items())
    calls = [row for row in caller.rows() if "contact_name" in row]
    assert calls
    assert all(names[row["user_number"].replace(" ", "")] == row["contact_name"] for row in calls)


def test_contacts_are_counted_on_request(caller: Caller) -> None:
    assert caller.get(CONTACTS).json()["meta"] == {"total": -1}
    assert caller.get(CONTACTS, totalCount="false").json()["meta"] == {"total": -1}
    assert caller.get(CONTACTS, totalCount="true").json()["meta"] == {"total": 180}
    assert caller.get(CONTACTS, size=51).json()["code"] == "ZVT015"
    set_dialect(caller, list_total="minus_one")
    assert caller.get(CONTACTS, totalCount="true").json()["meta"] == {"total": -1}


def test_contact_statuses_are_not_paged(caller: Caller) -> None:
    body = caller.get("zv/contacts/contact_status").json()
    assert [row["display_value"] for row in body["contact_status"]] == ["Active", "Inactive", "VIP"]
    assert caller.get("zv/contacts/contact_status", from_=0).json()["code"] == "ZVT010"


def test_campaigns_of_calls_are_listed(caller: Caller) -> None:
    campaigns = caller.get(CAMPAIGNS).json()["records"]
    assert len(campaigns) == 4
    users = {row["userid"]: row["name"] for row in pages_of(caller, USERS, 0, 50)}
    found: dict[str, str] = {}
    for row in campaigns:
        assert users[row["assign_user"]] == row["assign_user_name"]
        assert users[row["created_by"]] == row["created_by_name"]
        calls = caller.rows(campaignId=row["campaign_id"])
        found |= {call["logid"]: row["name"] for call in calls}
    expected = {
        row["logid"]: row["campaign_name"] for row in caller.rows() if "campaign_name" in row
    }
    assert found == expected != {}


# Filters


def test_filters_of_users(caller: Caller) -> None:
    users = pages_of(caller, USERS, 0, 50)
    one = users[7]
    assert rows_of(caller, USERS, userid=one["userid"]) == [one]
    assert rows_of(caller, USERS, agentId=one["agentId"]) == [one]
    assert one in rows_of(caller, USERS, searchKey=one["name"].upper())
    for status in (1, 2, 3):
        expected = [row for row in users if row["status"] == status]
        assert rows_of(caller, USERS, status=status) == expected[:50] != []
    assert all("agentId" not in row for row in rows_of(caller, USERS, status=3))
    names = [row["name"] for row in rows_of(caller, USERS, sortBy="NAME", offset=50)]
    assert names == sorted(row["name"] for row in users)[:50]


def test_inactive_users_may_be_left_out(caller: Caller) -> None:
    set_dialect(caller, users_listed="active")
    assert {row["status"] for row in pages_of(caller, USERS, 0, 50)} == {1}
    assert {row["status"] for row in rows_of(caller, USERS, status=2)} == {2}


def test_filters_of_queues_and_numbers(caller: Caller) -> None:
    queue = rows_of(caller, QUEUES)[2]
    assert rows_of(caller, QUEUES, queueid=queue["id"]) == [queue]
    assert rows_of(caller, QUEUES, searchText=queue["name"].lower()) == [queue]
    agent = rows_of(caller, USERS)[1]["agentId"]
    assert 0 < len(rows_of(caller, NUMBERS, agentId=agent)) < 9


def test_filters_of_campaigns(caller: Caller) -> None:
    campaigns = caller.get(CAMPAIGNS).json()["records"]
    for params in ({"campaign_id": campaigns[1]["campaign_id"]}, {"searchText": "über"}):
        assert caller.get(CAMPAIGNS, **params).json()["records"] == [campaigns[1]]
    assert caller.get(CAMPAIGNS, searchStatus="paused").json()["records"] == campaigns[1::2]


# Rules that hold for every list


@pytest.mark.parametrize("name", LISTS)
def test_unknown_parameters_are_refused(caller: Caller, name: ListName) -> None:
    answer = caller.get(PATH_OF[name], limit=5)
    assert (answer.status_code, answer.json()["code"]) == (400, "ZVT010")


@pytest.mark.parametrize("name", LISTS)
def test_token_is_required(caller: Caller, name: ListName) -> None:
    caller.get()
    caller.box.expire_tokens()
    assert caller.get(PATH_OF[name]).status_code == 401


@pytest.mark.parametrize("name", LISTS)
def test_scope_is_required(caller: Caller, name: ListName) -> None:
    scope = scope_of(name, caller.box.dialect)
    others = {scope_of(other, caller.box.dialect) for other in PATHS.values()} - {scope}
    caller.box.scopes = others
    answer = caller.get(PATH_OF[name], nonsense=1)
    assert (answer.status_code, answer.json()["code"]) == (400, "ZVT022")
    assert caller.get().json()["status"] == "200"
    for granted in (scope, scope.upper(), scope.replace("READ", "ALL")):
        caller.box.scopes = {granted}
        assert caller.get(PATH_OF[name], nonsense=1).json()["code"] == "ZVT010"
        assert caller.get().json()["code"] == "ZVT022"
    set_dialect(caller, scope_missing=True)
    assert caller.get(PATH_OF[name]).json()["code"] == "ZVT022"


def test_scope_of_numbers(caller: Caller) -> None:
    caller.box.scopes = {"ZohoVoice.telephony.READ"}
    assert caller.get(NUMBERS).json()["code"] == "ZVT022"
    set_dialect(caller, numbers_scope="ZohoVoice.telephony.READ")
    assert caller.get(NUMBERS).json()["code"] == "200"


@pytest.mark.parametrize("name", LISTS)
def test_each_list_has_its_own_rate_limit(caller: Caller, name: ListName) -> None:
    for _ in range(30):
        assert "THROTTLES" not in caller.get(PATH_OF[name]).text
    assert "THROTTLES" in caller.get(PATH_OF[name]).text
    assert caller.get().json()["status"] == "200"
    stats = caller.box.stats
    assert (stats.lists[name].requests, stats.lists[name].violations, stats.violations) == (
        31,
        1,
        0,
    )
    assert stats.summary()[f"{name}_violations"] == 1
    caller.clock.sleep(600)
    assert "THROTTLES" not in caller.get(PATH_OF[name]).text


def test_faults_and_callbacks_of_lists(caller: Caller) -> None:
    seen: list[tuple[str, int]] = []
    caller.box.list_faults = {"users": {1: "500", 2: "renamed", 3: "hollow", 4: "nan"}}
    caller.box.before_list = lambda name, number: seen.append((name, number))
    assert caller.get(USERS).status_code == 500
    assert "users" not in caller.get(USERS).json()
    assert caller.get(USERS).json()["users"] == []
    assert math.isnan(json.loads(caller.get(USERS).text)["users"][0]["voice_credits"]["total"])
    assert len(caller.get(QUEUES).json()["queues"]) == 7
    assert seen == [("users", 1), ("users", 2), ("users", 3), ("users", 4), ("queues", 1)]
    assert caller.box.stats.lists["users"].answered == 0


def test_unknown_fault_of_a_list_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        Sandbox(list_faults={"users": {1: "explode"}})


def test_rows_can_be_changed(caller: Caller) -> None:
    users = caller.box.lists["users"]
    gone = rows_of(caller, USERS)[3]
    users.remove(gone["userid"])
    users.add({"userid": "1", "name": "New"}, place=0)
    users.add({"userid": "2"})
    rows = pages_of(caller, USERS, 0, 50)
    assert rows[0] == {"userid": "1", "name": "New"}
    assert rows[-1] == {"userid": "2"}
    assert gone not in rows
    assert len(rows) == len(users) == 61
    with pytest.raises(KeyError):
        users.remove(gone["userid"])


# Dialects


@pytest.mark.parametrize(("form", "first"), [("zero", 0), ("one", 1), ("one_only", 1)])
def test_number_of_the_first_user(caller: Caller, form: str, first: int) -> None:
    set_dialect(caller, users_from=form)
    ids = [row["userid"] for row in pages_of(caller, USERS, first, 7)]
    assert len(ids) == len(set(ids)) == 60
    start = caller.get(USERS, from_=0, offset=7)
    if form == "one_only":
        assert start.json()["code"] == "ZVT015"
    else:
        assert [row["userid"] for row in start.json()["users"]] == ids[:7]
    assert rows_of(caller, USERS)[0]["userid"] == ids[0]


def test_larger_page_is_rejected_or_capped(caller: Caller) -> None:
    assert caller.get(USERS, offset=51).json()["code"] == "ZVT015"
    set_dialect(caller, list_size_over="cap")
    assert len(rows_of(caller, USERS, offset=60)) == 50
    assert len(rows_of(caller, QUEUES, offset=999_999)) == 7
    set_dialect(caller, list_max_size=3)
    assert [len(rows_of(caller, path, offset=100)) for path in ROWS] == [3, 3, 3]
    assert [len(rows_of(caller, path)) for path in ROWS] == [3, 3, 3]
    set_dialect(caller, list_size_over="refuse")
    assert caller.get(QUEUES, offset=4).json()["code"] == "ZVT015"


def test_total_may_be_minus_one_or_absent(caller: Caller) -> None:
    set_dialect(caller, list_total="minus_one")
    assert caller.get(USERS).json()["meta"] == {"total": -1}
    set_dialect(caller, list_total="absent")
    assert "meta" not in caller.get(USERS).json()


@pytest.mark.parametrize("path", ROWS)
def test_ids_as_numbers(caller: Caller, path: str) -> None:
    text = [row[IDS[path]] for row in rows_of(caller, path)]
    set_dialect(caller, id_form="number")
    numbers = [row[IDS[path]] for row in rows_of(caller, path)]
    assert list(map(str, numbers)) == text
    # No double holds any of them.
    assert all(int(float(number)) != number for number in numbers)


def test_form_of_numbers(caller: Caller) -> None:
    plain = rows_of(caller, USERS)
    set_dialect(caller, number_form="exponent")
    answer = caller.get(USERS)
    assert f'"countryCode":{plain[1]["countryCode"] // 10}.1E1,' in answer.text
    for row, sent in zip(plain, answer.json()["users"], strict=True):
        assert sent["userid"] == row["userid"]
        assert isinstance(sent["countryCode"], float)
        assert sent["countryCode"] == row["countryCode"]
        assert sent.get("lastActiveTime") == row.get("lastActiveTime")
    set_dialect(caller, number_form="dashes")
    assert {row["countryCode"] for row in rows_of(caller, USERS)} == {"--"}


def test_form_of_empty_text(caller: Caller) -> None:
    assert rows_of(caller, QUEUES)[1]["queueWaitMusic"]["audioId"] == ""
    set_dialect(caller, empty_form="absent")
    assert "audioId" not in rows_of(caller, QUEUES)[1]["queueWaitMusic"]
    set_dialect(caller, empty_form="null")
    assert rows_of(caller, QUEUES)[1]["queueWaitMusic"]["audioId"] is None


def test_key_of_queues(caller: Caller) -> None:
    ids = [row["id"] for row in rows_of(caller, QUEUES)]
    set_dialect(caller, queue_key="groupid")
    rows = rows_of(caller, QUEUES)
    assert [row["groupid"] for row in rows] == ids
    assert all("id" not in row for row in rows)
    assert rows_of(caller, QUEUES, queueid=ids[1]) == [rows[1]]


def test_several_assignments_of_a_number(caller: Caller) -> None:
    set_dialect(caller, number_assignments=2)
    rows = rows_of(caller, NUMBERS)
    assert len({row["numberMapId"] for row in rows}) == len(rows) == 18
    assert len({row["numberId"] for row in rows}) == 9


@pytest.mark.parametrize(
    ("changes", "params", "expected"),
    [
        ({}, {}, [0, 1, 2, 3]),
        ({}, {"from_index": 1, "to_index": 2}, [1, 2]),
        ({}, {"from_index": 2}, [2, 3]),
        ({}, {"from_index": 4}, []),
        ({"campaign_end": "excluded"}, {"from_index": 1, "to_index": 2}, [1]),
        ({"campaign_end": "excluded"}, {"from_index": 1, "to_index": 1}, []),
        ({"campaign_indexes": "from_one"}, {"from_index": 1, "to_index": 2}, [0, 1]),
        ({"campaign_indexes": "from_one"}, {"from_index": 0, "to_index": 2}, [0, 1]),
        ({"campaign_rows": 2}, {}, [0, 1]),
        ({"campaign_rows": 2}, {"from_index": 2, "to_index": 9}, [2, 3]),
        (
            {"list_max_size": 3, "list_size_over": "cap"},
            {"from_index": 0, "to_index": 9},
            [0, 1, 2],
        ),
        ({"list_max_size": 3}, {}, [0, 1, 2]),
        ({"list_max_size": 3}, {"from_index": 0, "to_index": 9}, None),
    ],
)
def test_indexes_of_campaigns(
    caller: Caller, changes: dict[str, Any], params: dict[str, int], expected: list[int] | None
) -> None:
    campaigns = caller.get(CAMPAIGNS).json()["records"]
    set_dialect(caller, **changes)
    found = caller.get(CAMPAIGNS, **params).json().get("records")
    assert found == (None if expected is None else [campaigns[place] for place in expected])


def test_campaigns_may_repeat_for_each_user(caller: Caller) -> None:
    set_dialect(caller, campaign_users=3)
    rows = caller.get(CAMPAIGNS).json()["records"]
    assert len({row["campaign_id"] for row in rows}) == 4
    assert len({(row["campaign_id"], row["assign_user"]) for row in rows}) == len(rows) == 12


@pytest.mark.parametrize(
    ("form", "expected"),
    [("list", []), ("null", None), ("missing", None), ("bare_list", []), ("body", b"")],
)
def test_form_of_a_page_without_rows(caller: Caller, form: str, expected: object) -> None:
    set_dialect(caller, rows_form=form)
    answer = caller.get(QUEUES, from_=7)
    if form == "body":
        assert answer.content == expected
    elif form == "bare_list":
        assert answer.json() == expected
    else:
        assert answer.json().get("queues") == expected
        assert ("queues" in answer.json()) == (form != "missing")
    for bare, status in (("no_content", 204), ("error", 404)):
        set_dialect(caller, rows_form=bare)
        assert caller.get(QUEUES, from_=7).status_code == status


# The directory


def test_sizes_of_the_directory() -> None:
    clock = FakeClock()
    sizes = Directory(users=230, queues=3, numbers=120)
    with Sandbox(history=history(20), directory=sizes, clock=clock) as box:
        caller = Caller(box, clock)
        users = pages_of(caller, USERS, 0, 50)
        assert len({row["name"] for row in users}) == len({row["userid"] for row in users}) == 230
        assert len(rows_of(caller, QUEUES)) == 3
        assert len(pages_of(caller, NUMBERS, 0, 100)) == 120


@pytest.mark.parametrize(
    "sizes", [{"users": 7}, {"queues": 2}, {"numbers": 3}, {"numbers": 1001}, {"messages": -1}]
)
def test_impossible_sizes_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at"):
        dataclasses.replace(Directory(), **sizes)


def test_command_takes_sizes_and_scopes() -> None:
    arguments = ["--users", "7", "--scopes", "ZohoVoice.call.READ"]
    command = [sys.executable, "-m", "zoho_voice_sandbox", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert run.returncode == 2
    assert "users must be at least 8" in run.stderr


def test_no_response_holds_hidden_keys(caller: Caller) -> None:
    for path in ROWS:
        assert '".' not in json.dumps(rows_of(caller, path))
