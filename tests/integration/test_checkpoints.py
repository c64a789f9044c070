"""State messages beside requests: a run that is stopped loses at most two minutes of the limit."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.calls import assert_once, history, server_ids
from zoho_voice_sandbox import Dialect, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.cli import FakeClock, Run

    RunTap = Callable[..., Run]

TWO_MINUTES = 58
"""Requests."""
SERVERS: dict[str, dict[str, Any]] = {
    "pages of 100": {"max_size": 100},
    "pages of 60, oldest first": {"max_size": 60, "order": "oldest"},
    "pages of 37": {"max_size": 37},
    "pages of 100, no total": {"max_size": 100, "total": "absent"},
    "pages of 37, no total": {"max_size": 37, "total": "absent", "order": "oldest"},
}


@pytest.mark.parametrize("name", SERVERS)
def test_run_that_is_stopped_every_two_minutes_comes_to_the_end(
    run_tap: RunTap, clock: FakeClock, name: str
) -> None:
    with Sandbox(history=history(6_000), dialect=Dialect(**SERVERS[name]), clock=clock) as box:
        config = {**box.config, "start_date": "2025-04-01"}
        found: set[str] = set()
        state, exit_code, requests = None, 143, []
        while exit_code == 143:
            last = box.stats.requests + TWO_MINUTES

            def stop(_: int, last: int = last) -> None:
                if box.stats.requests == last:
                    os.kill(os.getpid(), signal.SIGTERM)

            box.before_request = stop
            before = box.stats.requests
            run = run_tap(config, state=state)
            requests.append(box.stats.requests - before)
            assert run.states or len(requests) < 2, run.log
            found.update(run.ids)
            exit_code, state = run.exit_code, run.states[-1] if run.states else state
            assert len(requests) < 20, run.log
        assert exit_code == 0, run.log
        assert found == server_ids(box)


@pytest.mark.parametrize("name", SERVERS)
def test_window_takes_at_most_two_minutes(run_tap: RunTap, clock: FakeClock, name: str) -> None:
    with Sandbox(history=history(6_000), dialect=Dialect(**SERVERS[name]), clock=clock) as box:
        run = run_tap({**box.config, "start_date": "2024-01-01"})
        assert_once(run, server_ids(box))
    counts = [int(count) for count in re.findall(r"calls in (\d+) requests?; ", run.log)]
    assert len(counts) > 2
    assert max(counts) <= TWO_MINUTES
