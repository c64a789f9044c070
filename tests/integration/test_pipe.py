"""The shell script of the documentation: tap and target in a pipe, stopped and resumed."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import history, server_ids
from zoho_voice_sandbox import Dialect, Sandbox

SCRIPT = Path(__file__).parents[2] / "docs" / "snippets" / "pipe.sh"
SCRIPTS = sysconfig.get_path("scripts")
# Stores when its input ends, and tells the state then: as target-duckdb does up to 20,000 rows.
TARGET = f"""#!{sys.executable}
import sys
lines = sys.stdin.readlines()
open("calls.jsonl", "a").writelines(line for line in lines if '"RECORD"' in line)
print([line for line in lines if '"STATE"' in line][-1].partition('"value":')[2].strip()[:-1])
"""
# Ends at a signal, even if that was ignored when it started: as targets of the Singer SDK do.
SDK_TARGET = TARGET.replace(
    "import sys",
    "import signal, sys\n"
    "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
    "    signal.signal(number, lambda *_: sys.exit(0))",
    1,
)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    # Windows of a month, so that a run has many; no limit, so that no process waits in real time.
    dialect = Dialect(max_range_days=31, limit_calls=10_000)
    with Sandbox(history=history(), dialect=dialect) as running:
        yield running


@pytest.fixture
def folder(box: Sandbox, tmp_path: Path) -> Path:
    """Return a folder with settings, and a target that is there for all versions of Python."""
    (tmp_path / "config.json").write_text(json.dumps({**box.config, "rate_limit_calls": 10_000}))
    (tmp_path / "target.json").write_text('{"path": "calls.duckdb"}')
    target = tmp_path / "bin" / "target-duckdb"
    target.parent.mkdir()
    target.write_text(TARGET)
    target.chmod(0o700)
    return tmp_path


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the script in a process group of its own, as a shell does at a terminal."""
    path = os.pathsep.join([str(folder / "bin"), SCRIPTS, os.environ["PATH"]])
    return subprocess.Popen(
        ["bash", str(SCRIPT)],  # noqa: S607 - the one of the path
        cwd=folder,
        env={**os.environ, "PATH": path},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def run(folder: Path) -> int:
    process = start(folder)
    process.communicate(timeout=60)
    return process.returncode


def interrupt(box: Sandbox, folder: Path, signum: signal.Signals) -> int:
    """Run the script, and press Ctrl-C at the 13th request; return the exit code."""
    process: Any = None
    started = threading.Event()

    def press(request: int) -> None:
        started.wait()
        if request == 13:
            os.killpg(process.pid, signum)

    box.before_request = press
    process = start(folder)
    started.set()
    process.communicate(timeout=60)
    box.before_request = None
    return int(process.returncode)


def stored(folder: Path) -> list[str]:
    lines = (folder / "calls.jsonl").read_text().splitlines()
    return [json.loads(line)["record"]["logid"] for line in lines]


@pytest.mark.parametrize("target", [TARGET, SDK_TARGET], ids=["plain", "sdk"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_next_run_goes_on_after_ctrl_c(
    box: Sandbox, folder: Path, signum: Any, target: str
) -> None:
    (folder / "bin" / "target-duckdb").write_text(target)
    code = interrupt(box, folder, signum)
    assert code == (130 if signum == signal.SIGINT else -signal.SIGTERM)
    first = stored(folder)
    assert 0 < len(first) < len(server_ids(box))
    bookmark = json.loads((folder / "states.jsonl").read_text())["bookmarks"]["call_logs"]
    assert run(folder) == 0
    assert json.loads((folder / "state.json").read_text())["bookmarks"]["call_logs"] == bookmark
    assert set(stored(folder)) == server_ids(box)
    assert len(stored(folder)) < len(server_ids(box)) + len(first)  # it did not start over


def test_it_loads_into_duckdb(box: Sandbox, folder: Path) -> None:
    duckdb = pytest.importorskip("duckdb")  # the group demo: not for Python 3.14
    (folder / "bin" / "target-duckdb").unlink()
    settings = {"path": "calls.duckdb", "default_target_schema": "zoho"}
    (folder / "target.json").write_text(json.dumps(settings))
    assert interrupt(box, folder, signal.SIGINT) == 130

    def loaded() -> list[str]:
        with duckdb.connect(str(folder / "calls.duckdb")) as database:
            rows = database.execute("SELECT logid FROM zoho.call_logs ORDER BY 1").fetchall()
        return [logid for (logid,) in rows]

    assert 0 < len(loaded()) < len(server_ids(box))
    assert run(folder) == 0
    assert loaded() == sorted(server_ids(box))
