"""One rate limit for several machines: processes that share only a Redis server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tap_zohovoice._time import Clock
from tap_zohovoice.rate_limit.limiter import SHARED_LOCKOUT
from tap_zohovoice.rate_limit.redis_store import RedisStore
from tests.support.calls import history, server_ids
from tests.support.redis_server import PASSWORD, RedisServer
from zoho_voice_sandbox import Dialect, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

PATIENCE_SECONDS = 120.0
SECONDS = 2
# Short, since the processes wait in real time; no response names minutes.
DIALECT = Dialect(limit_calls=10, limit_seconds=SECONDS, lock_seconds=8, throttle="429")
SETTINGS: dict[str, Any] = {
    "rate_limit_calls": 10,
    "rate_limit_seconds": SECONDS,
    "lock_seconds": 8,
    "page_size": 80,
    "request_timeout": 1,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as running:
        yield running


class Machine:
    """A process of the tap with a state folder of its own."""

    def __init__(self, box: Sandbox, folder: Path, store: str = "", **settings: Any) -> None:
        folder.mkdir()
        config = {**box.config, **SETTINGS, **settings}
        if store:
            config["rate_limit_store"] = store
        (folder / "config.json").write_text(json.dumps(config))
        self._box = box
        self._out, self._log = folder / "out", folder / "log"
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tap_zohovoice", "--config", folder / "config.json"],
                stdout=out,
                stderr=log,
                env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
            )

    def wait(self) -> int:
        """Wait for the end of the process, and return the exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def assert_complete(self) -> None:
        """Check that the process succeeded, with all calls and without the password in the log."""
        assert self.wait() == 0, self.log
        messages = [json.loads(line) for line in self._out.read_text().splitlines()]
        records = [message["record"] for message in messages if message["type"] == "RECORD"]
        assert {record["logid"] for record in records} == server_ids(self._box)
        assert PASSWORD not in self.log


@contextmanager
def account(machines: list[Machine], calls: int, **options: Any) -> Generator[Sandbox]:
    """Start an account; at the end, no process keeps a connection to it."""
    with Sandbox(history=history(calls), **options) as box:
        try:
            yield box
        finally:
            for machine in machines:
                machine.process.kill()
                machine.process.wait()


@pytest.fixture
def machines() -> list[Machine]:
    return []


class At:
    """Does something while the server handles a request of a given number."""

    def __init__(self, **acts: Callable[[], object]) -> None:
        self._acts = {int(name.removeprefix("request_")): act for name, act in acts.items()}
        self._ready = threading.Event()
        self.moments: dict[int, float] = {}
        self.problems: list[BaseException] = []

    def __call__(self, number: int) -> None:
        self._ready.wait(PATIENCE_SECONDS)
        if act := self._acts.get(number):
            try:
                act()
            except BaseException as problem:  # noqa: BLE001 - reported in the test's own thread
                self.problems.append(problem)
            self.moments[number] = time.monotonic()

    def start(self) -> None:
        """Respond to requests when all processes have started."""
        self._ready.set()

    def assert_done(self) -> None:
        assert not self.problems, self.problems
        assert self.moments.keys() == self._acts.keys()


def kill_first(machines: list[Machine]) -> None:
    machines[0].process.kill()


def arrivals(box: Sandbox) -> list[float]:
    return sorted(moment for moment, _, _ in box.stats.log)


def test_machines_without_shared_store_exceed_the_limit(
    tmp_path: Path, machines: list[Machine]
) -> None:
    """The sandbox enforces the limit, so the other tests can fail."""
    with account(machines, 700, dialect=DIALECT) as box:
        machines += [Machine(box, tmp_path / str(number)) for number in range(4)]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not box.stats.violations:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_four_machines_keep_limit_despite_kill_and_restart(
    server: RedisServer, tmp_path: Path, machines: list[Machine]
) -> None:
    at = At(request_15=lambda: kill_first(machines), request_30=server.restart)
    with account(machines, 1200, dialect=DIALECT) as box:
        box.before_request = at
        started = time.monotonic()
        machines += [Machine(box, tmp_path / str(number), server.url) for number in range(4)]
        at.start()
        for machine in machines[1:]:
            machine.assert_complete()
        duration = time.monotonic() - started
        at.assert_done()
        assert machines[0].wait() == -signal.SIGKILL
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
        seen = arrivals(box)
    restarted = at.moments[30]
    # Requests that were sent at the restart have arrived before its end.
    after = [moment for moment in seen if moment > restarted]
    assert min(after) >= restarted + SECONDS - 0.2
    assert any(
        "The rate-limit store is new or was restarted" in machine.log for machine in machines
    )
    # The limit is used: a period for the new store, one for the restart, some to start and end.
    assert len(after) > 9
    assert duration < len(seen) * SECONDS / 9 + 2 * SECONDS + 15


