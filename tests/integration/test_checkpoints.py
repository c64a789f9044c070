"""State messages beside requests: a run that is stopped loses at most two minutes of the limit."""

import os
import re
import signal
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.account import Account, Accounts
from tests.support.calls import call, history, milliseconds, server_ids
from tests.support.cli import FakeClock, Run, RunTap
from tests.support.recordings import FileAccount
from zoho_voice_sandbox import History

TWO_MINUTES = 58
"""Requests."""


def january(calls: int, first: int, last: int) -> History:
    return history(calls, first=date(2026, 1, first), last=date(2026, 1, last))


ORDERS = ("oldest", "logid")
DENSE = january(700, 20, 20)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def run_in_parts(box: Account, *, pause: float = 0.0, **settings: Any) -> list[Run]:
    """Run until all is read; each run is stopped after two minutes."""
    runs: list[Run] = []
    state = None
    while not runs or (runs[-1].exit_code == 143 and len(runs) < 40):
        with box.clock.every(120.0, stop):
            runs.append(box.run(state=state, **settings))
        state = runs[-1].state if runs[-1].states else state
        box.clock.sleep(pause)
    assert runs[-1].exit_code == 0, runs[-1].log
    return runs


def ids_of(runs: list[Run], box: Account) -> list[str]:
    """Return the ids of all calls that came out, which must be all of the account."""
    ids = [logid for run in runs for logid in run.ids]
    assert set(ids) == server_ids(box)
    return ids


@pytest.mark.parametrize(
    ("calls", "first", "server"),
    [
        (1_400, date(2026, 2, 27), {"max_size": 10, "utc_offset_minutes": 330}),
        (1_800, date(2026, 1, 30), {"max_size": 9, "total": "absent"}),
    ],
)
def test_run_stopped_in_a_window_requests_fewer_days(
    account: Accounts, calls: int, first: date, server: dict[str, Any]
) -> None:
    with account(calls, first=first, **server) as box:
        assert ids_of(run_in_parts(box, start_date=first.isoformat()), box)


def test_checkpoint_keeps_how_many_days_are_returned(account: Accounts) -> None:
    server = {"answered_days": 90, "answered_end": "first", "total": "absent"}
    with account(120, first=date(2026, 2, 4), **server) as box:
        stopped = box.stop_after(9, start_date="2017-12-14")
        assert stopped.exit_code == 143
        box.read(start_date="2017-12-14", state=stopped.state)


def test_checkpoint_of_single_days_proves_no_inclusive_end(account: Accounts) -> None:
    first = "2026-02-01T00:00:00.000000+00:00"
    checkpoint = {
        "replication_key_value": first,
        "read_at": "2026-03-01T11:30:00.000000+00:00",
        "next_day": "2026-02-01",
        "last_day": "2026-02-01",
        "is_inclusive": False,
        "range_days": 1,
        "call_types": [],
    }
    bookmark = {"replication_key_value": first, "checkpoint": checkpoint}
    with account(600, first=date(2026, 2, 3), to_date_inclusive=False) as box:
        box.read(start_date=first, state={"bookmarks": {"call_logs": bookmark}})


@pytest.mark.parametrize("first", [date(2026, 2, 27), date(2026, 1, 1)])
def test_transcripts_come_in_stopped_runs(account: Accounts, first: date) -> None:
    with account(1_000, first=first) as box:
        box.own["start_date"] = "2026-01-01"
        expected = box.run(streams=["transcripts"]).rows("transcripts")
        runs = run_in_parts(box, streams=["transcripts"])
    keys = [(row["logid"], row["kind"]) for run in runs for row in run.rows("transcripts")]
    assert set(keys) == {(row["logid"], row["kind"]) for row in expected}
    assert len(keys) < len(expected) + len(runs)  # the last one of a run comes again
    assert 3 <= len(runs) <= 1.5 * len(keys) / TWO_MINUTES + 1


def test_states_within_a_window_keep_known_limits(account: Accounts) -> None:
    with account(2_500, first=date(2026, 1, 1), max_size=50) as box:
        run = box.succeed(start_date="2026-01-01", streams=["transcripts"])
    partitions = [state["bookmarks"]["transcripts"]["partitions"][0] for state in run.states]
    known = [part["checkpoint"]["is_inclusive"] for part in partitions if "checkpoint" in part]
    assert {*known} == {True}


def test_files_of_a_dense_day_come_by_type(
    run_tap: RunTap, clock: FakeClock, tmp_path: Path
) -> None:
    own = {"start_date": "2026-01-15"}
    calls = january(1_000, 20, 20)
    with FileAccount(tmp_path / "files", own, run_tap, clock, calls, max_size=10) as box:
        runs = run_in_parts(box, streams=["recordings"])
        named = box.named
    rows = [row for run in runs for row in run.rows("recordings")]
    assert {row["recording_filename"] for row in rows if row["sha256"]} == named
    states = [state["bookmarks"]["recordings"] for run in runs for state in run.states]
    recordings = [state["partitions"][0] for state in states]
    assert any(state.get("checkpoint", {}).get("call_types") for state in recordings)
    for run in runs:
        kinds = "".join("SR"[message["type"] == "RECORD"] for message in run.messages)
        assert max(map(len, kinds.split("S"))) <= 20


