"""State messages beside requests: a run that is stopped loses at most two minutes of the limit."""

import os
import re
import signal
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import assert_once, call, history, milliseconds, server_ids
from tests.support.catalog import selecting
from tests.support.cli import FakeClock, Run, RunTap
from zoho_voice_sandbox import Dialect, Sandbox

TWO_MINUTES = 58
"""Requests."""
SERVERS: dict[str, dict[str, Any]] = {
    "pages of 50": {"max_size": 50},
    "pages of 30, oldest first": {"max_size": 30, "order": "oldest"},
    "pages of 19": {"max_size": 19},
    "pages of 50, no total": {"max_size": 50, "total": "absent"},
    "pages of 19, no total": {"max_size": 19, "total": "absent", "order": "oldest"},
}


def run_for_two_minutes(run_tap: RunTap, clock: FakeClock, *args: Any, **options: Any) -> list[Run]:
    """Run until all is read, or 40 times; each run is stopped after two minutes of its limit."""
    runs: list[Run] = []
    state = None
    while not runs or (runs[-1].exit_code == 143 and len(runs) < 40):
        with clock.every(120.0, lambda: os.kill(os.getpid(), signal.SIGTERM)):
            runs.append(run_tap(*args, state=state, **options))
        state = runs[-1].states[-1]
    assert runs[-1].exit_code == 0, runs[-1].log
    return runs


def run_in_parts(
    run_tap: RunTap, box: Sandbox, config: dict[str, Any], *, pause: float = 0.0, most: int = 20
) -> list[Run]:
    """Run until all is read, or so many times; each run is stopped after two minutes."""
    runs: list[Run] = []
    state = None
    while not runs or (runs[-1].exit_code == 143 and len(runs) < most):
        last = box.stats.requests + TWO_MINUTES

        def stop(_: int, last: int = last) -> None:
            if box.stats.requests == last:
                os.kill(os.getpid(), signal.SIGTERM)

        box.before_request = stop
        runs.append(run_tap(config, state=state))
        state = runs[-1].states[-1] if runs[-1].states else state
        box.clock.sleep(pause)
    box.before_request = None
    assert runs[-1].exit_code == (0 if most > len(runs) else 143), runs[-1].log
    return runs


@pytest.mark.parametrize("name", SERVERS)
def test_run_that_is_stopped_every_two_minutes_comes_to_the_end(
    run_tap: RunTap, clock: FakeClock, name: str
) -> None:
    with Sandbox(history=history(3_000), dialect=Dialect(**SERVERS[name]), clock=clock) as box:
        config = {**box.config, "start_date": "2025-04-01"}
        runs = run_in_parts(run_tap, box, config)
        assert all(run.states for run in runs[1:])
        assert {logid for run in runs for logid in run.ids} == server_ids(box)


@pytest.mark.parametrize("first", [date(2026, 2, 27), date(2026, 1, 1)])
def test_transcripts_come_to_the_end_in_runs_that_are_stopped(
    run_tap: RunTap, clock: FakeClock, first: date
) -> None:
    catalog = selecting("transcripts")
    with Sandbox(history=history(1_000, first=first), clock=clock) as box:
        config = {**box.config, "start_date": "2026-01-01"}
        expected = run_tap(config, catalog=catalog).rows("transcripts")
        runs = run_for_two_minutes(run_tap, clock, config, catalog=catalog)
        keys = [(row["logid"], row["kind"]) for run in runs for row in run.rows("transcripts")]
        assert set(keys) == {(row["logid"], row["kind"]) for row in expected}
        assert len(keys) < len(expected) + len(runs)  # the last one of a run comes again
        assert 3 <= len(runs) <= 1.5 * len(keys) / TWO_MINUTES + 1


def test_files_of_a_day_of_many_calls_come_type_by_type(
    run_tap: RunTap, clock: FakeClock, tmp_path: Path
) -> None:
    catalog = selecting("recordings")
    calls = history(7_000, first=date(2026, 1, 20), last=date(2026, 1, 20))
    with Sandbox(history=calls, dialect=Dialect(max_size=100), clock=clock) as box:
        files = {"recordings_path": str(tmp_path / "files"), "start_date": "2026-01-15"}
        config = {**box.config, **files}
        runs = run_for_two_minutes(run_tap, clock, config, catalog=catalog)
        named = {
            row[key]["recording_filename"]
            for row in box.store.rows()
            for key in ("call_recording", "voicemail")
            if key in row
        }
    rows = [row for run in runs for row in run.rows("recordings")]
    assert {row["recording_filename"] for row in rows if row["sha256"]} == named
    states = [state["bookmarks"]["recordings"] for run in runs for state in run.states]
    recordings = [state["partitions"][0] for state in states]
    assert any(state.get("checkpoint", {}).get("call_types") for state in recordings)
    kinds = "".join("SR"[message["type"] == "RECORD"] for message in runs[0].messages)
    assert max(map(len, kinds.split("S"))) <= 20


