"""Rules of correctness 1 to 6, by what comes out of the command line."""

import math
from collections import defaultdict
from datetime import date
from typing import Any

import pytest

from tests.support.account import Accounts
from tests.support.calls import assert_once, call, milliseconds, server_ids
from tests.support.cli import NOW, bookmark

DAY = 86_400_000


def budget(rows: int, page_size: int = 200) -> int:
    return math.floor(math.ceil(rows / page_size) * 1.05 + 12)


@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("zone", [0, 330, -480, 840, -720])
def test_zone_order_and_inclusiveness_do_not_matter(
    account: Accounts, zone: int, inclusive: bool, order: str
) -> None:
    with account(450, utc_offset_minutes=zone, to_date_inclusive=inclusive, order=order) as box:
        box.read()
        assert box.stats.requests <= budget(450)


def test_start_is_inclusive_and_end_exclusive(account: Accounts) -> None:
    start, end = milliseconds("2026-01-10T08:30:00Z"), milliseconds("2026-01-12T17:00:00Z")
    moments = {"before": start - 1, "first": start, "last": end - 1, "beyond": end}
    with account(None) as box:
        for name, moment in moments.items():
            box.store.add(call(box, name, moment))
        run = box.run(start_date="2026-01-10T09:30:00+01:00", end_date="2026-01-12T17:00:00Z")
    assert run.ids == ["first", "last"]


def test_small_account_takes_one_window(account: Accounts) -> None:
    with account(160) as box:
        box.read(start_date="2010-01-01")
        # One page, one that verifies its total, and 20 that verify the silent years.
        assert box.stats.requests == 22
        windows = {(query["fromDate"], query["toDate"]) for _, query, _ in box.stats.log}
        assert len(windows) == 21


@pytest.mark.parametrize(("page_size", "order"), [(100, "oldest"), (200, "newest")])
def test_large_account_keeps_within_the_budget(
    account: Accounts, page_size: int, order: str
) -> None:
    with account(6_000, order=order) as box:
        box.read(start_date="2020-01-01", page_size=page_size)
        assert box.stats.requests <= budget(6_000, page_size) + 30  # most of the years are silent
        assert box.stats.violations == 0
        assert box.stats.requests / max((box.clock.time - NOW) / 60, 1) >= 26


NEUTRAL: dict[str, Any] = {"bad_value_message": "neutral"}
REFUSED = {"max_size": 50, "size_over": "refuse", "order": "oldest", **NEUTRAL}
DIALECTS: dict[str, dict[str, Any]] = {
    "no total": {"total": "absent"},
    "total of -1": {"total": "minus_one"},
    "total in words": {"total": "words"},
    "total as text": {"total": "text"},
    "total too high": {"total": "stale_high", "total_error": 3},
    "total too low": {"total": "stale_low", "total_error": 3},
    "offsets refused": {"max_offset": 500, "offset_over": "refuse"},
    "offsets empty": {"max_offset": 500, "offset_over": "empty"},
    "offsets empty, total of 0": {"max_offset": 500, "offset_over": "empty_uncounted"},
    "offsets fail": {"max_offset": 500, "offset_over": "error500"},
    "offsets empty, no total": {"max_offset": 250, "offset_over": "empty", "total": "absent"},
    "future refused": {"future_dates": "refused", **NEUTRAL},
    "future refused in the east": {"future_dates": "refused", "utc_offset_minutes": 840},
    "future refused in the west": {"future_dates": "refused", "utc_offset_minutes": -720},
    "a month at most": {"max_range_days": 31, **NEUTRAL},
    "a day at most": {"max_range_days": 1},
    "size capped": {"max_size": 50},
    "size capped oddly": {"max_size": 15},
    "size capped, no total": {"max_size": 50, "total": "absent"},
    "size refused": REFUSED,
    "everything refused": {**REFUSED, "max_range_days": 31, "future_dates": "refused"},
    "answers SUCCESS": {"status_value": "SUCCESS"},
    "empty: missing": {"rows_form": "missing"},
    "empty: null": {"rows_form": "null"},
    "empty: no body": {"rows_form": "body"},
    "empty: 204": {"rows_form": "no_content"},
    "empty: bare list": {"rows_form": "bare_list"},
}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_gives_every_call_once(account: Accounts, dialect: dict[str, Any]) -> None:
    with account(1_100, first=date(2026, 1, 1), **dialect) as box:
        box.read()
        assert box.stats.violations == 0


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("total", ["exact", "absent"])
def test_rows_may_come_and_go_while_paging(account: Accounts, order: str, total: str) -> None:
    with account(order=order, total=total) as box:
        before = server_ids(box)

        def meddle(number: int) -> None:
            rows = sorted(box.store.rows(), key=lambda row: row["start_time"])
            for row in rows[number * 7 : number * 7 + number % 3]:
                box.store.remove(row["logid"])
            for index in range(number % 4):
                start = round(NOW * 1000) - index * 40 * DAY
                box.store.add(call(box, f"new-{number}-{index}", start))

        box.before_request = meddle
        run = box.run(page_size=100)
        assert_once(run, before & server_ids(box))


