"""What repeats the tap's schemas is up to date, and a drift in any of it is told."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from definitions.__main__ import HUB, README, SETTINGS, STREAMS, main
from definitions.documents import as_meltano, read
from definitions.plugin import Plugin
from definitions.sections import replace

ROOT = Path(__file__).resolve().parents[2]
FILES = (README, SETTINGS, STREAMS, "meltano.yml", "pyproject.toml", ".env.example", HUB)
STALE = "is out of date: run `make definitions`, and commit what it changes\n"
# Source: schemas of plugin definitions and settings in meltano/hub, and meltano.schema.json.
HUB_KEYS = {
    *("capabilities", "commands", "definition", "description", "docs", "domain_url", "executable"),
    *("keywords", "label", "log_parser", "logo_url", "maintenance_status", "name", "namespace"),
    *("next_steps", "pip_url", "prereq", "quality", "repo", "select", "settings"),
    *("settings_group_validation", "supported_python_versions", "usage", "variant"),
}
SETTING_KEYS = {"name", "kind", "value", "label", "description", "options", "sensitive"}
KINDS = {"string", "integer", "decimal", "boolean", "object", "array", "options", "date_iso8601"}


@pytest.fixture(scope="module")
def plugin() -> Plugin:
    return Plugin.ask()


@pytest.fixture
def tap(plugin: Plugin) -> Plugin:
    return copy.deepcopy(plugin)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def run(root: Path, tap: Plugin) -> Callable[..., int]:
    return lambda *options: main([*options, "--root", str(root)], lambda: tap)


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def extractor_of(root: Path) -> dict[str, Any]:
    project = read((root / "meltano.yml").read_text(encoding="utf-8"))
    return dict(project["plugins"]["extractors"][0])


def setting(definition: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(setting) for setting in definition["settings"] if setting["name"] == name)


def test_this_checkout_is_up_to_date(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (run("--check"), capsys.readouterr().err) == (0, "")


DRIFTS = {
    README: [("| `lookback_days` | integer, 0 to 3650 | 3 |", "| `lookback_days` | integer | 4 |")],
    SETTINGS: [
        ("| `lookback_days` | integer, 0 to 3650 | 3 |", "| `lookback_days` | integer | 4 |"),
        ("| `userNumber` | digits |", "| `userNumber` | id |"),
        ("The SDK adds", "There are also"),
    ],
    STREAMS: [
        ("| `zsoid` | text | Id of the organisation. |\n", ""),
        ("| `sha256` | text |", "| `sha256` | number |"),
        ("| `segments` | array of objects |", "| `segments` | text |"),
        ("| `zuid` | text |", "| `zuid` | number |"),
        ("Requires the scope ZohoVoice.agents.READ.", ""),
    ],
    "meltano.yml": [
        ("namespace: tap_zohovoice", "namespace: zohovoice"),
        ("label: Zoho Voice", "label: Voice"),
        ("description: 'Singer tap for", "description: 'Tap for"),
        ("    - schema-flattening\n", ""),
        ("    - - client_id\n      - client_secret\n", "    - - client_id\n"),
        ("      sensitive: true\n", ""),
        ("kind: date_iso8601", "kind: string"),
        ("value: 200", "value: 100"),
        ("      - label: China\n        value: cn\n", ""),
        ("    - call_logs.*\n", "    - '*.*'\n"),
        ("    executable: tap-zohovoice\n", "    executable:   tap-zohovoice\n"),
    ],
    HUB: [
        ("label: Client secret", "label: Secret"),
        ("- structured-logging\n", "- structured-logging\n- batch\n"),
    ],
}


@pytest.mark.parametrize("number", range(max(map(len, DRIFTS.values()))))
def test_a_drift_is_told_and_mended(
    root: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str], number: int
) -> None:
    """Each file drifts in another way each time."""
    drifts = {name: drifts[number] for name, drifts in DRIFTS.items() if number < len(drifts)}
    for name, (old, new) in drifts.items():
        swap(root / name, old, new)
    assert run("--check") == 1
    assert sorted(capsys.readouterr().err.splitlines(keepends=True)) == sorted(
        f"{name} {STALE}" for name in drifts
    )
    assert run() == 0
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(
        f"{name} was updated" for name in drifts
    )
    for name in drifts:
        assert (root / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("#TAP_ZOHOVOICE_LOOKBACK_DAYS='3'\n", "", "lacks TAP_ZOHOVOICE_LOOKBACK_DAYS"),
        ("LOOKBACK_DAYS='3'", "LOOKBACK_DAYS='1'", "but the default is 3"),
        ("TAP_ZOHOVOICE_CLIENT_SECRET=''", "TAP_ZOHOVOICE_CLIENT_SECRET='x'", "has a value for"),
        ("LOCK_SECONDS='600'", "LOCK_SECONDS='600'\nTAP_ZOHOVOICE_LOCK='6'", "_LOCK, which is no"),
        ("TARGET_POSTGRES_HOST=", "TARGET_POSTGRES_SERVER=", "_SERVER, which is not a setting"),
    ],
)
def test_a_drift_of_the_environment_is_told_for_people_to_mend(
    root: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    line: str,
) -> None:
    swap(root / ".env.example", old, new)
    for options in (["--check"], []):
        assert run(*options) == 1
        assert line in capsys.readouterr().err


def test_a_change_of_the_tap_makes_all_that_repeats_it_stale(
    root: Path, run: Callable[..., int], tap: Plugin, capsys: pytest.CaptureFixture[str]
) -> None:
    tap.settings["lookback_days"]["description"] = "Rows | calls of one request."
    tap.settings["lookback_days"]["default"] = 300
    tap.streams["recordings"]["properties"]["sha256"]["description"] = "Digest."
    tap.about["capabilities"].append("batch")
    assert run("--check") == 1
    told = capsys.readouterr().err
    assert all(
        f"{name} {STALE}" in told for name in (README, SETTINGS, STREAMS, "meltano.yml", HUB)
    )
    assert ".env.example has TAP_ZOHOVOICE_LOOKBACK_DAYS='3', but the default is 300" in told
    swap(root / ".env.example", "LOOKBACK_DAYS='3'", "LOOKBACK_DAYS='300'")
    assert run() == 0
    assert run("--check") == 0
    texts = {
        name: (root / name).read_text(encoding="utf-8") for name in (README, SETTINGS, STREAMS)
    }
    assert "| 300 | Rows \\| calls of one request. |" in texts[README]
    assert "| 300 | Rows \\| calls of one request. |" in texts[SETTINGS]
    assert "| `sha256` | text | Digest. |" in texts[STREAMS]
    assert setting(extractor_of(root), "lookback_days")["value"] == 300
    assert extractor_of(root)["capabilities"][-1] == "batch"


def test_what_people_write_stays(root: Path, run: Callable[..., int], tap: Plugin) -> None:
    command = "      hello: {args: --version, executable: tap-zohovoice}  # by hand\n"
    swap(root / "meltano.yml", "    commands:\n", f"    commands:\n{command}")
    before = (root / "meltano.yml").read_text(encoding="utf-8")
    assert run() == 0  # the command goes to the Hub
    assert (root / "meltano.yml").read_text(encoding="utf-8") == before
    hub = read((root / HUB).read_text(encoding="utf-8"))
    assert hub["commands"]["hello"] == {"args": "--version", "executable": "tap-zohovoice"}
    tap.about["capabilities"].remove("about")
    assert run() == 0
    after = (root / "meltano.yml").read_text(encoding="utf-8")
    assert after == before.replace("    - about\n", "", 1)


def test_no_comment_is_lost(
    root: Path, run: Callable[..., int], tap: Plugin, capsys: pytest.CaptureFixture[str]
) -> None:
    swap(root / "meltano.yml", "    - call_logs.*\n", "    - call_logs.*\n  # for later\n")
    assert run() == 0
    tap.about["capabilities"].remove("about")
    assert run() == 0
    for entry in tap.catalog["streams"][1]["metadata"]:
        entry["metadata"]["selected-by-default"] = True
    assert run() == 1
    assert "would be lost, put it elsewhere: # for later" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "old", "line"),
    [
        (SETTINGS, "<!-- <filters>", f"{SETTINGS} must have one line with <filters>, not 0"),
        (README, "</main settings>", f"{README} must have one line with </main settings>, not 0"),
        (STREAMS, "</fields of recordings>", "with </fields of recordings>, not 0"),
        ("meltano.yml", "- name: tap-zohovoice\n    namespace", "has no extractor tap-zohovoice"),
    ],
)
def test_where_nothing_can_be_written_is_told(
    root: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    name: str,
    old: str,
    line: str,
) -> None:
    swap(root / name, old, old.replace("<filters>", "").replace("tap-", "tap-other-").strip("</>"))
    before = [(root / file).read_bytes() for file in FILES]
    assert run() == 1
    assert line in capsys.readouterr().err
    assert [(root / file).read_bytes() for file in FILES] == before


def test_a_part_is_between_its_marks_alone() -> None:
    text = "1\n<!-- <a> -->\nold\n<!-- </a> -->\n2\n"
    assert replace("f", text, "a", "new\nlines\n") == text.replace("old", "new\nlines")
    with pytest.raises(Exception, match="f: </a> stands before <a>"):
        replace("f", "# </a>\n# <a>\n", "a", "new")


def test_a_stream_that_is_gone_is_told(
    run: Callable[..., int], tap: Plugin, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [stream["tap_stream_id"] for stream in tap.catalog["streams"]]
    del tap.catalog["streams"][names.index("recordings")]
    assert run("--check") == 1
    assert f"{STREAMS} has fields of recordings, which is not a stream" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda tap: tap.settings["api_url"].pop("title"), "setting api_url has no title"),
        (lambda tap: tap.settings["api_url"].pop("description"), "api_url has no description"),
        (
            lambda tap: tap.settings["api_url"].update(type=["string", "integer"]),
            "setting api_url has types that Meltano does not support: ['string', 'integer']",
        ),
        (
            lambda tap: tap.streams["call_logs"]["properties"]["voicemail"]["properties"][
                "block_id"
            ].pop("description"),
            "field voicemail.block_id of call_logs has no description",
        ),
    ],
)
def test_what_the_tap_leaves_open_is_told(
    run: Callable[..., int],
    tap: Plugin,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Plugin], object],
    line: str,
) -> None:
    change(tap)
    assert run("--check") == 1
    assert line in capsys.readouterr().err


def test_the_hub_gets_what_it_knows(root: Path, plugin: Plugin) -> None:
    definition = read((root / HUB).read_text(encoding="utf-8"))
    assert set(definition) <= HUB_KEYS - {"logo_url"}  # there is no logo
    assert {"name", "namespace", "variant", "quality", "pip_url"} <= set(definition)
    assert set(definition["capabilities"]) == set(plugin.about["capabilities"])
    assert {setting["name"] for setting in definition["settings"]} == set(plugin.settings)
    for given in definition["settings"]:
        assert set(given) <= SETTING_KEYS
        assert given["kind"] in KINDS
    assert [list(key) for key in (definition, definition["settings"][0])] == [
        sorted(definition),
        sorted(definition["settings"][0]),
    ]


def test_the_repository_names_the_variant(root: Path, run: Callable[..., int]) -> None:
    url = "https://github.com/Some-Body/tap-zohovoice"
    swap(
        root / "pyproject.toml",
        "[project.scripts]",
        f'[project.urls]\nRepository = "{url}"\n\n[project.scripts]',
    )
    assert run() == 0
    definition = read((root / HUB).read_text(encoding="utf-8"))
    assert (definition["repo"], definition["variant"]) == (url, "some-body")
    assert definition["docs"] == f"{url}/blob/main/docs/index.md"
    swap(root / "pyproject.toml", "[project.urls]", '[project.urls]\nDocumentation = "https://x.y"')
    assert run() == 0
    assert read((root / HUB).read_text(encoding="utf-8"))["docs"] == "https://x.y"


def test_meltano_gets_kinds_and_secrets(plugin: Plugin) -> None:
    extractor = extractor_of(ROOT)
    assert extractor["capabilities"] == plugin.about["capabilities"]
    secrets = {s["name"] for s in extractor["settings"] if s.get("sensitive")}
    assert secrets == {"client_secret", "refresh_token", "rate_limit_store"}
    kinds = {s["name"]: s["kind"] for s in extractor["settings"]}
    assert kinds["start_date"] == kinds["end_date"] == "date_iso8601"
    assert kinds["lookback_days"] == kinds["page_size"] == "integer"
    assert kinds["filters"] == kinds["stream_maps"] == "object"
    assert kinds["flattening_enabled"] == "boolean"
    assert kinds["data_center"] == "options"
    choices = setting(extractor, "data_center")["options"]
    assert {"label": "United Kingdom", "value": "uk"} in choices
    assert [choice["value"] for choice in choices] == plugin.settings["data_center"]["enum"]
    assert extractor["select"] == ["call_logs.*"]


def test_the_meltano_project_holds_together() -> None:
    text = (ROOT / "meltano.yml").read_text(encoding="utf-8")
    project = read(text)
    assert as_meltano(project) == text
    loaders = {loader["name"]: loader for loader in project["plugins"]["loaders"]}
    for loader in loaders.values():
        assert "==" in loader["pip_url"].split()[0]
        known = {setting["name"] for setting in loader["settings"]}
        assert set(loader["config"]) <= known
        assert {
            name for group in loader.get("settings_group_validation", []) for name in group
        } <= (known)
    models = {utility["name"]: utility for utility in project["plugins"]["utilities"]}
    for utility in models.values():
        assert all("==" in package for package in utility["pip_url"].split()[:2])
        assert "build" in utility["commands"]
    jobs = {job["name"]: job["tasks"] for job in project["jobs"]}
    assert {task for tasks in jobs.values() for task in tasks} == {
        *(f"tap-zohovoice {name}" for name in loaders),
        *(f"tap-zohovoice {name.replace('dbt', 'target')} {name}:build" for name in models),
    }
    assert {schedule["job"] for schedule in project["schedules"]} <= set(jobs)
    environments = {environment["name"] for environment in project["environments"]}
    assert environments == {"dev", "prod"}
    assert project["default_environment"] in environments
