"""The access token: fetched once, renewed in time, dropped when refused, and never told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tap_zohovoice._compat import override
from tap_zohovoice.auth import OAuthTokens, ThrottledAuthenticator
from tap_zohovoice.exceptions import RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tests.support.common import Accounts
from zoho_voice_sandbox import Dialect, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.cli import FakeClock, Run

SECRET, REFRESH = "made-up-secret", "1000.made-up.refresh"
TOKEN = {"access_token": "1000.made-up.token"}
HTML = b"<html><body>made-up-secret</body></html>"


@pytest.fixture
def tokens(accounts: Accounts, clock: FakeClock) -> OAuthTokens:
    return tokens_of(accounts.url, clock)


def tokens_of(url: str, clock: FakeClock, **changes: str) -> OAuthTokens:
    keys = {"client_id": "1000.MADEUP", "client_secret": SECRET, "refresh_token": REFRESH}
    return OAuthTokens(
        accounts_url=url, clock=clock, timeout=9, user_agent="tap-zohovoice/test", **keys | changes
    )


def tokens_for(box: Sandbox, clock: FakeClock) -> OAuthTokens:
    names = ("client_id", "client_secret", "refresh_token")
    return tokens_of(box.url, clock, **{name: box.config[name] for name in names})


def request() -> requests.PreparedRequest:
    return requests.Request("GET", "http://127.0.0.1/").prepare()


def test_the_grant_is_asked_for_in_a_form(tokens: OAuthTokens, accounts: Accounts) -> None:
    accounts.give(TOKEN)
    assert tokens.get() == TOKEN["access_token"]
    ((path, headers, form),) = accounts.asked
    assert path == "/oauth/v2/token"
    assert headers["User-Agent"] == "tap-zohovoice/test"
    assert form == {
        "grant_type": ["refresh_token"],
        "refresh_token": [REFRESH],
        "client_id": ["1000.MADEUP"],
        "client_secret": [SECRET],
    }


@pytest.mark.parametrize(
    ("life", "seconds"),
    [
        ({"expires_in": 3600}, 3600),
        ({"expires_in": "3600"}, 3600),
        ({"expires_in": 3_600_000}, 3600),
        ({"expires_in_sec": 1800, "expires_in": 1_800_000}, 1800),
        ({"expires_in_sec": 1800, "expires_in": 7200}, 1800),
        ({"expires_in_sec": "x", "expires_in": 1800}, 1800),
        ({"expires_in": 86_400}, 86_400),
        ({}, 3600),
        ({"expires_in": None}, 3600),
        ({"expires_in": "soon"}, 3600),
        ({"expires_in": 0}, 3600),
        ({"expires_in": -1}, 3600),
        ({"expires_in": float("nan")}, 3600),
        ({"expires_in": []}, 3600),
    ],
    ids=str,
)
def test_one_token_serves_until_a_minute_before_its_end(
    tokens: OAuthTokens, accounts: Accounts, clock: FakeClock, life: dict[str, Any], seconds: int
) -> None:
    accounts.give({**TOKEN, **life})
    for _ in range(50):
        tokens.get()
    clock.time += seconds - 60.5
    tokens.get()
    assert (len(accounts.asked), tokens.fetched) == (1, 1)
    clock.time += 0.5
    tokens.get()
    assert (len(accounts.asked), tokens.fetched) == (2, 2)


@pytest.mark.parametrize("life", [1, 30, 60, 100])
def test_a_short_lived_token_is_not_fetched_for_each_request(
    tokens: OAuthTokens, accounts: Accounts, clock: FakeClock, life: int
) -> None:
    accounts.give({**TOKEN, "expires_in": life})
    tokens.get()
    tokens.get()
    assert len(accounts.asked) == 1
    clock.time += life
    tokens.get()
    assert len(accounts.asked) == 2


def test_the_time_that_fetching_takes_counts_as_life(clock: FakeClock) -> None:
    with Sandbox(clock=clock, token_faults={1: "slow:50"}) as box:
        tokens = tokens_for(box, clock)
        tokens.get()
        clock.time += 3600 - 60 - 50
        tokens.get()
        assert box.stats.token_requests == 2


def test_a_refused_token_is_dropped(clock: FakeClock) -> None:
    with Sandbox(clock=clock) as box:
        tokens = tokens_for(box, clock)
        first = tokens.get()
        tokens.drop()
        assert first not in tokens.secrets
        assert tokens.get() != first
        assert box.stats.tokens == 2


@pytest.mark.parametrize("status", [200, 400, 401])
@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("invalid_code", "refresh_token"),
        ("invalid_client", "client_id"),
        ("invalid_client_secret", "client_secret"),
        ("Access Denied", "wait ten minutes"),
        ("unsupported_grant_type", "check client_id, client_secret and refresh_token"),
    ],
)
def test_an_error_of_accounts_is_plain_advice_after_one_request(
    tokens: OAuthTokens, accounts: Accounts, status: int, error: str, advice: str
) -> None:
    accounts.give({"error": error, "status": "failure"}, status)
    with pytest.raises(ZohoVoiceError, match=f"HTTP {status}, {error}: .*{advice}"):
        tokens.get()
    assert len(accounts.asked) == 1
    assert tokens.fetched == 0


@pytest.mark.parametrize(
    ("status", "body", "asked"),
    [
        (302, b"", 1),
        (404, HTML, 1),
        (400, {"status": "failure"}, 1),
        (403, [], 1),
        (429, HTML, 3),
        (500, {"message": SECRET}, 3),
        (503, b"", 3),
        (200, b"", 3),
        (200, HTML, 3),
        (200, b'{"access_token": "10', 3),
        (200, b"[" * 100_000, 3),
        *[(200, {"access_token": bad}, 3) for bad in ("", " ", 5, None, "a\nb", "é")],
    ],
    ids=lambda value: str(value)[:30],
)
def test_without_a_token_at_most_three_requests_are_made(
    tokens: OAuthTokens, accounts: Accounts, status: int, body: object, asked: int
) -> None:
    accounts.give(body, status, Location="/oauth/v2/token")
    with pytest.raises(ZohoVoiceError, match=f"^Zoho Accounts: HTTP {status}") as error:
        tokens.get()
    assert len(accounts.asked) == asked
    assert isinstance(error.value, RetriesExhaustedError) == (asked == 3)
    assert "data_center" in str(error.value) or asked == 3


@pytest.mark.parametrize("word", ["x {} y", "{}", "ann@example.invalid", "+1 555 010 0123"])
@pytest.mark.parametrize("status", [200, 400])
def test_errors_and_log_hold_nothing_secret(
    tokens: OAuthTokens,
    accounts: Accounts,
    caplog: pytest.LogCaptureFixture,
    status: int,
    word: str,
) -> None:
    caplog.set_level(logging.DEBUG, "tap-zohovoice")
    for secret in (SECRET, REFRESH):
        accounts.give({"error": word.format(secret)}, status)
        with pytest.raises(ZohoVoiceError) as error:
            tokens.get()
        said = str(error.value) + caplog.text
        for private in (SECRET, REFRESH, "ann@", "010 0123"):
            assert private not in said
    assert set(tokens.secrets) == {SECRET, REFRESH}


def test_a_server_that_does_not_answer_is_asked_three_times(clock: FakeClock) -> None:
    with Accounts() as server:
        url = server.url
    with pytest.raises(RetriesExhaustedError, match=r"no answer \(\w+\); check accounts_url"):
        tokens_of(url, clock).get()
    assert clock.slept == [1, 2]


@pytest.mark.parametrize(
    "fault", ["500", "502_html", "cut", "cut_body", "truncated", "html", "nan"]
)
def test_a_passing_fault_costs_a_moment_only(clock: FakeClock, fault: str) -> None:
    with Sandbox(clock=clock, token_faults={1: fault}) as box:
        tokens = tokens_for(box, clock)
        assert box.accounts.accepts(f"Zoho-oauthtoken {tokens.get()}")
        assert box.stats.token_requests <= 2


@pytest.mark.parametrize("kind", ["redirect", "lock", "token"])
def test_a_lasting_fault_is_not_asked_about_again(clock: FakeClock, kind: str) -> None:
    with Sandbox(clock=clock, token_faults={1: kind}) as box:
        with pytest.raises(ZohoVoiceError):
            tokens_for(box, clock).get()
        assert box.stats.token_requests == 1
    assert clock.slept == []


class Watched(SlidingWindowLimiter):
    """A throttle that sees what is signed when."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(3, 60, clock)
        self.pending: requests.PreparedRequest | None = None
        self.refuses = False

    @override
    def acquire(self) -> None:
        assert self.pending is not None
        assert "Authorization" not in self.pending.headers
        if self.refuses:
            raise ZohoVoiceError
        super().acquire()


