"""Settings: validation before any request, defaults, and query parameters."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_zohovoice.config.data_centers import DATA_CENTERS
from tap_zohovoice.config.settings import CALL_TYPES, CONFIG_SCHEMA, Settings, to_query_params
from tap_zohovoice.config.validation import clean_settings, parse_env, validation_errors
from tap_zohovoice.tap import TapZohoVoice
from tests.support.account import Account, Accounts, read_cases
from tests.support.calls import history
from tests.support.cli import Run

RunInEnv = Callable[..., Run]
PREFIX = "TAP_ZOHOVOICE_"
KEYS = {"client_id": "1000.MADEUP", "client_secret": "s3", "refresh_token": "1000.r"}
OPTIONAL = sorted(TapZohoVoice.config_jsonschema["properties"].keys() - KEYS.keys())
HISTORY = history(12, seed=1, first=date(2026, 2, 1), last=date(2026, 2, 20))
CASES = read_cases("settings")
INVALID = [
    *[
        ({name: value}, line.format(name, value))
        for line, names, values in CASES["invalid"]
        for name in names
        for value in values
    ],
    ({"start_date": None, "end_date": "2019-12-31"}, "end_date (2019-12-31) is before "),
]


@pytest.fixture
def box(account: Accounts) -> Iterator[Account]:
    with account(HISTORY) as running:
        yield running


@pytest.fixture
def run_in_env(box: Account, monkeypatch: pytest.MonkeyPatch) -> RunInEnv:
    """Run the tap with settings from the environment, and some from a file."""

    def run(config: dict[str, Any], from_file: dict[str, Any] | None = None) -> Run:
        for name, value in config.items():
            text = value if isinstance(value, str) else json.dumps(value)
            monkeypatch.setenv(PREFIX + name.upper(), text)
        return box.run_tap(from_file, "--config=ENV")

    return run


def assert_refused(run: Run, box: Account, *expected: str) -> None:
    lines = run.logged("ERROR")
    assert run.exit_code == 1
    assert len(lines) == len(expected)
    for start in expected:
        assert sum(line.startswith(start) for line in lines) == 1, lines
    assert not run.stdout
    assert not re.search("Traceback|hu/?sh", run.log)
    assert not any(box.stats.summary().values())


@pytest.mark.parametrize(("change", "line"), INVALID, ids=lambda value: str(value)[:60])
def test_invalid_setting_is_one_line_and_no_request(
    box: Account, change: dict[str, Any], line: str
) -> None:
    assert_refused(box.run_tap({**box.config, **change}), box, line)


def test_all_errors_are_reported_at_once_without_secrets(box: Account) -> None:
    secrets = {"client_secret": "hush-hush", "refresh_token": ["1000.hush"]}
    filters = {"contact_name": 5550100, "userNumber": "555 0199", "feedback": "Ann Example"}
    bad = {"page_size": 0, "start_date": "soon", "api_url": "ftp://x", "typo": "Bob", **secrets}
    run = box.run(**bad, client_id=" ", filters=filters)
    expected = (
        *("unknown setting typo", "client_id is required", "refresh_token must be of type"),
        *("page_size must be at least 1", "start_date is not a valid date", "api_url is invalid"),
        *(f"filters.{name} must be of type" for name in ("contact_name", "feedback")),
        "filters.userNumber is invalid; an",
    )
    assert_refused(run, box, *expected)
    assert not re.search("5550100|555 0199|Ann|Bob", run.log)


@pytest.mark.parametrize(
    ("change", "expected"), CASES["invalid environment"], ids=lambda value: str(value)[:60]
)
def test_invalid_environment_is_reported(
    box: Account, run_in_env: RunInEnv, change: dict[str, Any], expected: list[str]
) -> None:
    assert_refused(run_in_env({**box.config, **change}), box, *expected)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        *(("flattening_enabled", text, text != "OFF") for text in (" Yes", "True", "1", "OFF")),
        *(("lookback_days", text, 7) for text in ("7", " 007 ")),
        ("lookback_days", "7.0", "7.0"),
    ],
)
def test_environment_is_read_by_type(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(f"TAP_ZOHOVOICE_{name.upper()}", text)
    assert parse_env(TapZohoVoice.config_jsonschema)[name] == value


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_environment_settings_reach_the_server(
    box: Account, run_in_env: RunInEnv, blank: str
) -> None:
    blanks = dict.fromkeys(OPTIONAL, blank)  # which count as missing
    filters = {"callType": "missed", "isRecording": False, "numberIds": [198000002125031, "7"]}
    dates = {"start_date": "2026-02-03", "end_date": "2026-02-10T00:00:00+00:00"}
    numbers = {"page_size": 7, "lookback_days": 0, "rate_limit_calls": 20, "lock_seconds": 60}
    others = {"filters": filters, "data_center": "eu", "streams": "call_logs, numbers"}
    run = run_in_env({**blanks, **box.config, **dates, **numbers, **others})
    assert run.exit_code == 0, run.log
    assert {message["stream"] for message in run.of("SCHEMA")} == {"call_logs", "numbers"}
    _, params, status = box.stats.log[0]
    assert status == 200
    assert params.pop("fromDate") <= "2026-02-03"
    assert params.pop("toDate") >= "2026-02-10"
    sent = {"callType": "missed", "isRecording": "false", "numberIds": "198000002125031,7"}
    assert params == {"from": "0", "size": "7", **sent}
    assert box.config["client_secret"] not in run.log
    assert "198000002125031" not in run.log


AROUND = ["{}\n", "{}\r\n", " {}", "\t{}\u00a0", "\ufeff{}", "{}\u200b", "\u202a{}\u202c", "{}\0"]
AROUND += ["'{}'", '"{}"', "\u201c{}\u201d", "' {}\n'", "\u2018{}\u2019 "]


@pytest.mark.parametrize("around", AROUND, ids=ascii)
def test_blanks_and_quotes_around_credentials_are_stripped(
    box: Account, run_in_env: RunInEnv, around: str
) -> None:
    config = box.config | {name: around.format(box.config[name]) for name in KEYS}
    assert len(box.run_tap(config).ids) == 12
    if "\0" not in around:
        assert len(run_in_env(config).ids) == 12


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]
)
def test_dotenv_file_must_be_utf_8(
    box: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    lines, path = {"PAGE_SIZE": "'5'", "FILTERS": "", "LOCK_SECONDS": "  # Zoë"}, tmp_path / ".env"
    for name in lines:
        monkeypatch.setenv(PREFIX + name, "")  # so that it is restored
        monkeypatch.delenv(PREFIX + name)
    path.write_text("\n".join(f"{PREFIX}{name}={text}" for name, text in lines.items()), encoding)
    monkeypatch.setattr("tap_zohovoice.tap.find_dotenv", lambda: path)
    run = box.run("--config=ENV")
    if encoding.startswith("utf-8"):
        assert run.exit_code == 0, run.log
        assert box.stats.log[0][1]["size"] == "5"
    else:
        assert_refused(run, box, f"The {path} file must be text in UTF-8")


@pytest.mark.parametrize(
    "change",
    [
        dict.fromkeys(OPTIONAL),
        dict.fromkeys(("data_center", "start_date", "end_date", "api_url", "user_agent"), ""),
        {"filters": dict.fromkeys(CONFIG_SCHEMA["properties"]["filters"]["properties"])},
    ],
    ids=str,
)
def test_null_or_empty_setting_counts_as_missing(change: dict[str, Any]) -> None:
    config = clean_settings({**KEYS, **change})
    assert validation_errors(config, CONFIG_SCHEMA) == []
    assert Settings.from_config(config) == Settings.from_config(KEYS)


@pytest.mark.parametrize("path", CASES["valid paths"])
@pytest.mark.parametrize("store", CASES["valid stores"])
def test_path_or_supported_url_is_valid(path: str, store: str) -> None:
    urls = {"recordings_path": path, "rate_limit_store": store}
    assert validation_errors({**KEYS, **urls}, CONFIG_SCHEMA) == []


@pytest.mark.parametrize("start", ["0001-01-01", "0001-01-03T00:00:00Z", "9999-12-31"])
def test_start_at_the_edge_of_the_calendar(box: Account, start: str) -> None:
    run = box.run(start_date=start)
    assert "Unexpected" not in run.log
    assert run.exit_code == 0 or any("start_date" in line for line in run.logged("ERROR"))


@pytest.mark.parametrize("name", DATA_CENTERS)
def test_data_center_determines_both_hosts(name: str) -> None:
    settings = Settings.from_config({**KEYS, "data_center": name})
    assert settings.accounts_url.startswith("https://accounts.zoho")
    assert settings.api_url == settings.accounts_url.replace("//accounts.", "//voice.")
    changed = Settings.from_config({**KEYS, "data_center": name, "api_url": "http://x.invalid/"})
    assert changed == replace(settings, api_url="http://x.invalid")


def test_defaults_of_settings() -> None:
    settings = Settings.from_config(KEYS)
    assert settings.api_url == "https://voice.zoho.com"
    assert (settings.start, settings.end) == (datetime(2020, 1, 1, tzinfo=UTC), None)
    assert (settings.lookback, settings.page_size) == (timedelta(days=3), None)
    assert (settings.rate_limit_calls, settings.rate_limit_seconds) == (30, 60)
    assert (settings.lock_seconds, settings.request_timeout) == (600, 60)
    assert settings.filters == {}


@pytest.mark.parametrize(
    ("filters", "sent"),
    [*CASES["query parameters"], *(2 * ({"callType": kind},) for kind in CALL_TYPES)],
)
def test_filters_become_query_parameters(filters: dict[str, Any], sent: dict[str, str]) -> None:
    assert to_query_params(clean_settings(filters)) == sent
