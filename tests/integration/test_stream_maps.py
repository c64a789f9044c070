"""Stream maps: mistakes end with one plain line before any request, or are warned of."""

import re
from typing import Any

import pytest

from tap_zohovoice.config.settings import CALL_TYPES
from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tap_zohovoice.tap import STREAMS
from tests.support.account import Account, read_cases
from tests.support.calls import call, milliseconds
from tests.support.cli import Run, selecting

CASES = read_cases("stream_maps")
HIDDEN = ("caller_id_name", "destination_name", "contact_name", "additional_fields")


def succeed(box: Account, maps: dict[str, Any], *streams: str, **config: Any) -> Run:
    return box.succeed(streams=streams or ("call_logs",), stream_maps=maps, **config)


def fail(box: Account, maps: dict[str, Any]) -> tuple[Run, str]:
    """Run with maps that are wrong; return the run and its only error."""
    run = box.fail(streams=["call_logs"], stream_maps=maps)
    assert not re.search(r"s3cret|bug|\+1x", run.log)
    return run, run.logged("ERROR")[0]


@pytest.mark.parametrize("null", ["__NULL__", None])
@pytest.mark.parametrize("key", ["call_logs", "call_*", "*"])
def test_privacy_map_hides_fields(box: Account, key: str, null: str | None) -> None:
    number = "sha256(config['hash_seed'] + user_number) if user_number else None"
    maps = {key: {**dict.fromkeys(HIDDEN, null), "user_number": number}}
    run = succeed(box, maps, stream_map_config={"hash_seed": "secret"})
    assert len(run.records) == 40
    (schema,) = run.of("SCHEMA")
    assert not {*HIDDEN} & schema["schema"]["properties"].keys()
    assert not [record for record in run.records if {*HIDDEN} & record.keys()]
    hashes = {record["user_number"] for record in run.records} - {None}
    assert {len(value) for value in hashes} == {64}
    assert run.logged("WARNING") == []


@pytest.mark.parametrize(
    ("maps", "lines"),
    [
        *(
            ({"call_logs": fields}, ["stream_maps", "call_logs", line])
            for fields, line in CASES["mistakes"]
        ),
        *((maps, [""]) for maps in CASES["invalid options"]),
    ],
)
def test_mistake_in_a_map_is_one_line(box: Account, maps: dict[str, Any], lines: list[str]) -> None:
    run, error = fail(box, maps)
    assert run.messages == []
    assert all(line in error for line in lines)
    assert error.startswith(lines[0])
    assert box.stats.requests == box.stats.tokens == 0


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_filter_is_not_logged(box: Account, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("LOGLEVEL", level)
    run = succeed(box, {"call_logs": {"__filter__": "caller_id_number != '+1 5550100'"}})
    assert len(run.records) == 40
    assert "5550100" not in run.log


def test_every_mistake_is_reported(box: Account) -> None:
    maps = {"call_logs": {"a": "b", "c": "config['d']", "g": "b"}, "recordings": {"e": "f"}}
    run = box.run(streams=["call_logs", "recordings"], stream_maps=maps)
    assert run.logged("ERROR") == [
        "stream_maps: call_logs.a, call_logs.g: unknown name b",
        "stream_maps: call_logs.c: d not found in the record or in stream_map_config",
        "stream_maps: recordings.e: unknown name f",
    ]


@pytest.mark.parametrize("fields", CASES["maps of a stream that is not selected"])
def test_map_of_a_deselected_stream_is_ignored(box: Account, fields: dict[str, Any]) -> None:
    run = succeed(box, {"transcripts": fields, "call_logs": {"contact_name": None}})
    assert len(run.records) == 40
    assert run.logged("ERROR") == []
    # This selects all streams.
    schemas = box.succeed("--test=schema", stream_maps={"transcripts": fields})
    written = {schema["stream"] for schema in schemas.of("SCHEMA")}
    assert {stream.name for stream in STREAMS} - written <= {"transcripts"}


@pytest.mark.parametrize(("maps", "warning"), CASES["warnings"])
def test_map_that_hides_nothing_is_told(box: Account, maps: dict[str, Any], warning: str) -> None:
    (line,) = succeed(box, maps).logged("WARNING")
    assert line.startswith(f"stream_maps: {warning}")


@pytest.mark.parametrize(("expression", "kind"), CASES["types of expressions"])
@pytest.mark.parametrize("field", ["added", "duration_seconds", "call_type"])
def test_type_of_an_expression_is_declared(
    box: Account, field: str, expression: str, kind: str
) -> None:
    copy = {"__source__": "call_logs", "another": expression}
    run = succeed(box, {"copy": copy, "call_logs": {field: expression}})
    schema, other = (message["schema"]["properties"] for message in run.of("SCHEMA"))
    assert schema[field]["type"] == other["another"]["type"] == [kind, "null"]
    assert other.get(field) in (None, CALL_LOG_SCHEMA["properties"].get(field))


@pytest.mark.parametrize("null", ["__NULL__", None])
def test_unmapped_streams_and_fields_can_be_left_out(box: Account, null: str | None) -> None:
    maps = {"call_logs": {"logid": "logid", "__else__": null}, "__else__": null}
    run = succeed(box, maps, "call_logs", "transcripts")
    assert {tuple(record) for record in run.records} == {("logid",)}
    assert run.rows("transcripts") == []


@pytest.mark.parametrize("keys", [None, []])
def test_map_without_keys_declares_none(box: Account, keys: Any) -> None:
    """Loaders require the member `key_properties`."""
    run = succeed(box, {"call_logs": {"__key_properties__": keys}})
    assert [message["key_properties"] for message in run.of("SCHEMA")] == [[]]
    assert run.records


def test_valid_maps_pass_without_a_word(box: Account) -> None:
    copy = {"__source__": "call_logs", "__else__": None, "logid": "logid", "department": "self"}
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
            "way": f"{dict.fromkeys(CALL_TYPES, 'in or out')}[call_type]",
        },
        "copy": copy,
        "recordings": {"uri": "__NULL__"},
        "sms_logs": {"file": "mmsMeta[0]['fileName'] if mmsMeta else None"},
    }
    run = succeed(box, maps, "call_logs", "sms_logs")
    assert run.logged("WARNING") == []
    assert {tuple(record) for record in run.rows("copy")} == {("logid", "department")}
    assert len(run.rows("copy")) == 40
    assert 0 < len(run.rows("calls")) < 40