def test_every_request_takes_a_slot_before_it_is_signed(
    tokens: OAuthTokens, accounts: Accounts, clock: FakeClock
) -> None:
    accounts.give(TOKEN)
    throttle = Watched(clock)
    sign = ThrottledAuthenticator(tokens, throttle)
    for count in range(1, 6):
        throttle.pending = request()
        assert sign(throttle.pending) is throttle.pending
        assert throttle.pending.headers["Authorization"] == f"Zoho-oauthtoken {tokens.get()}"
        assert throttle.requests == count
        throttle.release()
    assert sum(clock.slept) == pytest.approx(120, abs=0.1)
    throttle.pending, throttle.refuses = request(), True
    with pytest.raises(ZohoVoiceError):
        sign(throttle.pending)
    assert "Authorization" not in throttle.pending.headers


def test_without_a_token_no_slot_is_used(
    tokens: OAuthTokens, accounts: Accounts, clock: FakeClock
) -> None:
    accounts.give({"error": "invalid_code"})
    throttle = SlidingWindowLimiter(3, 60, clock)
    sign = ThrottledAuthenticator(tokens, throttle)
    for _ in range(5):
        with pytest.raises(ZohoVoiceError):
            sign(request())
    assert throttle.requests == 0
    assert clock.slept == []


