"""Undocumented behaviour through the server: ranges, orders, totals, times and sizes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
import requests

from sandbox_client import Caller, FakeClock, history, set_dialect
from zoho_voice_sandbox import Sandbox


@pytest.mark.parametrize("end", ["last", "first"])
def test_long_range_is_answered_in_part(caller: Caller, end: str) -> None:
    days = {"last": ("2026-02-20", "2026-03-01"), "first": ("2026-01-01", "2026-01-10")}[end]
    part = caller.rows(fromDate=days[0], toDate=days[1])
    set_dialect(caller, answered_days=10, answered_end=end)
    response = caller.get(size=1000, fromDate="2026-01-01", toDate="2026-03-01").json()
    assert response["logs"] == part != []
    assert response["meta"]["total"] == len(part)


@pytest.mark.parametrize("order", ["shifting", "swapping", "replicas"])
def test_order_changes_between_requests(caller: Caller, order: str) -> None:
    newest = caller.ids()
    set_dialect(caller, order=order)
    orders = [caller.ids() for _ in range(9)]
    assert all(set(ids) == set(newest) for ids in orders)
    assert len(set(map(tuple, orders))) == (3 if order == "replicas" else 9)


@pytest.mark.parametrize("size", [60, 99, 37])
def test_total_of_the_page_alone(caller: Caller, size: int) -> None:
    set_dialect(caller, total="page", max_size=size)
    assert caller.get(size=200).json()["meta"]["total"] == size
    assert caller.get(size=200, from_=290).json()["meta"]["total"] == 10


@pytest.mark.parametrize("is_named", [True, False])
def test_oldest_days_are_refused(caller: Caller, is_named: bool) -> None:
    set_dialect(caller, retention_days=120, dates_named=is_named)
    assert caller.get(fromDate="2026-02-01", toDate="2026-03-01").status_code == 200
    error = caller.get(fromDate="2026-01-31", toDate="2026-03-01").json()
    assert error["code"] == "ZVT015"
    assert ("fromDate" in error["message"]) == is_named


@pytest.mark.parametrize("form", ["seconds", "year_2000", "epoch"])
def test_wrong_times_come_with_the_call_day(caller: Caller, form: str) -> None:
    day = {"fromDate": "2026-02-10", "toDate": "2026-02-20"}
    right = {row["logid"]: row for row in caller.rows(**day)}
    set_dialect(caller, wrong_start=form, wrong_start_every=3)
    sent = {row["logid"]: row for row in caller.rows(**day)}
    assert sent.keys() == right.keys()
    wrong = [logid for logid in sent if sent[logid] != right[logid]]
    assert len(right) / 6 < len(wrong) < len(right) / 2
    for logid in wrong:
        start, was = int(sent[logid]["start_time"]), int(right[logid]["start_time"])
        year_2000 = 946_684_800_000 + was % 86_400_000
        expected = {"seconds": was // 1000, "year_2000": year_2000, "epoch": 0}
        assert start == expected[form]
        assert sent[logid]["end_time"] != right[logid]["end_time"]


def test_any_row_may_be_filed_under_another_day(caller: Caller) -> None:
    row = {"logid": "reset", "start_time": "946684800000"}
    filed = datetime(2026, 2, 10, 12, tzinfo=UTC).timestamp() * 1000
    caller.box.store.add(row, at_ms=int(filed))
    assert row in caller.rows(fromDate="2026-02-10", toDate="2026-02-10")
    assert caller.rows(fromDate="2000-01-01", toDate="2000-01-02") == []


def date_of(response: requests.Response) -> float:
    return parsedate_to_datetime(response.headers["Date"]).timestamp()


@pytest.mark.parametrize("ahead", [0, 90, -864_000])
def test_date_header_follows_the_clock(caller: Caller, ahead: float) -> None:
    set_dialect(caller, date_ahead_seconds=ahead)
    for response in (caller.post(), caller.get(), caller.get("zv/other"), caller.get(size="x")):
        assert date_of(response) == caller.clock.now() + ahead
        assert len(response.headers["Date"].split(",")) == 2
    caller.clock.sleep(120)
    assert date_of(caller.get()) == caller.clock.now() + ahead


def test_date_header_may_be_absent(caller: Caller) -> None:
    set_dialect(caller, date_header="absent")
    assert "Date" not in caller.get().headers


def test_clock_of_the_server_may_differ() -> None:
    clock = FakeClock()
    with Sandbox(history=history(), clock=clock, clock_ahead=-86_400) as box:
        client = Caller(box, clock)
        set_dialect(client, future_dates="refused")
        assert date_of(client.get()) == clock.now() - 86_400
        assert client.get(toDate="2026-05-31").status_code == 200
        assert client.get(toDate="2026-06-01").json()["code"] == "ZVT015"


def test_legs_of_a_call_share_its_logid(caller: Caller) -> None:
    call = caller.rows(size=1)[0]
    leg = call | {"call_type": "bridged", "end_time": str(int(call["end_time"]) + 5000)}
    other = leg | {"call_type": "forward"}
    caller.box.store.add(leg, is_leg=True)
    caller.box.store.add(other, is_leg=True)
    found = [row for row in caller.rows() if row["logid"] == call["logid"]]
    assert sorted(row["call_type"] for row in found) == sorted(
        row["call_type"] for row in (call, leg, other)
    )
    assert caller.get().json()["meta"]["total"] == 302
    caller.box.store.add(leg)
    assert [row for row in caller.rows() if row["logid"] == call["logid"]] == [leg]
    caller.box.store.remove(call["logid"])
    assert caller.box.store.find(call["logid"]) is None
    assert len(caller.rows()) == 299


@pytest.mark.parametrize(
    ("over", "status", "text"),
    [
        ("refuse", 400, "Invalid value for parameter: size"),
        ("error500", 500, "failed"),
        ("empty", 200, '{"meta":{"total":300},"logs":[],'),
    ],
)
def test_response_to_a_larger_size(caller: Caller, over: str, status: int, text: str) -> None:
    set_dialect(caller, max_size=200, size_over=over)
    response = caller.get(size=201)
    assert response.status_code == status
    assert text in response.text
    assert len(caller.rows(size=200)) == 200


@pytest.mark.parametrize(("over", "seconds"), [("timeout", 90), ("cut", 0)])
def test_larger_size_breaks_the_connection(caller: Caller, over: str, seconds: float) -> None:
    set_dialect(caller, max_size=200, size_over=over, give_up_seconds=90)
    assert len(caller.rows(size=200)) == 200
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        caller.get(size=201)
    assert caller.clock.passed == seconds
    assert caller.box.stats.answered == 1
    assert caller.box.stats.requests == 2


def test_command_takes_the_dialects() -> None:
    options = ["--calls=900", "--days=20", "--answered-days=5", "--answered-end=first"]
    options += ["--order=replicas", "--replicas=2", "--total=page", "--max-size=9"]
    options += ["--date-ahead-seconds=-60.5", "--clock-ahead=864000", "--retention-days=40"]
    options += ["--wrong-start=seconds", "--wrong-start-every=1", "--several-files=zip_folders"]
    options += ["--size-over=cap", "--give-up-seconds=2", "--bomb-mb=1"]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "zoho_voice_sandbox", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        config = json.loads(process.stdout.readline())
        try:
            form = {**config, "grant_type": "refresh_token"}
            token = requests.post(f"{config['api_url']}/oauth/v2/token", form, timeout=9)
            response = requests.get(
                f"{config['api_url']}/rest/json/zv/logs",
                {"fromDate": config["start_date"][:10]},
                headers={"Authorization": f"Zoho-oauthtoken {token.json()['access_token']}"},
                timeout=9,
            )
        finally:
            process.terminate()
    page = response.json()
    assert page["meta"]["total"] == len(page["logs"]) == 9
    assert all(len(row["start_time"]) == 10 for row in page["logs"])
    expected = time.time() + 864_000 - 60.5
    assert abs(date_of(response) - expected) < 60
