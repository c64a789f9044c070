"""Trials of larger pages through the command line: what they cost, and that nothing is lost."""

from typing import Any

import pytest

from tests.support.calls import assert_once, history, server_ids
from tests.support.cli import FakeClock, RunTap
from zoho_voice_sandbox import Dialect, Sandbox

ROWS = 2_000


def count(run_tap: RunTap, clock: FakeClock, dialect: Dialect, **settings: Any) -> int:
    with Sandbox(history=history(ROWS), dialect=dialect, clock=clock) as box:
        config = {**box.config, "start_date": "2025-01-01", **settings}
        assert_once(run_tap(config), server_ids(box))
        assert box.stats.violations == 0
        return box.stats.requests


@pytest.mark.parametrize(
    ("behaviour", "more"),
    [
        *[("cap", 0), ("refuse", 3), ("error500", 4), ("timeout", 2), ("cut", 2), ("empty", 2)],
        ("nothing", 2),
    ],
)
def test_size_that_is_not_granted_costs_few_requests(
    run_tap: RunTap, clock: FakeClock, behaviour: Any, more: int
) -> None:
    dialect = Dialect(max_size=200, size_over=behaviour)
    fixed = count(run_tap, clock, dialect, page_size=200)
    assert count(run_tap, clock, dialect) <= fixed + more


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("behaviour", ["cap", "refuse"])
def test_documented_size_costs_no_more_than_before(
    run_tap: RunTap, clock: FakeClock, behaviour: Any, *, named: bool
) -> None:
    dialect = Dialect(max_size=100, size_over=behaviour, size_named=named)
    fixed = count(run_tap, clock, dialect, page_size=200)
    assert count(run_tap, clock, dialect) <= fixed


def test_size_that_is_granted_is_used(run_tap: RunTap, clock: FakeClock) -> None:
    # One of 200, two of 1,000, and those that find the days.
    assert count(run_tap, clock, Dialect()) <= 8
    assert count(run_tap, clock, Dialect(max_size=500, size_over="error500")) <= 11


@pytest.mark.parametrize(
    "behaviour", ["cap", "refuse", "error500", "timeout", "cut", "empty", "nothing"]
)
@pytest.mark.parametrize("request_number", [4, 5, 6])
def test_server_that_grants_less_later_loses_no_call(
    run_tap: RunTap, clock: FakeClock, behaviour: Any, request_number: int
) -> None:
    with Sandbox(history=history(6_000), clock=clock) as box:

        def change(number: int) -> None:
            if number == request_number:
                box.dialect = Dialect(max_size=200, size_over=behaviour)

        box.before_request = change
        run = run_tap({**box.config, "start_date": "2025-01-01"})
        assert box.stats.requests > 12
        assert_once(run, server_ids(box))


@pytest.mark.parametrize("granted", [100, 50])
@pytest.mark.parametrize(
    ("behaviour", "more"),
    [
        *[("cap", 0), ("refuse", 0), ("error500", 0), ("timeout", 0), ("cut", 0), ("empty", 0)],
        ("nothing", 6),  # silent days are verified
    ],
)
def test_size_comes_down_where_no_larger_one_is_granted(
    run_tap: RunTap, clock: FakeClock, behaviour: Any, more: int, granted: int
) -> None:
    dialect = Dialect(max_size=granted, size_over=behaviour)
    assert count(run_tap, clock, dialect) <= ROWS / granted * 1.05 + 12 + more


@pytest.mark.parametrize("behaviour", ["refuse", "error500", "timeout", "cut", "empty"])
def test_documented_size_costs_at_most_six_requests(
    run_tap: RunTap, clock: FakeClock, behaviour: Any
) -> None:
    dialect = Dialect(max_size=100, size_over=behaviour)
    fixed = count(run_tap, clock, dialect, page_size=100)
    assert count(run_tap, clock, dialect) <= fixed + 6


def test_larger_page_that_is_answered_by_a_redirect_is_given_up(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=history(ROWS), dialect=Dialect(max_size=200), clock=clock) as box:
        config = {**box.config, "start_date": "2025-01-01"}
        run_tap(config)
        trial = [int(params["size"]) for _, params, _ in box.stats.log].index(1000) + 1
        trial += box.stats.requests
        box.faults = dict.fromkeys((trial, trial + 1), "redirect")
        assert_once(run_tap(config), server_ids(box))


@pytest.mark.parametrize("faults", [3, 4, 5])
def test_size_is_requested_again_after_an_outage(
    run_tap: RunTap, clock: FakeClock, faults: int
) -> None:
    with Sandbox(history=history(4_000), dialect=Dialect(max_size=200), clock=clock) as box:
        box.faults = dict.fromkeys(range(1, faults + 1), "500")
        assert_once(run_tap({**box.config, "start_date": "2025-01-01"}), server_ids(box))
        assert box.stats.requests <= 4_000 / 200 * 1.05 + 12 + faults
