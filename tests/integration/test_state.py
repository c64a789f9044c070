"""Loading of Singer state and catalog."""

import copy
import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tap_zohovoice.singer.state import load_catalog, load_state
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.streams.owned import CallAgentsStream
from tap_zohovoice.streams.recordings import RecordingsStream
from tap_zohovoice.tap import STREAMS as ALL_STREAMS
from tests.support.account import Account, Accounts
from tests.support.cli import selecting

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
NOW_TEXT = "2026-03-01T12:00:00.000000+00:00"
EARLY, LATE = "2026-02-01T00:00:00.000000+00:00", "2026-02-20T00:00:00.000000+00:00"
ENTRY: dict[str, Any] = {"tap_stream_id": "call_logs", "schema": CALL_LOG_SCHEMA, "metadata": []}

Captured: TypeAlias = pytest.LogCaptureFixture
Catalogs: TypeAlias = dict[str, Any]
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
def box(account: Accounts) -> Iterator[Account]:
    with account(9, first=dt.date(2026, 2, 1), last=dt.date(2026, 2, 20), seed=1) as running:
        yield running


def load(state: object) -> dict[str, Any]:
    return load_state(state, NOW, STREAMS)


def load_stream(saved: object, name: str = "call_logs") -> dict[str, Any]:
    """Return what is loaded of the state of a stream."""
    return dict(load({"bookmarks": {name: saved}})["bookmarks"][name])


def bookmark(value: object, **more: object) -> dict[str, Any]:
    return {"replication_key": "start_time", "replication_key_value": value, **more}


def state_of(value: object, **more: object) -> dict[str, Any]:
    return {"bookmarks": {"call_logs": bookmark(value, **more)}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-10", "2026-02-10T00:00:00.000000+00:00"),
        ("2026-02-10T08:00:00Z", "2026-02-10T08:00:00.000000+00:00"),
        ("2026-02-10T08:00:00.5+05:30", "2026-02-10T02:30:00.500000+00:00"),
        ("2026-02-10 08:00", "2026-02-10T08:00:00.000000+00:00"),
        (NOW_TEXT, NOW_TEXT),
        ("2026-03-01T12:00:01Z", NOW_TEXT),  # a moment ahead
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000+00:00"),
    ],
)
def test_bookmark_gets_the_form_of_records(text: str, expected: str, caplog: Captured) -> None:
    state = state_of(text, progress_markers={"a": 1})
    before = copy.deepcopy(state)
    assert load(state) == state_of(expected)
    assert state == before
    assert not caplog.records


