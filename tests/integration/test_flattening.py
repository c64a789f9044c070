"""Schemas and records as loaders flatten and check them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.calls import call, history, milliseconds
from tests.support.catalog import selecting
from tests.support.cli import FakeClock, Run, RunTap
from zoho_voice_sandbox import Sandbox

STREAMS = ("call_logs", "transcripts")
OBJECTS = ("bridged_agent", "voice_credits", "call_recording", "voicemail")
OPEN_OBJECTS = {
    "call_logs": {"additional_fields"},
    "transcripts": {"additional_fields", "analytics"},
}


@pytest.fixture
def box(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(history=history(60), clock=clock) as running:
        start = milliseconds("2026-02-27T10:00:00+00:00")
        nothing = dict.fromkeys((*OBJECTS, "call_recording_transcription_status"))
        extra = {"nul": "a\0b", "big": 2**70, "deep": {"a": [{"b": None}]}}
        running.store.add(call(running, "bare", start, **nothing, **extra))
        yield running


def schemas_of(run: Run) -> dict[str, dict[str, Any]]:
    assert run.exit_code == 0, run.log
    return {message["stream"]: message["schema"] for message in run.of("SCHEMA")}


def flatten(record: dict[str, Any], levels: int, separator: str = "__") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name in OBJECTS and levels and isinstance(value, dict):
            flat |= {f"{name}{separator}{member}": item for member, item in value.items()}
        else:
            flat[name] = value
    return flat


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
@pytest.mark.parametrize("separator", ["__", "."])
def test_flattened_records_are_valid_and_complete(
    run_tap: RunTap, box: Sandbox, depth: int, separator: str
) -> None:
    catalog = selecting(*STREAMS)
    settings = {
        "flattening_enabled": True,
        "flattening_max_depth": depth,
        "flattening_separator": separator,
    }
    plain, flat = (run_tap({**box.config, **extra}, catalog=catalog) for extra in ({}, settings))
    schemas = schemas_of(flat)
    for stream in STREAMS:
        assert len(flat.rows(stream)) > 5
        validator = jsonschema.Draft4Validator(schemas[stream])
        columns = schemas[stream]["properties"]
        assert columns.keys() >= OPEN_OBJECTS[stream]
        for record, sent in zip(flat.rows(stream), plain.rows(stream), strict=True):
            assert [error.message for error in validator.iter_errors(record)] == []
            expected = flatten(sent, depth, separator)
            left_over = expected.keys() - columns.keys()
            assert left_over <= set(OBJECTS)
            assert not [name for name in left_over if expected[name] is not None]
            for name in expected.keys() & columns.keys():
                value = record[name]
                is_text = isinstance(value, str) and isinstance(expected[name], dict | list)
                assert (json.loads(value) if is_text else value) == expected[name]


PARQUET_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}


def parquet_type(schema: dict[str, Any]) -> str:
    """Return the type of a column; only scalars are left after flattening."""
    (kind,) = set(schema["type"]) - {"null"}
    is_moment = schema.get("format") == "date-time"
    return "TIMESTAMPTZ" if is_moment else PARQUET_TYPES.get(kind, "VARCHAR")


def test_flattened_records_fit_into_parquet(run_tap: RunTap, box: Sandbox, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    settings = {"flattening_enabled": True, "flattening_max_depth": 1}
    run = run_tap({**box.config, **settings}, catalog=selecting(*STREAMS))
    for stream, schema in schemas_of(run).items():
        lines, parquet = tmp_path / f"{stream}.jsonl", tmp_path / f"{stream}.parquet"
        lines.write_text("".join(f"{json.dumps(record)}\n" for record in run.rows(stream)))
        columns = {name: parquet_type(spec) for name, spec in schema["properties"].items()}
        with duckdb.connect() as connection:
            rows = connection.read_json(str(lines), columns=columns, format="newline_delimited")
            rows.write_parquet(str(parquet))
            stored = connection.read_parquet(str(parquet)).project(
                ", ".join(f'"{name}"' for name, kind in columns.items() if kind != "TIMESTAMPTZ")
            )
            landed = [dict(zip(stored.columns, row, strict=True)) for row in stored.fetchall()]
        assert len(landed) == len(run.rows(stream)) > 5
        for row, record in zip(landed, run.rows(stream), strict=True):
            assert row == {name: record.get(name) for name in row}


@pytest.mark.parametrize(
    "settings", [{}, {"stream_maps": {"*": {"__else__": None, "logid": "logid", "kind": "'x'"}}}]
)
def test_schemas_name_no_draft_and_suit_draft_4(
    run_tap: RunTap, box: Sandbox, settings: dict[str, Any]
) -> None:
    run = run_tap({**box.config, **settings}, catalog=selecting(*STREAMS))
    for schema in schemas_of(run).values():
        assert "$schema" not in json.dumps(schema)
        jsonschema.Draft4Validator.check_schema(schema)


def test_catalog_of_an_earlier_version_brings_no_draft(run_tap: RunTap, box: Sandbox) -> None:
    catalog = selecting(*STREAMS)
    for entry in catalog["streams"]:
        entry["schema"]["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    for schema in schemas_of(run_tap(box.config, catalog=catalog)).values():
        assert "$schema" not in schema


def test_open_objects_have_no_properties_member(run_tap: RunTap, box: Sandbox) -> None:
    for stream, schema in schemas_of(run_tap(box.config, catalog=selecting(*STREAMS))).items():
        for name in OPEN_OBJECTS[stream]:
            assert schema["properties"][name]["type"] == ["object", "null"]
            assert "properties" not in schema["properties"][name]


def loader_schema(schema: dict[str, Any], levels: int, parents: tuple[str, ...] = ()) -> set[str]:
    """Return the columns that loaders make: objects with a `properties` member dissolve."""
    columns = set()
    for name, spec in schema["properties"].items():
        path = (*parents, name)
        if "object" in spec["type"] and "properties" in spec and levels:
            columns |= loader_schema(spec, levels - 1, path)
        else:
            columns.add("__".join(path))
    return columns


def loader_record(
    record: dict[str, Any], columns: set[str], levels: int, parents: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Flatten a record as target-sqlite does, which keeps what is a column by itself."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        path = (*parents, name)
        if isinstance(value, dict) and "__".join(path) not in columns and levels:
            flat |= loader_record(value, columns, levels - 1, path)
        else:
            flat["__".join(path)] = json.dumps(value) if isinstance(value, dict | list) else value
    return flat


@pytest.mark.parametrize("levels", [0, 1, 3, 99])
def test_loaders_that_flatten_keep_open_objects(run_tap: RunTap, box: Sandbox, levels: int) -> None:
    run = run_tap(box.config, catalog=selecting(*STREAMS))
    for stream, schema in schemas_of(run).items():
        columns = loader_schema(schema, levels)
        assert columns >= OPEN_OBJECTS[stream]
        for record in run.rows(stream):
            row = loader_record(record, columns, levels)
            for name in OPEN_OBJECTS[stream]:
                value = row[name]
                assert (json.loads(value) if value else value) == record[name]
