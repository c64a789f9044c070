"""Clocks that disagree: no bookmark passes the lesser of this machine's and the server's."""

import pytest

from tests.support.calls import call, history
from tests.support.cli import NOW, FakeClock, RunTap
from zoho_voice_sandbox import Sandbox

DAY = 86_400.0


@pytest.mark.parametrize("days", [1, 10, 400])
def test_bookmark_stays_behind_the_server_where_this_clock_is_ahead(
    run_tap: RunTap, clock: FakeClock, days: int
) -> None:
    clock.time = NOW + days * DAY
    with Sandbox(history=None, clock=clock, clock_ahead=-days * DAY) as box:
        first = run_tap(box.config)
    assert first.exit_code == 0
    assert first.bookmark <= "2026-03-01T12:00:00"
    clock.time = NOW + DAY  # the clock is set right, and a call comes
    with Sandbox(history=None, clock=clock) as box:
        start = round((NOW + DAY / 2) * 1000)
        box.store.add(call(box, "late", start), at_ms=start)
        assert run_tap(box.config, state=first.state).ids == ["late"]


def test_future_bookmark_by_the_server_is_lowered_to_the_newest_call(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=history(60), clock=clock) as box:
        first = run_tap(box.config)
    with Sandbox(history=history(60), clock=clock, clock_ahead=-10 * DAY) as box:
        newest = first.state["bookmarks"]["call_logs"]["newest_start_time"]
        assert newest == max(record["start_time"] for record in first.records)
        state = first.state
        state["bookmarks"]["call_logs"]["replication_key_value"] = (
            "2026-03-09T00:00:00.000000+00:00"
        )
        clock.time = NOW + 10 * DAY  # this machine is ahead, so the bookmark seems to be past
        start = round((NOW - 60) * 1000)
        box.store.add(call(box, "late", start), at_ms=start)
        run = run_tap(box.config, state=state)
    assert "late" in run.ids
    assert run.log.count("is in the future; reading again from the newest call") == 1
    assert run.bookmark <= "2026-03-01T12:00:00"
