"""Token endpoint, access token and throttled authenticator."""

import json
import logging
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from requests_mock import Mocker

from tap_zohovoice.auth import OAuthTokens, ThrottledAuthenticator
from tap_zohovoice.exceptions import RequestFailedError, ZohoVoiceError
from tap_zohovoice.http.retry import RetryLimits, RetryPolicy
from tap_zohovoice.http.session import PlainSession
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tests.support.cli import NOW, FakeClock, RunTap
from zoho_voice_sandbox import Sandbox

ACCOUNTS = "https://accounts.example.invalid"
TOKEN_URL = f"{ACCOUNTS}/oauth/v2/token"
SECRET, REFRESH = "made-up-secret", "1000.made-up.refresh"
TOKEN = {"access_token": "1000.made-up.token"}
CASES = json.loads((Path(__file__).parent / "tokens.json").read_text(encoding="utf-8"))
"""Responses of the token endpoint, by what they mean."""


def tokens_of(clock: FakeClock) -> OAuthTokens:
    tokens = OAuthTokens(
        accounts_url=ACCOUNTS,
        session=PlainSession(clock, 9),
        policy=RetryPolicy(SlidingWindowLimiter(10, 60, clock), lambda: False, 600),
        user_agent="tap-zohovoice/test",
        client_id="1000.MADEUP",
        client_secret=SECRET,
        refresh_token=REFRESH,
    )
    tokens.retry_limits = RetryLimits(attempts=3)
    return tokens


class Accounts:
    """A token endpoint of given responses, and the tokens that are requested from it."""

    def __init__(self, clock: FakeClock, mock: Mocker) -> None:
        self.clock, self.mock = clock, mock
        self.tokens = tokens_of(clock)

    def respond(self, *responses: dict[str, Any], **only: Any) -> None:
        self.mock.post(TOKEN_URL, list(responses) or [only])

    def fail(self, match: str | None = None) -> ZohoVoiceError:
        """Request a token, which fails; return the error."""
        with pytest.raises(ZohoVoiceError, match=match) as error:
            self.tokens.access_token()
        return error.value


@pytest.fixture
def accounts(clock: FakeClock, requests_mock: Mocker) -> Accounts:
    return Accounts(clock, requests_mock)


def request() -> requests.PreparedRequest:
    return requests.Request("GET", "http://127.0.0.1/").prepare()


class TestAccessToken:
    def test_requested_with_a_form(self, accounts: Accounts) -> None:
        accounts.respond(json=TOKEN)
        assert accounts.tokens.access_token() == TOKEN["access_token"]
        (sent,) = accounts.mock.request_history
        assert sent.headers["User-Agent"] == "tap-zohovoice/test"
        assert sent.timeout == 9
        assert parse_qs(sent.text) == {
            "grant_type": ["refresh_token"],
            "refresh_token": [REFRESH],
            "client_id": ["1000.MADEUP"],
            "client_secret": [SECRET],
        }

    @pytest.mark.parametrize(("life", "seconds"), CASES["lives"], ids=str)
    def test_reused_until_shortly_before_expiry(
        self, accounts: Accounts, life: dict[str, Any], seconds: int
    ) -> None:
        age = max(seconds - 60, seconds / 2)
        delay = min(8, age / 4)

        def respond(*_: object) -> dict[str, Any]:
            accounts.clock.time += delay  # the life begins at the request
            return {**TOKEN, **life}

        accounts.respond(json=respond)
        for _ in range(50):
            accounts.tokens.access_token()
        for later, requested in ((age - delay - 0.1, 1), (0.2, 2)):
            accounts.clock.time += later
            accounts.tokens.access_token()
            assert accounts.mock.call_count == accounts.tokens.fetched == requested

    def test_replaced_after_invalidation_at_most_five_times(self, accounts: Accounts) -> None:
        accounts.respond({"json": TOKEN}, {"json": {"access_token": "other"}})
        assert accounts.tokens.access_token() in accounts.tokens.secrets
        assert [accounts.tokens.invalidate() for _ in range(6)] == [True] * 5 + [False]
        assert TOKEN["access_token"] not in accounts.tokens.secrets
        assert accounts.tokens.access_token() == "other"
        accounts.clock.time += 600
        assert accounts.tokens.invalidate()


