"""One limit for many machines: the rule, restarts and losses, with a real Redis server.

Times pass by setting back what the server has stored, so that nothing waits.
"""

import logging
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_zohovoice.config.settings import CONFIG_SCHEMA
from tap_zohovoice.config.validation import validation_errors
from tap_zohovoice.exceptions import RateLimitStoreError
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tap_zohovoice.rate_limit.redis_store import RETRY_SECONDS, RedisStore
from tests.support.calls import history
from tests.support.cli import FakeClock, RunTap
from tests.support.redis_server import HOST, PASSWORD, RedisServer, ServerClock, free_port
from tests.unit.test_limiter import CLIENT, LOGGER, REQUESTS, URL, assert_limit_kept, seconds_waited
from zoho_voice_sandbox import Sandbox

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


@pytest.fixture
def clock(server: RedisServer) -> ServerClock:
    return ServerClock(server)


def raise_connection_error(*_: Any) -> None:
    raise redis.ConnectionError


class Machines:
    """Makes limiters as processes on separate machines would."""

    def __init__(self, server: RedisServer, clock: ServerClock) -> None:
        self.server = server
        self.clock = clock

    def store(
        self, *, client: str = CLIENT, timeout: float = 60, patience: float = 600
    ) -> RedisStore:
        return RedisStore(
            self.server.url, client, timeout=timeout, patience=patience, clock=self.clock
        )

    def limiter(
        self, calls: int = 30, seconds: float = 60, *, url: str = URL, **options: Any
    ) -> SlidingWindowLimiter:
        return SlidingWindowLimiter(calls, seconds, self.clock, self.store(**options), url)

    def waited(self, limiter: SlidingWindowLimiter) -> float:
        return seconds_waited(limiter, self.clock)

    def wait_until_known(self, client: str = CLIENT) -> None:
        """Let the time pass in which a new store grants nothing."""
        self.store(client=client)
        self.server.let_pass(86_400)


@pytest.fixture
def machines(server: RedisServer, clock: ServerClock) -> Machines:
    found = Machines(server, clock)
    found.wait_until_known()
    return found