def test_count_that_stays_too_high_is_told(account: Accounts) -> None:
    with account(90, total="stale_high", total_error=2) as box:
        run = box.read()
        assert box.stats.requests <= 8
    assert "meta.total is 92 but only 90 distinct calls were returned" in run.log


def test_rows_are_in_order_and_state_follows(account: Accounts) -> None:
    with account(3_000, max_range_days=120) as box:
        run = box.run()
    order = [(record["start_time"], record["logid"]) for record in run.records]
    assert order == sorted(order)
    assert len(run.states) >= 3
    newest: dict[str, str] = defaultdict(str)
    for message in run.messages:
        if message["type"] == "RECORD":
            newest[message["stream"]] = message["record"]["start_time"]
        elif message["type"] == "STATE":
            for stream, state in message["value"]["bookmarks"].items():
                value = state.get("replication_key_value", "")
                assert value <= max(newest[stream], newest["call_logs"])
    assert run.bookmark == order[-1][0]


def test_bookmark_does_not_move_into_the_future(account: Accounts) -> None:
    with account(50) as box:
        box.store.add(call(box, "early", round(NOW * 1000) + 3_600_000))
        assert box.read().bookmark == "2026-03-01T12:00:00.000000+00:00"


def test_bookmark_of_an_empty_account_moves(account: Accounts) -> None:
    with account(None) as box:
        run = box.read(start_date="2020-01-01", lookback_days=5)
        assert box.stats.requests == 1 + 20  # these verify the silent years
    assert run.bookmark == "2026-02-24T12:00:00.000000+00:00"


@pytest.mark.parametrize(("lookback", "late"), [(3, 2 * DAY), (0, 0)])
def test_lookback_brings_late_and_changed_calls(
    account: Accounts, lookback: int, late: int
) -> None:
    with account() as box:
        first = box.run(lookback_days=lookback)
        newest = max(int(row["start_time"]) for row in box.store.rows())
        changed = next(row for row in box.store.rows() if int(row["start_time"]) == newest)
        box.store.add(call(box, "late", newest - late))
        box.store.add(call(box, "too late", newest - late - (2 * DAY if lookback else 1)))
        box.store.add({**changed, "feedback": 5})
        recent = {
            row["logid"]
            for row in box.store.rows()
            if int(row["start_time"]) >= newest - lookback * DAY
        }
        requests = box.stats.requests
        second = box.run(state=first.state, lookback_days=lookback)
        assert box.stats.requests - requests <= math.ceil(len(recent) / 200) + 2
    assert set(second.ids) == recent
    assert "late" in second.ids
    assert next(row for row in second.records if row["logid"] == changed["logid"])["feedback"] == 5
    assert {bookmark(state) for state in second.states} == {first.bookmark}
