"""Lockouts, tokens, faults and odd rows, through the command line."""

import itertools
import re
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, get_args

import pytest
import requests
import requests_mock

from tests.support.account import Account, Accounts, read_cases
from tests.support.cli import NOW
from zoho_voice_sandbox.dialect import Throttle, TokenRefused

MANY = range(1, 100)
LOGS_PATH = "/rest/json/zv/logs"
HTML = "<!DOCTYPE html><html><head><title>Firewall</title></head><body>Access blocked</body></html>"
UNKNOWN_WORDS = {"code": "Q9", "message": "Das geht so nicht", "status": "ERROR"}
STATUSES = [200, 400, 403, 404, 422, 500, 504]
CASES = read_cases("responses")


def lasting(box: Account, number: int, seconds: float) -> Callable[[Any], bool]:
    """Match the request of a number, and all within some seconds of it."""
    count, began = itertools.count(1), list[float]()

    def matches(_: Any) -> bool:
        if next(count) == number:
            began.append(box.clock.now())
        return bool(began) and box.clock.now() < began[0] + seconds

    return matches


@contextmanager
def odd_responses(
    box: Account, is_odd: Callable[[Any], bool] | Collection[int], **response: Any
) -> Generator[Any]:
    """Mock some requests for logs, by their numbers or else."""
    count = itertools.count(1)

    def matches(request: Any) -> bool:
        return bool(is_odd(request)) if callable(is_odd) else next(count) in is_odd

    with requests_mock.Mocker(real_http=True) as mock:
        yield mock.get(box.url + LOGS_PATH, additional_matcher=matches, **response)


@pytest.mark.parametrize("retry_after", [False, True])
@pytest.mark.parametrize("throttle", get_args(Throttle))
def test_any_lockout_is_waited_out(account: Accounts, throttle: str, retry_after: bool) -> None:
    with account(450, throttle=throttle, retry_after=retry_after, faults={3: "lock"}) as box:
        run = box.read()
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
    assert 600 < sum(box.clock.slept) < 700
    assert re.search(r"locked; waiting 6\d\d s, until 2026-03-01 12:1\d:\d\d UTC", run.log)


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize(
    "fault",
    [
        *["500", "502_html", "503_retry_after", "cut", "cut_body", "truncated", "html"],
        *["error_200", "array", "nan", "hollow", "renamed", "slow:30", "drip:500"],
    ],
)
def test_server_faults_lose_no_call(account: Accounts, fault: str, number: int) -> None:
    with account(450, faults={number: fault}) as box:
        box.read()
        # A page that is empty against the count looks like the end of the offsets, and costs more.
        assert box.stats.requests <= (12 if fault == "hollow" else 7)


@pytest.mark.parametrize(("fault", "requests", "words"), CASES["faults that last"])
def test_lasting_fault_ends_with_one_line(
    account: Accounts, fault: str, requests: int | None, words: str
) -> None:
    """Fewer days and rows fail too; an unexpected body is no empty account."""
    is_habit = fault == "scope_missing"
    habits = {fault: True} if is_habit else {"faults": dict.fromkeys(MANY, fault)}
    with account(450, **habits) as box:
        run = box.fail(words)
        assert requests in {None, box.stats.requests}
    assert run.records == []
    assert "replication_key_value" not in str(run.states)


@pytest.mark.parametrize("response", CASES["refusals of the first page"], ids=str)
@pytest.mark.parametrize("is_dead", [False, True])
def test_refused_first_page_is_tried_smaller_once(
    account: Accounts, response: dict[str, Any], is_dead: bool
) -> None:
    def is_odd(request: Any) -> bool:
        return is_dead or rows_of(request) > 100

    with account(900) as box, odd_responses(box, is_odd, **response) as refused:
        run = box.run()
        assert box.stats.tokens <= 3  # one more for each of the two sizes
    assert run.exit_code == is_dead
    assert is_dead or len(set(run.ids)) == 900
    # A new token is tried twice.
    is_token = response["status_code"] == 401 or "AUTH" in str(response)
    assert refused.call_count <= (6 if is_token else 4) or "text" in response


