"""Lockouts, tokens, faults and odd rows, through the command line."""

import itertools
import re
import socket
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from datetime import date
from email.utils import formatdate
from typing import Any, get_args

import pytest
import requests
import requests_mock

from tests.support.calls import assert_once, call, history, server_ids
from tests.support.cli import NOW, FakeClock, Run, RunTap
from zoho_voice_sandbox import Dialect, Sandbox
from zoho_voice_sandbox.dialect import Throttle, TokenRefused

LOCKS = get_args(Throttle)
REFUSALS = get_args(TokenRefused)
FAULTS = [
    *["500", "502_html", "503_retry_after", "cut", "cut_body", "truncated", "html", "error_200"],
    *["array", "nan", "hollow", "renamed", "slow:30", "drip:500"],
]


def last_line(run: Run) -> str:
    return run.log.splitlines()[-1]


@pytest.mark.parametrize("retry_after", [False, True])
@pytest.mark.parametrize("throttle", LOCKS)
def test_lockout_in_any_form_is_waited_out(
    run_tap: RunTap, clock: FakeClock, throttle: Any, retry_after: bool
) -> None:
    dialect = Dialect(throttle=throttle, retry_after=retry_after)
    with Sandbox(history=history(450), dialect=dialect, clock=clock, faults={3: "lock"}) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
    assert 600 < sum(clock.slept) < 700
    assert re.search(r"locked; waiting 6\d\d s, until 2026-03-01 12:1\d:\d\d UTC", run.log)


def test_endless_lockout_stops_after_three_waits(run_tap: RunTap, clock: FakeClock) -> None:
    faults = dict.fromkeys(range(1, 50), "lock")
    with Sandbox(history=history(450), clock=clock, faults=faults) as box:
        run = run_tap(box.config)
        assert box.stats.requests == 4
    assert run.exit_code == 1
    assert "run again later" in last_line(run)


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("fault", FAULTS)
def test_server_faults_lose_no_call(
    run_tap: RunTap, clock: FakeClock, fault: str, number: int
) -> None:
    with Sandbox(history=history(450), clock=clock, faults={number: fault}) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        # A page that is empty against the count looks like the end of the offsets, and costs more.
        assert box.stats.requests <= (12 if fault == "hollow" else 7)


@pytest.mark.parametrize("fault", ["500", "cut", "html", "error_200"])
def test_dead_server_ends_with_one_line(run_tap: RunTap, clock: FakeClock, fault: str) -> None:
    faults = dict.fromkeys(range(1, 50), fault)
    with Sandbox(history=history(450), clock=clock, faults=faults) as box:
        run = run_tap(box.config)
        assert box.stats.requests == 6 + 2  # fewer days and rows fail too
    assert run.exit_code == 1
    assert "gave up after 6 attempts" in last_line(run)
    assert "Traceback" not in run.log


@pytest.mark.parametrize("form", REFUSALS)
def test_expired_token_is_renewed_once(run_tap: RunTap, clock: FakeClock, form: Any) -> None:
    dialect = Dialect(token_refused=form)
    with Sandbox(history=history(450), dialect=dialect, clock=clock, faults={3: "token"}) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert box.stats.tokens == 2


@pytest.mark.parametrize("form", REFUSALS)
def test_second_token_rejection_stops(run_tap: RunTap, clock: FakeClock, form: Any) -> None:
    faults = {3: "token", 4: "token"}
    dialect = Dialect(token_refused=form)
    with Sandbox(history=history(450), dialect=dialect, clock=clock, faults=faults) as box:
        run = run_tap({**box.config, "page_size": 200})
        assert (box.stats.requests, box.stats.tokens) == (4, 2)
    assert run.exit_code == 1
    assert "a new access token was rejected too" in last_line(run)


@pytest.mark.parametrize(
    ("dialect", "faults", "advice"),
    [
        (Dialect(scope_missing=True), {}, "ZVT022.*ZohoVoice.call.READ"),
        (Dialect(), {1: "redirect"}, "HTTP 302.*data_center"),
    ],
)
def test_permanent_error_stops_at_once_with_advice(
    run_tap: RunTap, clock: FakeClock, dialect: Dialect, faults: dict[int, str], advice: str
) -> None:
    with Sandbox(history=history(450), dialect=dialect, clock=clock, faults=faults) as box:
        run = run_tap(box.config)
        assert box.stats.requests == 1
    assert run.exit_code == 1
    assert re.search(advice, last_line(run))
    assert run.records == []


