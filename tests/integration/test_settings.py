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
from tap_zohovoice.config.validation import clean_settings, validation_errors
from tap_zohovoice.tap import TapZohoVoice
from tests.support.account import Account, Accounts
from tests.support.calls import history
from tests.support.cli import Run

RunInEnv = Callable[..., Run]
PREFIX = "TAP_ZOHOVOICE_"
KEYS = {"client_id": "1000.MADEUP", "client_secret": "s3", "refresh_token": "1000.r"}
OPTIONAL = sorted(TapZohoVoice.config_jsonschema["properties"].keys() - KEYS.keys())
HISTORY = history(12, seed=1, first=date(2026, 2, 1), last=date(2026, 2, 20))
INVALID_DATE = "not a valid date: use 2024-01-31 or 2024-01-31T08:00:00Z"
INVALID_URL = "is invalid; an example is https://{}.zoho.com"


INVALID_DATES = ("now", "2026-02-30", "31.01.2026", "2026-01-01T25:00", "0001-01-01T00:00+01:00")
EPOCHS = ("1772366400", "1712012212345", "1712012212345678", "20240131", "1712012212345+00:00")
WRONG_NUMBERS: list[object] = ["5", 5.5, True, []]
NUMBERS = ("page_size", "rate_limit_seconds", "lock_seconds", "request_timeout")
INVALID_URLS = (
    *("voice.zoho.com", "ftp://voice.zoho.com", "https://", "http://[::1", "http://exa mple.b"),
    *("http://localhost:0", "http://.example.b", "http://voice..b", f"http://{'a' * 64}.b"),
    *("http://localhost:65536", "http://localhost:99999", "http://[::1]:123456"),
    *(
        "https://ann@a.invalid",
        "https://:p@a.b",
        "https://a.b/?q=1",
        "https://a.b/#q",
        "http://a.b\n",
    ),
)
INVALID_STORE = "is invalid; an example is redis://:password@redis.example.com:6379/0"
INVALID_STORES = (
    *("localhost:6379", "http://hush@localhost", "unix:///run/hush.sock", "redis://"),
    *("redis:///hush", "redis://localhost/hush", "redis://:hush@localhost:0"),
    "redis://:hush@localhost:99999",
    *("redis://:hu/sh@localhost:6379", "redis://local\nhost:6379/hush"),
    f"redis://{'hush' * 20}:6379/0",
)
INVALID_PATH = "recordings_path is invalid; an example is s3://bucket/calls"
INVALID: list[tuple[dict[str, Any], str]] = [
    ({"pagesize": 5}, "unknown setting pagesize, did you mean page_size?"),
    ({"zzz": 5}, "unknown setting zzz"),
    ({"batch_config": {"encoding": {"format": "jsonl"}}}, "unknown setting batch_config"),
    *[({name: None}, f"{name} is required") for name in KEYS],
    *[({name: text}, f"{name} is required") for name in KEYS for text in ("", " ")],
    *[({name: 5}, f"{name} must be of type string") for name in KEYS],
    ({"data_center": "mars"}, "data_center must be one of us, eu, in, "),
    ({"data_center": 5}, "data_center must be "),
    ({"streams": ["calls"]}, "streams.0 must be one of call_logs"),
    *[
        ({name: value}, f"{name} must be of type integer")
        for name in (*NUMBERS, "lookback_days", "rate_limit_calls")
        for value in WRONG_NUMBERS
    ],
    ({"lookback_days": -1}, "lookback_days must be at least 0, not -1"),
    ({"lookback_days": 3651}, "lookback_days must be at most 3650, not 3651"),
    ({"page_size": 1001}, "page_size must be at most 1000, not 1001"),
    ({"rate_limit_calls": 1}, "rate_limit_calls must be at least 2, not 1"),
    *[({name: 0}, f"{name} must be at least 1, not 0") for name in NUMBERS],
    *[({name: 10**30}, f"{name} must be at most ") for name in NUMBERS],
    *[
        ({name: text}, f"{name} is {INVALID_DATE}")
        for name in ("start_date", "end_date")
        for text in (*INVALID_DATES, *EPOCHS)
    ],
    *[
        ({"start_date": text}, f"start_date ({text[:10]}) is in the future")
        for text in ("2026-03-02", "2026-03-01T12:00:01Z", "2026-03-01T13:00+00:00", "2999-01-01")
    ],
    *[
        ({name: value}, f"{name} is invalid; an example is ")
        for name in KEYS
        for value in ("1000.a b", "1000.a\nb", "1000.a\u200bb", "1000.a\tb", "1000.\u0430b")
    ],
    *[
        ({name: value}, f"{name} is required")
        for name in KEYS
        for value in ("\n", "\ufeff", "\u200b \u00a0", "''", '" "')
    ],
    ({"start_date": 20260101}, "start_date must be of type string"),
    ({"end_date": "2019-12-31"}, "end_date (2019-12-31) is before start_date (2026-02-01)"),
    ({"start_date": None, "end_date": "2019-12-31"}, "end_date (2019-12-31) is before "),
    *[
        ({name: url}, f"{name} {INVALID_URL.format(host)}")
        for name, host in (("accounts_url", "accounts"), ("api_url", "voice"))
        for url in INVALID_URLS
    ],
    ({"api_url": 5}, "api_url must be of type string"),
    *[
        ({"user_agent": text}, "user_agent is invalid; an example is ")
        for text in ("two\nlines", "tap \N{RIGHTWARDS ARROW}")
    ],
    *[({"rate_limit_store": url}, f"rate_limit_store {INVALID_STORE}") for url in INVALID_STORES],
    ({"recordings_path": 5}, "recordings_path must be of type string"),
    ({"recordings_path": "two\nlines"}, INVALID_PATH),
    *[
        ({"recordings_path": url}, INVALID_PATH)
        for url in ("file://calls/here", "file:calls", "s3://")
    ],
    ({"recordings_path": "odd://calls"}, "recordings_path: unsupported URL scheme odd"),
    ({"recordings_path": "FILE://x"}, "recordings_path: unsupported URL scheme FILE"),
    ({"recordings_path": "odd::memory://x"}, "recordings_path: unsupported URL scheme odd"),
    (
        {"recordings_path": "gs://calls"},
        "recordings_path: the fsspec driver for gs is not installed",
    ),
    ({"faker_config": {"locale": 5}}, "faker_config.locale is invalid (oneOf)"),
    ({"filters": []}, "filters must be of type object"),
    ({"filters": json.loads("[" * 100 + "]" * 100)}, "filters must be of type object"),
    ({"filters": "callType=missed"}, "filters must be of type object"),
    (
        {"filters": {"calltype": "missed"}},
        "unknown setting filters.calltype, did you mean callType?",
    ),
    *[
        ({"filters": {name: "1"}}, f"unknown setting filters.{name}")
        for name in ("from", "size", "fromDate", "toDate")
    ],
    ({"filters": {"callType": "Missed"}}, "filters.callType must be one of incoming, outgoing, "),
    ({"filters": {"userNumber": "+1 555 0100"}}, "filters.userNumber is invalid; an"),
    ({"filters": {"userNumber": "15550100\n"}}, "filters.userNumber is invalid; an"),
    ({"filters": {"userNumber": -15550100}}, "filters.userNumber is invalid ("),
    ({"filters": {"agent": True}}, "filters.agent must be of type string or integer"),
    ({"filters": {"numberIds": [1.5]}}, "filters.numberIds.0 must be of type string or integer"),
    ({"filters": {"feedback": 6}}, "filters.feedback must be at most 5"),
    ({"filters": {"feedback": "5"}}, "filters.feedback must be of type integer"),
    ({"filters": {"isRecording": "true"}}, "filters.isRecording must be of type boolean"),
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
    assert_refused(
        run,
        box,
        *["unknown setting typo", "client_id is required", "refresh_token must be of"],
        *[
            "page_size must be at least 1",
            "start_date is not a valid date",
            "api_url is invalid",
        ],
        *[f"filters.{name} must be of type" for name in ("contact_name", "feedback")],
        "filters.userNumber is invalid; an",
    )
    assert not re.search("5550100|555 0199|Ann|Bob", run.log)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"page_size": "many"}, ["page_size must be of type integer"]),
        ({"filters": "{'a"}, ["filters must be of type object"]),
        ({"filters": "5"}, ["filters must be of type object"]),
        ({"filters": '{"from": 1}'}, ["unknown setting filters.from"]),
        ({"flattening_max_depth": "x"}, ["flattening_max_depth must be of type integer"]),
        ({"flattening_enabled": "maybe"}, ["flattening_enabled must be of type boolean"]),
        ({"client_id": ""}, ["client_id is required"]),
        ({"page_size": "0", "data_center": "mars"}, ["page_size must be", "data_center must be"]),
        ({"page_size": "x", "filters": "{"}, ["page_size must be of", "filters must be of"]),
        ({"page_size": "x", "data_center": "mars"}, ["page_size must be", "data_center must be"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_invalid_environment_is_reported(
    box: Account, run_in_env: RunInEnv, change: dict[str, Any], expected: list[str]
) -> None:
    assert_refused(run_in_env({**box.config, **change}), box, *expected)


def test_environment_settings_reach_the_server(box: Account, run_in_env: RunInEnv) -> None:
    filters = {"callType": "missed", "isRecording": False, "numberIds": [198000002125031, "7"]}
    dates = {"start_date": "2026-02-03", "end_date": "2026-02-10T00:00:00+00:00"}
    numbers = {"page_size": 7, "lookback_days": 0, "rate_limit_calls": 20, "lock_seconds": 60}
    others = {"filters": filters, "data_center": "eu"}
    run = run_in_env({**box.config, **dates, **numbers, **others})
    assert run.exit_code == 0, run.log
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


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("around", AROUND, ids=ascii)
def test_blanks_and_quotes_around_credentials_are_stripped(
    box: Account, run_in_env: RunInEnv, name: str, around: str
) -> None:
    config = {**box.config, name: around.format(box.config[name])}
    assert len(box.run_tap(config).ids) == 12
    if "\0" not in around:
        assert len(run_in_env(config).ids) == 12


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_empty_variable_counts_as_missing(box: Account, run_in_env: RunInEnv, text: str) -> None:
    run = run_in_env(dict.fromkeys(OPTIONAL, text), box.config)
    assert (run.exit_code, len(run.ids)) == (0, 12), run.log


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]
)
def test_dotenv_file_must_be_utf_8(
    box: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    names = ("PAGE_SIZE", "FILTERS", "LOCK_SECONDS")
    for name in names:
        monkeypatch.setenv(PREFIX + name, "")  # so that it is restored
        monkeypatch.delenv(PREFIX + name)
    path = tmp_path / ".env"
    texts = zip(names, ("'5'", "", "  # Zo\u00eb"), strict=True)
    path.write_text("\n".join(f"{PREFIX}{name}={text}" for name, text in texts), encoding)
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


PATHS = ("calls", "/srv/calls", "~/calls", "C:\\calls", "file:///srv/calls", "memory://calls")
STORES = (
    *("redis://localhost", "redis://localhost:6379/", "redis://:x@10.0.0.5:6380/3"),
    *("rediss://user:x@redis.example.com/0?ssl_ca_certs=/etc/ca.pem", "redis://[::1]:6379/0"),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("store", STORES)
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
    [
        ({"isRecording": True, "agent": "7"}, {"isRecording": "true", "agent": "7"}),
        ({"isVoiceMail": False}, {"isVoiceMail": "false"}),
        ({"groupIds": [1, "2"], "departmentId": "3"}, {"groupIds": "1,2", "departmentId": "3"}),
        ({"agent": 58399000000003016}, {"agent": "58399000000003016"}),
        ({"feedback": 1, "contact_name": "Ann A"}, {"feedback": "1", "contact_name": "Ann A"}),
        ({"groupIds": [], "contact_name": "", "agent": None}, {}),
        *[({"callType": kind}, {"callType": kind}) for kind in CALL_TYPES],
    ],
)
def test_filters_become_query_parameters(filters: dict[str, Any], sent: dict[str, str]) -> None:
    assert to_query_params(clean_settings(filters)) == sent
