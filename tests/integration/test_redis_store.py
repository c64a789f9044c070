"""One limit for many machines: the rule, restarts and losses, with a real Redis server.

Times pass by setting back what the server has stored, so that nothing waits.
"""

import json
import logging
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import Mock

import pytest
import redis
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_zohovoice.exceptions import ZohoVoiceError
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tap_zohovoice.rate_limit.redis_store import RETRY_SECONDS, RedisStore
from tests.support.account import Account
from tests.support.redis_server import HOST, PASSWORD, RedisServer, ServerClock, free_port
from tests.unit.test_limiter import CLIENT, LOGGER, REQUESTS, URL, assert_limit_kept, seconds_waited

Captured: TypeAlias = pytest.LogCaptureFixture
Patch: TypeAlias = pytest.MonkeyPatch

FORGOTTEN = "The rate-limit store is new or was restarted, and may have lost requests"
LOST = "The rate-limit store has been unreachable since 2026-03-01 12:"
REAL = 0.5  # seconds that pass on the server's clock meanwhile


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    shared_server.client.flushall()
    return shared_server


class Machines:
    """Makes limiters as processes on separate machines would."""

    def __init__(self, server: RedisServer) -> None:
        self.server, self.clock = server, ServerClock(server)

    def store(self, **options: Any) -> RedisStore:
        given: dict[str, Any] = {"client_id": CLIENT, "url": URL, "clock": self.clock}
        given |= {"timeout": 60, "server": self.server.url, "patience": 600, **options}
        return RedisStore(**given)

    def limiter(self, calls: int = 30, **options: Any) -> SlidingWindowLimiter:
        return SlidingWindowLimiter(calls, 60, self.clock, self.store(**options))

    def waited(self, limiter: SlidingWindowLimiter) -> float:
        return seconds_waited(limiter, self.clock)

    def wait_until_known(self, client: str = CLIENT) -> None:
        """Let the time pass in which a new store grants nothing."""
        self.store(client_id=client)
        self.server.let_pass(86_400)

    def stored(self) -> tuple[str, dict[str, Any]]:
        """Return the only key of the server, and its content."""
        (key,) = self.server.client.keys("*")
        return key, json.loads(self.server.client.get(key))


@pytest.fixture
def new_machines(server: RedisServer) -> Machines:
    return Machines(server)


@pytest.fixture
def machines(new_machines: Machines) -> Machines:
    new_machines.wait_until_known()
    return new_machines


def about(seconds: float) -> Any:
    return pytest.approx(seconds, abs=REAL)


# The rule is that of the file, see `test_limiter`.


@pytest.mark.parametrize("calls", [2, 30])
def test_machines_share_one_pace(machines: Machines, calls: int) -> None:
    pair = [machines.limiter(calls), machines.limiter(calls)]
    start = machines.clock.time
    for turn in range(3 * (calls - 1)):
        machines.waited(pair[turn % 2])
    assert machines.clock.time - start == about(120)
    assert machines.waited(machines.limiter(calls)) == about(60)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plan=REQUESTS, calls=st.integers(2, 5))
def test_no_period_holds_all_requests(
    machines: Machines, plan: list[tuple[int, float, float, float]], calls: int
) -> None:
    client = uuid.uuid4().hex
    machines.wait_until_known(client)
    pair = [machines.limiter(calls, client_id=client, timeout=10_000) for _ in range(2)]
    seen = []
    for who, latency, share, pause in plan:
        pair[who].acquire()
        seen.append(machines.clock.time + share * latency)
        machines.clock.sleep(latency)
        pair[who].release()
        machines.clock.sleep(pause)
    # While the test runs, a little time passes for the server alone.
    assert_limit_kept(seen, calls, 60 - 2 * REAL)
    assert sum(limiter.requests for limiter in pair) == len(plan)


@pytest.mark.parametrize("timeout", [21, 60, 300])
def test_slot_is_freed_after_response_or_timeout(machines: Machines, timeout: int) -> None:
    first, second, third = (machines.limiter(2, timeout=timeout) for _ in range(3))
    first.acquire()
    machines.clock.sleep(20)
    assert second.try_acquire()[0] == about(timeout + 60 - 20)
    first.release()
    machines.clock.sleep(20)
    assert machines.waited(second) == about(40)
    machines.clock.sleep(60)
    second.acquire()  # and is killed
    assert machines.waited(third) == about(timeout + 60)


