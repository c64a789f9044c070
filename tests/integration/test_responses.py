"""Rules of correctness 7 and 8: locks, tokens, faults and odd rows, by the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.calls import assert_once, call, history, server_ids
from tests.support.cli import NOW
from zoho_voice_sandbox import Dialect, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.cli import FakeClock, Run

    RunTap = Callable[..., Run]

LOCKS = [
    "429",
    "429_empty",
    "400_url_rolling",
    "200_url_rolling",
    "400_cliq",
    "200_people",
    "503_text",
    "400_minutes",
]
REFUSALS = ["401_plain", "401_projects", "401_crm", "400_zvt", "200_crm"]
FAULTS = [
    "500",
    "502_html",
    "503_retry_after",
    "cut",
    "cut_body",
    "truncated",
    "html",
    "error_200",
    "array",
    "nan",
    "hollow",
    "renamed",
    "slow:30",
    "drip:500",
]


def last_line(run: Run) -> str:
    return run.log.splitlines()[-1]


@pytest.mark.parametrize("retry_after", [False, True])
@pytest.mark.parametrize("throttle", LOCKS)
def test_rule_7_a_lock_in_any_form_is_waited_out_without_a_request(
    run_tap: RunTap, clock: FakeClock, throttle: Any, retry_after: bool
) -> None:
    dialect = Dialect(throttle=throttle, retry_after=retry_after)
    with Sandbox(history=history(), dialect=dialect, clock=clock, faults={3: "lock"}) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
    assert 600 < sum(clock.slept) < 700
    assert re.search(r"locked; waiting 6\d\d s, until 2026-03-01 12:1\d:\d\d UTC", run.log)


def test_rule_7_a_lock_without_end_is_given_up_after_three_waits(
    run_tap: RunTap, clock: FakeClock
) -> None:
    faults = dict.fromkeys(range(1, 50), "lock")
    with Sandbox(history=history(), clock=clock, faults=faults) as box:
        run = run_tap(box.config)
        assert box.stats.requests == 4
    assert run.exit_code == 1
    assert "run again later" in last_line(run)


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("fault", FAULTS)
def test_rule_7_faults_of_the_server_cost_no_call(
    run_tap: RunTap, clock: FakeClock, fault: str, number: int
) -> None:
    with Sandbox(history=history(), clock=clock, faults={number: fault}) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        # A page that is empty against the count looks like the end of the offsets, and costs more.
        assert box.stats.requests <= (12 if fault == "hollow" else 7)


@pytest.mark.parametrize("fault", ["500", "cut", "html", "error_200"])
def test_rule_7_a_dead_server_ends_the_run_with_one_plain_line(
    run_tap: RunTap, clock: FakeClock, fault: str
) -> None:
    faults = dict.fromkeys(range(1, 50), fault)
    with Sandbox(history=history(), clock=clock, faults=faults) as box:
        run = run_tap(box.config)
        assert box.stats.requests == 6
    assert run.exit_code == 1
    assert "asked 6 times" in last_line(run)
    assert "Traceback" not in run.log


@pytest.mark.parametrize("form", REFUSALS)
def test_rule_7_a_token_that_dies_is_renewed_once(
    run_tap: RunTap, clock: FakeClock, form: Any
) -> None:
    dialect = Dialect(token_refused=form)
    with Sandbox(history=history(), dialect=dialect, clock=clock, faults={3: "token"}) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert box.stats.tokens == 2


@pytest.mark.parametrize("form", REFUSALS)
def test_rule_7_a_second_refusal_stops(run_tap: RunTap, clock: FakeClock, form: Any) -> None:
    faults = {3: "token", 4: "token"}
    dialect = Dialect(token_refused=form)
    with Sandbox(history=history(), dialect=dialect, clock=clock, faults=faults) as box:
        run = run_tap(box.config)
        assert (box.stats.requests, box.stats.tokens) == (4, 2)
    assert run.exit_code == 1
    assert "a new access token is refused too" in last_line(run)


@pytest.mark.parametrize(
    ("dialect", "faults", "advice"),
    [
        (Dialect(scope_missing=True), {}, "ZVT022.*ZohoVoice.call.READ"),
        (Dialect(), {1: "redirect"}, "HTTP 302.*data_center"),
    ],
)
def test_rule_7_what_cannot_be_mended_stops_at_once_and_says_what_to_do(
    run_tap: RunTap, clock: FakeClock, dialect: Dialect, faults: dict[int, str], advice: str
) -> None:
    with Sandbox(history=history(), dialect=dialect, clock=clock, faults=faults) as box:
        run = run_tap(box.config)
        assert box.stats.requests == 1
    assert run.exit_code == 1
    assert re.search(advice, last_line(run))
    assert run.records == []


@pytest.mark.parametrize(
    ("fault", "what"), [("hollow", "no rows although Zoho counts 900"), ("renamed", "no logs")]
)
def test_rule_7_an_answer_that_is_not_understood_is_no_empty_account(
    run_tap: RunTap, clock: FakeClock, fault: str, what: str
) -> None:
    faults = dict.fromkeys(range(1, 50), fault)
    with Sandbox(history=history(), clock=clock, faults=faults) as box:
        run = run_tap(box.config)
    assert run.exit_code == 1
    assert what in last_line(run)
    assert "replication_key_value" not in str(run.states)


@pytest.mark.parametrize(
    ("spoiled", "what"),
    [
        ({"logid": None}, "logid"),
        ({"logid": ""}, "logid"),
        ({"start_time": "soon"}, "start_time"),
        ({"start_time": None}, "start_time"),
    ],
)
def test_rule_7_a_row_that_cannot_be_keyed_stops_the_sync_with_its_position(
    run_tap: RunTap, clock: FakeClock, spoiled: dict[str, Any], what: str
) -> None:
    with Sandbox(history=history(30), clock=clock) as box:
        row = {**call(box, "odd", round(NOW * 1000) - 60_000), **spoiled}
        box.store.add(row, at_ms=round(NOW * 1000) - 60_000)
        run = run_tap(box.config)
    assert run.exit_code == 1
    assert re.search(rf"row 0 of \S+ has no usable {what}", last_line(run))
    assert run.records == []


def test_rule_7_what_does_not_fit_becomes_null_and_is_kept(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=None, clock=clock) as box:
        for number in range(3):
            start = round(NOW * 1000) - 1000 * number
            odd = {"isBlocked": "perhaps", "feedback": "five", "shoe_size": 43}
            box.store.add({"logid": f"odd-{number}", "start_time": str(start), **odd})
        run = run_tap(box.config)
    record = run.records[0]
    assert (record["isBlocked"], record["feedback"]) == (None, None)
    assert record["additional_fields"] == odd
    assert run.log.count("isBlocked: value does not match its type") == 1
    assert run.log.count("shoe_size: field is not documented") == 1


def test_rule_8_one_token_serves_the_whole_run(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(6_000), clock=clock) as box:
        run_tap(box.config)
        assert box.stats.requests > 29
        assert (box.stats.tokens, box.stats.token_requests) == (1, 1)


def test_rule_8_a_token_is_renewed_before_it_expires(run_tap: RunTap, clock: FakeClock) -> None:
    dialect = Dialect(token_ttl_seconds=150)
    with Sandbox(history=history(7_000), dialect=dialect, clock=clock) as box:
        run = run_tap({**box.config, "page_size": 100})
        assert_once(run, server_ids(box))
        statuses = {status for _, _, status in box.stats.log}
        assert statuses == {200}
        assert 2 <= box.stats.tokens <= 3


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        ("refresh_token", "invalid_code: the refresh token is wrong"),
        ("client_id", "invalid_client: this data center does not know the client"),
        ("client_secret", "invalid_client"),
    ],
)
def test_rule_8_errors_inside_a_200_of_accounts_say_what_to_do(
    run_tap: RunTap, clock: FakeClock, setting: str, advice: str
) -> None:
    with Sandbox(history=history(), clock=clock) as box:
        run = run_tap({**box.config, setting: "made-up-and-wrong"})
        assert box.stats.token_requests <= 3
        assert box.stats.requests == 0
    assert run.exit_code == 1
    assert advice in last_line(run)
    assert "made-up-and-wrong" not in run.log


def test_rule_8_too_many_tokens_are_told_plainly(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(30), clock=clock) as box:
        runs = [run_tap(box.config) for _ in range(11)]
    assert [run.exit_code for run in runs] == [0] * 10 + [1]
    assert "Access Denied: too many tokens" in last_line(runs[-1])


@pytest.mark.parametrize("rows_form", ["body", "bare_list"])
def test_rule_7_a_single_answer_that_says_nothing_moves_no_bookmark(
    run_tap: RunTap, clock: FakeClock, rows_form: Any
) -> None:
    empty = Dialect(rows_form=rows_form)
    with Sandbox(history=None, dialect=empty, clock=clock) as box:
        start = round(NOW * 1000)

        def fill(number: int) -> None:
            if number == 2:
                box.store.add(call(box, "there", start - 86_400_000))

        box.before_request = fill
        run = run_tap({**box.config, "start_date": "2026-01-01"})
        assert box.stats.requests == 2
    assert run.ids == ["there"]


def test_text_that_databases_refuse_is_made_storable_and_nothing_else_changes(
    run_tap: RunTap,
) -> None:
    with Sandbox(history=history(20)) as box:
        names = {"contact_name": "a\0b\ud83c", "agent_number": "\\u0000 \\ud800 🌻"}
        inner = {"x\0": ["\udf3b", {"\ud800": "ü\0"}], "x\ufffd": 1}
        moment = int((NOW - 86_400) * 1000)
        box.store.add(call(box, "odd", moment, **names, inner=inner))
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
    (record,) = [record for record in run.records if record["logid"] == "odd"]
    assert record["contact_name"] == "a\ufffdb\ufffd"
    assert record["agent_number"] == names["agent_number"]
    expected = {"x\ufffd": ["\ufffd", {"\ufffd": "ü\ufffd"}], "x\ufffd_": 1}
    assert record["additional_fields"]["inner"] == expected
