"""The script of the documentation with stubs: it keeps the state, and its exit code is right."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "snippets" / "pipe.sh"
STATE = '{"bookmarks": {}}'
GOOD_TAP = 'echo "$@" >args; echo line'
GOOD_TARGET = f"cat >/dev/null; echo old; echo '{STATE}'"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., int]:
    """Run the script with programs that stand for the tap and the target."""

    def run_script(tap: str, target: str, command: str = f"bash {SCRIPT}") -> int:
        programs = tmp_path / "bin"
        programs.mkdir(exist_ok=True)
        for name, body in {"tap-zohovoice": tap, "target-duckdb": target}.items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=tmp_path, env=environment, check=False
        )
        return done.returncode

    return run_script


def test_state_is_kept_from_run_to_run(run: Callable[..., int], tmp_path: Path) -> None:
    assert run(GOOD_TAP, GOOD_TARGET) == 0
    assert (tmp_path / "states.jsonl").read_text().splitlines()[-1] == STATE
    assert "--state" not in (tmp_path / "args").read_text()
    assert run(GOOD_TAP, GOOD_TARGET) == 0
    assert (tmp_path / "state.json").read_text().strip() == STATE
    assert "--state state.json" in (tmp_path / "args").read_text()


@pytest.mark.parametrize(
    ("tap", "target", "code"),
    [
        (f"{GOOD_TAP}; exit 1", GOOD_TARGET, 1),
        (f"{GOOD_TAP}; exit 143", GOOD_TARGET, 143),
        (GOOD_TAP, f"{GOOD_TARGET}; exit 3", 3),
        ("exit 2", "exit 0", 2),
    ],
)
def test_failure_is_the_exit_code(
    run: Callable[..., int], tap: str, target: str, code: int
) -> None:
    assert run(tap, target) == code


def test_old_state_stays_where_nothing_was_stored(run: Callable[..., int], tmp_path: Path) -> None:
    run(GOOD_TAP, GOOD_TARGET)
    for _ in range(2):
        assert run("exit 1", "cat >/dev/null") == 1
        assert (tmp_path / "state.json").read_text().strip() == STATE


@pytest.mark.parametrize("before", ["", f"{STATE}\n", f"old\n{STATE}\n"])
def test_state_that_was_cut_off_is_not_used(
    run: Callable[..., int], tmp_path: Path, before: str
) -> None:
    (tmp_path / "state.json").write_text(f"{STATE}\n" if before == "" else "older\n")
    (tmp_path / "states.jsonl").write_text(f'{before}{{"bookmarks": {{}}')
    assert run(GOOD_TAP, GOOD_TARGET) == 0
    assert (tmp_path / "state.json").read_text() == f"{STATE}\n"


def test_missing_target_fails_the_script(
    run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "renamed.sh"
    script.write_text(SCRIPT.read_text(encoding="utf-8").replace("target-duckdb", "no-such-target"))
    assert run("cat /dev/null", GOOD_TARGET, f"bash {script}") == 127
    assert "no-such-target" in capfd.readouterr().err


def cron_command(folder: Path) -> str:
    """Return the command of the crontab of the documentation, in a folder."""
    page = (ROOT / "docs" / "orchestrators.md").read_text(encoding="utf-8")
    commands = re.findall(r"^7 \* \* \* \* (.*pipe\.sh.*)$", page, re.MULTILINE)
    assert len(commands) == 1
    (folder / "pipe.sh").write_bytes(SCRIPT.read_bytes())
    return str(commands[0]).replace("/opt/zoho", str(folder))


def test_cron_gets_the_exit_code_of_script(run: Callable[..., int], tmp_path: Path) -> None:
    command = cron_command(tmp_path)
    assert run(f"{GOOD_TAP}; echo problem >&2", GOOD_TARGET, command) == 0
    assert (tmp_path / "states.jsonl").read_text().splitlines()[-1] == STATE
    assert (tmp_path / "sync.log").read_text() == "problem\n"
    assert run(f"{GOOD_TAP}; exit 1", GOOD_TARGET, command) == 1


def test_cron_starts_no_run_while_one_is_going(run: Callable[..., int], tmp_path: Path) -> None:
    command = cron_command(tmp_path)
    again = tmp_path / "again.sh"
    again.write_text(command)
    # The tap starts what cron would start; that must not get as far as a tap.
    tap = f"echo started >>runs; sh {again}; echo $? >code; echo line"
    assert run(tap, GOOD_TARGET, command) == 0
    assert (tmp_path / "runs").read_text() == "started\n"
    assert (tmp_path / "code").read_text() == "0\n"