@pytest.mark.parametrize("seconds", [5.0, 600.0])
def test_lockout_applies_to_one_url_and_client(
    machines: Machines, caplog: Captured, seconds: int
) -> None:
    machines.wait_until_known("1000.OTHER")
    caplog.set_level(logging.INFO, LOGGER)
    first, second = machines.limiter(), machines.limiter()
    machines.limiter(2).acquire()
    first.lock_for(seconds, "locked")
    machines.limiter().lock_for(0, "locked")  # a shorter one does not end it
    end = machines.clock.time + seconds
    for other in ({"url": "http://x.invalid"}, {"client_id": "1000.OTHER"}):
        assert machines.waited(machines.limiter(2, **other)) == 0
    assert machines.waited(second) >= seconds
    assert end < machines.clock.time < end + 2 + seconds / 50
    assert machines.waited(first) < REAL
    (line,) = [line for line in caplog.messages if "ockout" in line]
    assert "A lockout reported by another run is in effect; waiting" in line


def test_server_clock_set_back_adds_no_wait(machines: Machines) -> None:
    limiter = machines.limiter(2)
    machines.waited(limiter)
    machines.server.let_pass(-3600)
    assert machines.limiter(2).try_acquire()[0] == about(60)
    limiter.lock_for(600, "locked")
    machines.server.let_pass(-3600)
    assert machines.limiter(2).try_acquire()[0] == about(607)


def test_server_clock_set_back_is_waited_out(new_machines: Machines) -> None:
    new_machines.store()
    new_machines.server.let_pass(-3600)
    assert new_machines.waited(new_machines.limiter()) == about(60)
    new_machines.store().lock_for(10)
    new_machines.server.let_pass(-3600)
    assert new_machines.waited(new_machines.limiter()) <= 61


def test_lockout_that_no_run_waits_for_is_dropped(machines: Machines) -> None:
    machines.store().lock_for(1e9)
    assert machines.waited(machines.limiter()) == 0


def test_lost_reply_takes_no_second_slot(machines: Machines, monkeypatch: Patch) -> None:
    real = redis.Redis.eval

    def lose_reply(self: redis.Redis, *args: Any) -> Any:
        monkeypatch.setattr(redis.Redis, "eval", real)
        real(self, *args)
        raise redis.TimeoutError

    limiter = machines.limiter(2)
    monkeypatch.setattr(redis.Redis, "eval", lose_reply)
    limiter.acquire()
    assert machines.clock.slept == [RETRY_SECONDS]
    limiter.release()
    assert machines.limiter(2).try_acquire()[0] == about(60)


def test_late_release_counts_from_the_response(machines: Machines, monkeypatch: Patch) -> None:
    slots = machines.store()
    slot = slots.try_acquire(1, 60).slot
    assert slot is not None
    with monkeypatch.context() as patch:
        patch.setattr(redis.Redis, "eval", Mock(side_effect=redis.ConnectionError))
        slots.release(slot)
    machines.clock.sleep(45)
    assert slots.try_acquire(1, 60).seconds == about(15)


def test_store_holds_only_numbers_and_digests(machines: Machines) -> None:
    limiter = machines.limiter()
    for _ in range(40):
        machines.waited(limiter)
    limiter.lock_for(600, "locked by +1 555 0100")
    key, stored = machines.stored()
    (url,) = stored["urls"].values()
    assert len(url["answered"]) == 40 - 29  # those of the first period are deleted
    assert url["taken"] == {}
    numbers = (stored["since"], url["locked"], url["lockout"], *url["answered"].values())
    assert {type(number) for number in numbers} <= {int, float}
    assert stored.keys() == {"run_id", "since", "urls"}
    assert url.keys() == {"locked", "lockout", "taken", "answered"}
    for word in (CLIENT, URL, "voice.example", "+1 555"):
        assert word not in f"{key} {stored}"


