"""Runs in a row: slots and locks that outlive a run, and bookmarks that never fall."""

import os
import signal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_zohovoice._time import format_epoch_ms
from tests.support.calls import assert_once, call, history, server_ids
from tests.support.cli import NOW, FakeClock, RunTap, bookmark
from zoho_voice_sandbox import Dialect, Sandbox

DAY = 86_400_000


def test_rule_9_runs_in_a_row_share_the_limit(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(1_200), clock=clock) as box:
        for _ in range(4):
            assert_once(run_tap({**box.config, "page_size": 70}), server_ids(box))
        assert (box.stats.violations, box.stats.locked_calls) == (0, 0)
        assert box.stats.requests >= 60


def test_rule_9_a_lock_outlives_the_run_that_met_it(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(), clock=clock) as box:
        box.lock()
        box.before_request = lambda _number: os.kill(os.getpid(), signal.SIGTERM)
        stopped = run_tap(box.config)
        assert stopped.exit_code == 143
        box.before_request = None
        # The first run met the lock, but was stopped before it could tell; the second one learns
        # of it by one request, and the third must not ask at all until the lock is over.
        box.faults[box.stats.requests + 1] = "lock"
        locked = box.stats.locked_calls
        clock.time += 600

        def stop_in_sleep(seconds: float) -> None:
            clock.slept.append(seconds)
            os.kill(os.getpid(), signal.SIGTERM)

        clock.sleep = stop_in_sleep  # type: ignore[method-assign]
        assert run_tap(box.config).exit_code == 143
        del clock.sleep
        requests = box.stats.requests
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert box.stats.locked_calls == locked
        assert box.stats.requests > requests
    assert "reported by another run" in run.log


@pytest.mark.parametrize(
    ("number", "signum"),
    [*((number, signal.SIGTERM) for number in range(1, 12)), (11, signal.SIGINT)],
)
def test_rules_5_and_10_stopped_at_any_request_a_run_can_be_resumed(
    run_tap: RunTap, clock: FakeClock, number: int, signum: signal.Signals
) -> None:
    dialect = Dialect(max_range_days=31)
    with Sandbox(history=history(), dialect=dialect, clock=clock) as box:

        def stop(request: int) -> None:
            if request == number:
                os.kill(os.getpid(), signum)

        box.before_request = stop
        stopped = run_tap(box.config)
        assert stopped.exit_code == 128 + signum
        assert f"Stopped by {signum.name}" in stopped.log
        assert "Traceback" not in stopped.log
        assert stopped.stdout.endswith("\n")
        assert stopped.messages[-1]["type"] == "STATE"
        resumed = run_tap(box.config, state=stopped.state)
        assert resumed.exit_code == 0
        assert set(stopped.ids) | set(resumed.ids) == server_ids(box)
        again = set(stopped.ids) & set(resumed.ids)
    assert len(again) <= 60  # the lookback, and no more
    assert bookmark(stopped.state) <= bookmark(resumed.state)
    if stopped.records:
        assert bookmark(stopped.state) == stopped.records[-1]["start_time"]


OPERATIONS = st.lists(
    st.sampled_from(["run", "wait", "new", "late", "changed", "gone", "stop", "future"]),
    min_size=4,
    max_size=12,
)


@pytest.mark.simulation
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(operations=OPERATIONS, lookback=st.integers(0, 4))
def test_any_sequence_of_runs_keeps_keys_unique_and_bookmarks_rising(  # noqa: C901
    run_tap: RunTap, clock: FakeClock, operations: list[str], lookback: int
) -> None:
    clock.time = NOW
    target: dict[str, dict[str, object]] = {}
    state: dict[str, object] = {}
    highest = ""
    with Sandbox(history=history(120), dialect=Dialect(max_range_days=62), clock=clock) as box:
        config = {**box.config, "lookback_days": lookback}

        def run(stop_at: int | None) -> None:
            nonlocal state, highest
            first = box.stats.requests

            def stop(request: int) -> None:
                if stop_at is not None and request - first == stop_at:
                    os.kill(os.getpid(), signal.SIGTERM)

            box.before_request = stop
            started = format_epoch_ms(round(clock.time * 1000))
            result = run_tap(config, state=state or None)
            assert result.exit_code in {0, 143}, result.log
            assert len(result.ids) == len(set(result.ids))
            for message in result.messages:
                if message["type"] == "RECORD":
                    target[message["record"]["logid"]] = message["record"]
                elif message["type"] == "STATE":
                    state = message["value"]
                    assert highest <= bookmark(state) <= max(highest, started)
                    highest = bookmark(state)

        gone: set[str] = set()
        for number, operation in enumerate([*operations, "run"]):
            now = round(clock.time * 1000)
            rows = sorted(box.store.rows(), key=lambda row: int(row["start_time"]))
            match operation:
                case "run":
                    run(None)
                case "stop":
                    run(1 + number % 3)
                case "wait":
                    clock.time += 86_400 * (1 + number % 3)
                case "new":
                    box.store.add(call(box, f"new-{number}", now - 1000 * number))
                case "late" if lookback:
                    box.store.add(call(box, f"late-{number}", now - lookback * DAY // 2))
                case "changed":
                    box.store.add({**rows[-1], "feedback": 1 + number % 5})
                case "gone":
                    gone.add(rows[-1]["logid"])
                    box.store.remove(rows[-1]["logid"])
                case "future":
                    box.store.add(call(box, f"future-{number}", now + DAY // 4))
            clock.time += 1200  # keep apart from the token limit
        assert server_ids(box) <= set(target)
        assert set(target) - server_ids(box) <= gone
