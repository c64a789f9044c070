"""Conversion of call logs to records."""

import json
import logging
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_zohovoice._time import format_epoch_ms
from tap_zohovoice.exceptions import CastError, InvalidRecordError
from tap_zohovoice.http.response import validate_response
from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA, FIELDS
from tap_zohovoice.schemas.conversion import RecordConverter
from tap_zohovoice.schemas.types import FieldType
from tap_zohovoice.singer.json import SerializedRecord, sanitize

LOG = {"logid": "c3d87e71-0000-4000-8000-000000000001", "start_time": "1764831298000"}
STARTED = "2025-12-04T06:54:58.000000+00:00"
VALIDATOR = DEFAULT_JSONSCHEMA_VALIDATOR(CALL_LOG_SCHEMA)
LOGGER = "tap-zohovoice.call_logs"
MISMATCH = "{}: value does not match its type; emitting null, raw value kept in "
UNDECLARED = "{} fields are not documented; kept in additional_fields: "
CASES = json.loads((Path(__file__).parent / "conversions.json").read_text(encoding="utf-8"))
"""Values sent and in the record, by type, and values that are invalid."""
VALID = {FieldType[name]: rows for name, rows in CASES["valid"].items()}
VALID[FieldType.TIMESTAMP] = [
    (value, f"{text}+00:00") for text, values in CASES["timestamps"].items() for value in values
]
NAN, HUGE = float("nan"), 10**400
INVALID: dict[FieldType, list[object]] = {FieldType[n]: row for n, row in CASES["invalid"].items()}
INVALID[FieldType.ID] += [NAN]
INVALID[FieldType.TIMESTAMP] += [float("inf"), NAN, HUGE]
INVALID[FieldType.NUMBER] += [HUGE]
INVALID[FieldType.INTEGER] += [HUGE]
NON_OBJECTS: list[object] = [None, [], "row", 5]
UNSET_CLOCKS: list[object] = ["0", 0, -1, -1764831298, "-1764831298", "1970-01-01T00:00:00Z"]
INVALID_STARTS = [None, "", *(at for at in INVALID[FieldType.TIMESTAMP] if at not in UNSET_CLOCKS)]
LEAVES = [
    *[((field.name,), field.type) for field in FIELDS if not field.properties],
    *[((field.name, inner.name), inner.type) for field in FIELDS for inner in field.properties],
]
OTHER_LEAVES = [leaf for leaf in LEAVES if leaf[0][0] not in LOG]
OBJECTS = [field.name for field in FIELDS if field.properties]
PATHS = [*OTHER_LEAVES, *[((name,), FieldType.OBJECT) for name in OBJECTS]]


def sent(path: tuple[str, ...], value: object) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict)
    return {**LOG, **value}


def at(record: dict[str, Any], path: tuple[str, ...]) -> object:
    return reduce(getitem, path, record)


def call_converter() -> RecordConverter:
    return RecordConverter(FIELDS, ("logid", "start_time"), logging.getLogger(LOGGER))


def convert(log: object, converter: RecordConverter | None = None) -> dict[str, Any]:
    """Convert a log, and check what must hold for every record."""
    record = (converter or call_converter()).convert(log)
    assert list(record) == list(CALL_LOG_SCHEMA["properties"])
    assert [error.message for error in VALIDATOR.iter_errors(record)] == []
    return record


@pytest.mark.parametrize(("path", "kind"), OTHER_LEAVES)
def test_valid_value_gets_its_type(path: tuple[str, ...], kind: FieldType) -> None:
    converter = call_converter()
    for value, expected in [*VALID[kind], (None, None)]:
        record = convert(sent(path, value), converter)
        assert at(record, path) == expected, value
        assert type(at(record, path)) is type(expected), value
        assert record["additional_fields"] is None, value
    assert not converter.cast_failures