class TestRule:
    """The rule is that of the file, see `test_limiter`."""

    @pytest.mark.parametrize("calls", [2, 3, 30])
    def test_machines_share_one_pace(self, machines: Machines, calls: int) -> None:
        pair = [machines.limiter(calls), machines.limiter(calls)]
        start = machines.clock.time
        for turn in range(3 * (calls - 1)):
            machines.waited(pair[turn % 2])
        assert machines.clock.time - start == pytest.approx(120, abs=REAL)
        assert machines.waited(machines.limiter(calls)) == pytest.approx(60, abs=REAL)

    @settings(
        max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(plan=REQUESTS, calls=st.integers(2, 5))
    def test_no_period_holds_all_allowed_requests(
        self, machines: Machines, plan: list[tuple[int, float, float, float]], calls: int
    ) -> None:
        client = uuid.uuid4().hex
        machines.wait_until_known(client)
        pair = [machines.limiter(calls, client=client, timeout=10_000) for _ in range(2)]
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

    def test_slot_is_freed_a_period_after_the_response(self, machines: Machines) -> None:
        first, second = machines.limiter(2), machines.limiter(2)
        first.acquire()
        machines.clock.sleep(20)
        assert second.try_acquire()[0] == pytest.approx(60 + 60 - 20, abs=REAL)
        first.release()
        machines.clock.sleep(20)
        assert second.try_acquire()[0] == pytest.approx(40, abs=REAL)

    def test_cancelled_slot_is_free_at_once(self, machines: Machines) -> None:
        limiter = machines.limiter(2)
        limiter.acquire()
        limiter.cancel()
        assert machines.waited(machines.limiter(2)) == 0

    @pytest.mark.parametrize("timeout", [1, 60, 300])
    def test_slot_of_killed_process_expires(self, machines: Machines, timeout: int) -> None:
        machines.limiter(2, timeout=timeout).acquire()
        other = machines.limiter(2, timeout=timeout)
        assert machines.waited(other) == pytest.approx(timeout + 60, abs=REAL)

    def test_urls_and_clients_are_apart(self, machines: Machines) -> None:
        machines.wait_until_known("1000.OTHER")
        machines.limiter(2).acquire()
        machines.limiter().lock_for(600, "locked")
        assert machines.waited(machines.limiter(2, url="http://x.invalid")) == 0
        assert machines.waited(machines.limiter(2, client="1000.OTHER")) == 0

    @pytest.mark.parametrize("seconds", [5.0, 600.0])
    def test_lockout_applies_to_all(
        self, machines: Machines, caplog: pytest.LogCaptureFixture, seconds: int
    ) -> None:
        caplog.set_level(logging.INFO, LOGGER)
        first, second = machines.limiter(), machines.limiter()
        first.lock_for(seconds, "locked")
        machines.limiter().lock_for(0, "locked")  # a shorter one does not end it
        end = machines.clock.time + seconds
        assert machines.waited(second) >= seconds
        assert end < machines.clock.time < end + 2 + seconds / 50
        assert machines.waited(first) < REAL
        lines = [entry.getMessage() for entry in caplog.records if "ockout" in entry.getMessage()]
        assert len(lines) == 1, lines
        assert "A lockout reported by another run is in effect; waiting" in lines[0]

    def test_clock_of_the_server_set_back_adds_no_wait(self, machines: Machines) -> None:
        limiter = machines.limiter(2)
        machines.waited(limiter)
        machines.server.let_pass(-3600)
        assert machines.limiter(2).try_acquire()[0] == pytest.approx(60, abs=REAL)
        limiter.lock_for(600, "locked")
        machines.server.let_pass(-3600)
        assert machines.limiter(2).try_acquire()[0] == pytest.approx(607, abs=REAL)

    def test_lockout_that_no_run_waits_for_is_dropped(self, machines: Machines) -> None:
        machines.store().lock_for(URL, 1e9)
        assert machines.waited(machines.limiter()) == 0

    def test_lost_reply_takes_no_second_slot(
        self, machines: Machines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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
        assert machines.limiter(2).try_acquire()[0] == pytest.approx(60, abs=REAL)

    def test_release_that_is_reported_late_counts_from_the_response(
        self, machines: Machines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slots = machines.store()
        token = slots.try_acquire(URL, 1, 60).token
        assert token is not None
        with monkeypatch.context() as patch:
            patch.setattr(redis.Redis, "eval", raise_connection_error)
            slots.release(token, 0)
        machines.clock.sleep(45)
        assert slots.try_acquire(URL, 1, 60).seconds == pytest.approx(15, abs=REAL)

    def test_store_holds_only_numbers_and_digests(self, machines: Machines) -> None:
        limiter = machines.limiter()
        for _ in range(40):
            machines.waited(limiter)
        limiter.lock_for(600, "locked by +1 555 0100")
        (key,) = machines.server.client.keys("*")
        stored = machines.server.client.hgetall(key)
        answered = [field for field in stored if "/answered/" in field]
        assert len(answered) == 40 - 29  # those of the first period are deleted
        assert len(stored) == len(answered) + len(("run_id", "since", "lock"))
        text = f"{key} {stored}"
        assert not [word for word in (CLIENT, URL, "voice.example", "+1 555") if word in text]


class TestForgetting:
    def test_new_store_grants_nothing_for_one_period_for_all_urls(
        self, server: RedisServer, clock: ServerClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, LOGGER)
        machines = Machines(server, clock)
        assert seconds_waited(machines.limiter(), clock) == pytest.approx(60, abs=REAL)
        assert seconds_waited(machines.limiter(url="http://x.invalid"), clock) == 0
        (line,) = [entry.getMessage() for entry in caplog.records]
        assert line.startswith(f"{FORGOTTEN}; waiting 60 s, until ")

    @pytest.mark.parametrize("has_saved", [True, False])
    def test_restarted_store_grants_nothing_for_a_period(
        self, machines: Machines, *, has_saved: bool
    ) -> None:
        limiter = machines.limiter(5)
        assert machines.waited(limiter) == 0
        if has_saved:
            machines.server.client.save()  # without the slots that follow
        assert [machines.waited(limiter) for _ in range(2)] == [0, 0]
        machines.server.restart()
        machines.server.snapshot.unlink(missing_ok=True)
        assert bool(machines.server.client.keys("*")) == has_saved
        assert machines.waited(machines.limiter(5)) == pytest.approx(60, abs=REAL)

    def test_request_in_flight_during_a_restart_counts_from_its_response(
        self, machines: Machines
    ) -> None:
        first = machines.limiter(2)
        first.acquire()
        machines.server.restart()
        second = machines.limiter(2)
        machines.clock.sleep(50)
        first.release()
        assert machines.waited(second) == pytest.approx(60, abs=REAL)

    @pytest.mark.parametrize("knows_by", ["response", "store"])
    def test_waiting_machine_reports_its_lockout_again(
        self, machines: Machines, knows_by: str
    ) -> None:
        """Whether it met the lockout itself, or heard of it from the store."""
        met, heard = machines.limiter(), machines.limiter()
        met.lock_for(600, "locked")
        waiting = met if knows_by == "response" else heard
        assert heard.try_acquire()[0] > 600
        original = machines.clock.sleep
        newcomers: list[float] = []

        def sleep(seconds: float) -> None:
            original(seconds)
            if len(machines.clock.slept) == 2:
                machines.server.restart()
            if len(machines.clock.slept) == 6:  # a period later
                newcomers.append(machines.limiter().try_acquire()[0])

        machines.clock.sleep = sleep  # type: ignore[method-assign]
        start = machines.clock.time
        assert waiting.try_acquire()[0] == pytest.approx(607, abs=REAL)
        machines.waited(waiting)
        assert newcomers == [pytest.approx(607 - 120, abs=REAL)]
        assert machines.clock.time - start == pytest.approx(607, abs=REAL)


class TestLoss:
    def test_lost_store_is_waited_for(
        self, machines: Machines, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        limiter = machines.limiter()
        limiter.acquire()
        machines.server.kill()
        limiter.release()  # does not wait
        assert machines.clock.slept == []

        def sleep(seconds: float) -> None:
            FakeClock.sleep(machines.clock, seconds)
            if len(machines.clock.slept) == 30:
                machines.server.start()

        machines.clock.sleep = sleep  # type: ignore[method-assign]
        seconds, reason = limiter.try_acquire()
        assert machines.clock.slept == [1.0] * 30
        assert seconds == pytest.approx(60, abs=REAL)
        assert reason == FORGOTTEN
        lines = [entry.getMessage() for entry in caplog.records]
        assert lines == [
            f"{LOST}00:00 UTC (Connection refused); sending no requests until it is back",
            "The rate-limit store is back, after 30 s",
        ]

    def test_store_lost_for_lock_seconds_ends_the_run(self, machines: Machines) -> None:
        limiter = machines.limiter(patience=25)
        machines.server.kill()
        clock = machines.clock
        clock.sleep = lambda seconds: FakeClock.sleep(clock, seconds)  # type: ignore[method-assign]
        try:
            with pytest.raises(RateLimitStoreError) as caught:
                limiter.acquire()
        finally:
            machines.server.start()
        assert str(caught.value) == (
            f"{LOST}00:00 UTC (Connection refused), longer than lock_seconds (25 s); "
            "run again when it is back"
        )
        assert sum(machines.clock.slept) == 25

    def test_failover_to_a_replica_that_lags_grants_nothing_for_a_period(
        self, machines: Machines
    ) -> None:
        """The data is there, but was written by another server."""
        (key,) = machines.server.client.keys("*")
        machines.server.client.hset(key, "run_id", "0" * 40)
        assert machines.waited(machines.limiter()) == pytest.approx(60, abs=REAL)


class TestCommandLine:
    @pytest.fixture
    def box(self, clock: ServerClock) -> Iterator[Sandbox]:
        with Sandbox(history=history(30), clock=clock) as running:
            yield running

    def test_run_uses_the_store_and_no_file(
        self,
        run_tap: RunTap,
        box: Sandbox,
        server: RedisServer,
        clock: ServerClock,
        state_home: Path,
    ) -> None:
        machines = Machines(server, clock)
        machines.wait_until_known(box.config["client_id"])
        run = run_tap({**box.config, "rate_limit_store": server.url})
        assert run.exit_code == 0, run.log
        assert len(run.records) == 30
        (key,) = server.client.keys("*")
        answered = [field for field in server.client.hgetall(key) if "/answered/" in field]
        assert len(answered) == box.stats.requests > 0
        assert not list(state_home.rglob("*"))
        assert PASSWORD not in run.log

    def test_lockout_of_another_machine_holds_up_the_run(
        self, run_tap: RunTap, box: Sandbox, server: RedisServer, clock: ServerClock
    ) -> None:
        client = box.config["client_id"]
        machines = Machines(server, clock)
        machines.wait_until_known(client)
        machines.limiter(client=client, url=f"{box.url}/rest/json/zv/logs").lock_for(600, "locked")
        run = run_tap({**box.config, "rate_limit_store": server.url})
        assert run.exit_code == 0, run.log
        assert "A lockout reported by another run is in effect; waiting 607 s, until" in run.log
        assert sum(clock.slept) > 600

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ((PASSWORD, "wrong-hush"), "user or password rejected"),
            ((f":{PASSWORD}@", ""), "user or password rejected"),
            ((HOST, "127.0.0.2"), "Connection refused"),
            ((HOST, "store.invalid"), ""),
            (("/0", "/99"), "ResponseError"),
        ],
    )
    def test_store_that_cannot_be_reached_is_one_line_before_any_request(
        self,
        run_tap: RunTap,
        box: Sandbox,
        server: RedisServer,
        change: tuple[str, str],
        reason: str,
    ) -> None:
        url = server.url.replace(*change)
        run = run_tap({**box.config, "rate_limit_store": url})
        assert run.exit_code == 1
        assert {message["type"] for message in run.messages} <= {"SCHEMA"}
        (line,) = [line for line in run.log.splitlines() if "ERROR" in line]
        assert f"Cannot reach the rate-limit store: {reason}" in line
        assert line.endswith("; check rate_limit_store")
        assert "hush" not in run.log
        assert (box.stats.requests, box.stats.token_requests) == (0, 0)

    def test_discovery_needs_no_store(self, run_tap: RunTap, box: Sandbox) -> None:
        url = f"redis://{HOST}:1/0"
        assert run_tap({**box.config, "rate_limit_store": url}, "--discover").exit_code == 0

    def test_missing_extra_is_named(
        self, run_tap: RunTap, box: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "redis", None)
        run = run_tap({**box.config, "rate_limit_store": "redis://:hush@localhost"})
        assert run.exit_code == 1
        (line,) = [line for line in run.log.splitlines() if "ERROR" in line]
        extra = "rate_limit_store needs the extra redis: pip install 'tap-zohovoice[redis]'"
        assert line.endswith(f"| {extra}")


def test_tls_is_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    paths = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "ca")}
    certificate.cert_chain_pems[0].write_to_path(paths["cert"])
    certificate.private_key_pem.write_to_path(paths["key"])
    authority.cert_pem.write_to_path(paths["ca"])
    options = {
        "tls_cert_file": str(paths["cert"]),
        "tls_key_file": str(paths["key"]),
        "tls_ca_cert_file": str(paths["ca"]),
        "tls_auth_clients": "no",
    }
    with RedisServer(tmp_path, **options) as server:
        server.client.config_set("tls-port", str(port := free_port()))
        url = f"rediss://:{PASSWORD}@{HOST}:{port}/0"
        with pytest.raises(RateLimitStoreError, match="TLS: CERTIFICATE_VERIFY_FAILED; check"):
            make_store(server, url)
        url = f"{url}?ssl_ca_certs={paths['ca']}"
        seconds = make_store(server, url).try_acquire(URL, 29, 60).seconds
        assert seconds == pytest.approx(60, abs=REAL)


