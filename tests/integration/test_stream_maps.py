"""Stream maps: mistakes end with one plain line before any request, or are warned of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tap_zohovoice.tap import STREAMS
from tests.support.calls import call, history, milliseconds
from tests.support.catalog import selecting
from tests.support.cli import FakeClock, Run, RunTap
from zoho_voice_sandbox import Sandbox

CASES = json.loads((Path(__file__).parent / "stream_maps.json").read_text(encoding="utf-8"))
HIDDEN = ("caller_id_name", "destination_name", "contact_name", "additional_fields")


@pytest.fixture
def box(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(history=history(40), clock=clock) as running:
        yield running


def run_maps(
    run_tap: RunTap, box: Sandbox, maps: dict[str, Any], *streams: str, **config: Any
) -> Run:
    catalog = selecting(*(streams or ("call_logs",)))
    return run_tap({**box.config, "stream_maps": maps, **config}, catalog=catalog)


def log_lines(run: Run, level: str) -> list[str]:
    """Return the lines of a level, without the SDK's closing line."""
    lines = [line for line in run.log.splitlines() if f"| {level}" in line]
    texts = [line.rpartition("| ")[2].strip() for line in lines]
    return [text for text in texts if text != "Config validation failed"]


@pytest.mark.parametrize("null", ["__NULL__", None])
@pytest.mark.parametrize("key", ["call_logs", "call_*", "*"])
def test_privacy_map_hides_fields(
    run_tap: RunTap, box: Sandbox, key: str, null: str | None
) -> None:
    number = "sha256(config['hash_seed'] + user_number) if user_number else None"
    maps = {key: {**dict.fromkeys(HIDDEN, null), "user_number": number}}
    run = run_maps(run_tap, box, maps, stream_map_config={"hash_seed": "secret"})
    assert run.exit_code == 0, run.log
    assert len(run.records) == 40
    (schema,) = run.of("SCHEMA")
    for name in HIDDEN:
        assert name not in schema["schema"]["properties"]
        assert not [record for record in run.records if name in record]
    hashes = {record["user_number"] for record in run.records} - {None}
    assert {len(value) for value in hashes} == {64}
    assert log_lines(run, "WARNING") == []


@pytest.mark.parametrize(
    ("maps", "lines"),
    [
        *[
            ({"call_logs": fields}, ["stream_maps: ", "call_logs", line])
            for fields, line in CASES["mistakes"]
        ],
        *[(maps, []) for maps in CASES["invalid options"]],
    ],
)
def test_mistake_in_a_map_is_one_line_before_any_request(
    run_tap: RunTap, box: Sandbox, maps: dict[str, Any], lines: list[str]
) -> None:
    run = run_maps(run_tap, box, maps)
    assert run.exit_code == 1
    assert run.messages == []
    assert box.stats.requests == box.stats.tokens == 0
    (error,) = log_lines(run, "ERROR")
    assert all(line in error for line in lines)
    assert error.startswith(tuple(lines[:1]) or "")
    assert "s3cret" not in run.log
    assert "bug" not in run.log
    assert "Traceback" not in run.log


def test_every_mistake_is_reported(run_tap: RunTap, box: Sandbox) -> None:
    maps = {"call_logs": {"a": "b", "c": "config['d']"}, "recordings": {"e": "f"}}
    run = run_maps(run_tap, box, maps, "call_logs", "recordings")
    assert log_lines(run, "ERROR") == [
        "stream_maps: call_logs.a: unknown name b",
        "stream_maps: call_logs.c: d not found in stream_map_config",
        "stream_maps: recordings.e: unknown name f",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"error": None},
        {"raw": "__NULL__", "provider": "provider.upper()"},
        {"new": "broken("},
        {"logid": None},
        {"new": "unknown_name", "__filter__": "config['x']"},
    ],
)
def test_map_of_a_deselected_stream_is_ignored(
    run_tap: RunTap, box: Sandbox, fields: dict[str, Any]
) -> None:
    run = run_maps(run_tap, box, {"transcripts": fields, "call_logs": {"contact_name": None}})
    assert run.exit_code == 0, run.log
    assert len(run.records) == 40
    assert log_lines(run, "ERROR") == []
    # This selects all streams.
    schemas = run_tap({**box.config, "stream_maps": {"transcripts": fields}}, "--test=schema")
    assert schemas.exit_code == 0, schemas.log
    written = {schema["stream"] for schema in schemas.of("SCHEMA")}
    assert {stream.name for stream in STREAMS} - written <= {"transcripts"}


