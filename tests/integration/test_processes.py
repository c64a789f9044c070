"""Rules 9 and 10 with real processes: signals, kills, pipes, and runs side by side."""

import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.account import Account, Accounts
from tests.support.calls import server_ids
from tests.support.cli import RunTap
from zoho_voice_sandbox.clock import SystemClock

# Windows of a month, so that a run has many; no limit, so that no process waits in real time.
UNLIMITED = {"max_range_days": 31, "limit_calls": 10_000}
# Periods and locks of seconds, and answers that name no minutes: the processes wait in real time.
FAST = {"limit_calls": 10, "limit_seconds": 2, "lock_seconds": 2, "throttle": "429"}
LIMITS = {"rate_limit_calls": 10, "rate_limit_seconds": 2, "lock_seconds": 2}
Start = Callable[..., Any]
"""The fixture `start`."""


@pytest.fixture
def account(run_tap: RunTap) -> Accounts:
    """Make accounts in real time."""
    return partial(Account, run_tap, SystemClock())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the tap as processes, each in a folder of its own; kill those that are left."""
    started: list[subprocess.Popen[bytes]] = []

    def run(box: Account, **settings: Any) -> subprocess.Popen[bytes]:
        folder = tmp_path / str(len(started))
        started.append(box.start(folder, output=subprocess.PIPE, **settings))
        return started[-1]

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            process.communicate()


def whole(output: bytes) -> list[dict[str, Any]]:
    """Read the whole lines; a killed process may leave half of one."""
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


def keys(messages: list[dict[str, Any]], stream: str = "call_logs", key: str = "logid") -> set[str]:
    records = [message for message in messages if message["type"] == "RECORD"]
    return {message["record"][key] for message in records if message["stream"] == stream}


def states(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message["value"] for message in messages if message["type"] == "STATE"]


def ended(*processes: Any) -> list[tuple[list[dict[str, Any]], str]]:
    """Wait for processes to end well; return what they wrote and what they logged."""
    results = []
    for process in processes:
        output, log = process.communicate(timeout=60)
        assert process.returncode == 0, log
        results.append((whole(output), log.decode()))
    return results


@pytest.mark.parametrize("number", [2, 9])
def test_killed_run_is_resumed(account: Accounts, start: Start, number: int) -> None:
    process: Any = None
    is_started = threading.Event()

    def kill(request: int) -> None:
        is_started.wait()
        if request == number:
            process.kill()

    with account(before_request=kill, **UNLIMITED) as box:
        process = start(box)
        is_started.set()
        killed = whole(process.communicate()[0])
        assert process.returncode == -signal.SIGKILL
        box.before_request = None
        state = states(killed)[-1] if states(killed) else None
        ((resumed, _),) = ended(start(box, state=state))
        assert keys(killed) | keys(resumed) == server_ids(box)
        assert box.stats.violations == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_signal_while_nobody_reads_writes_its_state(
    account: Accounts, start: Start, unbuffered: str
) -> None:
    with account(**UNLIMITED) as box:
        process = start(box, environment={"PYTHONUNBUFFERED": unbuffered})
        first = os.read(process.stdout.fileno(), 1000)  # then nothing more: the pipe fills up
        asked = -1
        while box.stats.requests > asked or asked < 6:  # it stops asking once it cannot write
            asked = box.stats.requests
            time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate()
    assert process.returncode == 143, log
    messages = whole(first + output)
    bookmark = states(messages)[-1]["bookmarks"]["call_logs"].get("replication_key_value", "")
    newest = [message["record"] for message in messages if message["type"] == "RECORD"][-1]
    assert bookmark <= newest["start_time"]


def test_lock_of_one_run_stops_the_other(account: Accounts, start: Start) -> None:
    with account(700, faults={6: "lock"}, **FAST) as box:
        results = ended(*(start(box, page_size=80, **LIMITS) for _ in range(2)))
        assert all(keys(messages) == server_ids(box) for messages, _ in results)
        assert box.stats.violations == 0
        assert box.stats.requests >= 20
        # The other one may have had one request under way when the lock began, and no more.
        assert box.stats.locked_calls <= 1
        moments = [moment for moment, _, _ in box.stats.log]
    locked = moments[5]
    assert not [moment for moment in moments[7:] if locked < moment < locked + 2]
    assert any("waiting" in log and "lock" in log for _, log in results)


def test_lock_outlives_a_killed_run(account: Accounts, start: Start) -> None:
    # Long enough for a process to start, on a machine that has other things to do.
    settings = {"page_size": 80, **LIMITS, "lock_seconds": 8}
    with account(400, faults={3: "lock"}, **{**FAST, "lock_seconds": 8}) as box:
        first = start(box, **settings)
        while b"the API is locked; waiting" not in first.stderr.readline():
            assert first.poll() is None
        first.kill()
        first.communicate()
        ((messages, log),) = ended(start(box, **settings))
        assert keys(messages) == server_ids(box)
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
    assert "A lockout reported by another run is in effect" in log


def test_limit_is_kept_by_killed_runs_in_a_row(account: Accounts, start: Start) -> None:
    settings = {"page_size": 40, "request_timeout": 1, **LIMITS}
    with account(300, **FAST) as box:
        for number in range(3):
            process = start(box, **settings)
            process.stdout.readline()
            time.sleep(0.1 * number)
            process.kill()
            process.communicate()
        ((messages, _),) = ended(start(box, **settings))
        assert keys(messages) == server_ids(box)
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)


# Its clock stops in the middle of a transaction, when it is asked for the second time.
HOLDING = """
import sys, time
from tap_zohovoice._time import Clock
from tap_zohovoice.tap import TapZohoVoice

class HoldingClock(Clock):
    asked = 0

    def now(self):
        self.asked += 1
        if self.asked == 2:
            sys.stderr.write("holding\\n")
            sys.stderr.flush()
            time.sleep(60)
        return super().now()

TapZohoVoice.clock = HoldingClock()
"""


def test_process_killed_in_a_transaction_holds_up_nobody(
    account: Accounts, start: Start, state_home: Path
) -> None:
    with account(**UNLIMITED) as box:
        holder = start(box, prelude=HOLDING)
        while b"holding" not in (line := holder.stderr.readline()):
            assert line, "it has ended"
        (path,) = state_home.rglob("*.sqlite3")
        with (
            closing(sqlite3.connect(path, timeout=0)) as file,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            file.execute("BEGIN IMMEDIATE")
        other = start(box)
        asked = box.stats.token_requests
        while box.stats.token_requests == asked:  # it is about to take a slot
            assert other.poll() is None
            time.sleep(0.01)
        assert box.stats.requests == 0
        holder.kill()
        holder.communicate()
        ((messages, log),) = ended(other)
        assert keys(messages) == server_ids(box)
    assert "shared rate-limit file" not in log
