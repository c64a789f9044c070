"""Loading of Singer state and catalog."""

import copy
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tap_zohovoice.singer.state import load_catalog, load_state
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.streams.owned import CallAgentsStream
from tap_zohovoice.streams.recordings import RecordingsStream
from tap_zohovoice.tap import STREAMS as ALL_STREAMS
from tests.support.cli import FakeClock, RunTap
from zoho_voice_sandbox import History, Sandbox

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
NOW_TEXT = "2026-03-01T12:00:00.000000+00:00"
EARLY, LATE = "2026-02-01T00:00:00.000000+00:00", "2026-02-20T00:00:00.000000+00:00"
ENTRY: dict[str, Any] = {"tap_stream_id": "call_logs", "schema": CALL_LOG_SCHEMA, "metadata": []}

KINDS = ({"kind": "recording"}, {"kind": "voicemail"})
STREAMS = (CallLogsStream, RecordingsStream)
INVALID_STATES: list[object] = [
    *[{"other": 1}, {"currently_syncing": None}, {"bookmark": {"call_logs": {}}}],
    *[{"singer_state": 5}, {"singer_state": {"other": 1}}],
    {"completed": {"singer_state": {"bookmarks": {}}}, "partial": {"other": 1}},
    *[{"type": "STATE"}, {"type": "STATE", "value": []}],
    {"type": "STATE", "value": {"call_logs": {}}},
    *[[], [1], "x", 5, True, {"bookmarks": 5}, {"bookmarks": [{}]}],
    *[
        {"bookmarks": {"call_logs": bookmark}}
        for bookmark in (None, "2026-01-01", {"partitions": 5})
    ],
    {"bookmarks": {"users": {"partitions": [5]}}},
    {"bookmarks": {"users": {"a": json.loads("[" * 200 + "]" * 200)}}},
]
INVALID_DATES: list[object] = [
    *["soon", "1712012212345", "1712012212", "1712012212345+00:00", "20260210", "", "2026-13-01"],
    *["0001-01-01T00:00:00+01:00", 5, True, [], {}],
]
INVALID_CATALOGS: list[object] = [
    *[[], "x", 5, {}, {"streams": 5}, {"streams": None}, {"streams": [5]}, {"streams": [{}]}],
    *[{"streams": [{**ENTRY, name: 5}]} for name in ("schema", "metadata")],
    {"streams": [{"tap_stream_id": "call_logs"}]},
]


@pytest.fixture
def box(clock: FakeClock) -> Iterator[Sandbox]:
    calls = History(seed=1, calls=9, first=dt.date(2026, 2, 1), last=dt.date(2026, 2, 20))
    with Sandbox(clock=clock, history=calls) as box:
        yield box


def state_of(value: object, **more: object) -> dict[str, Any]:
    bookmark = {"replication_key": "start_time", "replication_key_value": value, **more}
    return {"bookmarks": {"call_logs": bookmark}}