def make_store(server: RedisServer, url: str) -> RedisStore:
    return RedisStore(url, CLIENT, timeout=60, patience=600, clock=ServerClock(server))


@pytest.mark.parametrize(
    ("url", "is_valid"),
    [
        ("redis://localhost", True),
        ("redis://localhost:6379/", True),
        ("redis://:hush@10.0.0.5:6380/3", True),
        ("rediss://user:hush@redis.example.com/0?ssl_ca_certs=/etc/ca.pem", True),
        ("redis://[::1]:6379/0", True),
        ("localhost:6379", False),
        ("http://hush@localhost", False),
        ("unix:///run/hush.sock", False),
        ("redis://", False),
        ("redis:///hush", False),
        ("redis://localhost/hush", False),
        ("redis://:hush@localhost:0", False),
        ("redis://:hush@localhost:99999", False),
        ("redis://:hu/sh@localhost:6379", False),
        ("redis://localhost?hush=1", False),
        ("redis://localhost?socket_timeout=hush", False),
        ("redis://local\nhost:6379/hush", False),
        (f"redis://{'hush' * 20}:6379/0", False),
    ],
)
def test_url_is_validated_and_never_quoted(url: str, *, is_valid: bool) -> None:
    keys = {"client_id": "1000.MADEUP", "client_secret": "s3", "refresh_token": "1000.r"}
    errors = validation_errors({**keys, "rate_limit_store": url}, CONFIG_SCHEMA)
    example = "rate_limit_store must be a URL such as redis://:password@redis.example.com:6379/0"
    assert errors == ([] if is_valid else [example])


def test_setting_is_a_secret() -> None:
    assert CONFIG_SCHEMA["properties"]["rate_limit_store"]["secret"] is True
