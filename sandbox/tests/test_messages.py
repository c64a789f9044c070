"""Sent, received and scheduled text messages."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox_client import FIRST, LAST, Caller, FakeClock, history, set_dialect
from zoho_voice_sandbox import Directory, History, Sandbox

LOGS, SCHEDULE = "v1/sms/logs", "v1/sms/schedule"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
FORMS = {
    "compact_minutes": "%Y%m%d %H:%M",
    "compact_seconds": "%Y%m%d %H:%M:%S",
    "dashed_minutes": "%Y-%m-%d %H:%M",
    "dashed_seconds": "%Y-%m-%d %H:%M:%S",
    "day": "%Y-%m-%d",
    "offset": "%Y-%m-%dT%H:%M:%S+00:00",
}
DAY = datetime(2026, 1, 20, tzinfo=UTC)


def messages(caller: Caller, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.get(LOGS, **{"size": 1000, **params}).json()["smsLogQuery"]
    return found


def jobs(caller: Caller, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.get(SCHEDULE, **params).json()["schedule"]
    return found


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def every_message(caller: Caller) -> list[dict[str, Any]]:
    found = messages(caller) + messages(caller, optArchived="true")
    return sorted(found, key=lambda row: -row["submittedTime"])


# Messages


def test_response_has_the_documented_shape(caller: Caller) -> None:
    body = caller.get(LOGS).json()
    assert body.keys() == {"meta", "smsLogQuery", "status"}
    assert body["status"] == "success"
    assert len(body["smsLogQuery"]) == 100
    row = body["smsLogQuery"][0]
    assert isinstance(row["submittedTime"], int)
    assert not any(key.startswith(".") for key in row)


def test_pages_hold_each_message_once(caller: Caller) -> None:
    total = caller.get(LOGS).json()["meta"]["total"]
    found: list[dict[str, Any]] = []
    while rows := messages(caller, from_=len(found), size=37):
        found += rows
    assert found == messages(caller)
    assert len({row["logid"] for row in found}) == len(found) == total
    times = [row["submittedTime"] for row in found]
    assert times == sorted(times, reverse=True)
    assert ms(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)) <= times[-1]
    assert times[0] < ms(datetime(LAST.year, LAST.month, LAST.day, tzinfo=UTC)) + DAY_MS


def test_archived_messages_are_listed_apart(caller: Caller) -> None:
    plain, archived = messages(caller), messages(caller, optArchived="true")
    assert min(len(plain), len(archived)) > 50
    assert len({row["logid"] for row in plain + archived}) == 400
    assert messages(caller, optArchived="false") == plain
    set_dialect(caller, sms_archived="everywhere")
    assert messages(caller) == sorted(plain + archived, key=lambda row: -row["submittedTime"])
    assert messages(caller, optArchived="true") == archived


def test_messages_belong_to_the_account(caller: Caller) -> None:
    users = caller.get("zv/api/users").json()["users"]
    users += caller.get("zv/api/users", from_=50).json()["users"]
    senders = {(row["name"], row["emailid"], row["zuid"]) for row in users if row["status"] == 1}
    numbers = {row["number"] for row in caller.get("zv/api/v1/numberslist").json()["numberslist"]}
    customers = {row["user_number"] for row in caller.rows()}
    found = every_message(caller)
    assert {row["senderId"] for row in found} <= numbers
    assert len({row["customerNumber"] for row in found} & customers) > 50
    for row in found:
        if row["messageType"] == "OUTGOING":
            assert (row["userName"], row["emailId"], row["zuid"]) in senders
        else:
            assert row["userName"] == row["emailId"] == ""
            assert "zuid" not in row


def test_filters_of_messages(caller: Caller) -> None:
    rows = messages(caller)
    for kind in ("Incoming", "Outgoing"):
        expected = [row for row in rows if row["messageType"] == kind.upper()]
        assert messages(caller, messageType=kind) == expected != []
    assert messages(caller, messageType="All") == rows
    media = [row for row in rows if "isMMS" in row]
    assert messages(caller, fetchMMS="true") == media != []
    assert all(row["message"] == "" and row["mmsMeta"][0]["fileSize"] for row in media)
    one = rows[5]
    digits = one["customerNumber"].replace("+", "").replace(" ", "")
    expected = [row for row in rows if row["customerNumber"] == one["customerNumber"]]
    assert messages(caller, customerNumber=digits) == expected
    expected = [row for row in rows if row["senderId"] == one["senderId"]]
    assert messages(caller, longCode=one["senderId"]) == expected != rows
    assert {row["country"] for row in messages(caller, country="gb")} == {"gb"}
    assert caller.get(LOGS, messageType="incoming").json()["code"] == "ZVT015"


def test_status_changes_after_a_message_is_sent() -> None:
    clock = FakeClock()
    today = datetime.fromtimestamp(clock.now(), UTC).date() + timedelta(days=1)
    days = History(seed=1, calls=0, first=today - timedelta(days=3), last=today)
    with Sandbox(history=days, clock=clock) as box:
        caller = Caller(box, clock)
        before = {row["logid"]: row["status"] for row in messages(caller)}
        assert max(row["submittedTime"] for row in messages(caller)) <= clock.now() * 1000
        clock.sleep(2 * 86_400)
        caller.token = ""
        after = {row["logid"]: row["status"] for row in messages(caller)}
    changed = {logid for logid in before if before[logid] != after[logid]}
    assert changed == {logid for logid in before if before[logid] == "IN_QUEUE"} != set()
    assert {after[logid] for logid in changed} == {"DELIVERED", "UNDELIVERED"}
    assert "IN_QUEUE" not in after.values()


def test_added_message_is_sent_as_it_is(caller: Caller) -> None:
    row = {"logid": "1", "submittedTime": ms(DAY), "sentTime": "whenever"}
    caller.box.lists["sms_logs"].add(row)
    found = messages(caller, fromDate="2026-01-20 00:00:00", toDate="2026-01-20 00:00:00")
    assert row in found


@pytest.mark.parametrize("minutes", [330, 0, -660])
def test_zone_of_the_sent_time(caller: Caller, minutes: int) -> None:
    set_dialect(caller, sms_sent_offset_minutes=minutes)
    for row in messages(caller, size=9):
        sent = datetime.strptime(row["sentTime"], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        assert ms(sent) == (row["submittedTime"] + minutes * 60_000) // 60_000 * 60_000


def test_order_of_messages(caller: Caller) -> None:
    newest = messages(caller)
    set_dialect(caller, order="oldest")
    assert messages(caller) == newest[::-1]
    set_dialect(caller, order="shifting")
    orders = [[row["logid"] for row in messages(caller)] for _ in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(row["logid"] for row in newest)


# Dates


@pytest.mark.parametrize("given", FORMS)
@pytest.mark.parametrize("accepted", [*FORMS, "any", "none"])
def test_form_of_dates(caller: Caller, accepted: str, given: str) -> None:
    set_dialect(caller, sms_dates=accepted)
    everything = messages(caller)
    dates = {
        name: moment.strftime(FORMS[given])
        for name, moment in zip(("fromDate", "toDate"), (DAY, DAY + timedelta(days=7)), strict=True)
    }
    answer = caller.get(LOGS, size=1000, **dates)
    if accepted not in {given, "any"}:
        assert answer.json()["code"] == "ZVT015"
        assert "fromDate" in answer.json()["message"]
        return
    end = ms(DAY) + (8 if given == "day" else 7) * DAY_MS
    expected = [row for row in everything if ms(DAY) <= row["submittedTime"] < end]
    assert answer.json()["smsLogQuery"] == expected != []


@pytest.mark.parametrize("unlike", ["2026-1-20 00:00:00", "2026-02-30 00:00:00", "20260120 0:00"])
def test_impossible_dates_are_refused(caller: Caller, unlike: str) -> None:
    set_dialect(caller, sms_dates="any")
    assert caller.get(LOGS, toDate=unlike).json()["code"] == "ZVT015"


def test_other_dates_may_be_ignored_or_select_nothing(caller: Caller) -> None:
    everything = messages(caller)
    set_dialect(caller, sms_other_dates="ignore")
    assert messages(caller, fromDate="2026-01-20") == everything
    set_dialect(caller, sms_other_dates="nothing")
    assert messages(caller, fromDate="2026-01-20") == messages(caller, toDate="2026-01-20") == []


@pytest.mark.parametrize("minutes", [0, 330, -660])
def test_zone_of_dates(caller: Caller, minutes: int) -> None:
    everything = messages(caller)
    set_dialect(caller, utc_offset_minutes=minutes)
    start = ms(DAY) - minutes * 60_000 + 6 * HOUR_MS
    expected = [row for row in everything if start <= row["submittedTime"] < start + 3 * DAY_MS]
    dates = {"fromDate": "2026-01-20 06:00:00", "toDate": "2026-01-23 05:59:59"}
    assert messages(caller, **dates) == expected != []
    set_dialect(caller, sms_dates="offset")
    expected = [row for row in everything if row["submittedTime"] >= ms(DAY) - 5 * HOUR_MS]
    assert messages(caller, fromDate="2026-01-20T00:00:00+05:00") == expected != []


@pytest.mark.parametrize("form", ["day", "dashed_seconds", "compact_minutes"])
@pytest.mark.parametrize("is_inclusive", [True, False])
def test_end_of_dates(caller: Caller, form: str, is_inclusive: bool) -> None:
    set_dialect(caller, sms_dates=form, to_date_inclusive=is_inclusive)
    unit = {"day": DAY_MS, "dashed_seconds": 1_000, "compact_minutes": 60_000}[form]
    rows = caller.box.lists["sms_logs"]
    for name, moment in (("last", ms(DAY) - 1), ("at", ms(DAY)), ("in", ms(DAY) + unit - 1)):
        rows.add({"logid": name, "submittedTime": moment})
    rows.add({"logid": "behind", "submittedTime": ms(DAY) + unit})
    found = {row["logid"] for row in messages(caller, toDate=DAY.strftime(FORMS[form]))}
    added = {"last", "at", "in", "behind"}
    assert found & added == ({"last", "at", "in"} if is_inclusive else {"last"})


# Scheduled messages


def test_shape_of_scheduled_messages(caller: Caller) -> None:
    body = caller.get(SCHEDULE).json()
    assert body.keys() == {"schedule", "code", "status"}
    rows = body["schedule"]
    assert len({row["jobId"] for row in rows}) == len(rows) == 12
    assert Counter(type(row["zuid"]) for row in rows) == {int: 12}
    users = caller.get("zv/api/users").json()["users"]
    assert {row["userName"] for row in rows} <= {row["name"] for row in users}
    assert not any(key.startswith(".") for key in rows[0])
    assert jobs(caller, from_=5, size=4) == rows[5:9]


def instant(row: dict[str, Any]) -> datetime:
    wall = datetime.strptime(row["scheduledTime"], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - a wall time
    return wall.replace(tzinfo=ZoneInfo(row["timeZone"]))


def test_scheduled_messages_go_when_they_are_due(caller: Caller) -> None:
    rows = jobs(caller)
    assert len({row["timeZone"] for row in rows}) == 3
    caller.clock.sleep(2 * 86_400)
    caller.token = ""
    now = datetime.fromtimestamp(caller.clock.now(), UTC)
    expected = [row for row in rows if instant(row) > now]
    assert jobs(caller) == expected
    assert 0 < len(expected) < 12


def test_filters_of_scheduled_messages(caller: Caller) -> None:
    rows = jobs(caller)
    assert (
        jobs(caller, searchtext="RÜCKRUF")
        == [row for row in rows if row["message"] == "Bitte um Rückruf."]
        != []
    )
    assert jobs(caller, optArchived="true") == jobs(caller, optUnread="true") == []
    assert jobs(caller, optArchived="false") == rows
    day = date(2026, 6, 3)
    dates = {"fromDate": f"{day} 00:00:00", "toDate": f"{day} 23:59:59"}
    expected = [row for row in rows if instant(row).astimezone(UTC).date() == day]
    assert jobs(caller, **dates) == expected != []


def test_empty_account_has_no_messages() -> None:
    clock = FakeClock()
    with Sandbox(clock=clock) as box:
        assert messages(Caller(box, clock)) == []


def test_number_of_messages() -> None:
    clock = FakeClock()
    sizes = Directory(messages=900, scheduled=0)
    with Sandbox(history=history(0), directory=sizes, clock=clock) as box:
        caller = Caller(box, clock)
        assert len(every_message(caller)) == 900
        assert jobs(caller) == []
