"""Schemas and records as loaders flatten and check them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.account import Account, Accounts
from tests.support.calls import call, milliseconds
from tests.support.cli import Run, selecting

STREAMS = ("call_logs", "transcripts")
OBJECTS = ("bridged_agent", "voice_credits", "call_recording", "voicemail")
OPEN_OBJECTS = {
    "call_logs": {"additional_fields"},
    "transcripts": {"additional_fields", "analytics"},
}


@pytest.fixture
def box(account: Accounts) -> Iterator[Account]:
    with account(60) as running:
        start = milliseconds("2026-02-27T10:00:00+00:00")
        nothing = dict.fromkeys((*OBJECTS, "call_recording_transcription_status"))
        extra = {"nul": "a\0b", "big": 2**70, "deep": {"a": [{"b": None}]}}
        running.store.add(call(running, "bare", start, **nothing, **extra))
        yield running


def run_streams(box: Account, **settings: Any) -> Run:
    return box.succeed(**{"catalog": selecting(*STREAMS), **settings})


def schemas_of(run: Run) -> dict[str, dict[str, Any]]:
    return {message["stream"]: message["schema"] for message in run.of("SCHEMA")}


def flatten(record: dict[str, Any], levels: int, separator: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name in OBJECTS and levels and isinstance(value, dict):
            flat |= {f"{name}{separator}{member}": item for member, item in value.items()}
        else:
            flat[name] = value
    return flat


@pytest.mark.parametrize(
    ("depth", "separator"), [(0, "__"), (1, "__"), (1, "."), (2, "."), (5, "__")]
)
def test_flattened_records_are_valid_and_complete(box: Account, depth: int, separator: str) -> None:
    settings = {"flattening_max_depth": depth, "flattening_separator": separator}
    plain, flat = run_streams(box), run_streams(box, flattening_enabled=True, **settings)
    for stream, schema in schemas_of(flat).items():
        assert len(flat.rows(stream)) > 5
        validator = jsonschema.Draft4Validator(schema)
        columns, declared = schema["properties"], schemas_of(plain)[stream]["properties"]
        for name in OPEN_OBJECTS[stream]:  # loaders dissolve objects that have `properties`
            assert declared[name]["type"] == ["object", "null"]
            assert "properties" not in declared[name]
        assert columns.keys() >= OPEN_OBJECTS[stream]
        for record, sent in zip(flat.rows(stream), plain.rows(stream), strict=True):
            assert [error.message for error in validator.iter_errors(record)] == []
            integers = [value for value in record.values() if isinstance(value, int)]
            assert all(-(2**63) <= value < 2**63 for value in integers)  # as columns have them
            expected = flatten(sent, depth, separator)
            left_over = expected.keys() - columns.keys()
            assert left_over <= set(OBJECTS)
            assert not [name for name in left_over if expected[name] is not None]
            for name in expected.keys() & columns.keys():
                value = record[name]
                is_text = isinstance(value, str) and isinstance(expected[name], dict | list)
                assert (json.loads(value) if is_text else value) == expected[name]


@pytest.mark.parametrize("is_flat", [False, True])
@pytest.mark.parametrize(
    "expressions",
    [
        {"additional_fields": "additional_fields or {}", "x": "additional_fields"},
        {"x": "{'a': call_type}", "y": "[voicemail]"},
        {"voice_credits": "voice_credits['total'] if voice_credits else None"},
        {"call_recording": "call_recording['recording_filename'] if call_recording else None"},
    ],
    ids=lambda expressions: next(iter(expressions.values())),
)
def test_mapped_objects_fit_the_schema(
    box: Account, expressions: dict[str, str], is_flat: bool
) -> None:
    options = {"flattening_enabled": True, "flattening_max_depth": 1} if is_flat else {}
    run = run_streams(box, stream_maps={"call_logs": expressions}, **options)
    schema = schemas_of(run)["call_logs"]
    validator = jsonschema.Draft4Validator(schema)
    for record in run.records:
        assert [error.message for error in validator.iter_errors(record)] == []
        values = {name for name, value in record.items() if value is not None}
        assert values <= schema["properties"].keys()


PARQUET_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "string": "TEXT"}


def test_flattened_records_fit_into_parquet(box: Account, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    run = run_streams(box, flattening_enabled=True, flattening_max_depth=1)
    for stream, schema in schemas_of(run).items():
        records, file = run.rows(stream), str(tmp_path / f"{stream}.parquet")
        columns = {
            name: next((PARQUET_TYPES[kind] for kind in spec["type"] if kind != "null"), "")
            for name, spec in schema["properties"].items()
        }
        lines = tmp_path / f"{stream}.jsonl"
        lines.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        with duckdb.connect() as connection:
            connection.read_json(str(lines), columns=columns).write_parquet(file)
            stored = connection.read_parquet(file).fetchall()
        assert stored == [tuple(record.get(name) for name in columns) for record in records]


EARLIER_CATALOG = selecting(*STREAMS)
for _entry in EARLIER_CATALOG["streams"]:
    _entry["schema"]["$schema"] = "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stream_maps": {"*": {"__else__": None, "logid": "logid", "kind": "'x'"}}},
        {"catalog": EARLIER_CATALOG},
    ],
    ids=["plain", "mapped", "catalog of an earlier version"],
)
def test_schemas_name_no_draft_and_suit_draft_4(box: Account, settings: dict[str, Any]) -> None:
    for schema in schemas_of(run_streams(box, **settings)).values():
        assert "$schema" not in json.dumps(schema)
        jsonschema.Draft4Validator.check_schema(schema)