@pytest.mark.parametrize("pause", [0.0, 86_400.0])
def test_run_that_is_stopped_does_not_read_the_lookback_again(
    run_tap: RunTap, clock: FakeClock, pause: float
) -> None:
    calls = history(8_000, first=date(2026, 1, 10), last=date(2026, 2, 1))
    with Sandbox(history=calls, dialect=Dialect(max_size=50), clock=clock) as box:
        config = {**box.config, "start_date": "2026-01-10"}
        runs = run_in_parts(run_tap, box, config, pause=pause)
        ids = [logid for run in runs for logid in run.ids]
        assert set(ids) == server_ids(box)
        # Two windows share a day; and what came before a stop comes once.
        assert len(ids) <= 1.1 * len(set(ids))
        assert "checkpoint" not in runs[-1].state["bookmarks"]["call_logs"]
        (line,) = [line for line in runs[1].log.splitlines() if "Continuing at 2026-01-" in line]
        assert "because the last run was stopped" in line


def test_calls_that_were_young_when_they_were_read_are_read_again(
    run_tap: RunTap, clock: FakeClock
) -> None:
    calls = history(5_000, first=date(2026, 2, 20))
    with Sandbox(history=calls, dialect=Dialect(max_size=50), clock=clock) as box:
        config = {**box.config, "start_date": "2026-02-20"}
        stopped = run_in_parts(run_tap, box, config, most=2)[-1]
        clock.sleep(2 * 3600)
        run = run_tap(config, state=stopped.states[-1])
    assert stopped.bookmark > "2026-02-27"
    assert "Continuing at 2026-02-2" in run.log
    assert min(row["start_time"] for row in run.records) < "2026-02-27"


def with_checkpoint(value: str, day: str, **changes: object) -> dict[str, Any]:
    """Return a state with this bookmark, and a checkpoint at a day, which may be of another one."""
    read = {"read_at": "2026-03-01T11:50:00.000000+00:00", "next_day": day, "last_day": day}
    checkpoint = {"replication_key_value": value, **read, "call_types": [], **changes}
    bookmark = {"replication_key": "start_time", "replication_key_value": value}
    return {"bookmarks": {"call_logs": {**bookmark, "checkpoint": checkpoint}}}


@pytest.mark.parametrize(
    "changes",
    [
        {"replication_key_value": "2026-01-21T00:00:00.000000+00:00"},
        *({name: 7} for name in ("next_day", "read_at", "call_types")),
        {},
    ],
    ids=str,
)
def test_checkpoint_of_another_bookmark_is_ignored(
    run_tap: RunTap, clock: FakeClock, changes: dict[str, object]
) -> None:
    calls = history(300, first=date(2026, 1, 10), last=date(2026, 2, 20))
    with Sandbox(history=calls, clock=clock) as box:
        state = with_checkpoint("2026-01-20T00:00:00.000000+00:00", "2026-02-10", **changes)
        run = run_tap(box.config, state=state)
    first = min(row["start_time"] for row in run.records)
    assert (first > "2026-02-09") == (not changes)


@pytest.mark.parametrize("name", SERVERS)
def test_window_takes_at_most_two_minutes(run_tap: RunTap, clock: FakeClock, name: str) -> None:
    with Sandbox(history=history(3_000), dialect=Dialect(**SERVERS[name]), clock=clock) as box:
        run = run_tap({**box.config, "start_date": "2024-01-01"})
        assert_once(run, server_ids(box))
    counts = [int(count) for count in re.findall(r"calls in (\d+) requests?; ", run.log)]
    assert len(counts) > 2
    assert max(counts) <= TWO_MINUTES


DENSE = history(3_500, first=date(2026, 1, 20), last=date(2026, 1, 20))


@pytest.mark.parametrize("inclusive", [True, False])
def test_day_of_many_calls_comes_to_its_end_in_runs_that_are_stopped(
    run_tap: RunTap, clock: FakeClock, inclusive: bool
) -> None:
    dialect = Dialect(max_size=50, to_date_inclusive=inclusive)
    with Sandbox(history=DENSE, dialect=dialect, clock=clock) as box:
        config = {**box.config, "start_date": "2026-01-15"}
        runs = run_in_parts(run_tap, box, config)
        ids = [logid for run in runs for logid in run.ids]
        assert set(ids) == server_ids(box)
        assert len(ids) <= 1.5 * len(set(ids))
        first = next(run for run in runs if run.ids)
        assert (
            max(state["bookmarks"]["call_logs"]["replication_key_value"] for state in first.states)
            < "2026-01-20"
        )


