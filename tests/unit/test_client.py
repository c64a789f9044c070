"""API client: each attempt is throttled, signed, sent and validated."""

import http.client
import socket
import ssl
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from requests_mock import Mocker

from tap_zohovoice.auth import ThrottledAuthenticator
from tap_zohovoice.exceptions import (
    RetriesExhaustedError,
    RetryableError,
    ZohoVoiceError,
    iter_causes,
)
from tap_zohovoice.http.api import ApiClient
from tap_zohovoice.http.retry import DEFAULT_LIMITS, FEW_ATTEMPTS, RetryLimits, RetryPolicy
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tests.support.cli import FakeClock
from tests.support.raw_server import raw_server
from tests.unit.test_auth import TOKEN_URL, tokens_of

URL = "https://voice.example.invalid/logs"
PAGE: dict[str, Any] = {"json": {"logs": []}}
OK, EMPTY, ERROR = PAGE, {"content": b""}, {"status_code": 500}
DEAD, DENIED = {"status_code": 401}, {"status_code": 403, "json": {"message": "Not for you"}}
LOCK: dict[str, Any] = {"status_code": 429, "headers": {"Retry-After": "90"}}
CUT = {"exc": requests.ConnectionError}
SSL_EOF = ssl.SSLEOFError()


class Stack:
    """A client, its limiter, and an API and a token endpoint of given responses."""

    def __init__(self, clock: FakeClock, mock: Mocker, url: str = URL) -> None:
        self.mock, self.clock = mock, clock
        self.tokens_issued = mock.post(
            TOKEN_URL, [{"json": {"access_token": f"token-{number}"}} for number in range(20)]
        )
        self.limiter = SlidingWindowLimiter(30, 60, clock)
        tokens = tokens_of(clock)
        self.client = ApiClient(
            url=url,
            headers={"X-Test": "1"},
            session=tokens.session,
            authenticator=ThrottledAuthenticator(tokens=tokens, limiter=self.limiter),
            policy=RetryPolicy(self.limiter, tokens.invalidate, 600),
            redact=lambda: ["secret"],
        )

    def respond(self, *responses: dict[str, Any]) -> Any:
        return self.mock.get(URL, list(responses))

    def get(self, limits: RetryLimits = DEFAULT_LIMITS) -> dict[str, Any]:
        return self.client.get(
            {"fromDate": "2026-01-01", "toDate": "2026-01-31"},
            lambda response: self.client.parse_json(response, dict),
            limits,
        )

    def fail(
        self, match: str | None = None, limits: RetryLimits = DEFAULT_LIMITS
    ) -> ZohoVoiceError:
        with pytest.raises(ZohoVoiceError, match=match) as error:
            self.get(limits)
        return error.value

    def assert_released(self) -> None:
        """Check that no slot is left in flight: a period later, all are free."""
        self.clock.time += 600
        assert [self.limiter.try_acquire() for _ in range(29)] == [(0.0, "")] * 29


@pytest.fixture
def stack(clock: FakeClock, requests_mock: Mocker) -> Stack:
    return Stack(clock, requests_mock)


@pytest.mark.parametrize(
    ("responses", "tokens"),
    [
        *[([OK], 1), ([ERROR, OK], 1), ([CUT, CUT, OK], 1), ([LOCK, ERROR, OK], 1)],
        *[([DEAD, OK], 2), ([DEAD, LOCK, CUT, OK], 2), ([EMPTY, OK], 1), ([EMPTY, EMPTY], 1)],
        ([{"json": {"calls": 1}}, OK], 1),
    ],
    ids=str,
)
def test_each_attempt_takes_one_slot_and_is_signed(
    stack: Stack, responses: list[dict[str, Any]], tokens: int
) -> None:
    sent = stack.respond(*responses)
    assert stack.get() in ({"logs": []}, {})
    assert sent.call_count == stack.limiter.requests == len(responses)
    assert stack.tokens_issued.call_count == tokens
    signed = [request.headers["Authorization"] for request in sent.request_history]
    assert signed[-1] == f"Zoho-oauthtoken token-{tokens - 1}"
    stack.assert_released()


def test_empty_response_of_each_request_is_retried(stack: Stack) -> None:
    sent = stack.respond(EMPTY, EMPTY, EMPTY, OK)
    assert [stack.get(), stack.get()] == [{}, {"logs": []}]
    assert sent.call_count == 4


REFUSED: list[dict[str, Any]] = [
    DENIED,
    {"status_code": 302, "headers": {"Location": "/login"}},
    {"status_code": 400, "json": {"code": "X7", "message": "No"}},
    {"status_code": 404, "json": {"code": "X7"}},
    {"json": {"status": "ERROR"}},
]
VALUES = [{"code": "ZVT015"}, {"code": "ZVT010"}, {"message": "Invalid fromDate"}]