@pytest.mark.parametrize("body", ["", "{}", '{"status": "SUCCESS"}'])
@pytest.mark.parametrize("days", [2, 10, 40])
def test_empty_responses_for_a_moment_lose_no_call(account: Accounts, body: str, days: int) -> None:
    start = f"{date(2026, 3, 1) - timedelta(days)}T00:00:00+00:00"
    state = {"bookmarks": {"call_logs": {"replication_key_value": start}}}
    with account(900) as box, odd_responses(box, lambda _: box.clock.time < NOW + 1.5, text=body):
        run = box.succeed(state=state)
    assert len(set(run.ids)) > 3 * days


@pytest.mark.parametrize("kind", ["token", "lock"])
def test_second_stream_knows_that_requests_succeeded(account: Accounts, kind: str) -> None:
    began: list[tuple[int, float]] = []

    def is_odd(request: Any) -> bool:
        if not began and {"isrecording", "isvoicemail"} & request.qs.keys():
            began.append((box.stats.tokens, box.clock.now()))
        if kind == "token":
            return bool(began) and box.stats.tokens == began[0][0]
        return bool(began) and box.clock.now() < began[0][1] + 600

    words = {"status_code": 400, "json": UNKNOWN_WORDS}
    with account(300) as box, odd_responses(box, is_odd, **words):
        box.succeed(streams=["call_logs", "transcripts"])


def test_token_may_be_known_later(account: Accounts) -> None:
    words = {"status_code": 401, "json": {"code": "INVALID_OAUTHTOKEN"}}
    with account(300) as box, odd_responses(box, {2, 3}, **words):
        box.read()
        assert box.stats.tokens == 2


@pytest.mark.parametrize("form", get_args(TokenRefused))
def test_expired_token_is_renewed_once(account: Accounts, form: str) -> None:
    with account(450, token_refused=form, faults={3: "token"}) as box:
        box.read()
        assert box.stats.tokens == 2


def days_of(request: Any) -> int:
    first, last = (date.fromisoformat(request.qs[name][0]) for name in ("fromdate", "todate"))
    return (last - first).days + 1


def rows_of(request: Any) -> int:
    return int(request.qs["size"][0])


REFUSED: dict[str, Callable[[Any], bool]] = {
    "61 days": lambda request: days_of(request) > 61,
    "17 days": lambda request: days_of(request) > 17,
    "33 rows": lambda request: rows_of(request) > 33,
    "45 days and 50 rows": lambda request: days_of(request) > 45 or rows_of(request) > 50,
    "offset": lambda request: int(request.qs["from"][0]) + rows_of(request) > 250,
}


@pytest.mark.parametrize(
    ("is_refused", "status", "words", "lockouts"),
    [
        *((refused, n, UNKNOWN_WORDS, 0) for refused in REFUSED.values() for n in STATUSES),
        *(({1}, 400, words, 0) for words in CASES["limits"]),
        # Words of a lockout are believed until a smaller request succeeds.
        *(
            (refused, 400, words, 1)
            for refused in ({1, 2}, *REFUSED.values())
            for words in CASES["words of a lockout"]
        ),
    ],
)
def test_refusal_of_a_value_narrows(
    account: Accounts, is_refused: Any, status: int, words: dict[str, str], lockouts: int
) -> None:
    refusal = {"status_code": status, "json": words}
    with account(400, first=date(2025, 12, 1)) as box, odd_responses(box, is_refused, **refusal):
        run = box.read(start_date="2025-09-01")
    assert run.log.count("the API is locked") == lockouts


@pytest.mark.parametrize("first", ["2026-02-10", "2026-01-01"])
def test_refused_day_hides_no_later_call(account: Accounts, first: str) -> None:
    """A single day has no calls where `toDate` is exclusive."""

    def is_refused(request: Any) -> bool:
        return bool(request.qs["fromdate"][0] <= first < request.qs["todate"][0])

    refusal = {"status_code": 400, "json": {"message": "Too many records; narrow the range"}}
    with (
        account(600, first=date(2026, 1, 1), to_date_inclusive=False) as box,
        odd_responses(box, is_refused, **refusal),
    ):
        run = box.fail("Too many records", start_date="2026-01-01")
    assert run.bookmark[:10] <= first