def test_calls_of_no_known_type_are_read_on_a_day_of_many_calls(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=DENSE, dialect=Dialect(max_size=50), clock=clock) as box:
        start = milliseconds("2026-01-20T08:00:00+00:00")
        for number in range(3):
            box.store.add(call(box, f"other-{number}", start, call_type="conference"))
        run = run_tap({**box.config, "start_date": "2026-01-15"})
        assert_once(run, server_ids(box))


def test_legs_of_a_call_of_two_types_are_kept_on_a_day_of_many_calls(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=DENSE, dialect=Dialect(max_size=50), clock=clock) as box:
        start = milliseconds("2026-01-20T08:00:00+00:00")
        for kind, seconds in (("incoming", 60), ("forward", 30)):
            end = str(start + seconds * 1000)
            row = call(box, "two-types", start, call_type=kind, end_time=end, agent_number=kind)
            box.store.add(row, is_leg=True)
        run = run_tap({**box.config, "start_date": "2026-01-15"})
    assert set(run.ids) == server_ids(box)
    *_, last = [row for row in run.records if row["logid"] == "two-types"]
    assert last["call_type"] == "forward"
    (other,) = last["additional_fields"]["other_rows"]
    assert other["call_type"] == "incoming"


def stop_after(run_tap: RunTap, box: Sandbox, config: dict[str, Any], requests: int) -> Run:
    last = box.stats.requests + requests
    box.before_request = lambda _: (
        os.kill(os.getpid(), signal.SIGTERM) if box.stats.requests == last else None
    )
    run = run_tap(config)
    box.before_request = None
    assert run.exit_code == 143, run.log
    return run


@pytest.mark.parametrize("end", ["2026-01-16", "2026-01-16T12:00:00Z"])
@pytest.mark.parametrize("requests", [45, 52])
def test_later_end_date_after_a_stop_loses_no_call(
    run_tap: RunTap, clock: FakeClock, end: str, requests: int
) -> None:
    calls = history(5_000, first=date(2026, 1, 10), last=date(2026, 1, 20))
    with Sandbox(history=calls, dialect=Dialect(max_size=60), clock=clock) as box:
        config = {**box.config, "start_date": "2026-01-10"}
        stopped = stop_after(run_tap, box, {**config, "end_date": end}, requests)
        run = run_tap(config, state=stopped.states[-1])
        assert run.exit_code == 0, run.log
        assert {*stopped.ids, *run.ids} == server_ids(box)


def test_day_that_is_not_over_is_read_again_without_a_lookback(
    run_tap: RunTap, clock: FakeClock
) -> None:
    calls = history(3_000, first=date(2026, 2, 26), last=date(2026, 3, 1))
    with Sandbox(history=calls, dialect=Dialect(max_size=37), clock=clock) as box:
        config = {**box.config, "start_date": "2026-02-26", "lookback_days": 0}
        runs = run_in_parts(run_tap, box, config, most=1)
        states = [state["bookmarks"]["call_logs"] for state in runs[0].states]
        days = [state["checkpoint"]["next_day"] for state in states if "checkpoint" in state]
        assert days
        assert max(days) <= "2026-03-01"


@pytest.mark.parametrize("lacks", [1, 20])
def test_calls_of_no_known_type_are_read_where_the_total_is_too_low(
    run_tap: RunTap, clock: FakeClock, lacks: int
) -> None:
    dialect = Dialect(max_size=50, total="stale_low", total_error=lacks)
    with Sandbox(history=DENSE, dialect=dialect, clock=clock) as box:
        start = milliseconds("2026-01-20T08:00:00+00:00")
        for number in range(lacks):
            box.store.add(call(box, f"other-{number}", start, call_type="conference"))
        run = run_tap({**box.config, "start_date": "2026-01-15"})
        assert_once(run, server_ids(box))


@pytest.mark.parametrize("read_at", ["0001-01-02T00:00:00+00:00", "2027-01-01T00:00:00+00:00", "7"])
def test_checkpoint_of_an_impossible_time_is_ignored(
    run_tap: RunTap, clock: FakeClock, read_at: str
) -> None:
    with Sandbox(history=history(30), clock=clock) as box:
        value = "2026-02-27T00:00:00.000000+00:00"
        run = run_tap(box.config, state=with_checkpoint(value, "2026-02-28", read_at=read_at))
    assert run.exit_code == 0
    assert "Continuing" not in run.log


def test_types_of_a_day_do_not_outlive_it_in_a_merged_state(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=DENSE, dialect=Dialect(max_size=50), clock=clock) as box:
        (run,) = run_in_parts(run_tap, box, {**box.config, "start_date": "2026-01-15"}, most=1)
    checkpoint = run.states[-1]["bookmarks"]["call_logs"]["checkpoint"]
    assert checkpoint["call_types"]
    # Meltano merges objects, and replaces all else.
    assert not any(isinstance(value, dict) for value in checkpoint.values())
