"""Clocks that disagree: no bookmark passes the lesser of this machine's and the server's."""

import pytest

from tests.support.account import Accounts
from tests.support.calls import call
from tests.support.cli import NOW, FakeClock

DAY = 86_400.0


@pytest.mark.parametrize("days", [1, 10, 400])
def test_bookmark_stays_behind_the_server(account: Accounts, clock: FakeClock, days: int) -> None:
    clock.time = NOW + days * DAY
    with account(None, clock_ahead=-days * DAY) as box:
        first = box.read(start_date="2026-03-01T00:00:00Z")
    assert first.bookmark <= "2026-03-01T12:00:00"
    clock.time = NOW + DAY  # the clock is set right, and a call comes
    with account(None) as box:
        start = round((NOW + DAY / 2) * 1000)
        box.store.add(call(box, "late", start), at_ms=start)
        assert box.run(state=first.state).ids == ["late"]


def test_future_bookmark_by_the_server_is_lowered(account: Accounts, clock: FakeClock) -> None:
    with account(60) as box:
        first = box.run()
    state = first.state["bookmarks"]["call_logs"]
    assert state["newest_start_time"] == max(record["start_time"] for record in first.records)
    state["replication_key_value"] = "2026-03-09T00:00:00.000000+00:00"
    clock.time = NOW + 10 * DAY  # this machine is ahead, so the bookmark seems to be past
    with account(60, clock_ahead=-10 * DAY) as box:
        start = round((NOW - 60) * 1000)
        box.store.add(call(box, "late", start), at_ms=start)
        run = box.run(state=first.state)
    assert "late" in run.ids
    assert run.log.count("is in the future; reading again from the newest call") == 1
    assert run.bookmark <= "2026-03-01T12:00:00"


@pytest.mark.parametrize("date", [0, 3600, 946_684_800, 1_500_000_000])
def test_clock_of_the_server_that_was_never_set_holds_no_bookmark(
    account: Accounts, date: int
) -> None:
    with account(60, date_ahead_seconds=date - NOW) as box:
        first = box.read()
        assert first.bookmark == max(record["start_time"] for record in first.records)
        second = box.succeed(state=first.state)
    assert len(second.records) < 60
    assert "is in the future" not in second.log