@pytest.mark.parametrize(("path", "kind"), PATHS)
def test_invalid_value_becomes_null_with_one_warning(
    path: tuple[str, ...], kind: FieldType, caplog: pytest.LogCaptureFixture
) -> None:
    converter, name = call_converter(), ".".join(path)
    for count, value in enumerate(INVALID[kind], 1):
        record = convert(sent(path, value), converter)
        assert at(record, path) is None, value
        assert record["additional_fields"] == {name: sanitize(value)}
        assert converter.cast_failures == {name: count}, value
    assert caplog.messages == [MISMATCH.format(name) + "additional_fields"]


@pytest.mark.parametrize("value", ["text", 5, {}, ["text"], [{}, "text"]])
def test_list_has_only_objects(value: object) -> None:
    with pytest.raises(CastError):
        FieldType.OBJECTS.cast(value)


NEW = [f"new_{number}" for number in range(1_001)]
THIRTY = ", ".join(NEW[:30])


@pytest.mark.parametrize(
    ("kept", "count", "logged"),
    [
        *[({f"{name}.foo": {"deep": [1, None]}}, 1, f"{name}.foo") for name in OBJECTS],
        *[
            ({"queue_name": value}, 1, "queue_name")
            for value in ("text", 17, None, [1, {"a": None}], {"b": 0.5}, False, "")
        ],
        # Keys may be personal.
        *[({name: 1}, 1, "[hidden]") for name in ("Ann Example", "+1 555 0100", "a\nb")],
        *[({name: 1}, 1, "[hidden]") for name in ("ann@example.invalid", "Zoë", "Q" * 61)],
        *[({name: 1}, 1, name) for name in ("QueueName", "Q" * 60)],
        (dict.fromkeys(NEW[:30], 7), 30, THIRTY),
        *[(dict.fromkeys(NEW[:count], 7), count, f"{THIRTY}, ...") for count in (31, 999, 1_000)],
        (dict.fromkeys(NEW, 7), 1_000, f"{THIRTY}, ..."),
    ],
    # Without backslashes, which pytest escapes once more where mutmut collects again.
    ids=lambda value: ascii(value)[:40].replace("\\", ""),
)
def test_undeclared_fields_are_kept_and_logged_once(
    kept: dict[str, Any], count: int, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    converter = call_converter()
    log: dict[str, Any] = {**LOG}
    for name, value in kept.items():
        log |= sent(tuple(name.split(".")), value) if ".foo" in name else {name: value}
    for _ in range(3):
        assert convert(log, converter)["additional_fields"] == kept
        converter.log_undeclared()
    assert caplog.messages == [UNDECLARED.format(count) + logged]
    assert not converter.cast_failures


@pytest.mark.parametrize("name", ["additional_fields", "duration_seconds"])
def test_field_named_like_a_computed_one_is_kept(name: str) -> None:
    record = convert({**LOG, "duration": "00:54", name: "theirs"})
    assert record["additional_fields"] == {name: "theirs"}
    assert record["duration_seconds"] == 54
    assert convert({**LOG, "duration": "00:54", "duration_seconds": 0})["duration_seconds"] == 0


@pytest.mark.parametrize(("duration", "seconds"), CASES["durations"])
def test_duration_is_converted_to_seconds_or_null(
    duration: object, seconds: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    converter = call_converter()
    record = convert({**LOG, "duration": duration}, converter)
    assert (record["duration"], record["duration_seconds"]) == (str(duration), seconds)
    failures = {"duration_seconds": 1} if seconds is None else {}
    assert converter.cast_failures == failures
    assert caplog.messages == [MISMATCH.format(name) + "duration" for name in failures]


@pytest.mark.parametrize("changes", [{"logid": None}, {"logid": ""}, {}])
def test_uuid_replaces_a_missing_logid(changes: dict[str, Any]) -> None:
    log = {"start_time": LOG["start_time"], "uuid": "c3d87e71", **changes}
    assert convert(log)["logid"] == "c3d87e71"
    assert convert({**LOG, "uuid": "other"})["logid"] == LOG["logid"]


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        *[(log, "is not an object") for log in NON_OBJECTS],
        ({"start_time": "1764831298000"}, "no valid logid"),
        *[({**LOG, "logid": bad}, "no valid logid") for bad in [None, "", *INVALID[FieldType.ID]]],
        ({**LOG, "logid": None, "uuid": {}}, "no valid logid"),
        ({"logid": "1"}, "no valid start_time"),
        *[({**LOG, "start_time": bad}, "no valid start_time") for bad in INVALID_STARTS],
    ],
    ids=repr,
)
def test_row_without_key_or_start_is_rejected(log: object, reason: str) -> None:
    with pytest.raises(InvalidRecordError, match=reason):
        call_converter().convert(log)


