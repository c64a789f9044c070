"""Loading of Singer state and catalog."""

import copy
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tap_zohovoice.singer.state import load_catalog, load_state
from tap_zohovoice.tap import STREAMS
from tests.support.account import Account, Accounts, read_cases
from tests.support.cli import selecting

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
EARLY, LATE = "2026-02-01T00:00:00.000000+00:00", "2026-02-20T00:00:00.000000+00:00"
ENTRY: dict[str, Any] = {"tap_stream_id": "call_logs", "schema": CALL_LOG_SCHEMA, "metadata": []}

Captured: TypeAlias = pytest.LogCaptureFixture
Catalogs: TypeAlias = dict[str, Any]
CASES = read_cases("states")
LOADED = [
    pytest.param(*case, id=f"bookmark {name}")
    for name, cases in CASES["bookmark"].items()
    for case in cases
]
"""Stream, its bookmark in a state, what is loaded of it, and lines of the log."""
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


def bookmark(value: object, **more: object) -> dict[str, Any]:
    return {"replication_key": "start_time", "replication_key_value": value, **more}


def state_of(value: object, **more: object) -> dict[str, Any]:
    return {"bookmarks": {"call_logs": bookmark(value, **more)}}


@pytest.mark.parametrize(("stream", "saved", "loaded", "lines"), LOADED)
def test_bookmark_is_loaded(
    stream: str, saved: object, loaded: object, lines: list[str], caplog: Captured
) -> None:
    state = {"bookmarks": {stream: saved, "old_stream": {}}}
    before = copy.deepcopy(state)
    assert load(state) == {"bookmarks": {stream: loaded, "old_stream": {}}}
    assert state == before
    assert caplog.messages == lines


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
        *(("state", state) for state in CASES["invalid states"]),
        *(("catalog", catalog) for catalog in INVALID_CATALOGS),
    ],
    ids=lambda value: str(value)[:60],
)
def test_invalid_document_is_one_line(box: Account, option: str, document: object) -> None:
    advice = {"state": "", "catalog": "; create one with --discover"}[option]
    box.fail(f"The {option} is invalid{advice}", **{option: document})
    assert not any(box.stats.summary().values())


@pytest.mark.parametrize("value", CASES["invalid dates"], ids=str)
@pytest.mark.parametrize("stream", ["call_logs", "recordings"])
def test_bookmark_without_a_date_time_fails(stream: str, value: object) -> None:
    partitions = {"partitions": [bookmark(value, context={"kind": "voicemail"})]}
    saved = partitions if stream == "recordings" else bookmark(value)
    with pytest.raises(ConfigValidationError, match=f"bookmark of {stream} .* is not a date-time"):
        load({"bookmarks": {stream: saved}})


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


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [(*key, value) for *key, values in CASES["keys in a catalog"] for value in values],
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


@pytest.mark.parametrize(("field", "schema", "is_told"), CASES["types in a catalog"], ids=str)
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
@pytest.mark.parametrize("form", ["deselected", "absent", "no properties", "no stream", "required"])
def test_catalog_cannot_drop_keys(box: Account, catalog: Catalogs, form: str, name: str) -> None:
    entry = catalog["streams"][0]
    for item in entry["metadata"]:
        if item["breadcrumb"] and item["breadcrumb"][-1] == name:
            item["metadata"] = {"inclusion": "available", "selected": False}
    if form == "absent":
        del entry["schema"]["properties"][name]
    elif form == "no properties":
        entry["schema"]["properties"] = {}
    elif form == "no stream":
        entry["metadata"] = [item for item in entry["metadata"] if item["breadcrumb"]]
    elif form == "required":
        entry["schema"].update(type="string", required=["other"])
    run = box.read(catalog=catalog)
    assert all(record[name] for record in run.records)
    assert run.of("SCHEMA")[0]["schema"]["type"] == "object"
    assert "other" not in run.of("SCHEMA")[0]["schema"].get("required", [])


def test_all_streams_keep_their_key(box: Account, catalog: Catalogs) -> None:
    for entry in catalog["streams"]:
        root_of(entry).update({"selected": True, "table-key-properties": []})
    run = box.run("--test=schema", catalog=catalog)
    keys = {message["stream"]: message["key_properties"] for message in run.of("SCHEMA")}
    assert keys == {stream.name: [*stream.primary_keys] for stream in STREAMS}


def test_contexts_add_no_fields_and_no_rows(account: Accounts) -> None:
    foreign = {"users": {"partitions": [{"context": {"other": 1}}, {"context": {"other": 2}}]}}
    catalog = selecting("recordings", "sms_logs", "users")
    for entry in catalog["streams"]:
        for field in ("kind", "archived"):
            entry["schema"]["properties"].pop(field, None)
    with account(40) as box:
        run = box.succeed(catalog=catalog, state={"bookmarks": foreign})
    for schema in run.of("SCHEMA"):
        (key,) = schema["key_properties"]
        rows = run.rows(schema["stream"])
        assert {*rows[0]} == {*schema["schema"]["properties"]}
        assert len({row[key] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("flag", "is_selected"),
    [
        *((text, False) for text in ("false", " False ", "0", "no", "Off", "", False, 0)),
        *((text, True) for text in ("true", "1", "yes", " On", True, 1)),
    ],
)
@pytest.mark.parametrize("name", ["selected", "selected-by-default"])
def test_flag_of_a_catalog_may_be_text(
    box: Account, catalog: Catalogs, name: str, flag: object, is_selected: bool
) -> None:
    for entry in catalog["streams"]:
        root_of(entry).update({"selected": None, "selected-by-default": False})
    root_of(catalog["streams"][0])[name] = flag
    assert len(box.succeed(catalog=catalog).ids) == 9 * is_selected


@pytest.mark.parametrize(
    ("breadcrumb", "name"),
    [
        (["properties", "contact_nmae"], "properties.contact_nmae"),
        (["contact_name"], "contact_name"),
        ("contact_name", "c.o.n.t.a.c.t._.n.a.m.e"),
    ],
)
def test_breadcrumb_that_hides_nothing_is_told(
    box: Account, catalog: Catalogs, breadcrumb: object, name: str
) -> None:
    known = {"breadcrumb": ["properties", "voicemail", "properties", "size"]}
    for item in ({"breadcrumb": breadcrumb}, known):
        catalog["streams"][0]["metadata"].append({**item, "metadata": {"selected": False}})
    assert box.read(catalog=catalog).logged("WARNING") == [
        f"call_logs: {name!r} in the catalog is not a field of the stream; it hides nothing"
    ]


@pytest.mark.parametrize("name", ["calls", "tap-zohovoice-call_logs"])
def test_entry_of_another_tap_is_told(box: Account, catalog: Catalogs, name: str) -> None:
    plain, entry = box.run(), copy.deepcopy(catalog["streams"][0])
    run = box.read(catalog={"streams": [{**entry, "tap_stream_id": name}, *catalog["streams"]]})
    assert run.ids == plain.ids
    assert run.logged("WARNING") == [f"{name!r} in the catalog is not a stream of the tap"]


@pytest.mark.parametrize(
    "streams", [[], [{**ENTRY, "tap_stream_id": "other"}], selecting()["streams"]]
)
def test_catalog_without_a_selection_is_told(box: Account, streams: list[dict[str, Any]]) -> None:
    run = box.succeed(catalog={"streams": streams})
    assert run.log.count("WARNING") == 1
    assert "The catalog selects no stream of the tap; nothing is read" in run.log
