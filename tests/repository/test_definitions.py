"""What repeats the tap's schemas is up to date, and a drift in any of it is told."""

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from definitions.__main__ import HUB, README, SETTINGS, STREAMS, main
from definitions.documents import read
from definitions.plugin import Plugin

ROOT = Path(__file__).resolve().parents[2]
FILES = (README, SETTINGS, STREAMS, "meltano.yml", "pyproject.toml", ".env.example", HUB)
STALE = "is out of date: run `make definitions`, and commit what it changes"


@dataclass
class Project:
    """A copy of the files that repeat the tap's schemas, and the description of the tap."""

    root: Path
    tap: Plugin
    capsys: pytest.CaptureFixture[str]

    def run(self, *options: str) -> tuple[int, str]:
        code = main([*options, "--root", str(self.root)], lambda: self.tap)
        return code, "".join(self.capsys.readouterr())

    def text(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def swap(self, name: str, old: str, new: str) -> None:
        text = self.text(name)
        assert old in text
        (self.root / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        return {name: (self.root / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def plugin() -> Plugin:
    return Plugin.ask()


@pytest.fixture
def project(plugin: Plugin, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return Project(tmp_path, copy.deepcopy(plugin), capsys)


DRIFTS = json.loads((Path(__file__).parent / "drifts.json").read_text(encoding="utf-8"))
"""The text that is right, and a text that is not, with what is told of the environment."""


def test_drifts_of_each_file_are_told_and_mended(project: Project) -> None:
    before = project.files()
    for name, drifts in DRIFTS["mended"].items():
        for old, new in drifts:
            project.swap(name, old, new)
    for code, options, text in ((1, ["--check"], STALE), (0, [], "was updated")):
        lines = sorted(f"{name} {text}" for name in DRIFTS["mended"])
        ended, told = project.run(*options)
        assert (ended, sorted(told.splitlines())) == (code, lines)
    assert project.files() == before


def test_drift_of_the_environment_is_told(project: Project) -> None:
    for old, new, _ in DRIFTS[".env.example"]:
        project.swap(".env.example", old, new)
    for options in (["--check"], []):
        code, told = project.run(*options)
        assert code == 1
        assert all(line in told for _, _, line in DRIFTS[".env.example"])


def test_what_people_write_stays(project: Project) -> None:
    command = "      hello: {args: --version, executable: tap-zohovoice}  # by hand\n"
    project.swap("meltano.yml", "    commands:\n", f"    commands:\n{command}")
    before = project.text("meltano.yml")
    project.tap.about["capabilities"].remove("about")
    assert project.run()[0] == 0
    assert project.text("meltano.yml") == before.replace("    - about\n", "", 1)
    assert "hello" in read(project.text(HUB))["commands"]
    project.swap("meltano.yml", "    - call_logs.*\n", "    - call_logs.*\n  # for later\n")
    project.tap.catalog["streams"][1]["metadata"][-1]["metadata"]["selected-by-default"] = True
    code, told = project.run()
    assert code == 1
    assert "would be lost, put it elsewhere: # for later" in told


def cut(name: str, old: str, new: str) -> Callable[[Project], object]:
    return lambda project: project.swap(name, old, new)


def undescribed(project: Project) -> None:
    voicemail = project.tap.streams["call_logs"]["properties"]["voicemail"]
    del voicemail["properties"]["block_id"]["description"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (cut(SETTINGS, "<!-- <filters>", "<!--"), f"{SETTINGS} must have one line with <filters>,"),
        (cut(README, "</main settings>", "x"), "must have one line with </main settings>, not 0"),
        (
            cut("meltano.yml", "- name: tap-zohovoice\n    n", "- name: x\n    n"),
            "has no extractor tap-z",
        ),
        (lambda it: it.tap.settings["api_url"].pop("title"), "setting api_url has no title"),
        (lambda it: it.tap.settings["api_url"].pop("description"), "api_url has no description"),
        (
            lambda it: it.tap.settings["api_url"].update(type=["string", "integer"]),
            "setting api_url has types that Meltano does not support: ['string', 'integer']",
        ),
        (undescribed, "field voicemail.block_id of call_logs has no description"),
        (lambda it: it.tap.catalog.update(streams=[]), "call_logs, which is not a stream"),
    ],
)
def test_part_that_cannot_be_generated_is_told(
    project: Project, change: Callable[[Project], object], line: str
) -> None:
    change(project)
    before = project.files()
    code, told = project.run()
    assert code == 1
    assert line in told
    assert project.files() == before


def test_meltano_gets_kinds_and_secrets(plugin: Plugin) -> None:
    extractor = read((ROOT / "meltano.yml").read_text(encoding="utf-8"))["plugins"]["extractors"][0]
    assert extractor["capabilities"] == plugin.about["capabilities"]
    assert extractor["select"] == ["call_logs.*"]
    settings = {setting["name"]: setting for setting in extractor["settings"]}
    secrets = {name for name, setting in settings.items() if setting.get("sensitive")}
    assert secrets == {"client_secret", "refresh_token", "rate_limit_store"}
    assert {name: setting["kind"] for name, setting in settings.items()}.items() >= {
        *(("start_date", "date_iso8601"), ("end_date", "date_iso8601"), ("page_size", "integer")),
        *(("lookback_days", "integer"), ("filters", "object"), ("stream_maps", "object")),
        *(("flattening_enabled", "boolean"), ("data_center", "options")),
    }
    choices = settings["data_center"]["options"]
    assert {"label": "United Kingdom", "value": "uk"} in choices
    assert [choice["value"] for choice in choices] == plugin.settings["data_center"]["enum"]


def test_meltano_project_holds_together() -> None:
    project = read((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    plugins = project["plugins"]
    for loader in plugins["loaders"]:
        assert "==" in loader["pip_url"].split()[0]
        known = {setting["name"] for setting in loader["settings"]}
        groups = loader.get("settings_group_validation", [])
        assert {*loader["config"], *(name for group in groups for name in group)} <= known
    for utility in plugins["utilities"]:
        assert all("==" in package for package in utility["pip_url"].split()[:2])
        assert "build" in utility["commands"]
    loaders, models = (
        [each["name"] for each in plugins[kind]] for kind in ("loaders", "utilities")
    )
    jobs = {job["name"]: job["tasks"] for job in project["jobs"]}
    assert {task for tasks in jobs.values() for task in tasks} == {
        *(f"tap-zohovoice {name}" for name in loaders),
        *(f"tap-zohovoice {name.replace('dbt', 'target')} {name}:build" for name in models),
    }
    assert {schedule["job"] for schedule in project["schedules"]} <= set(jobs)
    environments = {environment["name"] for environment in project["environments"]}
    assert {project["default_environment"]} < environments == {"dev", "prod"}
