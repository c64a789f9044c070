"""Rules 9 and 10 with real processes: signals, kills, pipes, and runs side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support import held, history

from tap_zohovoice.sandbox import Dialect, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Windows of a month, so that a run has many; no limit, so that no process waits in real time.
DIALECT = Dialect(max_range_days=31, limit_calls=10_000)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(history=history(), dialect=DIALECT) as running:
        yield running


def start(box: Sandbox, folder: Path, *, state: object = None, **settings: Any) -> Any:
    config = {**box.config, "rate_limit_calls": 10_000, **settings}
    (folder / "config.json").write_text(json.dumps(config))
    options = ["--config", str(folder / "config.json")]
    if state:
        (folder / "state.json").write_text(json.dumps(state))
        options += ["--state", str(folder / "state.json")]
    program = "from tap_zohovoice.tap import TapZohoVoice; TapZohoVoice.cli()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


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
    assert ids(killed) | ids(whole(output)) == held(box)
    assert box.stats.violations == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_a_state_and_no_success(
    box: Sandbox, tmp_path: Path, signum: signal.Signals
) -> None:
    process: Any = None
    started = threading.Event()

    def stop(request: int) -> None:
        started.wait()
        if request == 9:
            process.send_signal(signum)

    box.before_request = stop
    process = start(box, tmp_path)
    started.set()
    output, log = process.communicate()
    messages = whole(output)
    assert process.returncode == 128 + signum
    assert output.endswith(b"\n")
    assert messages[-1]["type"] == "STATE"
    newest = [message["record"] for message in messages if message["type"] == "RECORD"][-1]
    bookmark = states(messages)[-1]["bookmarks"]["call_logs"]["replication_key_value"]
    assert bookmark == newest["start_time"]
    assert b"Traceback" not in log


def test_a_signal_while_nobody_reads_waits_for_the_message_and_writes_its_state(
    box: Sandbox, tmp_path: Path
) -> None:
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


def test_a_closed_pipe_ends_quietly_and_not_with_success(box: Sandbox, tmp_path: Path) -> None:
    process = start(box, tmp_path)
    process.stdout.readline()
    process.stdout.close()
    log = process.stderr.read().decode()
    assert process.wait() == 1
    assert "Traceback" not in log
    assert "Exception ignored" not in log
    process.stderr.close()


def test_two_at_once_and_one_after_them_stay_under_the_limit(tmp_path: Path) -> None:
    dialect = Dialect(limit_calls=10, limit_seconds=2, lock_seconds=2)
    limits = {"rate_limit_calls": 10, "rate_limit_seconds": 2, "lock_seconds": 2}
    with Sandbox(history=history(700), dialect=dialect) as box:
        processes = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            processes.append(start(box, tmp_path / name, page_size=80, **limits))
        outputs = [process.communicate()[0] for process in processes]
        third = start(box, tmp_path, page_size=200, **limits)
        outputs.append(third.communicate()[0])
        assert [process.returncode for process in [*processes, third]] == [0, 0, 0]
        assert all(ids(whole(output)) == held(box) for output in outputs)
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
        assert box.stats.requests >= 20
