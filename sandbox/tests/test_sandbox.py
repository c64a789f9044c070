"""Tokens, call logs, limits and faults of the sandbox."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox_client import FIRST, LAST, Caller, FakeClock, history, set_dialect
from zoho_voice_sandbox import Dialect, History, Sandbox
from zoho_voice_sandbox.__main__ import main
from zoho_voice_sandbox.contacts_fixtures import build_id

if TYPE_CHECKING:
    from pathlib import Path


MISSED_LACKS = {"answer_time", "agent_number", "bridged_agent", "disconnected_by"}
DOCUMENTED = {
    "agent_number",
    "answer_time",
    "bridged_agent",
    "call_recording_transcription_status",
    "call_type",
    "caller_id_name",
    "caller_id_number",
    "department",
    "destination_name",
    "destination_number",
    "did_number",
    "disconnected_by",
    "duration",
    "end_time",
    "hangup_cause",
    "hangup_cause_description",
    "hangup_cause_displayname",
    "isBlocked",
    "is_test_call",
    "logid",
    "number_id",
    "service",
    "sip_hangup_disposition",
    "start_time",
    "user_number",
    "voice_credits",
    "voicemail_read_by",
    "zsoid",
}
SEEN_IN_CLIENTS = {
    "bh_profile",
    "call_recording",
    "contact_name",
    "feedback",
    "is_bh_off_duty",
    "voicemail",
}


def day_of(row: dict[str, Any], minutes: int = 0) -> str:
    moment = int(row["start_time"]) / 1000 + minutes * 60
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def ms(*parts: int) -> str:
    return str(int(datetime(*parts, tzinfo=UTC).timestamp() * 1000))  # type: ignore[misc,arg-type]


# The calls


def test_same_seed_gives_the_same_calls() -> None:
    def calls(seed: int) -> list[dict[str, Any]]:
        return list(Sandbox(history=history(seed=seed), clock=FakeClock()).store.rows())

    assert calls(1) == calls(1)
    assert not {row["logid"] for row in calls(1)} & {row["logid"] for row in calls(2)}


def test_calls_resemble_real_ones() -> None:
    rows = list(Sandbox(history=history(3000), clock=FakeClock()).store.rows())
    assert len(rows) == len({row["logid"] for row in rows}) == 3000
    assert all(str(uuid.UUID(row["logid"], version=4)) == row["logid"] for row in rows)
    kinds = Counter(row["call_type"] for row in rows)
    assert set(kinds) == {"incoming", "outgoing", "missed", "bridged", "forward"}
    assert min(kinds.values()) > 50
    assert set.union(*(set(row) for row in rows)) > DOCUMENTED | SEEN_IN_CLIENTS
    assert sum(bool(set(row) - DOCUMENTED - SEEN_IN_CLIENTS) for row in rows) == 3000
    for row in rows:
        lacks = MISSED_LACKS if row["call_type"] == "missed" else set()
        assert not lacks & set(row)
        assert DOCUMENTED - MISSED_LACKS - {"destination_name"} <= set(row)
        assert 10**16 < row["service"] < 10**17
        assert int(row["start_time"]) < int(row["end_time"])
        assert re.fullmatch(r"\+\d+ \d+", row["user_number"])
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d", row["duration"]) for row in rows)
    assert all(FIRST.isoformat() <= day_of(row) <= LAST.isoformat() for row in rows)
    assert [row["start_time"] for row in rows] == sorted(row["start_time"] for row in rows)
    assert {"Atendida", "Successful call"} <= {row["hangup_cause_displayname"] for row in rows}
    names = " ".join(row.get("contact_name", "") for row in rows)
    assert all(sign in names for sign in "Łß日اआé🌻")
    weekdays = Counter(date.fromisoformat(day_of(row)).weekday() for row in rows)
    assert weekdays[6] < weekdays[0] / 3


def test_recordings_appear_minutes_after_the_end(caller: Caller) -> None:
    with Sandbox(history=None, clock=caller.clock, grow_per_hour=720) as box:
        caller.clock.sleep(3600)
        fresh = list(box.store.rows())
        caller.clock.sleep(300)
        later = {row["logid"]: row for row in box.store.rows()}
    recorded = {row["logid"] for row in fresh if "call_recording" in later[row["logid"]]}
    missing = [row for row in fresh if row["logid"] in recorded and "call_recording" not in row]
    assert len(recorded) > 200
    assert len(missing) > 5
    assert {row["call_recording_transcription_status"] for row in missing} == {"not_initiated"}
    assert all(caller.clock.now() - int(row["end_time"]) / 1000 < 660 for row in missing)


def test_history_up_to_today_has_no_future_calls() -> None:
    clock = FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
    rows = list(Sandbox(history=history(), clock=clock).store.rows())
    assert len(rows) == 300
    assert all(int(row["end_time"]) / 1000 <= clock.now() for row in rows)


def test_new_calls_appear_when_they_end() -> None:
    def grown(steps: int) -> list[dict[str, Any]]:
        clock = FakeClock()
        box = Sandbox(history=history(10), clock=clock, grow_per_hour=60)
        for _ in range(steps):
            clock.sleep(3600 / steps)
            assert all(int(row["end_time"]) / 1000 <= clock.now() for row in box.store.rows())
        return list(box.store.rows())

    assert len(grown(1)) == 70
    assert grown(1) == grown(12)


def test_million_calls_are_served_fast() -> None:
    began = time.process_time()
    many = History(seed=3, calls=1_000_000, first=date(2023, 1, 1), last=LAST)
    clock = FakeClock()
    with Sandbox(history=many, clock=clock) as box:
        assert time.process_time() - began < 5
        client = Caller(box, clock)
        client.get(size=1)
        box.store.remove(client.ids(from_=123_456, size=1)[0])
        began = time.process_time()
        answer = client.get(from_=900_000, size=200)
        assert time.process_time() - began < 0.2
        assert answer.json()["meta"]["total"] == len(box.store) == 999_999
        assert len(answer.json()["logs"]) == 200


# The store


def test_rows_are_added_and_removed(caller: Caller) -> None:
    before = caller.ids()
    caller.box.store.remove(before[5])
    old = {"logid": "late", "start_time": ms(2026, 1, 20), "call_type": "incoming"}
    caller.box.store.add(old)
    after = caller.ids()
    assert set(after) == set(before) - {before[5]} | {"late"}
    assert [row["logid"] for row in caller.box.store.rows()] == after[::-1]
    starts = [int(row["start_time"]) for row in caller.rows()]
    assert starts == sorted(starts, reverse=True)
    caller.box.store.add({**old, "feedback": 5})
    assert [row for row in caller.rows() if row["logid"] == "late"] == [{**old, "feedback": 5}]
    caller.box.store.remove("late")
    assert len(caller.box.store) == 299
    for logid in ("late", before[5], "nonsense"):
        with pytest.raises(KeyError):
            caller.box.store.remove(logid)


def test_pages_of_a_changed_account_form_its_list(caller: Caller) -> None:
    ids = caller.ids()
    for logid in (ids[0], ids[1], ids[77], ids[-1]):
        caller.box.store.remove(logid)
    for number in range(9):
        caller.box.store.add({"logid": str(number), "start_time": ms(2026, 1, 1 + 5 * number % 31)})
    everything = caller.ids()
    assert len(everything) == 305
    paged = [logid for place in range(0, 320, 16) for logid in caller.ids(from_=place, size=16)]
    assert paged == everything


def test_row_without_key_or_time_is_sent_unchanged(caller: Caller) -> None:
    caller.box.store.add({"start_time": "soon"})
    assert caller.rows(size=1) == [{"start_time": "soon"}]
    caller.box.store.add({"uuid": "u"}, at_ms=0)
    assert caller.rows(from_=301) == [{"uuid": "u"}]


# Tokens


def test_refresh_token_returns_a_token(caller: Caller) -> None:
    answer = caller.post()
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "expires_in", "api_domain", "token_type"}
    assert answer.json()["expires_in"] == 3600
    config = caller.box.config
    params = {name: config[name] for name in ("client_id", "client_secret", "refresh_token")}
    params |= {"grant_type": "refresh_token"}
    query = requests.post(f"{caller.box.url}/oauth/v2/token", params=params, timeout=9)
    assert "access_token" in query.json()
    assert caller.box.stats.tokens == caller.box.stats.token_requests == 2


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("client_id", "invalid_client"),
        ("client_secret", "invalid_client_secret"),
        ("refresh_token", "invalid_code"),
        ("grant_type", "unsupported_grant_type"),
    ],
)
def test_wrong_credentials_are_rejected(caller: Caller, name: str, error: str) -> None:
    answer = caller.post(**{name: "wrong"})
    assert (answer.status_code, answer.json()) == (200, {"error": error})
    assert caller.box.stats.tokens == 0


def test_code_is_exchanged_once(caller: Caller) -> None:
    code = caller.box.accounts.client.code
    first = caller.post(grant_type="authorization_code", code=code).json()
    assert first["refresh_token"] == caller.box.config["refresh_token"]
    second = caller.post(grant_type="authorization_code", code=code).json()
    assert second == {"error": "invalid_code"}
    caller.box.accounts.add_code("1000.another")
    third = caller.post(grant_type="authorization_code", code="1000.another").json()
    assert third["refresh_token"] == first["refresh_token"]


def test_code_expires_after_its_lifetime(caller: Caller) -> None:
    code = caller.box.accounts.client.code
    caller.box.accounts.add_code("1000.another")
    caller.clock.sleep(599)
    assert "refresh_token" in caller.post(grant_type="authorization_code", code=code).json()
    caller.clock.sleep(1)
    late = caller.post(grant_type="authorization_code", code="1000.another").json()
    assert late == {"error": "invalid_code"}


def test_wrong_secret_does_not_use_up_a_code(caller: Caller) -> None:
    form = {"grant_type": "authorization_code", "code": caller.box.accounts.client.code}
    assert caller.post(**form, client_secret="wrong").json() == {"error": "invalid_client_secret"}
    assert "refresh_token" in caller.post(**form).json()


def test_online_code_returns_no_refresh_token(caller: Caller) -> None:
    set_dialect(caller, code_access="online")
    code = caller.box.accounts.client.code
    answer = caller.post(grant_type="authorization_code", code=code).json()
    assert "refresh_token" not in answer
    assert answer["access_token"]


def test_token_limit_is_ten_in_ten_minutes(caller: Caller) -> None:
    assert all("access_token" in caller.post().json() for _ in range(10))
    answer = caller.post()
    assert answer.status_code == 400
    assert answer.json()["error"] == "Access Denied"
    caller.clock.sleep(600)
    assert "access_token" in caller.post().json()


def test_token_expires_by_time_or_number(caller: Caller) -> None:
    set_dialect(caller, token_ttl_seconds=90, tokens_limit=99)
    assert caller.get().status_code == 200
    caller.clock.sleep(89)
    assert caller.get().status_code == 200
    caller.clock.sleep(1)
    assert caller.get().status_code == 401
    caller.token = ""
    assert caller.get().status_code == 200
    for _ in range(15):
        caller.post()
    assert caller.get().status_code == 401


def test_lifetime_in_expires_in_sec(caller: Caller) -> None:
    set_dialect(caller, token_field="expires_in_sec")
    answer = caller.post().json()
    assert (answer["expires_in"], answer["expires_in_sec"]) == (3_600_000, 3600)


@pytest.mark.parametrize(
    ("form", "status", "sign"),
    [
        ("401_plain", 401, "Unauthorized"),
        ("401_projects", 401, "INVALID_OAUTHTOKEN"),
        ("401_crm", 401, "INVALID_TOKEN"),
        ("400_zvt", 400, "ZVT021"),
        ("200_crm", 200, "INVALID_TOKEN"),
    ],
)
def test_invalid_token_responses(caller: Caller, form: str, status: int, sign: str) -> None:
    set_dialect(caller, token_refused=form)
    assert caller.get().json()["status"] == "200"
    caller.box.expire_tokens()
    answer = caller.get()
    assert answer.status_code == status
    assert sign in answer.text
    bearer = {"Authorization": f"Bearer {caller.post().json()['access_token']}"}
    url = f"{caller.box.url}/rest/json/zv/logs"
    assert sign in requests.get(url, headers=bearer, timeout=9).text


def test_missing_scope_is_rejected(caller: Caller) -> None:
    set_dialect(caller, scope_missing=True)
    assert caller.get().status_code == 400
    assert caller.get().json()["code"] == "ZVT022"


# Requests for logs


def test_response_has_the_documented_shape(caller: Caller) -> None:
    answer = caller.get(from_=0, size=7, agent="", callType="", fromDate="")
    assert set(answer.json()) == {"meta", "logs", "status"}
    assert answer.json()["meta"] == {"total": 300}
    assert len(answer.json()["logs"]) == 7
    assert answer.json()["status"] == "200"
    assert "é" in caller.get(size=300).text
    assert len(caller.get().json()["logs"]) == 100


@pytest.mark.parametrize("name", ["limit", "page", "fromdate", "sort"])
def test_unknown_parameter_is_rejected(caller: Caller, name: str) -> None:
    answer = caller.get(**{name: "1"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "ZVT010"
    assert answer.json()["status"] == "ERROR"
    assert set(answer.json()) == {"code", "message", "status"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "-1"),
        ("size", "0"),
        ("size", "many"),
        ("fromDate", "2026-13-01"),
        ("toDate", "01/02/2026"),
        ("fromDate", "20260101"),
        ("callType", "Missed"),
        ("isRecording", "1"),
        ("numberIds", "a"),
        ("userNumber", "+1"),
        ("feedback", "6"),
    ],
)
def test_invalid_value_is_rejected(caller: Caller, name: str, value: str) -> None:
    answer = caller.get(**{name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "ZVT015")
    assert name in answer.json()["message"]
    set_dialect(caller, bad_value_message="neutral")
    assert name not in caller.get(**{name: value}).json()["message"]


def test_reversed_dates_are_rejected(caller: Caller) -> None:
    assert caller.get(fromDate="2026-02-02", toDate="2026-02-01").json()["code"] == "ZVT015"


@pytest.mark.parametrize("path", ["zv/log", "zv/logs/", "zv/users"])
def test_unknown_path_is_rejected(caller: Caller, path: str) -> None:
    assert caller.get(path).json()["code"] == "ZVT011"
    assert (caller.box.stats.requests, caller.box.stats.other_requests) == (0, 1)


def test_other_host_is_rejected(caller: Caller) -> None:
    answer = requests.get(caller.box.url, headers={"Host": "voice.example"}, timeout=9)
    assert answer.status_code == 403


@pytest.mark.parametrize("kind", ["incoming", "outgoing", "missed", "bridged", "forward"])
def test_call_type_filter(caller: Caller, kind: str) -> None:
    expected = [row for row in caller.rows() if row["call_type"] == kind]
    assert caller.rows(callType=kind) == expected != []
    assert caller.get(callType=kind).json()["meta"]["total"] == len(expected)
    assert caller.rows(callType=kind, from_=2, size=3) == expected[2:5]


def test_file_filters_select_calls_with_files(caller: Caller) -> None:
    rows = caller.rows()
    voicemails = [row for row in rows if "voicemail" in row]
    recordings = [row for row in rows if "call_recording" in row]
    assert caller.rows(isVoiceMail="true", isRecording="false") == voicemails != []
    assert caller.rows(isRecording="true") == recordings != []
    assert caller.rows(isRecording="false", isVoiceMail="false") == rows


@pytest.mark.parametrize(
    ("name", "key", "named"),
    [
        ("numberIds", "number_id", False),
        ("feedback", "feedback", False),
        ("contact_name", "contact_name", False),
        ("agent", "agent_number", True),
        ("departmentId", "department", True),
        ("groupIds", "queue_name", True),
        ("campaignId", "campaign_name", True),
    ],
)
def test_other_filters_select_their_calls(
    caller: Caller, name: str, key: str, *, named: bool
) -> None:
    rows = caller.rows()
    value = next(row[key] for row in rows if key in row)
    expected = [row for row in rows if row.get(key) == value]
    assert caller.rows(**{name: build_id(value) if named else value}) == expected
    assert 0 < len(expected) < 300


def test_number_filter_selects_by_first_digits(caller: Caller) -> None:
    rows = caller.rows()
    german = [row for row in rows if row["user_number"].startswith("+49")]
    assert caller.rows(userNumber="49", isAllCountry="false") == german != []
    digits = re.sub(r"\D", "", rows[0]["user_number"])
    assert all(
        row["user_number"] == rows[0]["user_number"] for row in caller.rows(userNumber=digits)
    )
    ids = {rows[0]["number_id"], next(r["number_id"] for r in rows if r["did_number"][1] == "4")}
    found = caller.rows(numberIds=",".join(ids))
    assert found == [row for row in rows if row["number_id"] in ids]


@pytest.mark.parametrize("minutes", [0, 330, -480, 840])
@pytest.mark.parametrize("inclusive", [True, False])
def test_time_zone_of_dates(caller: Caller, minutes: int, *, inclusive: bool) -> None:
    for place in range(8):
        caller.box.store.add({"logid": f"{place}", "start_time": ms(2026, 1, 14, 3 * place)})
    everything = caller.rows()
    set_dialect(caller, utc_offset_minutes=minutes, to_date_inclusive=inclusive)
    days = {"2026-01-13", "2026-01-14"} if inclusive else {"2026-01-13"}
    expected = [row for row in everything if day_of(row, minutes) in days]
    assert caller.rows(fromDate="2026-01-13", toDate="2026-01-14") == expected != []


def test_order_of_rows(caller: Caller) -> None:
    newest = caller.ids()
    set_dialect(caller, order="oldest")
    assert caller.ids() == newest[::-1]
    set_dialect(caller, order="logid")
    assert caller.ids() == sorted(newest)
    assert caller.ids(from_=10, size=5) == sorted(newest)[10:15]


def test_future_dates_may_be_rejected(caller: Caller) -> None:
    assert caller.get(toDate="2026-06-02").status_code == 200
    set_dialect(caller, future_dates="refused")
    assert caller.get(toDate="2026-06-01").status_code == 200
    assert caller.get(toDate="2026-06-02").json()["code"] == "ZVT015"
    assert caller.get(fromDate="2026-06-02").json()["code"] == "ZVT015"
    set_dialect(caller, utc_offset_minutes=-1)
    assert caller.get(toDate="2026-06-01").json()["code"] == "ZVT015"
    set_dialect(caller, future_dates="empty", utc_offset_minutes=0)
    assert caller.ids(toDate="2026-06-01")
    assert caller.ids(toDate="2026-06-02") == []


def test_range_beyond_the_longest_is_rejected(caller: Caller) -> None:
    set_dialect(caller, max_range_days=31)
    assert caller.get(fromDate="2026-01-01", toDate="2026-01-31").status_code == 200
    assert caller.get(fromDate="2026-01-01", toDate="2026-02-01").json()["code"] == "ZVT015"
    assert caller.get(fromDate="2026-01-01").json()["code"] == "ZVT015"


def test_largest_page_size(caller: Caller) -> None:
    set_dialect(caller, max_size=50)
    assert len(caller.rows(size=60)) == 50
    set_dialect(caller, size_over="refuse")
    assert caller.get(size=51).json()["code"] == "ZVT015"
    assert len(caller.rows(size=50)) == 50


@pytest.mark.parametrize(
    ("over", "status", "sign"),
    [("refuse", 400, "ZVT015"), ("empty", 200, '"logs":[]'), ("error500", 500, "failed")],
)
def test_offset_beyond_the_highest_is_rejected(
    caller: Caller, over: str, status: int, sign: str
) -> None:
    set_dialect(caller, max_offset=100, offset_over=over)
    assert len(caller.rows(from_=90, size=10)) == 10
    answer = caller.get(from_=91, size=10)
    assert answer.status_code == status
    assert sign in answer.text


@pytest.mark.parametrize(
    ("total", "meta"),
    [
        ("exact", {"total": 300}),
        ("absent", {}),
        ("minus_one", {"total": -1}),
        ("text", {"total": "300"}),
        ("words", {"total": "many"}),
        ("stale_high", {"total": 304}),
        ("stale_low", {"total": 296}),
    ],
)
def test_forms_of_the_total(caller: Caller, total: str, meta: dict[str, object]) -> None:
    set_dialect(caller, total=total, total_error=4)
    assert caller.get().json()["meta"] == meta
    set_dialect(caller, total_error=400)
    if total == "stale_low":
        assert caller.get().json()["meta"] == {"total": 1}


@pytest.mark.parametrize(
    ("form", "status", "text"),
    [
        ("list", 200, '{"meta":{"total":300},"logs":[],"status":"200"}'),
        ("missing", 200, '{"meta":{"total":300},"status":"200"}'),
        ("null", 200, '{"meta":{"total":300},"logs":null,"status":"200"}'),
        ("body", 200, ""),
        ("no_content", 204, ""),
        ("bare_list", 200, "[]"),
        ("error", 404, '{"code":"ZVT404","message":"No records found","status":"ERROR"}'),
    ],
)
def test_forms_of_an_empty_page(caller: Caller, form: str, status: int, text: str) -> None:
    set_dialect(caller, rows_form=form)
    answer = caller.get(from_=300)
    assert (answer.status_code, answer.text) == (status, text)
    assert len(caller.rows(from_=299)) == 1


@pytest.mark.parametrize("value", ["200", "SUCCESS", "success"])
def test_status_has_the_value_of_the_dialect(caller: Caller, value: str) -> None:
    set_dialect(caller, status_value=value)
    assert caller.get().json()["status"] == value


def test_latency_of_logs(caller: Caller) -> None:
    set_dialect(caller, latency_seconds=2.5)
    before = caller.clock.monotonic()
    caller.get()
    assert caller.clock.monotonic() - before == 2.5
    assert caller.box.stats.log == [(before, {}, 200)]


# The limit and the lock


def test_request_over_the_limit_starts_a_lock(caller: Caller) -> None:
    assert [caller.get(size=1).status_code for _ in range(30)] == [200] * 30
    assert "URL_ROLLING_THROTTLES_LIMIT_EXCEEDED" in caller.get(size=1).text
    caller.clock.sleep(599)
    assert "Try again after 10 minutes" in caller.get(size=1).text
    caller.clock.sleep(599)
    assert caller.get(size=1).status_code == 400
    caller.clock.sleep(600)
    assert caller.get(size=1).status_code == 200
    stats = caller.box.stats
    assert (stats.requests, stats.answered, stats.violations, stats.locked_calls) == (34, 31, 1, 2)
    assert [status for _, _, status in stats.log].count(400) == 3


def test_rate_limit_window_rolls(caller: Caller) -> None:
    set_dialect(caller, limit_calls=2, limit_seconds=10, lock_seconds=60)
    for _ in range(5):
        assert caller.get().status_code == 200
        caller.clock.sleep(5)
    caller.get()
    assert caller.get().status_code == 400
    caller.clock.sleep(60)
    assert caller.get().status_code == 200


def test_rejected_requests_count_for_the_limit(caller: Caller) -> None:
    set_dialect(caller, limit_calls=2)
    caller.get(nonsense=1)
    caller.box.expire_tokens()
    caller.get()
    assert caller.get().status_code == 400
    assert caller.box.stats.violations == 1


@pytest.mark.parametrize(
    ("form", "status", "sign"),
    [
        ("429", 429, "Too many requests"),
        ("400_url_rolling", 400, "Try again after 10 minutes."),
        ("200_url_rolling", 200, "Try again after 10 minutes."),
        ("400_cliq", 400, "You have exceeded the URL throttle limits."),
        ("200_people", 200, "7209"),
        ("503_text", 503, "Too many requests"),
        ("429_empty", 429, ""),
        ("400_minutes", 400, "This URL is locked. Try again after 10 minute(s)."),
    ],
)
def test_forms_of_a_rate_limit_response(caller: Caller, form: str, status: int, sign: str) -> None:
    set_dialect(caller, throttle=form)
    caller.get()
    caller.box.lock()
    answer = caller.get()
    assert answer.status_code == status
    assert sign in answer.text if sign else not answer.content
    assert "Retry-After" not in answer.headers
    set_dialect(caller, retry_after=True)
    assert caller.get().headers["Retry-After"] == "600"


# Faults


@pytest.mark.parametrize(
    ("kind", "status", "sign"),
    [
        ("500", 500, '"code":"500"'),
        ("502_html", 502, "<h1>502"),
        ("503_retry_after", 503, "unavailable"),
        ("html", 200, "<title>Sign in"),
        ("error_200", 200, '"status":"ERROR"'),
        ("lock", 400, "THROTTLES"),
        ("token", 401, "Unauthorized"),
        ("redirect", 302, ""),
        ("array", 200, '[{"logid"'),
        ("nan", 200, "NaN"),
        ("slow", 200, '"logs"'),
    ],
)
def test_faults_with_a_response(caller: Caller, kind: str, status: int, sign: str) -> None:
    right = caller.get(size=3).text
    caller.box.faults[2] = kind
    answer = caller.get(size=3)
    assert answer.status_code == status
    assert sign in answer.text
    assert ("Retry-After" in answer.headers) == (kind == "503_retry_after")
    assert ("Location" in answer.headers) == (kind == "redirect")
    assert (caller.clock.passed > 0) == (kind == "slow")
    assert caller.box.stats.answered == (2 if kind == "slow" else 1)
    if kind not in {"lock", "token"}:
        assert caller.get(size=3).text == right
    else:
        assert caller.get(size=3).status_code == status


@pytest.mark.parametrize("kind", ["cut", "cut_body"])
def test_faults_that_cut_the_connection(caller: Caller, kind: str) -> None:
    caller.box.faults[1] = kind
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        caller.get()
    assert caller.get().status_code == 200
    assert [status for _, _, status in caller.box.stats.log] == [
        200 if kind == "cut_body" else 0,
        200,
    ]


def test_truncated_response_is_no_json(caller: Caller) -> None:
    caller.box.faults[1] = "truncated"
    answer = caller.get()
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_slow_response_takes_its_time(caller: Caller) -> None:
    caller.box.faults[1] = "slow:70"
    caller.get()
    assert caller.clock.passed == 70


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("500", "failed"),
        ("html", "Sign in"),
        ("lock", "Access Denied"),
        ("token", "invalid_code"),
        ("nan", "NaN"),
        ("array", "[{"),
    ],
)
def test_token_endpoint_faults(kind: str, sign: str) -> None:
    with Sandbox(token_faults={2: kind}, clock=FakeClock()) as box:
        client = Caller(box, FakeClock())
        assert "access_token" in client.post().json()
        assert sign in client.post().text
        assert "access_token" in client.post().json()


def test_unknown_fault_is_rejected() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        Sandbox(faults={1: "fire"})
    with pytest.raises(ValueError, match="order"):
        Dialect(order="random")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    with pytest.raises(ValueError, match="after last"):
        History(seed=1, calls=1, first=LAST, last=FIRST)


def test_before_request_is_called_first() -> None:
    seen: list[int] = []

    def before(number: int) -> None:
        seen.append(number)
        box.store.add({"logid": f"n{number}", "start_time": ms(2026, 5, number)})

    with Sandbox(clock=FakeClock(), before_request=before) as box:
        client = Caller(box, FakeClock())
        assert client.ids() == ["n1"]
        assert client.ids() == ["n2", "n1"]
    assert seen == [1, 2]


def test_empty_account_and_config(caller: Caller) -> None:
    assert caller.box.config["start_date"] == "2026-01-01T00:00:00Z"
    assert caller.box.config["api_url"] == caller.box.config["accounts_url"] == caller.box.url
    with Sandbox(clock=caller.clock) as box:
        client = Caller(box, caller.clock)
        assert client.get().json() == {"meta": {"total": 0}, "logs": [], "status": "200"}
        assert box.config["start_date"] == "2026-06-01T00:00:00Z"


# The command


def test_command_runs_until_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    options = ["--calls", "50", "--days", "9", "--order", "oldest", "--no-to-date-inclusive"]
    options += ["--fault", "2=500", "--max-size", "20", "--config-file", str(path)]
    options += ["--file-fault=1=500", "--file-missing=204", "--transcript-fault=1=error_200"]
    options += ["--code", "1000.of.mine"]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "zoho_voice_sandbox", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    ) as process:
        assert process.stdout
        assert process.stderr
        config = json.loads(process.stdout.readline())
        try:
            assert json.loads(path.read_text(encoding="utf-8")) == config
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            form = {**config, "grant_type": "refresh_token"}
            token = requests.post(f"{config['api_url']}/oauth/v2/token", form, timeout=9).json()
            headers = {"Authorization": f"Zoho-oauthtoken {token['access_token']}"}
            url = f"{config['api_url']}/rest/json/zv/logs"
            first = requests.get(url, headers=headers, timeout=9).json()
            assert requests.get(url, headers=headers, timeout=9).status_code == 500
            file = f"{url}/voicerecording?recording_filename=x"
            statuses = [requests.get(file, headers=headers, timeout=9).status_code for _ in "12"]
            transcript = f"{config['api_url']}/rest/json/zv/transcribe?logId=x"
            said = requests.get(transcript, headers=headers, timeout=9)
            form |= {"grant_type": "authorization_code", "code": "1000.of.mine"}
            granted = requests.post(f"{config['api_url']}/oauth/v2/token", form, timeout=9).json()
        finally:
            process.send_signal(signal.SIGTERM)
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 0
    assert first["meta"]["total"] == 50
    starts = [int(row["start_time"]) for row in first["logs"]]
    assert len(starts) == 20
    assert all(one <= other for one, other in pairwise(starts))
    assert statuses == [500, 204]
    assert (said.status_code, said.json()["status"]) == (200, "ERROR")
    assert granted["refresh_token"] == config["refresh_token"]
    assert "1000.of.mine works once" in err
    stats = json.loads(out)["stats"]
    assert (stats["requests"], stats["file_requests"], stats["transcript_requests"]) == (2, 2, 1)
    assert "Traceback" not in err
    assert "GET" not in err


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--order random", "--order"),
        ("--total-error many", "--total-error"),
        ("--fault 1=fire", "unknown fault"),
        ("--fault 500", "--fault"),
        ("--days 0", "after last"),
        ("--days 99999999", "out of range"),
        ("--port 70000", "port must be"),
        ("--grow -1", "grow"),
    ],
)
def test_invalid_option_exits_with_usage(
    options: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options.split())
    assert stopped.value.code == 2
    assert word in capsys.readouterr().err


def test_port_in_use_exits_with_one_line(
    caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        assert main(["--calls", "1", "--port", caller.box.url.rpartition(":")[2]]) == 1
    finally:
        signal.signal(signal.SIGTERM, handlers[0])
        signal.signal(signal.SIGINT, handlers[1])
    assert "cannot listen" in capsys.readouterr().err