@pytest.mark.parametrize("case", CASES["invalid names of streams"], ids=str)
def test_streams_have_names_of_their_own(box: Account, case: list[Any]) -> None:
    """A loader would replace the table, or rows that have the same key."""
    maps, *reasons = case
    run = box.run(streams=["call_logs", "recordings"], stream_maps=maps)
    assert run.exit_code == 1
    assert run.logged("ERROR") == [f"stream_maps: {reason}" for reason in reasons]
    assert run.messages == []


def test_name_of_a_stream_that_is_not_read_is_free(box: Account) -> None:
    maps = {"call_logs": {"__alias__": "users"}, "users": {"first_name": "__NULL__"}}
    assert len(succeed(box, maps).rows("users")) == 40


ODD = {"contact_name": ["hush"], "voice_credits": {"total": {"hush": 1}, "new": 2}, "other": [3]}
HIDDEN_NAMES = [["contact_name", "voice_credits"], ["contact_name", "voice_credits.total"]]


def deselecting(*names: str) -> dict[str, Any]:
    catalog = selecting("call_logs")
    (entry,) = (each for each in catalog["streams"] if each["tap_stream_id"] == "call_logs")
    for name in names:
        path = [part for member in name.split(".") for part in ("properties", member)]
        entry["metadata"].append({"breadcrumb": path, "metadata": {"selected": False}})
    return catalog


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        *(
            ({"stream_maps": {"call_logs": dict.fromkeys(HIDDEN_NAMES[0], value)}}, {"other": [3]})
            for value in ("__NULL__", "md5(str(self))")
        ),
        ({"catalog": deselecting(*HIDDEN_NAMES[0])}, {"other": [3]}),
        ({"catalog": deselecting(*HIDDEN_NAMES[1])}, {"other": [3], "voice_credits.new": 2}),
    ],
)
def test_hidden_field_of_another_type_stays_hidden(
    box: Account, settings: dict[str, Any], kept: dict[str, Any]
) -> None:
    start = milliseconds("2026-02-27T10:00:00+00:00")
    box.store.add({"logid": "odd", "start_time": str(start), **ODD})
    run = box.succeed(streams=() if "catalog" in settings else ["call_logs"], **settings)
    (record,) = [record for record in run.records if record["logid"] == "odd"]
    assert record["additional_fields"] == kept
    assert "hush" not in run.stdout


@pytest.mark.parametrize(("expression", "reason"), CASES["expressions that fail"])
def test_failing_expression_is_one_line(box: Account, expression: str, reason: str) -> None:
    nothing = {"user_number": None, "call_recording": None}
    start = milliseconds("2026-02-27T10:00:00+00:00")
    box.store.add(call(box, "bare", start, caller_id_number="+1x", **nothing))
    _, error = fail(box, {"call_logs": {"new": expression}})
    assert error.startswith(f"stream_maps: call_logs.new: {reason}")
