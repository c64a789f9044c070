"""Trials of larger pages through the command line: what they cost, and that nothing is lost."""

from datetime import date
from typing import Any, get_args

import pytest

from tests.support.account import Accounts
from zoho_voice_sandbox import Dialect
from zoho_voice_sandbox.dialect import SizeOver

ROWS = 1_300
START = {"start_date": "2025-01-01"}
BEHAVIOURS = get_args(SizeOver)
# What more than a fixed size may cost where that is the largest that is granted.
MORE = {"cap": 0, "refuse": 3, "error500": 4, "timeout": 2, "cut": 2, "empty": 2, "nothing": 2}
DOCUMENTED = {"refuse": 6, "error500": 6, "timeout": 6, "cut": 6, "empty": 6, "nothing": 8}


def count(account: Accounts, habits: dict[str, Any], **settings: Any) -> int:
    with account(ROWS, **habits) as box:
        box.read(**START, **settings)
        assert box.stats.violations == 0
        return int(box.stats.requests)


@pytest.mark.parametrize(
    ("size", "more"), [(200, MORE), (100, DOCUMENTED), (50, dict.fromkeys(BEHAVIOURS, 8))]
)
def test_refused_size_costs_few_requests(
    account: Accounts, size: int, more: dict[str, int]
) -> None:
    granted = count(account, {"max_size": size}, page_size=size)
    for behaviour, most in more.items():
        habits = {"max_size": size, "size_over": behaviour}
        assert count(account, habits) <= granted + most, behaviour


@pytest.mark.parametrize("over", [("cap", True), ("refuse", True), ("refuse", False)])
def test_size_that_is_set_is_lowered_as_any(account: Accounts, over: tuple[str, bool]) -> None:
    habits = {"max_size": 100, "size_over": over[0], "size_named": over[1]}
    assert count(account, habits) <= count(account, habits, page_size=200)


def test_size_is_proved_once_for_all_streams(account: Accounts) -> None:
    with account(40, first=date(2026, 2, 27)) as box:
        box.succeed(streams=["call_logs", "call_queues"], filters={"callType": "missed"})
        sizes = [params["size"] for _, params, _ in box.stats.log]
    assert len(sizes) > 5  # some queues have no such calls
    assert set(sizes) == {"200"}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize(("at", "granted"), [(4, 200), (5, 200), (6, 200), (5, 100)])
def test_smaller_grant_later_loses_no_call(
    account: Accounts, behaviour: Any, at: int, granted: int
) -> None:
    with account(1_000 * (at - 1)) as box:  # pages of a thousand, and the rest in smaller ones

        def change(number: int) -> None:
            if number == at:
                box.dialect = Dialect(max_size=granted, size_over=behaviour)

        box.before_request = change
        box.read(**START)
        assert at + 3 < box.stats.requests <= (60 if granted == 200 else 220)


@pytest.mark.parametrize(("behaviour", "most"), [("error500", 80), ("refuse", 40)])
def test_windows_are_long_again_after_size_failed(
    account: Accounts, behaviour: Any, most: int
) -> None:
    def change(number: int) -> None:
        if number == 2:
            box.dialect = Dialect(max_size=100, size_over=behaviour, size_named=False)

    with account(800, first=date(2025, 1, 1), before_request=change) as box:
        box.read(**START)
        assert 10 < box.stats.requests <= most


@pytest.mark.parametrize("more", [{}, {"max_size": 200}])
def test_smaller_grant_for_next_stream_loses_nothing(
    account: Accounts, more: dict[str, Any]
) -> None:
    with account(600, **more) as box:
        whole = box.succeed(**START, streams=["recordings"]).rows("recordings")
        before = box.stats.requests
        box.succeed(**START)
        last = box.stats.requests - before

    def read(behaviour: Any) -> None:
        def change(number: int) -> None:
            if number > last:
                box.dialect = Dialect(max_size=100, size_over=behaviour)

        with account(600, **more, before_request=change) as box:
            run = box.succeed(**START, streams=["call_logs", "recordings"])
            assert run.rows("recordings") == whole
            assert 0 < box.stats.requests - last <= 45

    for behaviour in BEHAVIOURS:
        read(behaviour)


def test_size_that_is_granted_at_last_is_remembered(account: Accounts) -> None:
    def lower(number: int) -> None:
        if number == 8:
            box.dialect = Dialect(max_size=500, size_over="refuse", max_offset=3_000)

    offsets = {"max_offset": 3_000}  # so that a second window has calls
    with account(6_000, first=date(2026, 2, 20), before_request=lower, **offsets) as box:
        run = box.read(**START)
        assert "1000" in {params["size"] for _, params, status in box.stats.log if status == 200}
        before = len(box.stats.log)
        second = box.succeed(**START, state=run.state)
        assert {params["size"] for _, params, _ in box.stats.log[before:]} == {"200", "500"}
    for each in (run, second):
        assert each.state["bookmarks"]["call_logs"]["page_size"] == [500, "2026-W09"]