@pytest.mark.parametrize("count", range(2, 12))
@pytest.mark.parametrize("first", [1, 6])
def test_passing_refusals_of_dates_hide_no_call(account: Accounts, first: int, count: int) -> None:
    """A single day has no calls where `toDate` is exclusive."""
    refused, words = range(first, first + count), {"message": "Invalid date range"}
    with (
        account(400, first=date(2026, 1, 20), to_date_inclusive=False, max_range_days=30) as box,
        odd_responses(box, refused, status_code=400, json=words),
    ):
        run = box.run()
    assert run.exit_code == 1 or len(set(run.ids)) > 390


def test_refusals_in_changing_words_end(account: Accounts) -> None:
    words = (f"Nein, {number:x}c" for number in range(100))

    def refuse(_request: Any, context: Any) -> dict[str, str]:
        context.status_code = 400
        return {"message": next(words)}

    with account(600) as box, odd_responses(box, lambda sent: days_of(sent) > 5, json=refuse):
        box.read()


@pytest.mark.parametrize("status", STATUSES)
def test_only_refused_days_are_skipped(account: Accounts, status: int) -> None:
    words = {"status_code": status, "json": UNKNOWN_WORDS}
    with (
        account(first=date(2025, 10, 12)) as box,
        odd_responses(box, lambda request: request.qs["fromdate"][0] < "2025-10-10", **words),
    ):
        run = (box.read if status < 500 else box.run)(start_date="2025-06-01")
    if status < 500:
        assert "Zoho rejects days before 2025-10-10" in run.log
    else:  # a server that fails may have calls of these days
        assert run.exit_code == 1
        assert run.states == []


def test_days_that_fail_are_not_skipped_as_refused(account: Accounts) -> None:
    def first_day(request: Any) -> str:
        return str(request.qs["fromdate"][0])

    with (
        account(first=date(2025, 7, 12)) as box,
        odd_responses(box, lambda request: first_day(request) < "2025-07-10", status_code=400),
        odd_responses(box, lambda request: first_day(request)[:7] == "2025-10", status_code=500),
    ):
        run = box.fail("gave up after 6 attempts", start_date="2025-06-01")
    assert run.states == []


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("status", [200, 400, 403])
def test_unknown_lockout_is_waited_out(account: Accounts, status: int, number: int) -> None:
    words = {"status_code": status, "json": UNKNOWN_WORDS}
    with account() as box, odd_responses(box, lasting(box, number, 600), **words) as refused:
        run = box.read()
    assert refused.call_count <= 6  # also with a larger page, and with a new token
    assert run.log.count("the API is locked") == 1


@pytest.mark.parametrize("status", [200, 403, 404, 500])
def test_page_to_sign_in_renews_the_token(account: Accounts, status: int) -> None:
    count = itertools.count(1)
    with account() as box:
        page = {"status_code": status, "text": HTML}
        with odd_responses(box, lambda _: next(count) >= 3 and box.stats.tokens < 2, **page):
            box.read()
        assert box.stats.tokens == 2


OUTAGES = [
    {"status_code": 500, "json": {"error": "server_error"}},
    {"status_code": 400, "json": {"error": "invalid_response_from_backend"}},
    {"exc": requests.ConnectTimeout},
    *[{"status_code": 404, "text": HTML}, {"status_code": 302}, {"status_code": 400}],
]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("response", OUTAGES, ids=str)
def test_outage_of_accounts_is_waited_out(
    account: Accounts, response: dict[str, Any], number: int
) -> None:
    server = account(350, token_ttl_seconds=120)
    with server as box, requests_mock.Mocker(real_http=True) as mock:
        fails = lasting(box, number, 120)
        failed = mock.post(f"{box.url}/oauth/v2/token", additional_matcher=fails, **response)
        run = box.read(page_size=10)
        assert failed.call_count + box.stats.token_requests >= 6 + number
    assert re.search(r"waiting 64 s, until 2026-03-01 12:\d\d:\d\d UTC", run.log)


def test_lasting_outage_of_accounts_is_tried_once(account: Accounts) -> None:
    """Fewer rows or days would fail too."""
    server = account(450, faults={2: "token"}, token_faults=dict.fromkeys(range(2, 99), "500"))
    with server as box:
        box.fail("Zoho Accounts: .*gave up after 7 attempts$")
        assert box.stats.token_requests == 8
    assert sum(box.clock.slept) < 130
