"""Updates of `.env` files, as python-dotenv and sh read them."""

import json
import os
import stat
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest
from dotenv import dotenv_values

from tap_zohovoice.cli.dotenv import update_dotenv
from tap_zohovoice.exceptions import StorageError

CASES = json.loads((Path(__file__).parent / "dotenv.json").read_text(encoding="utf-8"))
"""Values that each reader reads alike, values that are refused, and lines before and after."""


@pytest.mark.parametrize("value", CASES["values"])
@pytest.mark.parametrize("before", ["", "X='old' # why\n", 'export X="a\\"b"\nC="many\nX=no\n"\n'])
def test_value_is_read_alike(tmp_path: Path, before: str, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text(before)
    others = {**dotenv_values(path), "Y": value}
    update_dotenv(path, {"X": value, "Y": value})
    assert dotenv_values(path) == {**others, "X": value}
    script = f"set -a; . {path}; printenv X; printenv Y"
    out = subprocess.check_output(["/bin/sh", "-c", script], env={"HOME": "/home"}, text=True)
    assert out == f"{value}\n{value}\n"
    written = path.read_bytes()
    update_dotenv(path, {"X": value, "Y": value})
    assert path.read_bytes() == written


@pytest.mark.parametrize("value", CASES["refused values"])
def test_value_that_is_read_differently_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    with pytest.raises(StorageError, match=r"characters that are not supported in a \.env file"):
        update_dotenv(path, {"X": "new", "A": value})
    assert path.read_text() == "A=1\n"


@pytest.mark.parametrize(("before", "after"), CASES["lines"])
def test_other_lines_are_unchanged(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(before.encode())
    update_dotenv(path, {})
    assert path.read_bytes() == before.encode()
    update_dotenv(path, {"X": "new"})
    assert path.read_bytes() == after.encode()


@pytest.mark.parametrize("before", ["", "X='old'\n"])
def test_target_of_a_symbolic_link_is_written(tmp_path: Path, before: str) -> None:
    link, real = tmp_path / "link", tmp_path / "real"
    if before:
        real.write_text(before)
    link.symlink_to(real)
    update_dotenv(link, {})
    assert real.exists() == bool(before)
    update_dotenv(link, {"X": "new"})
    assert link.is_symlink()
    assert real.read_text() == "X='new'\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o660])
def test_file_becomes_private_and_keeps_its_owner(tmp_path: Path, mode: int) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    if os.getuid() == 0:  # only root can give a file away
        os.chown(path, 1234, 1235)
    path.chmod(mode)
    before = path.stat()
    umask = os.umask(0)
    try:
        update_dotenv(path, {"X": "new"})
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_failure_of_last_steps_leaves_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / ".env"
    path.write_text("X=old\n")
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(step, Mock(side_effect=full))
    with pytest.raises(StorageError, match="No space"):
        update_dotenv(path, {"X": "new"})
    assert path.read_text() == "X=old\n"
    assert [file.name for file in tmp_path.iterdir()] == [".env"]