class TestTokenEndpoint:
    @pytest.mark.parametrize("status", [200, 400, 401, 429])
    @pytest.mark.parametrize(("error", "hint"), CASES["final errors"])
    def test_oauth_error_is_not_retried(
        self, accounts: Accounts, status: int, error: str, hint: str
    ) -> None:
        accounts.respond(json={"error": error, "status": "failure"}, status_code=status)
        accounts.fail(f"HTTP {status}, {error}: .*{hint}")
        assert (accounts.mock.call_count, accounts.tokens.fetched) == (1, 0)

    @pytest.mark.parametrize(
        ("status", "answer", "words"),
        [*CASES["responses without a token"], (200, {"text": "[" * 100_000}, "no token in")],
        ids=lambda value: str(value)[:30],
    )
    def test_at_most_three_requests_without_a_token(
        self, accounts: Accounts, status: int, answer: dict[str, Any], words: str
    ) -> None:
        headers = {"Location": "/oauth/v2/token"}
        accounts.respond(status_code=status, headers=headers, **answer)
        error = accounts.fail(f"^Zoho Accounts: HTTP {status}, {words}")
        is_final = "data_center" in words
        assert accounts.mock.call_count == (1 if is_final else 3)
        assert ("gave up after 3 attempts" in str(error)) != is_final
        assert error.concerns_all
        assert not isinstance(error, RequestFailedError)  # that fewer rows or days would avoid
        assert accounts.clock.slept == ([] if is_final else [2, 4])

    @pytest.mark.parametrize("error", CASES["passing errors"])
    def test_passing_error_is_retried_and_blames_no_credentials(
        self, accounts: Accounts, error: str
    ) -> None:
        for status in (200, 400, 429, 500, 503):
            failure = {"json": {"error": error}, "status_code": status}
            accounts.respond(failure, failure, {"json": TOKEN})
            assert accounts.tokens.access_token() == TOKEN["access_token"]
            accounts.tokens = tokens_of(accounts.clock)
            accounts.respond(failure)
            match = r", \S.*temporary error of Zoho Accounts; run again later; gave up after 3"
            assert "client" not in str(accounts.fail(match))

    @pytest.mark.parametrize("status", [200, 429, 503])
    @pytest.mark.parametrize("later", ["100", formatdate(NOW + 100, usegmt=True)])
    def test_time_to_retry_is_kept(self, accounts: Accounts, status: int, later: str) -> None:
        headers = {"Retry-After": later}
        locked = {"json": {"error": "odd"}, "status_code": status, "headers": headers}
        accounts.respond(locked, {"json": TOKEN})
        assert accounts.tokens.access_token() == TOKEN["access_token"]
        assert accounts.clock.slept == [100]

    @pytest.mark.parametrize("word", ["x {} y", "{}", "ann@example.invalid", "+1 555 010 0123"])
    @pytest.mark.parametrize("status", [200, 400])
    def test_errors_and_log_hold_nothing_secret(
        self, accounts: Accounts, caplog: pytest.LogCaptureFixture, status: int, word: str
    ) -> None:
        caplog.set_level(logging.DEBUG, "tap-zohovoice")
        for secret in (SECRET, REFRESH):
            accounts.respond(json={"error": word.format(secret)}, status_code=status)
            text = str(accounts.fail()) + caplog.text
            for private in (SECRET, REFRESH, "ann@", "010 0123"):
                assert private not in text
        assert set(accounts.tokens.secrets) == {SECRET, REFRESH}


class TestThrottledAuthenticator:
    @pytest.fixture
    def auth(self, accounts: Accounts, clock: FakeClock) -> ThrottledAuthenticator:
        limiter = SlidingWindowLimiter(3, 60, clock)
        return ThrottledAuthenticator(tokens=accounts.tokens, limiter=limiter)

    def test_acquires_no_slot_without_a_token(
        self, accounts: Accounts, auth: ThrottledAuthenticator
    ) -> None:
        accounts.respond(json={"error": "invalid_code"})
        for _ in range(5):
            with pytest.raises(ZohoVoiceError):
                auth(request())
        assert auth.limiter.requests == 0
        assert accounts.clock.slept == []

    def test_renews_a_token_that_expires_while_waiting(
        self, accounts: Accounts, auth: ThrottledAuthenticator
    ) -> None:
        names = ("one", "two", "three")
        tokens = [{"json": {"access_token": name, "expires_in": 300}} for name in names]
        accounts.respond(*tokens, {"json": {"error": "invalid_code"}})
        for later, name in ((0, "two"), (200, "three")):
            accounts.clock.time += later
            auth.limiter.lock_for(600, "locked")
            assert auth(request()).headers["Authorization"] == f"Zoho-oauthtoken {name}"
            auth.limiter.release()
        auth.limiter.lock_for(600, "locked")
        with pytest.raises(ZohoVoiceError):
            auth(request())


def test_netrc_replaces_no_token(
    accounts: Accounts, run_tap: RunTap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "netrc"
    hosts = (ACCOUNTS.removeprefix("https://"), "127.0.0.1")
    path.write_text("".join(f"machine {host} login ann password x\n" for host in hosts))
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    assert all(requests.utils.get_netrc_auth(f"http://{host}/") for host in hosts)
    accounts.respond(json=TOKEN)
    accounts.tokens.access_token()
    assert "Authorization" not in accounts.mock.request_history[0].headers
    accounts.mock.stop()
    with Sandbox(clock=accounts.clock) as box:
        assert run_tap(box.config).exit_code == 0
        assert {status for _, _, status in box.stats.log} == {200}
