"""Token endpoint, access token and throttled authenticator."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from requests_mock import Mocker

from tap_zohovoice._compat import override
from tap_zohovoice.auth import OAuthTokens, ThrottledAuthenticator
from tap_zohovoice.exceptions import RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.http.retry import RetryPolicy
from tap_zohovoice.http.session import PlainSession
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tests.support.cli import FakeClock, RunTap
from zoho_voice_sandbox import Dialect, Sandbox

ACCOUNTS = "https://accounts.example.invalid"
TOKEN_URL = f"{ACCOUNTS}/oauth/v2/token"
SECRET, REFRESH = "made-up-secret", "1000.made-up.refresh"
TOKEN = {"access_token": "1000.made-up.token"}
HTML = b"<html><body>made-up-secret</body></html>"


def tokens_of(url: str, clock: FakeClock, **changes: str) -> OAuthTokens:
    keys = {"client_id": "1000.MADEUP", "client_secret": SECRET, "refresh_token": REFRESH}
    tokens = OAuthTokens(
        accounts_url=url,
        session=PlainSession(clock, 9),
        policy=RetryPolicy(SlidingWindowLimiter(10, 60, clock), lambda: False, 600),
        user_agent="tap-zohovoice/test",
        **keys | changes,
    )
    tokens.max_attempts = 3
    return tokens


def tokens_for(box: Sandbox, clock: FakeClock) -> OAuthTokens:
    names = ("client_id", "client_secret", "refresh_token")
    return tokens_of(box.url, clock, **{name: box.config[name] for name in names})


class Accounts:
    """A token endpoint of given responses, and the tokens that are requested from it."""

    def __init__(self, clock: FakeClock, mock: Mocker) -> None:
        self.clock, self.mock = clock, mock
        self.tokens = tokens_of(ACCOUNTS, clock)

    def respond(self, *responses: dict[str, Any], **only: Any) -> None:
        self.mock.post(TOKEN_URL, list(responses) or [only])

    def fail(
        self, match: str | None = None, kind: type[ZohoVoiceError] = ZohoVoiceError
    ) -> ZohoVoiceError:
        """Request a token, which fails; return the error."""
        with pytest.raises(kind, match=match) as error:
            self.tokens.access_token()
        return error.value


@pytest.fixture
def accounts(clock: FakeClock, requests_mock: Mocker) -> Accounts:
    return Accounts(clock, requests_mock)


@pytest.fixture
def limiter(clock: FakeClock) -> SlidingWindowLimiter:
    return SlidingWindowLimiter(3, 60, clock)


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

    @pytest.mark.parametrize(
        ("life", "seconds"),
        [
            *[({"expires_in": given}, 3600) for given in (3600, "3600", 3_600_000)],
            ({"expires_in_sec": 1800, "expires_in": 1_800_000}, 1800),
            ({"expires_in_sec": 1800, "expires_in": 7200}, 1800),
            ({"expires_in_sec": "x", "expires_in": 1800}, 1800),
            ({"expires_in": 86_400}, 86_400),
            *[({"expires_in": bad}, 3600) for bad in (None, "soon", 0, -1, float("nan"), ())],
            ({}, 3600),
        ],
        ids=str,
    )
    def test_reused_until_a_minute_before_expiry(
        self, accounts: Accounts, life: dict[str, Any], seconds: int
    ) -> None:
        accounts.respond(json={**TOKEN, **life})
        for _ in range(50):
            accounts.tokens.access_token()
        for later, requested in ((seconds - 60.5, 1), (0.5, 2)):
            accounts.clock.time += later
            accounts.tokens.access_token()
            assert accounts.mock.call_count == accounts.tokens.fetched == requested

    @pytest.mark.parametrize("life", [1, 30, 60, 100])
    def test_short_lived_token_serves_several_requests(self, accounts: Accounts, life: int) -> None:
        accounts.respond(json={**TOKEN, "expires_in": life})
        for later, requested in ((0, 1), (0, 1), (life, 2)):
            accounts.clock.time += later
            accounts.tokens.access_token()
            assert accounts.mock.call_count == requested

    def test_lifetime_starts_at_the_request(self, clock: FakeClock) -> None:
        with Sandbox(clock=clock, token_faults={1: "slow:50"}) as box:
            tokens = tokens_for(box, clock)
            tokens.access_token()
            clock.time += 3600 - 60 - 50
            tokens.access_token()
            assert box.stats.token_requests == 2

    def test_replaced_after_invalidation(self, clock: FakeClock) -> None:
        with Sandbox(clock=clock) as box:
            tokens = tokens_for(box, clock)
            first = tokens.access_token()
            tokens.invalidate()
            assert first not in tokens.secrets
            assert tokens.access_token() != first
            assert box.stats.tokens == 2

    def test_invalidated_five_times_in_ten_minutes(self, accounts: Accounts) -> None:
        assert [accounts.tokens.invalidate() for _ in range(6)] == [True] * 5 + [False]
        accounts.clock.time += 600
        assert accounts.tokens.invalidate()


class TestTokenEndpoint:
    @pytest.mark.parametrize("status", [200, 400, 401, 429])
    @pytest.mark.parametrize(
        ("error", "hint"),
        [
            *[("invalid_code", "refresh_token"), ("invalid_client", "client_id")],
            *[("invalid_client_secret", "client_secret"), ("Access Denied", "wait ten minutes")],
            ("unsupported_grant_type", "check client_id, client_secret and refresh_token"),
            *[(error, "refresh_token") for error in ("invalid_grant", "unauthorized_client")],
            *[(error, "refresh_token") for error in ("invalid_scope", "refresh_token_revoked")],
        ],
    )
    def test_oauth_error_is_not_retried(
        self, accounts: Accounts, status: int, error: str, hint: str
    ) -> None:
        accounts.respond(json={"error": error, "status": "failure"}, status_code=status)
        accounts.fail(f"HTTP {status}, {error}: .*{hint}")
        assert (accounts.mock.call_count, accounts.tokens.fetched) == (1, 0)

    @pytest.mark.parametrize(
        ("status", "answer", "requests_made"),
        [
            (302, {}, 1),
            (404, {"content": HTML}, 1),
            (400, {"json": {"status": "failure"}}, 1),
            (403, {"json": []}, 1),
            *[(status, {"content": HTML}, 3) for status in (200, 400, 403, 429)],
            (200, {"json": {"error": {"code": "invalid_code"}}}, 1),
            (200, {"json": {"error": {"message": "Something went wrong"}}}, 3),
            (500, {"json": {"message": SECRET}}, 3),
            *[(status, {}, 3) for status in (200, 503)],
            *[(200, {"content": bad}, 3) for bad in (b'{"access_token": "10', b"[" * 100_000)],
            *[(200, {"json": {"access_token": bad}}, 3) for bad in ("", " ", 5, None, "a\nb", "é")],
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_at_most_three_requests_without_a_token(
        self, accounts: Accounts, status: int, answer: dict[str, Any], requests_made: int
    ) -> None:
        headers = {"Location": "/oauth/v2/token"}
        accounts.respond(status_code=status, headers=headers, **answer)
        error = accounts.fail(f"^Zoho Accounts: HTTP {status}")
        assert accounts.mock.call_count == requests_made
        assert isinstance(error, RetriesExhaustedError) == (requests_made == 3)
        assert "data_center" in str(error) or requests_made == 3
        assert accounts.clock.slept == ([2, 4] if requests_made == 3 else [])

    @pytest.mark.parametrize(
        ("status", "kind"), [(400, ZohoVoiceError), (200, RetriesExhaustedError)]
    )
    @pytest.mark.parametrize("error", [{"details": "odd"}, {"code": None, "message": None}])
    def test_error_object_without_words_is_no_token(
        self, accounts: Accounts, status: int, kind: type[ZohoVoiceError], error: dict[str, Any]
    ) -> None:
        accounts.respond(json={"error": error}, status_code=status)
        assert type(accounts.fail(f"^Zoho Accounts: HTTP {status}, no token")) is kind

    def test_connection_failure_is_retried_twice(
        self, accounts: Accounts, caplog: pytest.LogCaptureFixture
    ) -> None:
        accounts.respond(exc=requests.ConnectionError)
        caplog.set_level(logging.INFO, "tap-zohovoice")
        match = r"connection failed: .* \(ConnectionError\); check accounts_url.*gave up after 3"
        accounts.fail(match, RetriesExhaustedError)
        assert accounts.clock.slept == [2, 4]
        assert [text.partition("; waiting")[2] for text in caplog.messages] == [
            " 2 s, until 2026-03-01 12:00:02 UTC",
            " 4 s, until 2026-03-01 12:00:06 UTC",
        ]

    @pytest.mark.parametrize(
        "error",
        [
            *["general_error", "server_error", "temporarily_unavailable", "internal_server_error"],
            *["Too Many Requests", "try again later", "slow_down", "THROTTLED"],
            *["under_maintenance", "Something went wrong", "odd_thing"],
            *["invalid_response_from_backend", "expired, try again"],
        ],
    )
    def test_passing_error_is_retried_and_blames_no_credentials(
        self, accounts: Accounts, error: str
    ) -> None:
        for status in (200, 400, 429, 500, 503):
            failure = {"json": {"error": error}, "status_code": status}
            accounts.respond(failure, failure, {"json": TOKEN})
            assert accounts.tokens.access_token() == TOKEN["access_token"]
            accounts.tokens = tokens_of(ACCOUNTS, accounts.clock)
            accounts.respond(failure)
            match = r", \S.*temporary error of Zoho Accounts; run again later; gave up after 3"
            assert "client" not in str(accounts.fail(match, RetriesExhaustedError))

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


class CheckedLimiter(SlidingWindowLimiter):
    """A limiter that checks that the pending request is not signed yet."""

    pending: requests.PreparedRequest
    is_locked = False

    @override
    def acquire(self) -> None:
        assert "Authorization" not in self.pending.headers
        if self.is_locked:
            raise ZohoVoiceError
        super().acquire()


class TestThrottledAuthenticator:
    def test_acquires_a_slot_before_signing(self, accounts: Accounts, clock: FakeClock) -> None:
        accounts.respond(json=TOKEN)
        limiter = CheckedLimiter(3, 60, clock)
        auth = ThrottledAuthenticator(tokens=accounts.tokens, limiter=limiter)
        for count in range(1, 6):
            limiter.pending = request()
            assert auth(limiter.pending) is limiter.pending
            header = limiter.pending.headers["Authorization"]
            assert header == f"Zoho-oauthtoken {accounts.tokens.access_token()}"
            assert limiter.requests == count
            limiter.release()
        assert sum(clock.slept) == pytest.approx(120, abs=0.1)
        limiter.pending, limiter.is_locked = request(), True
        with pytest.raises(ZohoVoiceError):
            auth(limiter.pending)
        assert "Authorization" not in limiter.pending.headers

    def test_acquires_no_slot_without_a_token(
        self, accounts: Accounts, limiter: SlidingWindowLimiter
    ) -> None:
        accounts.respond(json={"error": "invalid_code"})
        auth = ThrottledAuthenticator(tokens=accounts.tokens, limiter=limiter)
        for _ in range(5):
            with pytest.raises(ZohoVoiceError):
                auth(request())
        assert limiter.requests == 0
        assert accounts.clock.slept == []

    def test_renews_a_token_that_expires_while_waiting(
        self, limiter: SlidingWindowLimiter, clock: FakeClock
    ) -> None:
        with Sandbox(clock=clock, dialect=Dialect(token_ttl_seconds=300)) as box:
            auth = ThrottledAuthenticator(tokens=tokens_for(box, clock), limiter=limiter)
            limiter.lock_for(600, "locked")
            signed = auth(request())
            assert box.accounts.accepts(signed.headers["Authorization"])
            box.token_faults[3] = "token"
            clock.time += 200
            limiter.lock_for(600, "locked")
            with pytest.raises(ZohoVoiceError):
                auth(request())


class TestNetrc:
    @pytest.fixture(autouse=True)
    def netrc(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "netrc"
        logins = [f"machine {host} login ann password x\n" for host in (ACCOUNTS[8:], "127.0.0.1")]
        path.write_text("".join(logins))
        path.chmod(0o600)
        monkeypatch.setenv("NETRC", str(path))
        for url in (ACCOUNTS, "http://127.0.0.1/"):
            assert requests.utils.get_netrc_auth(url) == ("ann", "x")

    def test_does_not_sign_the_grant(self, accounts: Accounts) -> None:
        accounts.respond(json=TOKEN)
        accounts.tokens.access_token()
        assert "Authorization" not in accounts.mock.request_history[0].headers

    def test_does_not_replace_the_token(self, run_tap: RunTap, clock: FakeClock) -> None:
        with Sandbox(clock=clock) as box:
            assert run_tap(box.config).exit_code == 0
            assert {status for _, _, status in box.stats.log} == {200}
