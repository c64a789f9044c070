"""The shell example of the README: it keeps the state, and its exit code is right as a script."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
STATE = '{"bookmarks": {}}'
GOOD_TAP = 'echo "$@" >args; echo line'
GOOD_TARGET = f"cat >/dev/null; echo old; echo '{STATE}'"


def example() -> str:
    """Return the block of the README that pipes the tap into DuckDB."""
    blocks = (ROOT / "README.md").read_text(encoding="utf-8").split("```")
    return next(block for block in blocks if "target-duckdb --config" in block).removeprefix("sh")


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, str], int]:
    """Run the example with programs that stand for the tap and the target."""

    def run_example(tap: str, target: str) -> int:
        programs = tmp_path / "bin"
        programs.mkdir(exist_ok=True)
        for name, body in {"pip": "", "tap-zohovoice": tap, "target-duckdb": target}.items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        script = tmp_path / "example.sh"
        script.write_text(example())
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        command = ["bash", str(script)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
        return done.returncode

    return run_example


def test_state_is_kept_from_run_to_run(run: Callable[[str, str], int], tmp_path: Path) -> None:
    assert run(GOOD_TAP, GOOD_TARGET) == 0
    assert (tmp_path / "state.json").read_text().strip() == STATE
    assert "--state" not in (tmp_path / "args").read_text()
    assert run(GOOD_TAP, GOOD_TARGET) == 0
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
    run: Callable[[str, str], int], tap: str, target: str, code: int
) -> None:
    assert run(tap, target) == code


def test_old_state_stays_where_nothing_was_stored(
    run: Callable[[str, str], int], tmp_path: Path
) -> None:
    run(GOOD_TAP, GOOD_TARGET)
    assert run("exit 1", "cat >/dev/null") == 1
    assert (tmp_path / "state.json").read_text().strip() == STATE