@pytest.mark.parametrize("state", [None, {}, {"bookmarks": None}, {"bookmarks": {}}])
def test_missing_state_is_empty(state: object) -> None:
    assert load_state(state, NOW, STREAMS) == {"bookmarks": {}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-10", "2026-02-10T00:00:00.000000+00:00"),
        ("2026-02-10T08:00:00Z", "2026-02-10T08:00:00.000000+00:00"),
        ("2026-02-10T08:00:00.5+05:30", "2026-02-10T02:30:00.500000+00:00"),
        ("2026-02-10 08:00", "2026-02-10T08:00:00.000000+00:00"),
        (NOW_TEXT, NOW_TEXT),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000+00:00"),
    ],
)
def test_bookmark_gets_the_text_form_of_records(
    text: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    state = state_of(text, progress_markers={"a": 1})
    before = copy.deepcopy(state)
    assert load_state(state, NOW, STREAMS) == state_of(expected)
    assert state == before
    assert not caplog.records


@pytest.mark.parametrize("text", ["2026-03-01T12:05:01Z", "2030-01-01", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("newest", [EARLY, None, 5, "2026-03-01T12:00:01.000000+00:00"])
def test_future_bookmark_is_lowered_to_the_newest_call(
    text: str, newest: object, caplog: pytest.LogCaptureFixture
) -> None:
    state = state_of(text, newest_start_time=newest)
    loaded = load_state(state, NOW, STREAMS)["bookmarks"]["call_logs"]
    assert loaded.get("replication_key_value") == (EARLY if newest == EARLY else None)
    (record,) = caplog.records
    message = "is in the future; reading again from " + (
        "the newest call that was emitted" if newest == EARLY else "start_date"
    )
    assert message in record.getMessage()


def test_bookmark_a_moment_ahead_becomes_the_current_time() -> None:
    assert load_state(state_of("2026-03-01T12:00:01Z"), NOW, STREAMS) == state_of(NOW_TEXT)


@pytest.mark.parametrize(
    "bookmark",
    [
        {},
        {"replication_key": "start_time"},
        {"replication_key": "start_time", "replication_key_value": None},
    ],
)
def test_bookmark_without_a_value_is_unchanged(bookmark: dict[str, Any]) -> None:
    state = {"bookmarks": {"call_logs": bookmark, "old_stream": {}}}
    assert load_state(state, NOW, STREAMS) == state


def test_foreign_partitions_are_kept_but_never_read() -> None:
    partition = {"context": {"a": 1}, "replication_key": "id", "replication_key_value": 5}
    theirs = {"partitions": [partition], "replication_key": "id", "replication_key_value": 9}
    marked = {**theirs, "partitions": [{**partition, "progress_markers": None}]}
    state = {"bookmarks": {"call_logs": {**marked, "replication_key_value": None}, "users": marked}}
    bookmarks = load_state(state, NOW, STREAMS)["bookmarks"]
    assert bookmarks["users"] == theirs
    assert "partitions" not in bookmarks["call_logs"]


FUTURE = "2030-01-01 00:00:00+00:00"


def bookmark(value: object, **more: object) -> dict[str, Any]:
    return {"replication_key": "start_time", "replication_key_value": value, **more}


def load_recordings(state: dict[str, Any]) -> dict[str, Any]:
    bookmarks = load_state({"bookmarks": {"recordings": state}}, NOW, STREAMS)["bookmarks"]
    assert isinstance(bookmarks["recordings"], dict)
    return bookmarks["recordings"]


def test_stream_bookmark_seeds_all_partitions() -> None:
    old = bookmark("2026-02-01", named_by_filter_only=True, starting_replication_value="2020-01-01")
    seeded = [bookmark(EARLY, context=kind) for kind in KINDS]
    assert load_recordings(old) == {"partitions": seeded}


def test_stream_bookmark_seeds_partitions_without_one() -> None:
    partitions = [bookmark(LATE, context=KINDS[1]), {"context": KINDS[0]}]
    assert load_recordings(bookmark("2026-02-01", partitions=partitions)) == {
        "partitions": [bookmark(EARLY, context=KINDS[0]), bookmark(LATE, context=KINDS[1])]
    }


def test_partition_bookmarks_are_validated(caplog: pytest.LogCaptureFixture) -> None:
    first = bookmark(FUTURE, context=KINDS[0], progress_markers=None, more=1)
    second = {**bookmark(5, context=KINDS[1]), "replication_key": "id"}
    other = bookmark("2026-02-01", context={"kind": "fax"})
    assert load_recordings({"partitions": [other, second, first, first]}) == {
        "partitions": [
            {"replication_key": "start_time", "context": KINDS[0], "more": 1},
            {"context": KINDS[1]},
        ]
    }
    assert [record.getMessage() for record in caplog.records] == [
        (
            "The bookmark of recordings (2030-01-01T00:00:00.000000+00:00) is in the future; "
            "reading again from start_date"
        ),
        "The bookmark of recordings has another replication key; reading from start_date",
    ]


@pytest.mark.parametrize("state", [{}, {"partitions": []}, {"replication_key": "start_time"}])
def test_partitions_without_a_bookmark_start_from_the_beginning(state: dict[str, Any]) -> None:
    assert load_recordings(state) == {"partitions": [{"context": kind} for kind in KINDS]}


@pytest.mark.parametrize("newest", [17, None, "soon", "zzzz", [LATE], {}, "1712012212345"], ids=str)
def test_start_of_the_newest_call_that_is_no_date_time_is_dropped(
    run_tap: RunTap, box: Sandbox, newest: object
) -> None:
    saved = {**bookmark(EARLY), "newest_start_time": newest}
    run = run_tap(box.config, state={"bookmarks": {"call_logs": saved}})
    assert run.exit_code == 0, run.log
    assert run.state["bookmarks"]["call_logs"]["newest_start_time"][:4] == "2026"
    del saved["replication_key_value"]
    assert run_tap(box.config, state={"bookmarks": {"call_logs": saved}}).exit_code == 0


@pytest.mark.parametrize("name", ["replication_key_value", "start_time"])
def test_bookmark_without_its_replication_key_is_read(name: str) -> None:
    loaded = load_state({"bookmarks": {"call_logs": {name: LATE}}}, NOW, STREAMS)
    assert loaded["bookmarks"]["call_logs"].items() >= bookmark(LATE).items()


def wrappers(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what Meltano, loaders and other runners make of a state."""
    return [
        {"singer_state": state},
        {"singer_state": state, "other": 1},
        {"type": "STATE", "value": state},
        {"value": state},
        {"state": state},
        {"completed": {"singer_state": state}, "partial": {}},
        {"completed": {}, "partial": {"singer_state": state}},
        {"completed_state": {"singer_state": state}, "partial_state": None},
        {"singer_state": {"type": "STATE", "value": state}},
    ]


@pytest.mark.parametrize("number", range(9))
def test_wrapped_state_is_unwrapped(run_tap: RunTap, box: Sandbox, number: int) -> None:
    state = state_of("2026-02-15T00:00:00.000000+00:00")
    wrapped = wrappers(state)[number]
    assert load_state(wrapped, NOW, STREAMS) == state
    plain, run = run_tap(box.config, state=state), run_tap(box.config, state=wrapped)
    assert 0 < len(plain.ids) < 9
    assert run.ids == plain.ids


@pytest.mark.parametrize("number", range(9))
def test_wrapped_empty_state_reads_everything(number: int) -> None:
    empties: list[dict[str, Any]] = [{}, {"bookmarks": {}}, {"bookmarks": None}]
    for empty in empties:
        assert load_state(wrappers(empty)[number], NOW, STREAMS) == {"bookmarks": {}}


def test_partial_state_overrides_the_completed_one() -> None:
    completed = {"bookmarks": {"call_logs": bookmark(EARLY), "users": {"a": 1}}}
    partial = {"singer_state": {"bookmarks": {"call_logs": bookmark(LATE)}}}
    loaded = load_state({"partial": partial, "completed": completed}, NOW, STREAMS)
    assert loaded == {"bookmarks": {"call_logs": bookmark(LATE), "users": {"a": 1}}}


@pytest.mark.parametrize("state", INVALID_STATES, ids=str)
def test_invalid_state_fails_with_one_line(run_tap: RunTap, box: Sandbox, state: object) -> None:
    line = "The state is invalid"
    with pytest.raises(ConfigValidationError, match=line) as error:
        load_state(state, NOW, STREAMS)
    assert error.value.errors == [str(error.value)]
    run = run_tap(box.config, state=state)
    assert run.exit_code == 1
    assert run.log.count(line) == 1
    assert not any(box.stats.summary().values())


@pytest.mark.parametrize("value", INVALID_DATES, ids=str)
def test_bookmark_without_a_date_time_fails(value: object) -> None:
    partition = bookmark(value, context=KINDS[1])
    for name, saved in (
        ("call_logs", bookmark(value)),
        ("recordings", {"partitions": [partition]}),
    ):
        message = f"bookmark of {name} .* is not a date-time"
        with pytest.raises(ConfigValidationError, match=message) as error:
            load_state({"bookmarks": {name: saved}}, NOW, STREAMS)
        assert len(error.value.errors) == 1


@pytest.mark.parametrize("value", ["soon", "2036-01-01T00:00:00Z", "2026-02-19", 5])
def test_bookmark_without_a_key_does_not_stall(
    run_tap: RunTap, box: Sandbox, value: object
) -> None:
    run = run_tap(box.config, state={"bookmarks": {"call_logs": {"replication_key_value": value}}})
    assert "Unexpected" not in run.log
    assert run.exit_code == 1 or "2026-02-10" < run.bookmark <= NOW_TEXT


@pytest.mark.parametrize("value", ["0001-01-01", "0001-01-02T00:00:00Z"])
def test_oldest_possible_bookmark_reads_everything(
    run_tap: RunTap, box: Sandbox, value: str
) -> None:
    run = run_tap(box.config, state=state_of(value))
    assert run.exit_code == 0
    assert len(run.ids) == 9


def test_missing_or_loaded_catalog_is_returned() -> None:
    catalog = Catalog.from_dict({"streams": [ENTRY]})
    assert load_catalog(None, STREAMS) is None
    assert load_catalog(catalog, STREAMS) is catalog


def test_catalog_is_loaded(run_tap: RunTap, box: Sandbox) -> None:
    catalog = load_catalog({"streams": [ENTRY]}, STREAMS)
    assert catalog is not None
    assert list(catalog) == ["call_logs"]
    assert len(run_tap(box.config, catalog={"streams": [ENTRY]}).ids) == 9


@pytest.mark.parametrize("catalog", INVALID_CATALOGS, ids=lambda value: str(value)[:60])
def test_invalid_catalog_fails_with_one_line(
    run_tap: RunTap, box: Sandbox, catalog: object
) -> None:
    run = run_tap(box.config, catalog=catalog)
    assert run.exit_code == 1
    assert run.log.count("The catalog is invalid; create one with --discover") == 1
    assert not any(box.stats.summary().values())
    with pytest.raises(ConfigValidationError, match="The catalog is invalid") as error:
        load_catalog(catalog, STREAMS)
    assert error.value.errors == [str(error.value)]


KEYS: list[object] = [[], ["start_time"], ["logid", "start_time"], "logid", None]
OVERRIDES: dict[tuple[str, str], list[object]] = {
    ("entry", "replication-key"): ["updated_at", "logid", "", None],
    ("metadata", "replication-key"): ["updated_at", "logid", "", None],
    ("entry", "key-properties"): KEYS,
    ("metadata", "table-key-properties"): KEYS,
    ("entry", "replication-method"): ["FULL_TABLE", "LOG_BASED", None],
    ("metadata", "forced-replication-method"): ["FULL_TABLE", "LOG_BASED", None],
    ("entry", "stream"): ["calls", None],
}


@pytest.fixture
def catalog(run_tap: RunTap) -> dict[str, Any]:
    streams = json.loads(run_tap({}, "--discover").stdout)["streams"]
    streams.sort(key=lambda stream: stream["tap_stream_id"] != "call_logs")  # the tests change it
    return {"streams": streams}


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [(*key, value) for key, values in OVERRIDES.items() for value in values],
    ids=str,
)
def test_catalog_cannot_override_key_and_replication(
    run_tap: RunTap, box: Sandbox, catalog: dict[str, Any], place: str, name: str, value: object
) -> None:
    plain = run_tap(box.config)
    entry = catalog["streams"][0]
    if place == "entry":
        entry[name.replace("-", "_")] = value
    else:
        root_of(entry)[name] = value
    run = run_tap(box.config, catalog=catalog)
    assert (run.exit_code, run.ids, run.state) == (0, plain.ids, plain.state)
    assert run.of("SCHEMA")[0]["key_properties"] == ["logid"]
    warned = f"call_logs: {name} in the catalog is ignored; it cannot be changed" in run.log
    assert warned == (value is not None)


@pytest.mark.parametrize(
    ("field", "schema", "is_kept"),
    [
        ("start_time", {"type": "string"}, False),
        ("start_time", {"type": ["string", "null"], "format": "date"}, False),
        ("start_time", {}, False),
        ("start_time", {"type": "string", "format": "date-time"}, True),
        ("logid", {"type": ["integer"]}, False),
        ("logid", {"type": "string", "maxLength": 80}, True),
        ("end_time", {"type": ["string", "null"]}, True),
        ("end_time", {"type": ["string", "null"], "format": "date"}, False),
        ("voice_credits", {"type": ["string", "null"]}, False),
        ("is_test_call", {"type": "boolean"}, False),
        ("feedback", {}, True),
        ("feedback", {"type": ["number", "integer", "null"]}, True),
    ],
    ids=str,
)
def test_catalog_cannot_give_a_field_a_type_that_its_values_lack(
    run_tap: RunTap,
    box: Sandbox,
    catalog: dict[str, Any],
    field: str,
    schema: dict[str, Any],
    *,
    is_kept: bool,
) -> None:
    properties = catalog["streams"][0]["schema"]["properties"]
    own, properties[field] = properties[field], schema
    run = run_tap(box.config, catalog=catalog)
    assert (run.exit_code, len(run.ids)) == (0, 9), run.log
    sent = run.of("SCHEMA")[0]["schema"]["properties"][field]
    assert sent == (schema if is_kept else own)
    warned = f"call_logs: the type of {field} in the catalog is ignored" in run.log
    assert warned != is_kept


@pytest.mark.parametrize("missing", ["key_properties", "stream", "replication_key", "metadata"])
def test_catalog_entry_without_a_member(
    run_tap: RunTap, box: Sandbox, catalog: dict[str, Any], missing: str
) -> None:
    del catalog["streams"][0][missing]
    run = run_tap(box.config, catalog={"streams": catalog["streams"][:1]})
    assert (run.exit_code, len(run.ids)) == (0, 9)
    assert run.of("SCHEMA")[0]["key_properties"] == ["logid"]


@pytest.mark.parametrize("name", ["logid", "start_time"])
def test_catalog_cannot_leave_out_key_fields(
    run_tap: RunTap, box: Sandbox, catalog: dict[str, Any], name: str
) -> None:
    entry = catalog["streams"][0]
    for item in entry["metadata"]:
        if item["breadcrumb"] == ["properties", name]:
            item["metadata"] = {"inclusion": "available", "selected": False}
    deselected = run_tap(box.config, catalog=catalog)
    del entry["schema"]["properties"][name]
    absent = run_tap(box.config, catalog=catalog)
    entry["schema"]["properties"] = {}
    empty = run_tap(box.config, catalog=catalog)
    for run in (deselected, absent, empty):
        assert (run.exit_code, len(run.records)) == (0, 9), run.log
        assert all(record[name] for record in run.records)


def test_recordings_keep_their_key_whatever_the_catalog_says(
    run_tap: RunTap, box: Sandbox, catalog: dict[str, Any]
) -> None:
    for entry in catalog["streams"]:
        root_of(entry).update({"selected": True, "table-key-properties": []})
    run = run_tap({**box.config, "start_date": "2026-02-20"}, catalog=catalog)
    assert {
        message["stream"]: tuple(message["key_properties"]) for message in run.of("SCHEMA")
    } == {stream.name: tuple(stream.primary_keys) for stream in ALL_STREAMS}


@pytest.mark.parametrize("streams", [[], ["other"], ["deselected"]])
def test_catalog_that_selects_nothing_is_a_warning(
    run_tap: RunTap, box: Sandbox, catalog: dict[str, Any], streams: list[str]
) -> None:
    entries = catalog["streams"] if streams == ["deselected"] else []
    for entry in entries:
        root_of(entry)["selected"] = False
    other = [{**ENTRY, "tap_stream_id": "other"}] if streams == ["other"] else []
    run = run_tap(box.config, catalog={"streams": [*entries, *other]})
    assert run.exit_code == 0
    assert run.log.count("WARNING") == 1
    assert "The catalog selects no stream of the tap; nothing is read" in run.log


def root_of(entry: dict[str, Any]) -> dict[str, Any]:
    (root,) = [item["metadata"] for item in entry["metadata"] if item["breadcrumb"] == []]
    assert isinstance(root, dict)
    return root


@pytest.mark.parametrize("context", [None, [], "7", {"agent_id": 7}])
def test_partition_without_a_context_is_dropped(context: object) -> None:
    good = bookmark("2026-03-01T12:00:01Z", context={"agent_id": "7"})
    new = {"context": {"agent_id": "8"}}
    saved = {**bookmark(LATE), "partitions": [{"context": context}, {}, good, new]}
    lowered = {**good, "replication_key_value": NOW_TEXT}
    loaded = load_state({"bookmarks": {"call_agents": saved}}, NOW, [CallAgentsStream])
    # No bookmark of the stream says what was read of an agent.
    assert loaded == {"bookmarks": {"call_agents": {"partitions": [lowered, new]}}}