@pytest.mark.parametrize("text", ["2026-03-01T12:05:01Z", "2030-01-01", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize(
    ("newest", "told"),
    [
        (EARLY, "the newest call that was emitted"),
        *((newest, "start_date") for newest in (None, 5, "2026-03-01T12:00:01.000000+00:00")),
    ],
)
def test_future_bookmark_is_lowered(text: str, newest: object, told: str, caplog: Captured) -> None:
    loaded = load_stream(bookmark(text, newest_start_time=newest))
    assert loaded.get("replication_key_value") == (EARLY if newest == EARLY else None)
    (line,) = caplog.messages
    assert f"is in the future; reading again from {told}" in line


def test_foreign_partitions_are_kept_but_never_read() -> None:
    partition = {"context": {"a": 1}, "replication_key": "id", "replication_key_value": 5}
    theirs = {"partitions": [partition], "replication_key": "id", "replication_key_value": 9}
    marked = {**theirs, "partitions": [{**partition, "progress_markers": None}]}
    state = {"bookmarks": {"call_logs": {**marked, "replication_key_value": None}, "users": marked}}
    bookmarks = load(state)["bookmarks"]
    assert bookmarks["users"] == theirs
    assert "partitions" not in bookmarks["call_logs"]


EMPTY = [{"context": kind} for kind in KINDS]
OLD = {"named_by_filter_only": True, "starting_replication_value": "2020-01-01"}
ONE = bookmark("2026-02-01", partitions=[bookmark(LATE, context=KINDS[1]), EMPTY[0]])
SEEDED = [bookmark(EARLY, context=kind) for kind in KINDS]


@pytest.mark.parametrize(
    ("stream", "saved", "loaded"),
    [
        ("call_logs", {}, {}),
        *[("call_logs", saved, saved) for saved in ({"replication_key": "x"}, bookmark(None))],
        ("recordings", {}, {"partitions": EMPTY}),
        ("recordings", {"partitions": []}, {"partitions": EMPTY}),
        ("recordings", {"replication_key": "start_time"}, {"partitions": EMPTY}),
        ("recordings", bookmark("2026-02-01", **OLD), {"partitions": SEEDED}),
        ("recordings", ONE, {"partitions": [SEEDED[0], bookmark(LATE, context=KINDS[1])]}),
    ],
    ids=str,
)
def test_stream_bookmark_seeds_partitions_alone(stream: str, saved: Any, loaded: Any) -> None:
    state = {"bookmarks": {stream: saved, "old_stream": {}}}
    assert load(state) == {"bookmarks": {stream: loaded, "old_stream": {}}}


def test_partition_bookmarks_are_validated(caplog: Captured) -> None:
    first = bookmark("2030-01-01 00:00+00:00", context=KINDS[0], progress_markers=None, more=1)
    second = {**bookmark(5, context=KINDS[1]), "replication_key": "id"}
    other = bookmark("2026-02-01", context={"kind": "fax"})
    loaded = load_stream({"partitions": [other, second, first, first]}, "recordings")
    lowered = {"replication_key": "start_time", "context": KINDS[0], "more": 1}
    assert loaded["partitions"] == [lowered, {"context": KINDS[1]}]
    moment = "2030-01-01T00:00:00.000000+00:00"
    assert caplog.messages == [
        f"The bookmark of recordings ({moment}) is in the future; reading again from start_date",
        "The bookmark of recordings has another replication key; reading from start_date",
    ]


@pytest.mark.parametrize("context", [None, [], "7"])
def test_partition_without_a_context_is_dropped(context: object) -> None:
    good = bookmark("2026-03-01T12:00:01Z", context={"agent_id": "7"})
    new = {"context": {"agent_id": "8"}}
    saved = {**bookmark(LATE), "partitions": [{"context": context}, {}, good, new]}
    loaded = load_state({"bookmarks": {"call_agents": saved}}, NOW, [CallAgentsStream])
    # No bookmark of the stream says what was read of an agent.
    lowered = {**good, "replication_key_value": NOW_TEXT}
    assert loaded == {"bookmarks": {"call_agents": {"partitions": [lowered, new]}}}


@pytest.mark.parametrize("newest", [17, None, "soon", "zzzz", [LATE], {}, "1712012212345"], ids=str)
def test_invalid_start_of_the_newest_call_is_dropped(box: Account, newest: object) -> None:
    run = box.read(state=state_of(EARLY, newest_start_time=newest))
    assert run.state["bookmarks"]["call_logs"]["newest_start_time"][:4] == "2026"
    without = {"replication_key": "start_time", "newest_start_time": newest}
    assert box.run(state={"bookmarks": {"call_logs": without}}).exit_code == 0


@pytest.mark.parametrize("name", ["replication_key_value", "start_time"])
def test_bookmark_without_its_replication_key_is_read(name: str) -> None:
    assert load_stream({name: LATE}).items() >= bookmark(LATE).items()


# What Meltano, loaders and other runners make of a state.
WRAPPERS: list[Callable[[Any], dict[str, Any]]] = [
    lambda state: state,
    lambda state: {"singer_state": state},
    lambda state: {"singer_state": state, "other": 1},
    lambda state: {"type": "STATE", "value": state},
    lambda state: {"value": state},
    lambda state: {"state": state},
    lambda state: {"completed": {"singer_state": state}, "partial": {}},
    lambda state: {"completed": {}, "partial": {"singer_state": state}},
    lambda state: {"completed_state": {"singer_state": state}, "partial_state": None},
    lambda state: {"singer_state": {"type": "STATE", "value": state}},
]


@pytest.mark.parametrize("wrap", WRAPPERS, ids=lambda wrap: str(wrap("x")))
def test_wrapped_state_is_unwrapped(box: Account, wrap: Callable[[object], dict[str, Any]]) -> None:
    state = state_of("2026-02-15T00:00:00.000000+00:00")
    assert load(wrap(state)) == state
    plain, run = box.run(state=state), box.run(state=wrap(state))
    assert 0 < len(plain.ids) < 9
    assert run.ids == plain.ids
    empties: list[object] = [{}, {"bookmarks": {}}, {"bookmarks": None}]
    assert [load(state) for state in (None, *map(wrap, empties))] == [{"bookmarks": {}}] * 4


def test_partial_state_overrides_the_completed_one() -> None:
    completed = {"bookmarks": {"call_logs": bookmark(EARLY), "users": {"a": 1}}}
    loaded = load({"partial": {"singer_state": state_of(LATE)}, "completed": completed})
    assert loaded == {"bookmarks": {"call_logs": bookmark(LATE), "users": {"a": 1}}}


@pytest.mark.parametrize(
    ("option", "document"),
    [
        *(("state", state) for state in INVALID_STATES),
        *(("catalog", catalog) for catalog in INVALID_CATALOGS),
    ],
    ids=lambda value: str(value)[:60],
)
def test_invalid_document_is_one_line(box: Account, option: str, document: object) -> None:
    advice = {"state": "", "catalog": "; create one with --discover"}[option]
    box.fail(f"The {option} is invalid{advice}", **{option: document})
    assert not any(box.stats.summary().values())


@pytest.mark.parametrize("value", INVALID_DATES, ids=str)
@pytest.mark.parametrize("stream", ["call_logs", "recordings"])
def test_bookmark_without_a_date_time_fails(stream: str, value: object) -> None:
    partitions = {"partitions": [bookmark(value, context=KINDS[1])]}
    saved = partitions if stream == "recordings" else bookmark(value)
    with pytest.raises(ConfigValidationError, match=f"bookmark of {stream} .* is not a date-time"):
        load_stream(saved, stream)


@pytest.mark.parametrize("value", ["0001-01-01", "0001-01-02T00:00:00Z"])
def test_oldest_possible_bookmark_reads_everything(box: Account, value: str) -> None:
    box.read(state=state_of(value))


def test_catalog_is_loaded(box: Account) -> None:
    loaded = Catalog.from_dict({"streams": [ENTRY]})
    assert load_catalog(None, STREAMS) is None
    assert load_catalog(loaded, STREAMS) is loaded
    catalog = load_catalog({"streams": [ENTRY]}, STREAMS)
    assert catalog is not None
    assert list(catalog) == ["call_logs"]
    box.read(catalog={"streams": [ENTRY]})


@pytest.fixture
def catalog() -> Catalogs:
    streams = selecting("call_logs")["streams"]
    streams.sort(key=lambda stream: stream["tap_stream_id"] != "call_logs")  # the tests change it
    return {"streams": streams}


def root_of(entry: dict[str, Any]) -> dict[str, Any]:
    (root,) = [item["metadata"] for item in entry["metadata"] if not item["breadcrumb"]]
    assert isinstance(root, dict)
    return root


KEYS: list[object] = [[], ["start_time"], ["logid", "start_time"], "logid", None]
A_TEXT = {"type": ["string", "null"]}
A_DAY = {**A_TEXT, "format": "date"}
OVERRIDES: dict[tuple[str, str], list[object]] = {
    ("entry", "replication-key"): ["updated_at", "logid", "", None],
    ("metadata", "replication-key"): ["updated_at", "logid", "", None],
    ("entry", "key-properties"): KEYS,
    ("metadata", "table-key-properties"): KEYS,
    ("entry", "replication-method"): ["FULL_TABLE", "LOG_BASED", None],
    ("metadata", "forced-replication-method"): ["FULL_TABLE", "LOG_BASED", None],
    ("entry", "stream"): ["calls", None],
}


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [(*key, value) for key, values in OVERRIDES.items() for value in values],
    ids=str,
)
def test_catalog_cannot_override_keys(
    box: Account, catalog: Catalogs, place: str, name: str, value: object
) -> None:
    plain, entry = box.run(), catalog["streams"][0]
    if place == "entry":
        entry[name.replace("-", "_")] = value
    else:
        root_of(entry)[name] = value
    run = box.run(catalog=catalog)
    assert (run.exit_code, run.ids, run.state) == (0, plain.ids, plain.state)
    assert run.of("SCHEMA")[0]["key_properties"] == ["logid"]
    warned = f"call_logs: {name} in the catalog is ignored; it cannot be changed" in run.log
    assert warned == (value is not None)


@pytest.mark.parametrize(
    ("field", "schema", "is_told"),
    [
        *[("start_time", schema, True) for schema in ({}, {"type": "string"}, A_DAY)],
        ("logid", {"type": ["integer"]}, True),
        ("logid", {**A_TEXT, "maxLength": 80}, False),
        *[("end_time", schema, True) for schema in (A_TEXT, A_DAY)],
        ("voice_credits", A_TEXT, True),
        ("is_test_call", {"type": "boolean"}, True),
        ("feedback", {}, True),
    ],
    ids=str,
)
def test_catalog_cannot_change_a_type(
    box: Account, catalog: Catalogs, field: str, schema: dict[str, Any], *, is_told: bool
) -> None:
    properties = catalog["streams"][0]["schema"]["properties"]
    own, properties[field] = properties[field], schema
    run = box.read(catalog=catalog)
    sent = run.of("SCHEMA")[0]["schema"]["properties"][field]
    assert sent == own
    assert (f"call_logs: the type of {field} in the catalog is ignored" in run.log) == is_told


@pytest.mark.parametrize("missing", ["key_properties", "stream", "replication_key", "metadata"])
def test_catalog_entry_may_lack_a_member(box: Account, catalog: Catalogs, missing: str) -> None:
    del catalog["streams"][0][missing]
    run = box.read(catalog={"streams": catalog["streams"][:1]})
    assert run.of("SCHEMA")[0]["key_properties"] == ["logid"]


@pytest.mark.parametrize("name", ["logid", "start_time"])
@pytest.mark.parametrize("form", ["deselected", "absent", "no properties"])
def test_catalog_cannot_drop_keys(box: Account, catalog: Catalogs, form: str, name: str) -> None:
    entry = catalog["streams"][0]
    for item in entry["metadata"]:
        if item["breadcrumb"] and item["breadcrumb"][-1] == name:
            item["metadata"] = {"inclusion": "available", "selected": False}
    if form == "absent":
        del entry["schema"]["properties"][name]
    elif form == "no properties":
        entry["schema"]["properties"] = {}
    assert all(record[name] for record in box.read(catalog=catalog).records)


def test_all_streams_keep_their_key(box: Account, catalog: Catalogs) -> None:
    for entry in catalog["streams"]:
        root_of(entry).update({"selected": True, "table-key-properties": []})
    run = box.run("--test=schema", catalog=catalog)
    keys = {message["stream"]: message["key_properties"] for message in run.of("SCHEMA")}
    assert keys == {stream.name: [*stream.primary_keys] for stream in ALL_STREAMS}


@pytest.mark.parametrize(
    "streams", [[], [{**ENTRY, "tap_stream_id": "other"}], selecting()["streams"]]
)
def test_catalog_without_a_selection_is_told(box: Account, streams: list[dict[str, Any]]) -> None:
    run = box.succeed(catalog={"streams": streams})
    assert run.log.count("WARNING") == 1
    assert "The catalog selects no stream of the tap; nothing is read" in run.log
