"""Runs in a row: slots and locks that outlive a run, and bookmarks that never fall."""

import os
import signal

import pytest

from tests.support.account import Accounts
from tests.support.calls import server_ids

DAY = 86_400_000


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_runs_in_a_row_share_the_limit(account: Accounts) -> None:
    with account(1_200) as box:
        for _ in range(4):
            box.read(page_size=70)
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
        assert box.stats.requests >= 60


def test_lock_outlives_the_run_that_met_it(account: Accounts) -> None:
    with account() as box:
        box.lock()
        box.before_request = lambda _number: stop()
        assert box.run().exit_code == 143
        box.before_request = None
        # The first run met the lock, but was stopped before it could tell; the second one learns
        # of it by one request, and the third must not ask at all until the lock is over.
        box.faults[box.stats.requests + 1] = "lock"
        locked = box.stats.locked_calls
        box.clock.time += 600
        box.clock.sleep = lambda _seconds: stop()
        assert box.run().exit_code == 143
        del box.clock.sleep
        requests = box.stats.requests
        run = box.read()
        assert box.stats.locked_calls == locked
        assert box.stats.requests > requests
    assert "reported by another run" in run.log


@pytest.mark.parametrize(
    ("number", "signum"),
    [*((number, signal.SIGTERM) for number in range(1, 12)), (11, signal.SIGINT)],
)
def test_stopped_run_can_be_resumed(account: Accounts, number: int, signum: signal.Signals) -> None:
    with account(max_range_days=31) as box:
        box.before_request = lambda request: (
            os.kill(os.getpid(), signum) if request == number else None
        )
        stopped = box.run()
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