@pytest.mark.parametrize(
    ("fault", "what"),
    [("hollow", "no rows although meta.total is 450"), ("renamed", "logs not found")],
)
def test_unexpected_body_is_not_an_empty_account(
    run_tap: RunTap, clock: FakeClock, fault: str, what: str
) -> None:
    faults = dict.fromkeys(range(1, 50), fault)
    with Sandbox(history=history(450), clock=clock, faults=faults) as box:
        run = run_tap(box.config)
    assert run.exit_code == 1
    assert what in last_line(run)
    assert "replication_key_value" not in str(run.states)


def test_token_is_renewed_before_it_expires(run_tap: RunTap, clock: FakeClock) -> None:
    dialect = Dialect(token_ttl_seconds=150)
    with Sandbox(history=history(2_100), dialect=dialect, clock=clock) as box:
        run = run_tap({**box.config, "page_size": 30})
        assert_once(run, server_ids(box))
        statuses = {status for _, _, status in box.stats.log}
        assert statuses == {200}
        assert 2 <= box.stats.tokens <= 3


@pytest.mark.parametrize("name", ["logid", "start_time"])
def test_row_without_key_stops_before_any_record(
    run_tap: RunTap, clock: FakeClock, name: str
) -> None:
    with Sandbox(history=history(30), clock=clock) as box:
        moment = round(NOW * 1000) - 60_000
        box.store.add({**call(box, "odd", moment), name: None}, at_ms=moment)
        run = run_tap(box.config)
    assert (run.exit_code, run.records) == (1, [])
    assert re.search(rf"row 0 of \S+ has no valid {name}", last_line(run))