@pytest.mark.parametrize(
    ("responses", "succeed", "tokens", "words"),
    [
        ([DENIED], [False], 1, "administrator"),
        ([OK, DENIED, OK, DENIED, OK], [True, True, True], 3, ""),
        # Where a new token is no help, there is not another one.
        *[([OK, bad, bad, OK, bad], [True, False, True, False], 2, "") for bad in REFUSED],
        # A token is not to blame for a value.
        *[([OK, {"status_code": 400, "json": json}], [True, False], 1, "") for json in VALUES],
    ],
    ids=str,
)
def test_failure_after_a_success_gets_one_new_token(
    stack: Stack, responses: list[dict[str, Any]], succeed: list[bool], tokens: int, words: str
) -> None:
    sent = stack.respond(*responses)
    for is_success in succeed:
        if is_success:
            stack.get()
        else:
            error = str(stack.fail(rf"^Zoho Voice: HTTP \d+.*{words}"))
            assert "new access token" not in error
    assert (sent.call_count, stack.tokens_issued.call_count) == (len(responses), tokens)


def test_failure_with_changing_text_may_be_a_lockout(stack: Stack) -> None:
    refusals = [{"status_code": 400, "json": {"code": code}} for code in ("A", "B", "C")]
    stack.respond(OK, *refusals, OK)
    stack.get()
    stack.fail()
    stack.get()
    assert stack.tokens_issued.call_count == 2
    assert 600 < sum(stack.clock.slept) < 620


class TestNetworkError:
    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (requests.ReadTimeout(), "timed out waiting for a response from {}"),
            *[
                (error, "{} timed out")
                for error in (requests.ConnectTimeout(), TimeoutError(110, "x"))
            ],
            (socket.gaierror(-2, "x"), "host name voice.example.invalid cannot be resolved"),
            (ConnectionRefusedError(), "{} refused the connection"),
            *[(error, "{} closed the connection") for error in (ConnectionResetError(), SSL_EOF)],
            (requests.exceptions.ChunkedEncodingError(), "{} closed the connection"),
            (http.client.IncompleteRead(b"x"), "{} closed the connection"),
            (OSError(113, "x"), "{} (No route to host)"),
            (requests.ConnectionError(), "{} (ConnectionError)"),
            (PermissionError(13, "x"), "{} (Permission denied)"),
            (OSError(24, "x"), "{} (Too many open files)"),
            (http.client.BadStatusLine("x"), "{} (BadStatusLine)"),
        ],
        ids=repr,
    )
    def test_names_the_server(self, stack: Stack, error: Exception, text: str) -> None:
        wrapped = error
        if not isinstance(error, requests.RequestException):
            wrapped = requests.ConnectionError()
            wrapped.__cause__ = error
        stack.respond({"exc": wrapped})
        found = stack.fail(r"^Zoho Voice: .*; gave up after 6 attempts")
        assert text.format("voice.example.invalid:443") in str(found)
        assert isinstance(found, RetriesExhaustedError)
        assert found.is_unreachable

    @pytest.mark.parametrize(
        ("url", "server"),
        [
            ("http://[::1]:8080/logs", "[::1]:8080"),
            ("https://[2001:db8::1]/logs", "[2001:db8::1]:443"),
            ("http://voice.example.invalid/logs", "voice.example.invalid:80"),
        ],
    )
    def test_names_host_and_port(
        self, clock: FakeClock, requests_mock: Mocker, url: str, server: str
    ) -> None:
        requests_mock.get(url, exc=requests.ReadTimeout)
        found = Stack(clock, requests_mock, url).fail()
        assert f"a response from {server};" in str(found)

    def test_of_a_closed_socket_is_told(self, clock: FakeClock, requests_mock: Mocker) -> None:
        with raw_server(b"") as server:
            requests_mock.get(server.url, real_http=True)
            stack = Stack(clock, requests_mock, server.url)
            stack.fail(f"{server.url[7:-1]} closed the connection", FEW_ATTEMPTS)


def test_retryable_error_of_the_handler_is_retried(stack: Stack) -> None:
    sent = stack.respond(PAGE)
    handle = Mock(side_effect=[RetryableError("x"), 7, KeyError])
    assert stack.client.get({"a": "b"}, handle) == 7
    assert [request.qs for request in sent.request_history] == [{"a": ["b"]}] * 2
    request = sent.request_history[-1]
    assert (request.headers["X-Test"], request.timeout) == ("1", 9)
    with pytest.raises(KeyError):
        stack.client.get({}, handle)
    stack.assert_released()


def test_circle_of_causes_ends() -> None:
    error, cause = OSError(), ValueError()
    error.__cause__, cause.__cause__ = cause, error
    assert list(iter_causes(error)) == [error, cause]
