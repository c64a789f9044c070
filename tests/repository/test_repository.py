"""What holds the repository together: pins that agree, actions that cannot change under us."""

import json
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from definitions import sizes

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PARTS = ["runtime", "build"]


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


def output_of(*command: str) -> str:
    return subprocess.check_output(command, cwd=ROOT, text=True)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", PARTS)
def test_container_takes_versions_of_the_tests(part: str) -> None:
    all_pins = pins("constraints")
    assert {name: all_pins.get(name) for name in pins(part)} == pins(part)


def test_container_has_what_tap_and_build_need() -> None:
    table = project()
    names = {re.split(r"[^\w.-]", need)[0] for need in table["project"]["dependencies"]}
    assert {*names, *project()["project"]["optional-dependencies"]} <= set(pins("runtime"))
    builders = {re.split(r"[^\w.-]", need)[0] for need in table["build-system"]["requires"]}
    assert builders <= set(pins("build"))


def test_make_help_lists_each_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = re.findall(r"^([a-z0-9]+):.*?## (.*)$", makefile, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert [name for name, _ in lines] == phony[1].split()
    help_lines = output_of("make", "--no-print-directory", "help").splitlines()
    listed = [line.split(maxsplit=2)[1:] for line in help_lines]
    assert listed == [[name, text] for name, text in lines]


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
    output = output_of("make", "--no-print-directory", "--dry-run", "--always-make", target)
    assert set(re.findall(r"--group (\S+)", output)) == groups
    assert groups <= project()["dependency-groups"].keys()
    installs = re.findall(r"^\S+/uv pip install .*--constraint", output, re.MULTILINE)
    announced = re.findall(r"Setting up \S+ for .*: about \d+ MB, \d+ s \.\.\.", output)
    assert len(announced) == len(installs) > 0


def test_example_of_environment_has_connections_of_models() -> None:
    profiles = (ROOT / "dbt" / "profiles.yml").read_text(encoding="utf-8")
    names = set(re.findall(r"env_var\('(TARGET_\w+)'", profiles))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert {"TARGET_POSTGRES_PORT", "TARGET_DUCKDB_PATH"} <= names
    assert names <= set(re.findall(r"^#(TARGET_\w+)='", example, re.MULTILINE))


@pytest.mark.parametrize("part", PARTS)
def test_pins_name_no_host(part: str) -> None:
    text = (ROOT / "requirements" / f"{part}.txt").read_text(encoding="utf-8")
    text = re.sub(r"--hash=sha256:[0-9a-f]{64}", "", text)
    assert not re.search(r"://|@|^ *--|\.(com|org|net|io|dev)\b", text, re.MULTILINE)


def test_one_action_has_one_version_in_all_workflows() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    used = set(re.findall(r"uses: ([^@\s]+)@(\w+)", texts))
    assert len(used) == len({action for action, _ in used}) > 3


def test_the_matrix_is_read_from_the_classifiers() -> None:
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    script = re.search(r"python3 - <<'END'.*?\n(.*?)\n +END\n", text, re.DOTALL)
    assert script
    output = output_of(sys.executable, "-c", textwrap.dedent(script[1]))
    name, _, value = output.strip().partition("=")
    classifiers = project()["project"]["classifiers"]
    assert name == "pythons"
    assert [f"Programming Language :: Python :: {python}" for python in json.loads(value)] == [
        classifier for classifier in classifiers if ":: Python ::" in classifier
    ]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sizes, "PACKAGE_LINES", 1_000)
    folder = tmp_path / "package"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "module.py").write_text("\n" * 300)
    for number in range(12):
        (folder / f"module{number}.py").write_text("")
    return folder


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"inner/slots.lua": 300, "__pycache__/a.pyc": 1}, ""),
        ({"inner/module.py": 301}, "/inner/module.py: 301 lines, at most 300 are allowed"),
        ({"py.typed": 0}, ": 13 files beside folders, at most 12 are allowed"),
        (
            {"inner/a.py": 234, "inner/b.py": 234, "inner/c.lua": 234},
            ": 1,002 lines, at most 1,000 are allowed",
        ),
    ],
)
def test_what_is_too_large_is_named(package: Path, files: dict[str, int], complaint: str) -> None:
    for name, lines in files.items():
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("\n" * lines)
    assert sizes.complaints(package) == ([f"{package}{complaint}"] if complaint else [])
