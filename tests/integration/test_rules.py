"""Rules of correctness: completeness, bookmarks, clocks that disagree, and runs in a row."""

import math
import signal
from datetime import date
from typing import Any

import pytest

from tests.support.account import Accounts, read_cases
from tests.support.calls import call, milliseconds, server_ids
from tests.support.cli import NOW, FakeClock, bookmark

DAY = 86_400_000
DAY_SECONDS = 86_400.0
FORMS = read_cases("dialects")["forms of responses"]


def test_start_is_inclusive_and_end_exclusive(account: Accounts) -> None:
    start, end = milliseconds("2026-01-10T08:30:00Z"), milliseconds("2026-01-12T17:00:00Z")
    moments = {"before": start - 1, "first": start, "last": end - 1, "beyond": end}
    with account(None) as box:
        for name, moment in moments.items():
            box.store.add(call(box, name, moment))
        run = box.run(start_date="2026-01-10T09:30:00+01:00", end_date="2026-01-12T17:00:00Z")
        sent = box.stats.requests
        box.succeed(state=run.state, start_date="2026-01-01", end_date="2026-01-05")
        assert box.stats.requests == sent  # the bookmark is later than the end
    assert run.ids == ["first", "last"]


@pytest.mark.parametrize("dialect", FORMS.values(), ids=FORMS)
def test_form_of_response_loses_no_call(account: Accounts, dialect: dict[str, Any]) -> None:
    with account(450, first=date(2026, 1, 1), **dialect) as box:
        box.read()
        assert box.stats.violations == 0


def test_bookmark_does_not_move_into_the_future(account: Accounts) -> None:
    with account(50) as box:
        box.store.add(call(box, "early", round(NOW * 1000) + 3_600_000))
        assert box.read().bookmark == "2026-03-01T12:00:00.000000+00:00"


def test_bookmark_of_an_empty_account_moves(account: Accounts) -> None:
    with account(None) as box:
        run = box.read(start_date="2020-01-01", lookback_days=5)
        assert box.stats.requests == 2 + 20  # two sizes, and those that verify the silent years
    assert run.bookmark == "2026-02-24T12:00:00.000000+00:00"


@pytest.mark.parametrize(("lookback", "late"), [(3, 2 * DAY), (0, 0)])
def test_lookback_brings_late_calls(account: Accounts, lookback: int, late: int) -> None:
    with account() as box:
        first = box.run(lookback_days=lookback)
        newest = max(int(row["start_time"]) for row in box.store.rows())
        changed = next(row for row in box.store.rows() if int(row["start_time"]) == newest)
        box.store.add(call(box, "late", newest - late))
        box.store.add(call(box, "too late", newest - late - (2 * DAY if lookback else 1)))
        box.store.add({**changed, "feedback": 5})
        since = newest - lookback * DAY
        recent = {row["logid"] for row in box.store.rows() if int(row["start_time"]) >= since}
        requests = box.stats.requests
        second = box.run(state=first.state, lookback_days=lookback)
        assert box.stats.requests - requests <= math.ceil(len(recent) / 200) + 2
    assert set(second.ids) == recent
    assert "late" in second.ids
    feedback = {row["logid"]: row["feedback"] for row in second.records}
    assert feedback[changed["logid"]] == 5
    assert {bookmark(state) for state in second.states} == {first.bookmark}


@pytest.mark.parametrize("days", [1, 10, 400])
def test_bookmark_stays_behind_the_server(account: Accounts, clock: FakeClock, days: int) -> None:
    clock.time = NOW + days * DAY_SECONDS
    with account(None, clock_ahead=-days * DAY_SECONDS) as box:
        first = box.read(start_date="2026-03-01T00:00:00Z")
    assert first.bookmark <= "2026-03-01T12:00:00"
    clock.time = NOW + DAY_SECONDS  # the clock is set right, and a call comes
    with account(None) as box:
        start = round((NOW + DAY_SECONDS / 2) * 1000)
        box.store.add(call(box, "late", start), at_ms=start)
        assert box.run(state=first.state).ids == ["late"]


def test_future_bookmark_by_the_server_is_lowered(account: Accounts, clock: FakeClock) -> None:
    with account(60) as box:
        first = box.run()
    state = first.state["bookmarks"]["call_logs"]
    assert state["newest_start_time"] == max(record["start_time"] for record in first.records)
    state["replication_key_value"] = "2026-03-09T00:00:00.000000+00:00"
    clock.time = NOW + 10 * DAY_SECONDS  # this machine is ahead, so the bookmark seems to be past
    with account(60, clock_ahead=-10 * DAY_SECONDS) as box:
        start = round((NOW - 60) * 1000)
        box.store.add(call(box, "late", start), at_ms=start)
        run = box.run(state=first.state)
    assert "late" in run.ids
    assert run.log.count("is in the future; reading again from the newest call") == 1
    assert run.bookmark <= "2026-03-01T12:00:00"


@pytest.mark.parametrize("date", [0, 3600, 946_684_800, 1_500_000_000])
def test_server_clock_never_set_holds_no_bookmark(account: Accounts, date: int) -> None:
    with account(60, date_ahead_seconds=date - NOW) as box:
        first = box.read()
        assert first.bookmark == max(record["start_time"] for record in first.records)
        second = box.succeed(state=first.state)
    assert len(second.records) < 60
    assert "is in the future" not in second.log


@pytest.mark.parametrize(
    ("number", "signum"),
    [*((number, signal.SIGTERM) for number in range(1, 12)), (11, signal.SIGINT)],
)
def test_stopped_run_can_be_resumed(account: Accounts, number: int, signum: signal.Signals) -> None:
    with account(max_range_days=31) as box:
        stopped = box.stop_after(number, signum)
        assert stopped.exit_code == 128 + signum
        assert f"Stopped by {signum.name}" in stopped.log
        assert "Traceback" not in stopped.log
        assert stopped.stdout.endswith("\n")
        assert stopped.messages[-1]["type"] == "STATE"
        resumed = box.succeed(state=stopped.state)
        assert {*stopped.ids, *resumed.ids} == server_ids(box)
    assert len({*stopped.ids} & {*resumed.ids}) <= 60  # the lookback, and no more
    assert stopped.bookmark <= resumed.bookmark
    if stopped.records:
        assert stopped.bookmark == stopped.records[-1]["start_time"]
