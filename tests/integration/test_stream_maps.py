"""Stream maps: mistakes end with one plain line before any request, or are warned of."""

from collections.abc import Iterator
from typing import Any

import pytest

from tap_zohovoice.tap import STREAMS
from tests.support.calls import call, history, milliseconds
from tests.support.catalog import selecting
from tests.support.cli import FakeClock, Run, RunTap
from zoho_voice_sandbox import Sandbox

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


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"user_number": "sha256(user_number"}, "user_number: invalid syntax"),
    ({"department": "a b"}, "department: invalid syntax"),
    ({"department": ""}, "department: invalid syntax"),
    ({"department": "a = 1"}, "department: invalid syntax"),
    ({"new": "1; 2"}, "new: invalid syntax"),
    ({"__filter__": "call_type =="}, "__filter__: invalid syntax"),
    ({"__alias__": "my calls"}, "__alias__: invalid syntax"),
    (
        {"department": "departmnet.lower()"},
        "department: unknown name departmnet, did you mean department?",
    ),
    ({"__filter__": "kind == 'x'"}, "__filter__: unknown name kind"),
    ({"new": "self + 'x'"}, "new: unknown name self"),
    ({"new": "hashed(user_number)"}, "new: unknown name hashed"),
    ({"new": "'a' if call_type else nothing"}, "new: unknown name nothing"),
    ({"new": "[x for x in y]"}, "new: unknown name y"),
    ({"new": "record['caller']"}, "new: unknown field caller"),
    ({"new": "_['zz top']"}, "new: unknown field zz top"),
    ({"new": "record.zzz"}, "new: unknown field zzz"),
    (
        {"user_number": "md5(config['salt'])"},
        "user_number: salt not found in stream_map_config",
    ),
    ({"new": "config.salt"}, "new: salt not found in stream_map_config"),
    ({"new": "department.foo()"}, "new: unknown attribute foo"),
    ({"new": "md5(duration_seconds)"}, "new: AttributeError; check the types"),
    ({"new": "[1].__class__"}, "new: unsupported expression"),
    ({"new": 5}, "call_logs.new must be text or null"),
    ({"__filter__": True}, "call_logs.__filter__ must be text or null"),
    ({"__key_properties__": "logid"}, "call_logs.__key_properties__ must be a list"),
    ({"logid": None}, "Removing key property 'logid' is not permitted"),
    ({"logid": "__NULL__"}, "Removing key property 'logid' is not permitted"),
    ({"__key_properties__": ["nope"]}, "Invalid key properties for 'call_logs'"),
    ({"__else__": "'x'"}, "__else__ must be null"),
    ({"__else__": [1]}, "__else__ must be null"),
    ({"new": [1]}, "call_logs.new must be text or null"),
    ({"__key_properties__": [1]}, "call_logs.__key_properties__ must be a list of names"),
    ({"__key_properties__": ""}, "call_logs.__key_properties__ must be a list"),
    ({"__fliter__": "1"}, "call_logs.__fliter__ is not an option, did you mean __filter__?"),
    ({"new": "voice_credits['voic']"}, "new: unknown field voic, did you mean voice?"),
    ({"new": "voice_credits.voic"}, "new: unknown field voic, did you mean voice?"),
]
INVALID_OPTIONS: list[Any] = [
    *[{"__else__": "x"}, {"__other__": {}}, {"call_logs": "text"}, "text"],
    *[{"copies": {"__source__": source}} for source in (5, None)],
]


@pytest.mark.parametrize(
    ("maps", "lines"),
    [
        *[
            ({"call_logs": fields}, ["stream_maps: ", "call_logs", line])
            for fields, line in MISTAKES
        ],
        *[(maps, []) for maps in INVALID_OPTIONS],
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


@pytest.mark.parametrize(
    ("maps", "warning"),
    [
        ({"calls": {"x": None}}, "stream calls does not exist"),
        ({"call_log": None}, "stream call_log does not exist, did you mean call_logs?"),
        ({"copy": {"__source__": "call_lgs"}}, "stream call_lgs does not exist"),
        ({"zz_*": {"x": "__NULL__"}}, "stream zz_* does not exist"),
        (
            {"call_logs": {"caller_id_nmae": None}},
            "field call_logs.caller_id_nmae does not exist, did you mean caller_id_name?",
        ),
        ({"call_logs": {"voicemail.uri": "__NULL__"}}, "field call_logs.voicemail.uri"),
        ({"call_logs": {"voicemail__dfs_path": None}}, "field call_logs.voicemail__dfs_path"),
        (
            {"call_logs": {"Contact_Name": "md5(contact_name) if contact_name else None"}},
            "field call_logs.Contact_Name does not exist, did you mean contact_name?",
        ),
        ({"*": {"fax": None}}, "field *.fax does not exist"),
        ({"call_logs": {}}, 'the map of call_logs is empty; to hide a field, use "__NULL__"'),
    ],
)
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