def test_a_token_that_ends_while_a_slot_is_awaited_is_renewed_before_signing(
    clock: FakeClock,
) -> None:
    with Sandbox(clock=clock, dialect=Dialect(token_ttl_seconds=300)) as box:
        throttle = SlidingWindowLimiter(3, 60, clock)
        sign = ThrottledAuthenticator(tokens_for(box, clock), throttle)
        throttle.lock_for(600, "locked")
        signed = sign(request())
        assert box.accounts.accepts(signed.headers["Authorization"])
        box.token_faults[3] = "token"
        clock.time += 200
        throttle.lock_for(600, "locked")
        with pytest.raises(ZohoVoiceError):
            sign(request())
        assert throttle.requests == 1


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login ann password made-up\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    assert requests.utils.get_netrc_auth("http://127.0.0.1/") == ("ann", "made-up")


@pytest.mark.usefixtures("netrc")
def test_a_netrc_file_does_not_sign_the_grant(tokens: OAuthTokens, accounts: Accounts) -> None:
    accounts.give(TOKEN)
    tokens.get()
    assert "Authorization" not in accounts.asked[0][1]


@pytest.mark.usefixtures("netrc")
def test_a_netrc_file_does_not_replace_the_token(
    run_tap: Callable[..., Run], clock: FakeClock
) -> None:
    with Sandbox(clock=clock) as box:
        assert run_tap(box.config).exit_code == 0
        assert [status for _, _, status in box.stats.log] == [200]