@pytest.mark.parametrize("loss", ["new", "restarted", "restarted from a snapshot", "failover"])
def test_doubtful_store_grants_nothing_for_a_period(
    machines: Machines, caplog: Captured, loss: str
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    server, limiter = machines.server, machines.limiter(5)
    assert machines.waited(limiter) == 0
    if loss == "restarted from a snapshot":
        server.client.save()  # without the slots that follow
    assert [machines.waited(limiter) for _ in range(2)] == [0, 0]
    if loss == "new":
        server.client.flushall()
    elif loss == "failover":  # the data is there, but was written by another server
        key, stored = machines.stored()
        server.client.set(key, json.dumps({**stored, "run_id": "0" * 40}))
    else:
        server.restart()
        server.snapshot.unlink(missing_ok=True)
    assert bool(server.client.keys("*")) == (loss in {"restarted from a snapshot", "failover"})
    assert machines.waited(machines.limiter(5)) == about(60)
    assert machines.waited(machines.limiter(url="http://x.invalid")) == 0
    (line,) = caplog.messages
    assert line.startswith(f"{FORGOTTEN}; waiting 60 s, until ")


def test_request_during_a_restart_counts_from_its_response(machines: Machines) -> None:
    first = machines.limiter(2)
    first.acquire()
    machines.server.restart()
    second = machines.limiter(2)
    machines.clock.sleep(50)
    first.release()
    assert machines.waited(second) == about(60)


@pytest.mark.parametrize("knows_by", ["response", "store"])
def test_waiting_machine_reports_its_lockout_again(machines: Machines, knows_by: str) -> None:
    """Whether it met the lockout itself, or heard of it from the store."""
    met, heard = machines.limiter(), machines.limiter()
    met.lock_for(600, "locked")
    waiting = met if knows_by == "response" else heard
    assert heard.try_acquire()[0] > 600
    newcomers: list[float] = []

    def come() -> None:
        newcomers.append(machines.limiter().try_acquire()[0])

    machines.clock.after = {2: machines.server.restart, 6: come}  # a period later
    start = machines.clock.time
    assert waiting.try_acquire()[0] == about(607)
    machines.waited(waiting)
    assert newcomers == [about(607 - 120)]
    assert machines.clock.time - start == about(607)


def test_lost_store_is_waited_for(machines: Machines, caplog: Captured) -> None:
    caplog.set_level(logging.INFO)
    limiter = machines.limiter()
    limiter.acquire()
    machines.server.kill()
    limiter.release()  # does not wait
    assert machines.clock.slept == []
    machines.clock.after = {30: machines.server.start}
    assert limiter.try_acquire() == (about(60), FORGOTTEN)
    assert machines.clock.slept == [1.0] * 30
    assert caplog.messages == [
        f"{LOST}00:00 UTC (Connection refused); sending no requests until it is back",
        "The rate-limit store is back, after 30 s",
    ]


def test_store_lost_for_lock_seconds_ends_the_run(machines: Machines) -> None:
    limiter = machines.limiter(patience=25)
    machines.server.kill()
    line = f"{LOST}00:00 UTC (Connection refused), longer than lock_seconds (25 s); run again "
    try:
        with pytest.raises(ZohoVoiceError, match=f"^{re.escape(line)}when it is back$"):
            limiter.acquire()
    finally:
        machines.server.start()
    assert sum(machines.clock.slept) == 25


def test_run_uses_no_file(box: Account, new_machines: Machines, state_home: Path) -> None:
    new_machines.wait_until_known(box.config["client_id"])
    run = box.read(rate_limit_store=new_machines.server.url)
    _, stored = new_machines.stored()
    answered = [token for url in stored["urls"].values() for token in url["answered"]]
    assert len(answered) == box.stats.requests > 0
    assert not list(state_home.rglob("*"))
    assert PASSWORD not in run.log


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((PASSWORD, "wrong-hush"), "AuthenticationError"),
        ((f":{PASSWORD}@", ""), "AuthenticationError"),
        ((HOST, "127.0.0.2"), "Connection refused"),
        ((HOST, "store.invalid"), ".*"),
        (("/0", "/99"), "ResponseError.*"),
        (("/0", "/0?hush=1"), "TypeError"),
        (("/0", "/0?socket_timeout=hush"), "ValueError"),
        (("/0", "/0?retry=hush"), "AttributeError"),
    ],
)
def test_unreachable_store_is_one_line_outside_discovery(
    box: Account, server: RedisServer, change: tuple[str, str], reason: str
) -> None:
    url = server.url.replace(*change)
    line = f"^Cannot reach the rate-limit store: {reason}.*; check rate_limit_store$"
    run = box.fail(line, rate_limit_store=url)
    assert {message["type"] for message in run.messages} <= {"SCHEMA"}
    assert "hush" not in run.log
    assert (box.stats.requests, box.stats.token_requests) == (0, 0)
    assert box.run("--discover", rate_limit_store=url).exit_code == 0


def test_tls_is_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    cert, key, ca = (tmp_path / f"{name}.pem" for name in ("cert", "key", "ca"))
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    options = {"tls_cert_file": str(cert), "tls_key_file": str(key), "tls_ca_cert_file": str(ca)}
    with RedisServer(tmp_path, **options, tls_auth_clients="no") as server:
        machines = Machines(server)
        server.client.config_set("tls-port", str(port := free_port()))
        url = f"rediss://:{PASSWORD}@{HOST}:{port}/0"
        with pytest.raises(ZohoVoiceError, match=": CERTIFICATE_VERIFY_FAILED; check"):
            machines.store(server=url)
        store = machines.store(server=f"{url}?ssl_ca_certs={ca}")
        assert store.try_acquire(29, 60).seconds == about(60)