@pytest.mark.parametrize("value", UNSET_CLOCKS)
def test_start_by_an_unset_clock_is_the_epoch(value: object) -> None:
    assert convert({**LOG, "start_time": value})["start_time"] == format_epoch_ms(0)


def test_property_and_field_of_same_path_are_kept() -> None:
    fields = {"voice_credits.foo": "one 1", "voice_credits.foo_": "two 2"}
    record = convert({**LOG, **fields, "voice_credits": {"foo": "three 3"}})
    assert record["additional_fields"] == {**fields, "voice_credits.foo__": "three 3"}


def test_undeclared_field_has_fifty_levels_at_most() -> None:
    nested: Any = json.loads("[" * 50 + "]" * 50)
    assert convert({**LOG, "new": nested})["additional_fields"] == {"new": nested}
    with pytest.raises(InvalidRecordError, match="a field that is nested too deeply"):
        call_converter().convert({**LOG, "new": [nested]})


@pytest.mark.parametrize(
    ("number", "total", "new"), CASES["numbers, in a field and in an open object"]
)
def test_large_number_is_text_in_open_objects_alone(
    number: str, total: object, new: object
) -> None:
    row = f'{{"logid":"1","start_time":1,"voice_credits":{{"total":{number}}},"new":[{number}]}}'
    response = requests.Response()
    response.status_code = 200
    body = validate_response(response, f'{{"logs":[{row}]}}'.encode(), now=0)
    record = convert(body["logs"][0])
    assert record["voice_credits"]["total"] == total
    extra = {} if total is not None else {"voice_credits.total": number}
    assert record["additional_fields"] == {"new": [new], **extra}
    assert SerializedRecord.from_record(record).record == record


def test_plans_beyond_the_cache_convert_alike() -> None:
    converter = call_converter()
    for number in [*range(2_500), *range(5)]:
        value = str(number) if number % 2 else number
        record = converter.convert({**LOG, "service": value, f"new_{number}": number})
        assert record["service"] == str(number)
        assert record["additional_fields"] == {f"new_{number}": number}
    assert convert(LOG, converter) == convert(LOG)


NAMES = st.sampled_from([field.name for field in FIELDS] + ["uuid", "other", "duration_seconds"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 2**53 + 1])
SCALARS = st.none() | st.booleans() | NUMBERS | st.text()
MEMBERS = st.sampled_from([path[1] for path, _ in LEAVES if len(path) > 1]) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=100)
@given(st.dictionaries(NAMES | st.text(), VALUES, max_size=12))
@example({"service": 58399000000003016, "queue": [1, {"a": "\ud800é"}]})
def test_any_log_converts_without_loss(log: dict[str, Any]) -> None:
    # Parsed responses have no NaN and no infinity, which JSON lacks.
    log = json.loads(json.dumps({**log, **LOG}), parse_constant=str)
    converter = call_converter()
    record = convert(log, converter)
    row = SerializedRecord.from_record(record)
    assert (row.start_time, row.logid, row.record) == (STARTED, LOG["logid"], record)
    json.dumps(record, allow_nan=False)
    extra = record["additional_fields"] or {}
    for name, value in log.items():
        kept = record[name] is not None if name in record and name not in extra else False
        empty = value in (None, "")
        spread = isinstance(value, dict) and name in OBJECTS
        assert kept or empty or spread or extra[name] == sanitize(value)
        if spread:
            for inner, content in value.items():
                path = f"{name}.{inner}"
                is_there = record[name].get(inner) is not None
                assert is_there or content in (None, "") or extra[path] == sanitize(content)
    assert sum(converter.cast_failures.values()) <= len(extra) + 1
