"""Pins that agree and name no host, what make installs, and variables of the example."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Read the versions and the hashes of a file of requirements/."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found = {}
    for block in re.split(r"\n(?=[A-Za-z])", text):
        name_and_version = re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", block)
        assert name_and_version, block[:80]
        hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block))
        assert hashes, block[:80]
        found[name_and_version[1]] = (name_and_version[2], hashes)
    return found


@pytest.mark.parametrize(
    ("part", "needs"),
    [
        ("runtime", [*PROJECT["project"]["dependencies"], "redis"]),
        ("build", PROJECT["build-system"]["requires"]),
    ],
)
def test_container_has_pinned_versions_and_no_host(part: str, needs: list[str]) -> None:
    all_pins = pins("constraints")
    assert {name: all_pins.get(name) for name in pins(part)} == pins(part)
    assert {re.split(r"[^\w.-]", need)[0] for need in needs} <= set(pins(part))
    text = (ROOT / "requirements" / f"{part}.txt").read_text(encoding="utf-8")
    text = re.sub(r"--hash=sha256:[0-9a-f]{64}", "", text)
    assert not re.search(r"://|@|^ *--|\.(com|org|net|io|dev)\b", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("target", "groups"),
    [
        ("demo", {"build", "sandbox", "demo"}),
        ("test", {"build", "sandbox", "demo", "definitions", "test"}),
        ("lint", {"build", "sandbox", "dev"}),
        ("budget", {"build", "sandbox"}),
    ],
)
def test_make_installs_and_announces_what_targets_need(target: str, groups: set[str]) -> None:
    command = ["make", "--no-print-directory", "--dry-run", "--always-make", target]
    output = subprocess.check_output(command, cwd=ROOT, text=True)
    assert set(re.findall(r"--group (\S+)", output)) == groups
    assert groups <= PROJECT["dependency-groups"].keys()
    installs = re.findall(r"^\S+/uv pip install .*--constraint", output, re.MULTILINE)
    announced = re.findall(r"Setting up \S+ for .*: about \d+ MB, \d+ s \.\.\.", output)
    assert len(announced) == len(installs) > 0


def test_example_of_environment_has_connections_of_models() -> None:
    profiles = (ROOT / "dbt" / "profiles.yml").read_text(encoding="utf-8")
    names = set(re.findall(r"env_var\('(TARGET_\w+)'", profiles))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert {"TARGET_POSTGRES_PORT", "TARGET_DUCKDB_PATH"} <= names
    assert names <= set(re.findall(r"^#(TARGET_\w+)='", example, re.MULTILINE))
