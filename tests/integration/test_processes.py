"""Rules 9 and 10 with real processes: signals, kills and pipes."""

import json
import os
import re
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
from tests.support.cli import Run, RunTap
from zoho_voice_sandbox.clock import SystemClock

# Windows of a month, so that a run has many; no limit, so that no process waits in real time.
UNLIMITED = {"max_range_days": 31, "limit_calls": 10_000}
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


def wait(process: Any, before: bytes = b"") -> Run:
    """Wait for a process; a killed one may leave half of a line."""
    output, log = process.communicate(timeout=60)
    lines = (before + output).split(b"\n")[:-1]
    return Run(process.returncode, [json.loads(line) for line in lines], log.decode())


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
        killed = wait(process)
        assert killed.exit_code == -signal.SIGKILL
        box.before_request = None
        resumed = wait(start(box, state=killed.state if killed.states else None))
        assert resumed.exit_code == 0, resumed.log
        assert {*killed.ids, *resumed.ids} == server_ids(box)
        assert box.stats.violations == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_signal_while_nobody_reads_is_obeyed(
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
        run = wait(process, first)
    assert run.exit_code == 143, run.log
    assert run.bookmark <= run.records[-1]["start_time"]


AT_EXIT = "import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.{})\n"


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
@pytest.mark.parametrize("page_size", [200, 0])
def test_signal_after_the_run_has_no_traceback(
    account: Accounts, start: Start, name: str, code: int, page_size: int
) -> None:
    with account(**UNLIMITED) as box:
        run = wait(start(box, prelude=AT_EXIT.format(name), page_size=page_size))
        assert len(run.ids) == (900 if page_size else 0)
    assert run.exit_code == code
    assert not re.search("Traceback|Exception", run.log)


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
        run = wait(other)
        assert run.exit_code == 0, run.log
        assert set(run.ids) == server_ids(box)
    assert "shared rate-limit file" not in run.log