@pytest.mark.parametrize("pause", [0.0, 86_400.0])
def test_stopped_run_does_not_repeat_the_lookback(account: Accounts, pause: float) -> None:
    calls = history(1_600, first=date(2026, 1, 10), last=date(2026, 2, 1))
    with account(calls, max_size=10) as box:
        runs = run_in_parts(box, start_date="2026-01-10", pause=pause)
        ids = ids_of(runs, box)
    # Two windows share a day; and what came before a stop comes once.
    assert len(ids) <= 1.1 * len(set(ids))
    assert "checkpoint" not in runs[-1].state["bookmarks"]["call_logs"]
    assert re.search("Continuing at 2026-01-.* because the last run was stopped", runs[1].log)


@pytest.mark.parametrize(
    ("calls", "server"),
    [
        (DENSE, {"max_size": 10}),
        (DENSE, {"max_size": 10, "to_date_inclusive": False}),
        *((DENSE, {"max_size": 10, "total": "absent", "order": order}) for order in ORDERS),
        (january(800, 20, 20), {"max_size": 10}),
    ],
    ids=str,
)
def test_dense_day_ends_in_stopped_runs(account: Accounts, calls: Any, server: Any) -> None:
    with account(calls, **server) as box:
        runs = run_in_parts(box, start_date="2026-01-15")
        ids = ids_of(runs, box)
    assert len(ids) <= 1.5 * len(set(ids))
    first = next(run for run in runs if run.ids)
    bookmarks = [state["bookmarks"]["call_logs"] for state in first.states]
    assert max(bookmark.get("replication_key_value", "") for bookmark in bookmarks) < "2026-01-20"
    checkpoints = [bookmark.get("checkpoint", {}) for bookmark in bookmarks]
    checkpoint = next(each for each in checkpoints if each.get("call_types"))
    # Meltano merges objects, and replaces all else; types must not outlive their day.
    assert not any(isinstance(value, dict) for value in checkpoint.values())


@pytest.mark.parametrize(
    ("others", "total"),
    [
        (3, {}),
        (3, {"total": "absent"}),
        *((n, {"total": "stale_low", "total_error": n}) for n in (1, 20)),
    ],
)
def test_unknown_call_types_of_dense_day_are_read(
    account: Accounts, others: int, total: dict[str, Any]
) -> None:
    with account(DENSE, max_size=10, **total) as box:
        start = milliseconds("2026-01-20T08:00:00+00:00")
        for number in range(others):
            box.store.add(call(box, f"other-{number}", start, call_type="conference"))
        box.read(start_date="2026-01-15")


def test_legs_of_two_types_are_kept(account: Accounts) -> None:
    with account(DENSE, max_size=10) as box:
        start = milliseconds("2026-01-20T08:00:00+00:00")
        for kind, seconds in (("incoming", 60), ("forward", 30)):
            end = str(start + seconds * 1000)
            row = call(box, "two-types", start, call_type=kind, end_time=end, agent_number=kind)
            box.store.add(row, is_leg=True)
        run = box.run(start_date="2026-01-15")
        assert set(run.ids) == server_ids(box)
    *_, last = [row for row in run.records if row["logid"] == "two-types"]
    assert last["call_type"] == "forward"
    (other,) = last["additional_fields"]["other_rows"]
    assert other["call_type"] == "incoming"


@pytest.mark.parametrize("end", ["2026-01-16", "2026-01-16T12:00:00Z"])
@pytest.mark.parametrize("requests", [45, 52])
def test_later_end_date_loses_no_call(account: Accounts, end: str, requests: int) -> None:
    with account(january(780, 10, 20), max_size=10) as box:
        stopped = box.stop_after(requests, start_date="2026-01-10", end_date=end)
        assert stopped.exit_code == 143
        run = box.succeed(start_date="2026-01-10", state=stopped.state)
        assert {*stopped.ids, *run.ids} == server_ids(box)


def test_unfinished_day_is_read_again_without_a_lookback(account: Accounts) -> None:
    calls = history(750, first=date(2026, 2, 26), last=date(2026, 3, 1))
    with account(calls, max_size=10) as box:
        box.own["lookback_days"] = 0
        runs = run_in_parts(box, start_date="2026-02-26")
    states = [state["bookmarks"]["call_logs"] for run in runs for state in run.states]
    days = {state["checkpoint"]["next_day"] for state in states if "checkpoint" in state}
    assert max(days) == "2026-03-01"
