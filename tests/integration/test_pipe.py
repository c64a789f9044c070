"""The shell script of the documentation: tap and target in a pipe, real or as stubs."""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import history, server_ids
from zoho_voice_sandbox import Dialect, Sandbox

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPT = DOCS / "snippets" / "pipe.sh"
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
    install(tmp_path, "target-duckdb", TARGET)
    return tmp_path


def install(folder: Path, name: str, text: str) -> None:
    program = folder / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(text)
    program.chmod(0o700)


def start(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start the script in a process group of its own, as a shell does at a terminal."""
    path = os.pathsep.join([str(folder / "bin"), SCRIPTS, os.environ["PATH"]])
    command, env = command or ("bash", str(SCRIPT)), {**os.environ, "PATH": path}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=env, stderr=pipe, start_new_session=True)


def finish(process: subprocess.Popen[bytes]) -> int:
    """Wait until the script, the tap and the target have ended; return the exit code."""
    _, log = process.communicate(timeout=60)
    sys.stderr.write(log.decode())
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
    code = finish(process)
    box.before_request = None
    return code


def stored(folder: Path) -> list[str]:
    lines = (folder / "calls.jsonl").read_text().splitlines()
    return [json.loads(line)["record"]["logid"] for line in lines]


@pytest.mark.parametrize("target", [TARGET, SDK_TARGET], ids=["plain", "sdk"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_next_run_goes_on_after_ctrl_c(
    box: Sandbox, folder: Path, signum: Any, target: str
) -> None:
    install(folder, "target-duckdb", target)
    code = interrupt(box, folder, signum)
    assert code == (130 if signum == signal.SIGINT else -signal.SIGTERM)
    first = stored(folder)
    assert 0 < len(first) < len(server_ids(box))
    bookmark = json.loads((folder / "states.jsonl").read_text())["bookmarks"]["call_logs"]
    assert finish(start(folder)) == 0
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
    assert finish(start(folder)) == 0
    assert loaded() == sorted(server_ids(box))


STATE = '{"bookmarks": {}}'
GOOD_TAP = 'echo "$@" >args; echo line'
GOOD_TARGET = f"cat >/dev/null; echo old; echo '{STATE}'"


Stubs = Callable[..., int]


@pytest.fixture
def run_stubs(tmp_path: Path) -> Stubs:
    """Run the script with programs that stand for the tap and the target."""

    def run_script(tap: str, target: str, *command: str) -> int:
        for name, body in {"tap-zohovoice": tap, "target-duckdb": target}.items():
            install(tmp_path, name, f"#!/bin/sh\n{body}\n")
        return finish(start(tmp_path, *command))

    return run_script


@pytest.mark.parametrize(
    ("tap", "target", "code"),
    [
        (f"{GOOD_TAP}; exit 1", GOOD_TARGET, 1),
        (f"{GOOD_TAP}; exit 143", GOOD_TARGET, 143),
        (GOOD_TAP, f"{GOOD_TARGET}; exit 3", 3),
        ("exit 2", "exit 0", 2),
    ],
)
def test_failure_is_the_exit_code(run_stubs: Stubs, tap: str, target: str, code: int) -> None:
    assert run_stubs(tap, target) == code


def test_old_state_stays_where_nothing_was_stored(run_stubs: Stubs, tmp_path: Path) -> None:
    run_stubs(GOOD_TAP, GOOD_TARGET)
    for _ in range(2):
        assert run_stubs("exit 1", "cat >/dev/null") == 1
        assert (tmp_path / "state.json").read_text().strip() == STATE


@pytest.mark.parametrize("before", ["", f"{STATE}\n", f"old\n{STATE}\n"])
def test_state_that_was_cut_off_is_not_used(run_stubs: Stubs, tmp_path: Path, before: str) -> None:
    (tmp_path / "state.json").write_text(f"{STATE}\n" if before == "" else "older\n")
    (tmp_path / "states.jsonl").write_text(f'{before}{{"bookmarks": {{}}')
    assert run_stubs(GOOD_TAP, GOOD_TARGET) == 0
    assert (tmp_path / "state.json").read_text() == f"{STATE}\n"


def test_missing_target_fails_the_script(
    run_stubs: Stubs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "renamed.sh"
    script.write_text(SCRIPT.read_text(encoding="utf-8").replace("target-duckdb", "no-such-target"))
    assert run_stubs("cat /dev/null", GOOD_TARGET, "bash", str(script)) == 127
    assert "no-such-target" in capsys.readouterr().err


def test_cron_runs_one_script_and_gets_exit_code(run_stubs: Stubs, tmp_path: Path) -> None:
    page = (DOCS / "orchestrators.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^7 \* \* \* \* (.*pipe\.sh.*)$", page, re.MULTILINE)
    command = ("/bin/sh", "-c", line.replace("/opt/zoho", str(tmp_path)))
    (tmp_path / "pipe.sh").write_bytes(SCRIPT.read_bytes())
    (tmp_path / "again.sh").write_text(command[-1])
    # The tap starts what cron would start; that must not get as far as a tap.
    tap = "echo started >>runs; sh again.sh; echo $? >code; echo problem >&2; echo line"
    assert run_stubs(tap, GOOD_TARGET, *command) == 0
    written = {name: (tmp_path / name).read_text() for name in ("runs", "code", "sync.log")}
    assert written == {"runs": "started\n", "code": "0\n", "sync.log": "problem\n"}
    assert (tmp_path / "states.jsonl").read_text().splitlines()[-1] == STATE
    assert run_stubs(f"{GOOD_TAP}; exit 1", GOOD_TARGET, *command) == 1