@pytest.mark.parametrize("rows_form", ["body", "bare_list"])
def test_ambiguous_response_moves_no_bookmark(
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
        (_, first, _), (_, second, _), *_ = box.stats.log
        assert first == second
    assert run.ids == ["there"]


def test_unstorable_characters_are_replaced(run_tap: RunTap) -> None:
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


LOGS_PATH = "/rest/json/zv/logs"
HTML = "<!DOCTYPE html><html><head><title>Firewall</title></head><body>Access blocked</body></html>"
MANY = range(1, 100)


@contextmanager
def odd_responses(box: Sandbox, numbers: Collection[int], **response: Any) -> Generator[None]:
    """Give some requests for logs, by their numbers, a response that is not the sandbox's."""
    count = itertools.count(1)
    with requests_mock.Mocker(real_http=True) as mock:
        mock.get(
            box.url + LOGS_PATH, additional_matcher=lambda _: next(count) in numbers, **response
        )
        yield


@pytest.mark.parametrize(
    "error",
    [
        {"code": "DISCRETE_PAGINATION_LIMIT_EXCEEDED", "message": "Limit of pages exceeded"},
        {"code": "X1", "message": "Date range limit exceeded"},
        {"code": "X1", "message": "Offset limit exceeded"},
        {"code": "X1", "message": "Too many days"},
    ],
    ids=str,
)
def test_limit_of_a_value_narrows_and_locks_nothing(
    run_tap: RunTap, clock: FakeClock, error: dict[str, str]
) -> None:
    with (
        Sandbox(history=history(450), clock=clock) as box,
        odd_responses(box, {1}, status_code=400, json=error),
    ):
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
    assert "locked" not in run.log
    assert sum(clock.slept) < 600


def test_smaller_request_disproves_a_lockout(run_tap: RunTap, clock: FakeClock) -> None:
    error = {"code": "X1", "message": "Limit exceeded"}
    with (
        Sandbox(history=history(450), clock=clock) as box,
        odd_responses(box, {1, 2}, status_code=400, json=error),
    ):
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
    assert run.log.count("the API is locked") == 1


@pytest.mark.parametrize(
    "retry_after",
    ["0", formatdate(NOW - 60), str(round(NOW) + 60), formatdate(NOW)[:-6], "600000", "soon"],
)
def test_unusable_retry_after_waits_lock_seconds(
    run_tap: RunTap, clock: FakeClock, retry_after: str
) -> None:
    headers = {"Retry-After": retry_after}
    with (
        Sandbox(history=history(30), clock=clock) as box,
        odd_responses(box, {1}, status_code=429, headers=headers),
    ):
        run = run_tap({**box.config, "lock_seconds": 300})
        assert_once(run, server_ids(box))
    assert 300 < sum(clock.slept) < 320


UNKNOWN_WORDS = {"code": "Q9", "message": "Das geht so nicht", "status": "ERROR"}


def days_of(request: Any) -> int:
    first, last = (date.fromisoformat(request.qs[name][0]) for name in ("fromdate", "todate"))
    return (last - first).days + 1


@contextmanager
def refusals(
    box: Sandbox, is_refused: Callable[[Any], bool], **response: Any
) -> Generator[list[float]]:
    """Give some requests for logs a response that is not the sandbox's; yield when they came."""
    times: list[float] = []

    def matches(request: Any) -> bool:
        if found := is_refused(request):
            times.append(box.clock.now())
        return found

    with requests_mock.Mocker(real_http=True) as mock:
        mock.get(box.url + LOGS_PATH, additional_matcher=matches, **response)
        yield times


@pytest.mark.parametrize("status", [200, 400, 403, 404, 422, 500, 504])
@pytest.mark.parametrize(
    "is_refused",
    [
        lambda request: days_of(request) > 61,
        lambda request: days_of(request) > 17,
        lambda request: int(request.qs["size"][0]) > 33,
        lambda request: days_of(request) > 45 or int(request.qs["size"][0]) > 50,
        lambda request: int(request.qs["from"][0]) + int(request.qs["size"][0]) > 250,
    ],
    ids=["61 days", "17 days", "33 rows", "45 days and 50 rows", "offset"],
)
def test_request_that_is_refused_in_unknown_words_is_narrowed(
    run_tap: RunTap, clock: FakeClock, is_refused: Callable[[Any], bool], status: int
) -> None:
    with Sandbox(history=history(first=date(2025, 10, 12)), clock=clock) as box:
        words = {"status_code": status, "json": UNKNOWN_WORDS}
        with refusals(box, is_refused, **words):
            run = run_tap({**box.config, "start_date": "2025-06-01"})
        assert_once(run, server_ids(box))
    assert "the API is locked" not in run.log


@pytest.mark.parametrize("status", [200, 400, 403, 404, 422, 500, 504])
def test_days_that_are_refused_are_skipped_and_those_that_fail_are_not(
    run_tap: RunTap, clock: FakeClock, status: int
) -> None:
    with Sandbox(history=history(first=date(2025, 10, 12)), clock=clock) as box:
        words = {"status_code": status, "json": UNKNOWN_WORDS}
        with refusals(box, lambda request: request.qs["fromdate"][0] < "2025-10-10", **words):
            run = run_tap({**box.config, "start_date": "2025-06-01"})
        if status < 500:
            assert_once(run, server_ids(box))
            assert "Zoho rejects days before 2025-10-10" in run.log
        else:  # a server that fails may have calls of these days
            assert run.exit_code == 1
            assert run.states == []


def test_days_that_fail_after_those_that_are_refused_are_not_skipped(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with (
        Sandbox(history=history(first=date(2025, 7, 12)), clock=clock) as box,
        refusals(box, lambda request: request.qs["fromdate"][0] < "2025-07-10", status_code=400),
        refusals(box, lambda request: request.qs["fromdate"][0][:7] == "2025-10", status_code=500),
    ):
        run = run_tap({**box.config, "start_date": "2025-06-01"})
    assert run.exit_code == 1
    assert "gave up after 6 attempts" in last_line(run)
    assert run.states == []


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("status", [200, 400, 403])
def test_lockout_in_unknown_words_is_waited_out(
    run_tap: RunTap, clock: FakeClock, status: int, number: int
) -> None:
    count = itertools.count(1)
    locked: list[float] = []

    def is_refused(_: Any) -> bool:
        if next(count) == number:
            locked.append(clock.time + 600)
        return bool(locked) and clock.time < locked[0]

    words = {"status_code": status, "json": UNKNOWN_WORDS}
    with Sandbox(history=history(), clock=clock) as box:
        with refusals(box, is_refused, **words) as times:
            run = run_tap(box.config)
        assert_once(run, server_ids(box))
    assert len(times) <= 6  # also with a larger page, and with a new token
    assert run.log.count("the API is locked") == 1


@pytest.mark.parametrize("status", [200, 403, 404, 500])
def test_page_to_sign_in_renews_the_token_before_the_run_stops(
    run_tap: RunTap, clock: FakeClock, status: int
) -> None:
    count = itertools.count(1)
    with Sandbox(history=history(), clock=clock) as box:
        page = {"status_code": status, "text": HTML}
        with refusals(box, lambda _: next(count) >= 3 and box.stats.tokens < 2, **page):
            assert_once(run_tap(box.config), server_ids(box))
        assert box.stats.tokens == 2


@pytest.mark.parametrize("status", [200, 400, 403, 404, 503])
def test_html_page_of_a_firewall_is_retried(run_tap: RunTap, clock: FakeClock, status: int) -> None:
    with Sandbox(history=history(450), clock=clock) as box:
        with odd_responses(box, {2, 3}, status_code=status, text=HTML):
            assert_once(run_tap(box.config), server_ids(box))
        with odd_responses(box, MANY, status_code=status, text=HTML):
            run = run_tap(box.config)
    assert run.exit_code == 1
    assert f"HTTP {status}" in last_line(run)
    assert "gave up after 6 attempts" in last_line(run)
    assert ("an HTML page" in last_line(run)) == (status != 503)
    assert "administrator" not in run.log
    assert "Firewall" not in run.log


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("setting", ["api_url", "accounts_url"])
def test_network_errors_name_the_server(run_tap: RunTap, clock: FakeClock, setting: str) -> None:
    port = free_port()
    urls = {
        f"http://127.0.0.1:{port}": f"127.0.0.1:{port} refused the connection",
        "http://does-not-exist.invalid": "host name does-not-exist.invalid cannot be resolved",
    }
    with Sandbox(history=None, clock=clock) as box:
        for url, text in urls.items():
            run = run_tap({**box.config, setting: url})
            assert run.exit_code == 1
            assert f"connection failed: {text}" in last_line(run).replace("the host", "host")


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(
    "response",
    [
        {"status_code": 500, "json": {"error": "server_error"}},
        {"status_code": 400, "json": {"error": "invalid_response_from_backend"}},
        {"exc": requests.ConnectTimeout},
    ],
    ids=str,
)
def test_outage_of_accounts_is_waited_out_for_two_minutes(
    run_tap: RunTap, clock: FakeClock, response: dict[str, Any], number: int
) -> None:
    dialect = Dialect(token_ttl_seconds=120)
    count = itertools.count(1)
    began: list[float] = []

    def fails(_: Any) -> bool:
        if next(count) == number:
            began.append(clock.time)
        return bool(began) and clock.time < began[0] + 120

    with (
        Sandbox(history=history(1_750), dialect=dialect, clock=clock) as box,
        requests_mock.Mocker(real_http=True) as mock,
    ):
        mock.post(f"{box.url}/oauth/v2/token", additional_matcher=fails, **response)
        run = run_tap({**box.config, "page_size": 50})
        assert_once(run, server_ids(box))
        assert next(count) >= 8 + number
    assert re.search(r"retrying in 60 s, until 12:\d\d:\d\d UTC at most", run.log)


@pytest.mark.parametrize(
    "response",
    [{"status_code": 404, "text": HTML}, {"status_code": 302}, {"status_code": 400}],
    ids=str,
)
def test_odd_answer_of_accounts_during_a_run_is_a_passing_one(
    run_tap: RunTap, clock: FakeClock, response: dict[str, Any]
) -> None:
    dialect = Dialect(token_ttl_seconds=120)
    count = itertools.count(1)
    with (
        Sandbox(history=history(1_750), dialect=dialect, clock=clock) as box,
        requests_mock.Mocker(real_http=True) as mock,
    ):
        mock.post(
            f"{box.url}/oauth/v2/token",
            additional_matcher=lambda _: next(count) in {2, 3, 4},
            **response,
        )
        assert_once(run_tap({**box.config, "page_size": 50}), server_ids(box))
        assert next(count) > 5
