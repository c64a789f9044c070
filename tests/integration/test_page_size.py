"""Trials of larger pages through the command line: what they cost, and that nothing is lost."""

from datetime import date
from typing import Any, get_args

import pytest

from tests.support.account import Accounts
from zoho_voice_sandbox import Dialect
from zoho_voice_sandbox.dialect import SizeOver

ROWS = 2_000
START = {"start_date": "2025-01-01"}
BEHAVIOURS = get_args(SizeOver)
# What more than a fixed size may cost where that is the largest that is granted.
MORE = {"cap": 0, "refuse": 3, "error500": 4, "timeout": 2, "cut": 2, "empty": 2, "nothing": 2}
DOCUMENTED = {"refuse": 6, "error500": 6, "timeout": 6, "cut": 6, "empty": 6}


def count(account: Accounts, habits: dict[str, Any], **settings: Any) -> int:
    with account(ROWS, **habits) as box:
        box.read(**START, **settings)
        assert box.stats.violations == 0
        return int(box.stats.requests)


@pytest.mark.parametrize(
    ("page_size", "habits", "more"),
    [
        *((200, {"max_size": 200, "size_over": name}, more) for name, more in MORE.items()),
        *((100, {"max_size": 100, "size_over": name}, more) for name, more in DOCUMENTED.items()),
        *((50, {"max_size": 50, "size_over": name}, 8) for name in BEHAVIOURS),
        (100, {"max_size": 100, "size_over": "nothing"}, 8),
        (200, {"max_size": 100, "size_over": "cap"}, 0),
        (200, {"max_size": 100, "size_over": "refuse"}, 0),
        (200, {"max_size": 100, "size_over": "refuse", "size_named": False}, 0),
    ],
    ids=str,
)
def test_refused_size_costs_few_requests(
    account: Accounts, page_size: int, habits: dict[str, Any], more: int
) -> None:
    assert count(account, habits) <= count(account, habits, page_size=page_size) + more


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
    with account(6_000) as box:

        def change(number: int) -> None:
            if number == at:
                box.dialect = Dialect(max_size=granted, size_over=behaviour)

        box.before_request = change
        box.read(**START)
        assert 12 < box.stats.requests <= (60 if granted == 200 else 220)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("more", [{}, {"max_size": 200}])
def test_smaller_grant_for_next_stream_loses_nothing(
    account: Accounts, behaviour: Any, more: dict[str, Any]
) -> None:
    with account(600, **more) as box:
        whole = box.succeed(**START, streams=["recordings"]).rows("recordings")
        before = box.stats.requests
        box.succeed(**START)
        last = 2 * box.stats.requests - before

        def change(number: int) -> None:
            if number > last:
                box.dialect = Dialect(max_size=100, size_over=behaviour)

        box.before_request = change
        assert box.succeed(**START, streams=["call_logs", "recordings"]).rows("recordings") == whole
        assert box.stats.requests - last <= 45, box.stats.requests - last


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
