"""The command line: discovery, catalogs, stream maps, invalid input, privacy of the log."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_zohovoice.tap import TapZohoVoice
from tests.support.calls import assert_once, call, history, server_ids
from tests.support.catalog import selecting
from tests.support.cli import NOW
from zoho_voice_sandbox import Dialect, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from tests.support.cli import FakeClock, Run

    RunTap = Callable[..., Run]


def catalog_of(run: Run) -> dict[str, Any]:
    return dict(json.loads(run.stdout))


def test_discover_needs_no_settings(run_tap: RunTap, snapshot: SnapshotAssertion) -> None:
    run = run_tap({}, "--discover")
    assert run.exit_code == 0
    assert catalog_of(run) == snapshot


def test_package_is_executable() -> None:
    command = [sys.executable, "-m", "tap_zohovoice", "--version"]
    assert re.match(r"tap-zohovoice v\d+\.\d+", subprocess.check_output(command, text=True))


def test_about_and_version(run_tap: RunTap) -> None:
    about = json.loads(run_tap({}, "--about", "--format", "json").stdout)
    assert about["name"] == "tap-zohovoice"
    assert {"catalog", "discover", "state", "about", "stream-maps"} <= set(about["capabilities"])
    assert "batch" not in about["capabilities"]
    assert re.match(r"tap-zohovoice v\d+\.\d+", run_tap({}, "--version").stdout)


def test_connection_test_makes_one_request(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(5_000), clock=clock) as box:
        run = run_tap({**box.config, "start_date": "2000-01-01"}, "--test")
        assert box.stats.requests + box.stats.token_requests == 2
    assert run.exit_code == 0
    assert len(run.records) == 1
    assert "replication_key_value" not in str(run.states)


def test_connection_test_reports_a_missing_scope(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(), dialect=Dialect(scope_missing=True), clock=clock) as box:
        run = run_tap(box.config, "--test")
    assert run.exit_code == 1
    assert "ZVT022" in run.log.splitlines()[-1]


def test_batch_config_is_rejected(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(30), clock=clock) as box:
        batch = {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///nowhere"}}
        run = run_tap({**box.config, "batch_config": batch})
    assert run.exit_code == 1
    assert "unknown setting 'batch_config'" in run.log


def test_deselected_properties_are_not_emitted(run_tap: RunTap, clock: FakeClock) -> None:
    catalog = catalog_of(run_tap({}, "--discover"))
    stream = catalog["streams"][0]
    for entry in stream["metadata"]:
        if entry["breadcrumb"] in (["properties", "contact_name"], ["properties", "start_time"]):
            entry["metadata"]["selected"] = False
        elif not entry["breadcrumb"]:
            entry["metadata"]["selected"] = True
    del stream["schema"]["properties"]["additional_fields"]
    with Sandbox(history=history(40), clock=clock) as box:
        run = run_tap(box.config, catalog=catalog)
        assert_once(run, server_ids(box))
    assert all("contact_name" not in record for record in run.records)
    assert all("additional_fields" not in record for record in run.records)
    assert all(record["start_time"] for record in run.records)
    assert set(run.records[0]) == set(run.of("SCHEMA")[0]["schema"]["properties"])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_names_survive_any_output_encoding(
    run_tap: RunTap, clock: FakeClock, encoding: str
) -> None:
    name = "Zoë Øçhæ 丽 🌻 \u2028"
    with Sandbox(history=history(30), clock=clock) as box:
        start = round((NOW - 86_400) * 1000)
        box.store.add(call(box, "odd", start, contact_name=name), at_ms=start)
        run = run_tap(box.config, encoding=encoding)
    (record,) = [record for record in run.records if record["logid"] == "odd"]
    assert record["contact_name"] == name
    assert run.stdout.isascii() == (encoding != "utf-8")


def test_record_count_metric_is_complete(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(), clock=clock) as box:
        run = run_tap(box.config, catalog=selecting("call_logs", "recordings"))
    counts = re.findall(r'"metric":"record_count","value":(\d+)', run.log)
    assert sum(map(int, counts)) == len(run.of("RECORD")) > 900


def test_stream_maps_hide_personal_data(run_tap: RunTap, clock: FakeClock) -> None:
    maps = {"call_logs": {"contact_name": "__NULL__", "user_number": "sha256(user_number)"}}
    with Sandbox(history=history(40), clock=clock) as box:
        run = run_tap({**box.config, "stream_maps": maps})
        assert_once(run, server_ids(box))
    assert all(re.fullmatch(r"[0-9a-f]{64}", record["user_number"]) for record in run.records)


def test_records_are_equal_with_and_without_stream_maps(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(40), clock=clock) as box:
        plain = run_tap(box.config)
        looked = run_tap({**box.config, "stream_maps": {"call_logs": {"new": "1"}}})
    assert [{**record, "new": 1} for record in plain.records] == looked.records
    assert len(plain.records) == 40
    assert [set(message) for message in plain.of("RECORD")] == [
        set(message) for message in looked.of("RECORD")
    ]


def test_deselected_object_member_is_not_emitted(run_tap: RunTap, clock: FakeClock) -> None:
    catalog = catalog_of(run_tap({}, "--discover"))
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"][1::2] == ["voice_credits", "total"]:
            entry["metadata"]["selected"] = False
    with Sandbox(history=history(40), clock=clock) as box:
        run = run_tap(box.config, catalog=catalog)
        assert_once(run, server_ids(box))
    assert all(set(record["voice_credits"]) >= {"voice"} for record in run.records)
    assert all("total" not in record["voice_credits"] for record in run.records)


def test_objects_are_flattened(run_tap: RunTap, clock: FakeClock) -> None:
    flat = {"flattening_enabled": True, "flattening_max_depth": 1}
    with Sandbox(history=history(40), clock=clock) as box:
        run = run_tap({**box.config, **flat})
        assert_once(run, server_ids(box))
    assert all("voice_credits__total" in record for record in run.records)
    assert not any("voice_credits" in record for record in run.records)


@pytest.mark.parametrize(
    ("option", "content", "line"),
    [
        ("--config", "{", "not JSON (line 1)"),
        ("--config", "[1]", "not a JSON object"),
        ("--state", "[1]", "The state is invalid"),
        ("--state", '{"bookmarks": {"call_logs": 3}}', "The state is invalid"),
        ("--state", "nonsense", "not JSON (line 1)"),
        ("--catalog", "[1]", "The catalog is invalid"),
        ("--catalog", "{}", "The catalog is invalid"),
    ],
)
def test_invalid_input_file_is_one_line(
    run_tap: RunTap, clock: FakeClock, tmp_path: Path, option: str, content: str, line: str
) -> None:
    (tmp_path / "odd.json").write_text(content)
    with Sandbox(history=None, clock=clock) as box:
        config = {} if option == "--config" else box.config
        run = run_tap(config, option, str(tmp_path / "odd.json"))
        assert box.stats.token_requests == 0
    assert run.exit_code == 1
    assert line in run.log
    assert "Traceback" not in run.log


def test_missing_file_and_unknown_option(run_tap: RunTap) -> None:
    missing = run_tap({}, "--config", "/does/not/exist.json")
    assert missing.exit_code == 1
    assert "was not found" in missing.log
    assert run_tap({}, "--nonsense").exit_code == 2


def test_invalid_and_future_bookmarks(run_tap: RunTap, clock: FakeClock) -> None:
    def state(value: str) -> dict[str, Any]:
        key = {"replication_key": "start_time", "replication_key_value": value}
        return {"bookmarks": {"call_logs": key}}

    with Sandbox(history=history(), clock=clock) as box:
        odd = run_tap(box.config, state=state("yesterday"))
        assert odd.exit_code == 1
        assert "is not a date-time" in odd.log
        box.store.add(call(box, "recent", round(NOW * 1000) - 3_600_000))
        future = run_tap(box.config, state=state("2099-01-01T00:00:00Z"))
    assert "recent" in future.ids
    assert future.bookmark == "2026-03-01T12:00:00.000000+00:00"


def test_log_holds_nothing_secret_or_personal(
    run_tap: RunTap, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGLEVEL", "DEBUG")
    filters = {"userNumber": "15550100", "contact_name": "Zoë Example"}
    private = {
        "caller_id_number": "+1 5550100123",
        "contact_name": "Renée Mustermann",
        "undocumented_note": "call back about the red shoes",
        "feedback": "not a number: +1 5550100999",
    }
    faults = {2: "error_200", 3: "html", 4: "lock", 5: "token", 7: "truncated"}
    with Sandbox(history=history(300), clock=clock, faults=faults) as box:
        box.store.add(call(box, "private", round(NOW * 1000) - 5000, **private))
        runs = [run_tap(box.config), run_tap({**box.config, "filters": filters})]
        secrets = [box.config["client_secret"], box.config["refresh_token"], "Zoho-oauthtoken"]
    log = "".join(run.log for run in runs)
    assert [run.exit_code for run in runs] == [0, 0]
    for text in [*secrets, *filters.values(), *map(str, private.values()), "5550100", "shoes"]:
        assert text not in log
    names = {record["caller_id_name"] for record in runs[0].records} - {None, "", "Zoho"}
    assert len(names) > 10
    assert not [name for name in names if name in log]


def test_settings_have_descriptions() -> None:
    for name, spec in TapZohoVoice.config_jsonschema["properties"].items():
        assert spec.get("description"), name