@pytest.mark.parametrize(("maps", "warning"), CASES["warnings"])
def test_map_that_hides_nothing_is_warned_of(
    run_tap: RunTap, box: Sandbox, maps: dict[str, Any], warning: str
) -> None:
    run = run_maps(run_tap, box, maps)
    assert run.exit_code == 0, run.log
    (line,) = log_lines(run, "WARNING")
    assert line.startswith(f"stream_maps: {warning}")


@pytest.mark.parametrize("null", ["__NULL__", None])
def test_unmapped_streams_and_fields_can_be_left_out(
    run_tap: RunTap, box: Sandbox, null: str | None
) -> None:
    fields = {"logid": "logid", "__else__": null}
    maps = {"call_logs": fields, "__else__": null}
    run = run_maps(run_tap, box, maps, "call_logs", "transcripts")
    assert run.exit_code == 0, run.log
    assert {tuple(record) for record in run.records} == {("logid",)}
    assert run.rows("transcripts") == []


def test_valid_maps_pass_without_a_word(run_tap: RunTap, box: Sandbox) -> None:
    maps = {
        "call_logs": {
            "__filter__": "call_type in ['incoming', 'missed'] or bool(feedback)",
            "__alias__": "calls",
            "month": "start_time[:7]",
            "day": "datetime.datetime.fromisoformat(start_time).date().isoformat()",
            "file": "call_recording['recording_filename'] if call_recording else None",
            "queue": "(additional_fields or {}).get('queue_name')",
            "origin": "__original_stream_name__ + config.get('none', '')",
            "rate": "float(record['duration_seconds'] or 0) / 60",
            "flags": "json.dumps([flag for flag in [isBlocked, is_test_call] if flag])",
            "caller_id_number": "md5(self) if self else None",
        },
        "copy": {
            "__source__": "call_logs",
            "__else__": None,
            "logid": "logid",
            "department": "self",
        },
        "recordings": {"uri": "__NULL__"},
    }
    run = run_maps(run_tap, box, maps)
    assert run.exit_code == 0, run.log
    assert log_lines(run, "WARNING") == []
    assert {tuple(record) for record in run.rows("copy")} == {("logid", "department")}
    assert len(run.rows("copy")) == 40
    assert 0 < len(run.rows("calls")) < 40


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("user_number.lower()", "unknown attribute lower"),
        ("int(caller_id_number)", "ValueError"),
        ("5 / 0", "ZeroDivisionError"),
        ("call_recording['recording_filename']", "TypeError"),
        ("additional_fields['nope']", "KeyError"),
    ],
)
def test_expression_that_fails_for_a_record_is_one_line(
    run_tap: RunTap, box: Sandbox, expression: str, reason: str
) -> None:
    start = milliseconds("2026-02-27T10:00:00+00:00")
    nothing = {"user_number": None, "call_recording": None}
    box.store.add(call(box, "bare", start, caller_id_number="+1x", **nothing))
    run = run_maps(run_tap, box, {"call_logs": {"new": expression}})
    assert run.exit_code == 1
    (error,) = log_lines(run, "ERROR")
    assert error.startswith(f"stream_maps: call_logs.new: {reason}")
    assert "+1x" not in run.log
    assert "Traceback" not in run.log
