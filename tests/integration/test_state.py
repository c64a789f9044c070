"""A state and a catalog are taken in one form, or refused in a plain line."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tap_zohovoice.singer.state import load_catalog, load_state
from zoho_voice_sandbox import History, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.cli import FakeClock, Run

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
NOW_TEXT = "2026-03-01T12:00:00.000000+00:00"
ENTRY: dict[str, Any] = {"tap_stream_id": "call_logs", "schema": CALL_LOG_SCHEMA, "metadata": []}

OURS = {"call_logs", "recordings"}
NO_STATES: list[object] = [
    [],
    [1],
    "x",
    5,
    True,
    {"bookmarks": 5},
    {"bookmarks": [{}]},
    {"bookmarks": {"call_logs": None}},
    {"bookmarks": {"call_logs": "2026-01-01"}},
    {"bookmarks": {"call_logs": {"partitions": 5}}},
    {"bookmarks": {"users": {"partitions": [5]}}},
    {"bookmarks": {"users": {"a": json.loads("[" * 200 + "]" * 200)}}},
]
NO_DATES: list[object] = ["soon", "", "2026-13-01", "0001-01-01T00:00:00+01:00", 5, True, [], {}]
NO_CATALOGS: list[object] = [
    [],
    "x",
    5,
    {},
    {"streams": 5},
    {"streams": None},
    {"streams": [5]},
    {"streams": [{}]},
    {"streams": [{**ENTRY, "schema": 5}]},
    {"streams": [{**ENTRY, "metadata": 5}]},
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


@pytest.mark.parametrize("state", [None, {}, {"bookmarks": None}, {"bookmarks": {}}, {"other": 1}])
def test_no_state_is_an_empty_one(state: object) -> None:
    assert load_state(state, NOW, OURS) == {"bookmarks": {}}


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
def test_a_bookmark_is_brought_into_the_form_of_records(
    text: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    state = state_of(text, progress_markers={"a": 1})
    before = copy.deepcopy(state)
    assert load_state(state, NOW, OURS) == state_of(expected)
    assert state == before
    assert not caplog.records


@pytest.mark.parametrize("text", ["2026-03-01T12:00:01Z", "2030-01-01", "9999-12-31T23:59:59Z"])
def test_a_bookmark_of_the_future_becomes_the_present(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_state(state_of(text), NOW, OURS) == state_of(NOW_TEXT)
    assert len(caplog.records) == 1
    assert "call_logs" in caplog.text


@pytest.mark.parametrize(
    "bookmark",
    [
        {},
        {"replication_key": "start_time"},
        {"replication_key": "start_time", "replication_key_value": None},
    ],
)
def test_what_is_no_bookmark_of_start_time_is_left_alone(bookmark: dict[str, Any]) -> None:
    state = {"bookmarks": {"call_logs": bookmark, "old_stream": {}}}
    assert load_state(state, NOW, OURS) == state


def test_what_another_tap_wrote_is_kept_and_never_gone_through() -> None:
    partition = {"context": {"a": 1}, "replication_key": "id", "replication_key_value": 5}
    theirs = {"partitions": [partition], "replication_key": "id", "replication_key_value": 9}
    marked = {**theirs, "partitions": [{**partition, "progress_markers": None}]}
    state = {"bookmarks": {"call_logs": {**marked, "replication_key_value": None}, "users": marked}}
    bookmarks = load_state(state, NOW, OURS)["bookmarks"]
    assert bookmarks["users"] == theirs
    assert "partitions" not in bookmarks["call_logs"]


def test_a_line_of_the_tap_is_a_state_too() -> None:
    state = {
        "bookmarks": {
            "call_logs": {
                "replication_key": "start_time",
                "replication_key_value": "2026-01-02T00:00:00.000000+00:00",
            }
        }
    }
    assert load_state({"type": "STATE", "value": state}, NOW, OURS) == load_state(state, NOW, OURS)
    assert load_state(state, NOW, OURS) == state
    with pytest.raises(ConfigValidationError):
        load_state({"type": "STATE", "value": []}, NOW, OURS)


@pytest.mark.parametrize("state", NO_STATES, ids=str)
def test_what_is_no_state_is_refused_in_a_plain_line(
    run_tap: Callable[..., Run], box: Sandbox, state: object
) -> None:
    line = "The state is no Singer state"
    with pytest.raises(ConfigValidationError, match=line) as error:
        load_state(state, NOW, OURS)
    assert error.value.errors == [str(error.value)]
    run = run_tap(box.config, state=state)
    assert run.exit_code == 1
    assert run.log.count(line) == 1
    assert not any(box.stats.summary().values())


@pytest.mark.parametrize("value", NO_DATES, ids=str)
def test_a_bookmark_that_is_no_moment_is_refused_in_a_plain_line(value: object) -> None:
    with pytest.raises(
        ConfigValidationError, match=r"bookmark of call_logs .* is no date-time"
    ) as e:
        load_state(state_of(value), NOW, OURS)
    assert len(e.value.errors) == 1


@pytest.mark.parametrize("value", ["soon", "2036-01-01T00:00:00Z", "2026-02-19", 5])
def test_a_bookmark_that_does_not_say_its_key_cannot_stall_the_next_one(
    run_tap: Callable[..., Run], box: Sandbox, value: object
) -> None:
    run = run_tap(box.config, state={"bookmarks": {"call_logs": {"replication_key_value": value}}})
    assert "Unexpected" not in run.log
    assert run.exit_code == 1 or "2026-02-10" < run.bookmark <= NOW_TEXT


@pytest.mark.parametrize("value", ["0001-01-01", "0001-01-02T00:00:00Z"])
def test_a_bookmark_at_the_beginning_of_time_reads_everything(
    run_tap: Callable[..., Run], box: Sandbox, value: str
) -> None:
    run = run_tap(box.config, state=state_of(value))
    assert run.exit_code == 0
    assert len(run.ids) == 9


def test_no_catalog_and_a_ready_one_are_passed_on() -> None:
    catalog = Catalog.from_dict({"streams": [ENTRY]})
    assert load_catalog(None) is None
    assert load_catalog(catalog) is catalog


def test_a_catalog_is_read(run_tap: Callable[..., Run], box: Sandbox) -> None:
    catalog = load_catalog({"streams": [ENTRY]})
    assert catalog is not None
    assert list(catalog) == ["call_logs"]
    assert len(run_tap(box.config, catalog={"streams": [ENTRY]}).ids) == 9


@pytest.mark.parametrize("catalog", NO_CATALOGS, ids=lambda value: str(value)[:60])
def test_what_is_no_catalog_is_refused_in_a_plain_line(
    run_tap: Callable[..., Run], box: Sandbox, catalog: object
) -> None:
    run = run_tap(box.config, catalog=catalog)
    assert run.exit_code == 1
    assert run.log.count("The catalog is no Singer catalog; make one with --discover") == 1
    assert not any(box.stats.summary().values())
    with pytest.raises(ConfigValidationError, match="no Singer catalog") as error:
        load_catalog(catalog)
    assert error.value.errors == [str(error.value)]