def test_forgotten_lockout_holds_for_all_machines(
    server: RedisServer, tmp_path: Path, machines: list[Machine]
) -> None:
    # Long enough for processes to start, on a busy machine.
    dialect = replace(DIALECT, lock_seconds=15)
    with account(machines, 700, dialect=dialect, faults={12: "lock"}) as box:
        machines += [
            Machine(box, tmp_path / str(number), server.url, lock_seconds=15) for number in range(4)
        ]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any("the API is locked; waiting" in machine.log for machine in machines):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.5)  # requests of the other processes
        locked_calls = box.stats.locked_calls
        locked = time.monotonic()
        server.restart()
        machines.append(Machine(box, tmp_path / "newcomer", server.url))
        time.sleep(SECONDS + 1)
        client_id, url = box.config["client_id"], f"{box.url}/rest/json/zv/logs"
        store = RedisStore(client_id, url, 1, Clock(), server.url, 1)
        assert store.try_acquire(9, SECONDS).reason == SHARED_LOCKOUT
        for machine in machines:
            machine.assert_complete()
        assert box.stats.violations == 0
        assert box.stats.locked_calls == locked_calls <= 3
        after = [moment for moment in arrivals(box) if moment > locked]
    assert min(after) > locked + dialect.lock_seconds - 1.5


def test_slot_of_killed_machine_is_freed_later(
    server: RedisServer, tmp_path: Path, machines: list[Machine]
) -> None:
    settings = {"rate_limit_calls": 2, "page_size": 1000}
    dialect = Dialect(limit_calls=2, limit_seconds=SECONDS, lock_seconds=8)
    at = At(request_2=lambda: kill_first(machines))
    with account(machines, 50, dialect=dialect) as box:
        box.before_request = at
        machines.append(Machine(box, tmp_path / "one", server.url, **settings))
        at.start()
        assert machines[0].wait() == -signal.SIGKILL
        machines.append(Machine(box, tmp_path / "two", server.url, **settings))
        machines[1].assert_complete()
        at.assert_done()
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
        seen = arrivals(box)
    waited = seen[2] - seen[1]
    assert SECONDS + SETTINGS["request_timeout"] - 0.2 < waited < SECONDS + 3


def test_lost_store_is_waited_for_lock_seconds(
    server: RedisServer, tmp_path: Path, machines: list[Machine]
) -> None:
    at = At(request_5=server.kill)
    with account(machines, 700, dialect=DIALECT) as box:
        box.before_request = at
        machines.append(Machine(box, tmp_path / "one", server.url, lock_seconds=4))
        at.start()
        assert machines[0].wait() == 1
        at.assert_done()
        assert time.monotonic() - at.moments[5] > 4
        assert box.stats.requests == 5
    lines = [line for line in machines[0].log.splitlines() if "WARNING" in line or "ERROR" in line]
    lost = [line for line in lines if "The rate-limit store has been unreachable since " in line]
    assert len(lost) == 2, lines
    assert lost[0].endswith(" (Connection refused); sending no requests until it is back")
    assert lost[1].endswith("longer than lock_seconds (4 s); run again when it is back")
    assert lost[1] == lines[-1]
    assert PASSWORD not in machines[0].log


def test_missing_store_ends_the_run_without_request(
    server: RedisServer, tmp_path: Path, machines: list[Machine]
) -> None:
    server.kill()
    with account(machines, 50, dialect=DIALECT) as box:
        machines.append(Machine(box, tmp_path / "one", server.url))
        assert machines[0].wait() == 1
        assert (box.stats.requests, box.stats.token_requests) == (0, 0)
    (line,) = [line for line in machines[0].log.splitlines() if "ERROR" in line]
    expected = "Cannot reach the rate-limit store: Connection refused; check rate_limit_store"
    assert line.endswith(f"| {expected}")
    assert PASSWORD not in machines[0].log
