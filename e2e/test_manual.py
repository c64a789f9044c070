"""Commands of the page on Meltano, in projects without installed plugins."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from e2e.project import DATABASE, MELTANO, ROOT, TAP, environment

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_SECONDS = 300.0
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def block(kind: str, part: str) -> str:
    """Return the only block of the page that has a text."""
    page = (ROOT / "docs" / "meltano.md").read_text(encoding="utf-8")
    (found,) = [text for name, text in _BLOCK.findall(page) if name == kind and part in text]
    return str(found)


def run(folder: Path, script: str) -> str:
    """Run a script in a folder, and return what it wrote to standard output."""
    ran = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],  # noqa: S607 - the one of the path
        cwd=folder,
        env=environment() | {"PATH": os.pathsep.join([str(MELTANO.parent), os.environ["PATH"]])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("meltano.yml", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".meltano").mkdir()
    shutil.copy(DATABASE, tmp_path / ".meltano")
    (command,) = re.findall(
        r"^\$ (install -m 600 .*?) +#", block("console", "install"), re.MULTILINE
    )
    run(tmp_path, command)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    return tmp_path


def extractor(folder: Path) -> dict[str, object]:
    document = YAML(typ="safe").load((folder / "meltano.yml").read_text(encoding="utf-8"))
    (found,) = [part for part in document["plugins"]["extractors"] if part["name"] == TAP]
    return dict(found)


@pytest.mark.parametrize("part", ["meltano job list", "meltano schedule list"])
def test_lists_are_as_shown(project: Path, part: str) -> None:
    command, _, shown = block("console", part).partition("\n")
    assert run(project, command.removeprefix("$ ")) == shown


def test_configuration_has_values_with_their_sources(project: Path) -> None:
    found = run(project, block("sh", "config list"))
    assert "'30 days ago' (from the active environment in `meltano.yml`)" in found
    assert "'us' (from the TAP_ZOHOVOICE_DATA_CENTER variable in `.env`)" in found
    assert extractor(project)["config"] == {"lookback_days": 7}


def test_streams_and_fields_are_selected(project: Path) -> None:
    commands = block("sh", "select --exclude").splitlines()
    assert "--list" in commands[-1]  # which needs an installed tap
    run(project, "\n".join(commands[:-1]))
    selected = ["call_logs.*", "recordings.*", "!call_logs.contact_name"]
    assert extractor(project)["select"] == selected


def test_tap_is_added_to_another_project(tmp_path: Path) -> None:
    script = block("sh", "meltano add").replace("/path/to/tap-zohovoice", str(ROOT))
    *_, listing = block("sh", "select --exclude").splitlines()
    listed = run(tmp_path, f"{script}\n{listing}")
    assert re.search(r"\[selected +\] call_logs\.agent_number\b", listed)
    added = extractor(tmp_path / "calls")
    assert added["pip_url"] == str(ROOT)
    assert added["select"] == ["call_logs.*"]
    assert added["settings_group_validation"] == [["client_id", "client_secret", "refresh_token"]]
