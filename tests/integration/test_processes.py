"""Rules 9 and 10 with real processes: signals, kills, pipes, and runs side by side."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import history, server_ids
from tests.support.catalog import selecting
from zoho_voice_sandbox import Dialect, Sandbox

# Windows of a month, so that a run has many; no limit, so that no process waits in real time.
DIALECT = Dialect(max_range_days=31, limit_calls=10_000)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(history=history(), dialect=DIALECT) as running:
        yield running


_STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    while _STARTED:
        process = _STARTED.pop()
        if process.returncode is None:
            process.kill()
            process.communicate()


PROGRAM = "from tap_zohovoice.tap import TapZohoVoice; TapZohoVoice.cli()"


def start(
    box: Sandbox,
    folder: Path,
    *,
    state: object = None,
    streams: tuple[str, ...] = (),
    program: str = PROGRAM,
    **settings: Any,
) -> Any:
    folder.mkdir(exist_ok=True)
    config = {**box.config, "rate_limit_calls": 10_000, **settings}
    (folder / "config.json").write_text(json.dumps(config))
    options = ["--config", str(folder / "config.json")]
    if state:
        (folder / "state.json").write_text(json.dumps(state))
        options += ["--state", str(folder / "state.json")]
    if streams:
        (folder / "catalog.json").write_text(json.dumps(selecting(*streams)))
        options += ["--catalog", str(folder / "catalog.json")]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _STARTED.append(process)
    return process


def whole(output: bytes) -> list[dict[str, Any]]:
    """Read the whole lines; a killed process may leave half of one."""
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


def ids(messages: list[dict[str, Any]]) -> set[str]:
    return {message["record"]["logid"] for message in messages if message["type"] == "RECORD"}


def states(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message["value"] for message in messages if message["type"] == "STATE"]


@pytest.mark.parametrize("number", [2, 5, 9])
def test_a_killed_run_is_resumed_from_its_last_state(
    box: Sandbox, tmp_path: Path, number: int
) -> None:
    process: Any = None
    started = threading.Event()

    def kill(request: int) -> None:
        started.wait()
        if request == number:
            process.kill()

    box.before_request = kill
    process = start(box, tmp_path)
    started.set()
    killed = whole(process.communicate()[0])
    assert process.returncode == -signal.SIGKILL
    box.before_request = None
    state = states(killed)[-1] if states(killed) else None
    resumed = start(box, tmp_path, state=state)
    output, log = resumed.communicate()
    assert resumed.returncode == 0, log
    assert ids(killed) | ids(whole(output)) == server_ids(box)
    assert box.stats.violations == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_while_nobody_reads_waits_for_the_message_and_writes_its_state(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    process = start(box, tmp_path)
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


def test_two_at_once_and_one_after_them_stay_under_the_limit(tmp_path: Path) -> None:
    dialect = Dialect(limit_calls=10, limit_seconds=2, lock_seconds=2)
    limits: dict[str, Any] = {"rate_limit_calls": 10, "rate_limit_seconds": 2, "lock_seconds": 2}
    with Sandbox(history=history(700), dialect=dialect) as box:
        processes = [start(box, tmp_path / name, page_size=80, **limits) for name in ("one", "two")]
        outputs = [process.communicate()[0] for process in processes]
        third = start(box, tmp_path, page_size=200, **limits)
        outputs.append(third.communicate()[0])
        assert [process.returncode for process in [*processes, third]] == [0, 0, 0]
        assert all(ids(whole(output)) == server_ids(box) for output in outputs)
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
        assert box.stats.requests >= 20


# Periods and locks of seconds, and answers that name no minutes: the processes wait in real time.
FAST = Dialect(limit_calls=10, limit_seconds=2, lock_seconds=2, throttle="429")
LIMITS: dict[str, Any] = {"rate_limit_calls": 10, "rate_limit_seconds": 2, "lock_seconds": 2}


def ended(processes: list[Any]) -> list[tuple[list[dict[str, Any]], str]]:
    """Wait for processes to end well; return what they wrote and what they logged."""
    results = []
    for process in processes:
        output, log = process.communicate(timeout=60)
        assert process.returncode == 0, log
        results.append((whole(output), log.decode()))
    return results


def test_a_lock_that_one_of_two_meets_stops_the_other(tmp_path: Path) -> None:
    with Sandbox(history=history(700), dialect=FAST, faults={6: "lock"}) as box:
        pair = [start(box, tmp_path / name, page_size=80, **LIMITS) for name in ("one", "two")]
        results = ended(pair)
        assert all(ids(messages) == server_ids(box) for messages, _ in results)
        assert box.stats.violations == 0
        # The other one may have had one request under way when the lock began, and no more.
        assert box.stats.locked_calls <= 1
        moments = [moment for moment, _, _ in box.stats.log]
        locked = moments[5]
    assert not [moment for moment in moments[7:] if locked < moment < locked + 2]
    assert any("waiting" in log and "lock" in log for _, log in results)


def test_a_lock_is_kept_by_the_next_process_after_a_kill(tmp_path: Path) -> None:
    # Long enough for a process to start, on a machine that has other things to do.
    settings: dict[str, Any] = {"page_size": 80, **LIMITS, "lock_seconds": 8}
    dialect = replace(FAST, lock_seconds=8)
    with Sandbox(history=history(400), dialect=dialect, faults={3: "lock"}) as box:
        first = start(box, tmp_path / "one", **settings)
        while b"the API is locked; waiting" not in first.stderr.readline():
            assert first.poll() is None
        first.kill()
        first.communicate()
        ((messages, log),) = ended([start(box, tmp_path / "two", **settings)])
        assert ids(messages) == server_ids(box)
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
    assert "A lockout reported by another run is in effect" in log


def test_processes_of_different_streams_share_the_limits_of_each_address(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "page_size": 80,
        "recordings_path": str(tmp_path / "files"),
        "recordings_per_request": 1,
        **LIMITS,
    }
    chosen = [("call_logs",), ("recordings",), ("call_logs", "recordings", "transcripts")]
    with Sandbox(history=history(40), dialect=FAST) as box:
        processes = [
            start(box, tmp_path / str(number), streams=streams, **settings)
            for number, streams in enumerate(chosen)
        ]
        outputs = [messages for messages, _ in ended(processes)]
        for counts in (box.stats, box.stats.files, box.stats.transcripts):
            assert (counts.violations, counts.locked_calls) == (0, 0)
        assert box.stats.files.requests > 10
        expected = server_ids(box)
    found = [names_of(messages, "recordings", "recording_filename") for messages in outputs]
    assert found[1] == found[2] != set()
    calls = [names_of(messages, "call_logs", "logid") for messages in outputs]
    assert calls == [expected, set(), expected]


def names_of(messages: list[dict[str, Any]], stream: str, key: str) -> set[str]:
    records = [message for message in messages if message["type"] == "RECORD"]
    return {message["record"][key] for message in records if message["stream"] == stream}


def test_back_to_back_and_killed_in_between_the_limit_is_kept(tmp_path: Path) -> None:
    with Sandbox(history=history(300), dialect=FAST) as box:
        for number in range(3):
            process = start(box, tmp_path / str(number), page_size=40, request_timeout=1, **LIMITS)
            process.stdout.readline()
            time.sleep(0.1 * number)
            process.kill()
            process.communicate()
        last = start(box, tmp_path / "last", page_size=40, request_timeout=1, **LIMITS)
        ((messages, _),) = ended([last])
        assert ids(messages) == server_ids(box)
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)


# Its clock stops in the middle of a transaction, when it is asked for the third time.
HOLDING = """
import sys, time
from tap_zohovoice._time import Clock
from tap_zohovoice.tap import TapZohoVoice

class HoldingClock(Clock):
    asked = 0

    def now(self):
        self.asked += 1
        if self.asked == 3:
            sys.stderr.write("holding\\n")
            sys.stderr.flush()
            time.sleep(60)
        return super().now()

class HoldingTap(TapZohoVoice):
    clock = HoldingClock()

HoldingTap.cli()
"""


def test_a_process_killed_while_it_holds_the_file_holds_up_nobody(
    box: Sandbox, tmp_path: Path, state_home: Path
) -> None:
    holder = start(box, tmp_path / "one", program=HOLDING)
    while b"holding" not in (line := holder.stderr.readline()):
        assert line, "it has ended"
    (path,) = state_home.rglob("*.sqlite3")
    with (
        closing(sqlite3.connect(path, timeout=0)) as file,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        file.execute("BEGIN IMMEDIATE")
    other = start(box, tmp_path / "two")
    asked = box.stats.token_requests
    while box.stats.token_requests == asked:  # it is about to take a slot
        assert other.poll() is None
        time.sleep(0.01)
    assert box.stats.requests == 0
    holder.kill()
    holder.communicate()
    ((messages, log),) = ended([other])
    assert ids(messages) == server_ids(box)
    assert "shared rate-limit file" not in log
