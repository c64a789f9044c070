"""Rules of correctness 1 to 6, by what comes out of the command line."""

import math
from collections import defaultdict
from datetime import date
from typing import Any

import pytest

from tests.support.calls import assert_once, call, history, milliseconds, server_ids
from tests.support.cli import NOW, FakeClock, RunTap
from zoho_voice_sandbox import Dialect, Sandbox

DAY = 86_400_000


def budget(rows: int, page_size: int = 200) -> int:
    return math.floor(math.ceil(rows / page_size) * 1.05 + 12)


@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("zone", [0, 330, -480, 840, -720])
def test_rule_1_zone_order_and_inclusiveness_of_dates_do_not_matter(
    run_tap: RunTap, clock: FakeClock, zone: int, inclusive: bool, order: Any
) -> None:
    dialect = Dialect(utc_offset_minutes=zone, to_date_inclusive=inclusive, order=order)
    with Sandbox(history=history(450), dialect=dialect, clock=clock) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert box.stats.requests <= budget(450)


def test_rule_1_start_is_inclusive_and_end_exclusive_to_the_millisecond(
    run_tap: RunTap, clock: FakeClock
) -> None:
    start, end = milliseconds("2026-01-10T08:30:00+00:00"), milliseconds("2026-01-12T17:00:00Z")
    with Sandbox(history=None, clock=clock) as box:
        for name, moment in {
            "before": start - 1,
            "first": start,
            "last": end - 1,
            "beyond": end,
        }.items():
            box.store.add(call(box, name, moment))
        bounds = {"start_date": "2026-01-10T09:30:00+01:00", "end_date": "2026-01-12T17:00:00Z"}
        run = run_tap({**box.config, **bounds})
    assert run.ids == ["first", "last"]


def test_rule_2_a_small_account_takes_one_window(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(160), clock=clock) as box:
        run = run_tap({**box.config, "start_date": "2010-01-01"})
        assert_once(run, server_ids(box))
        # One page, one that verifies its total, and 20 that verify the silent years.
        assert box.stats.requests == 22
        windows = {(query["fromDate"], query["toDate"]) for _, query, _ in box.stats.log}
        assert len(windows) == 21


@pytest.mark.parametrize(("page_size", "order"), [(100, "oldest"), (200, "newest")])
def test_rule_2_a_large_account_keeps_within_the_budget(
    run_tap: RunTap, clock: FakeClock, page_size: int, order: Any
) -> None:
    with Sandbox(history=history(12_000), dialect=Dialect(order=order), clock=clock) as box:
        run = run_tap({**box.config, "start_date": "2020-01-01", "page_size": page_size})
        assert_once(run, server_ids(box))
        assert box.stats.requests <= budget(12_000, page_size) + 30  # most of the years are silent
        assert box.stats.violations == 0
        assert box.stats.requests / max((clock.time - NOW) / 60, 1) >= 26


DIALECTS = {
    "no total": Dialect(total="absent"),
    "total of -1": Dialect(total="minus_one"),
    "total in words": Dialect(total="words"),
    "total as text": Dialect(total="text"),
    "total too high": Dialect(total="stale_high", total_error=3),
    "total too low": Dialect(total="stale_low", total_error=3),
    "offsets refused": Dialect(max_offset=500, offset_over="refuse"),
    "offsets empty": Dialect(max_offset=500, offset_over="empty"),
    "offsets empty, total of 0": Dialect(max_offset=500, offset_over="empty_uncounted"),
    "offsets fail": Dialect(max_offset=500, offset_over="error500"),
    "offsets empty, no total": Dialect(max_offset=250, offset_over="empty", total="absent"),
    "future refused": Dialect(future_dates="refused", bad_value_message="neutral"),
    "future refused in the east": Dialect(future_dates="refused", utc_offset_minutes=840),
    "future refused in the west": Dialect(future_dates="refused", utc_offset_minutes=-720),
    "a month at most": Dialect(max_range_days=31, bad_value_message="neutral"),
    "a day at most": Dialect(max_range_days=1),
    "size capped": Dialect(max_size=50, size_over="cap"),
    "size capped oddly": Dialect(max_size=15, size_over="cap"),
    "size capped, no total": Dialect(max_size=50, size_over="cap", total="absent"),
    "size refused": Dialect(max_size=50, size_over="refuse", bad_value_message="neutral"),
    "everything refused": Dialect(
        max_size=50,
        size_over="refuse",
        max_range_days=31,
        future_dates="refused",
        bad_value_message="neutral",
        order="oldest",
    ),
    "answers SUCCESS": Dialect(status_value="SUCCESS"),
    "empty: missing": Dialect(rows_form="missing"),
    "empty: null": Dialect(rows_form="null"),
    "empty: no body": Dialect(rows_form="body"),
    "empty: 204": Dialect(rows_form="no_content"),
    "empty: bare list": Dialect(rows_form="bare_list"),
}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_rules_2_and_3_every_dialect_gives_every_call_once(
    run_tap: RunTap, clock: FakeClock, dialect: Dialect
) -> None:
    made_up = history(1_100, first=date(2026, 1, 1))
    with Sandbox(history=made_up, dialect=dialect, clock=clock) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert box.stats.violations == 0


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("total", ["exact", "absent"])
def test_rule_4_rows_that_come_and_go_while_paging(
    run_tap: RunTap, clock: FakeClock, order: Any, total: Any
) -> None:
    dialect = Dialect(order=order, total=total)
    with Sandbox(history=history(), dialect=dialect, clock=clock) as box:
        before = server_ids(box)

        def meddle(number: int) -> None:
            rows = sorted(box.store.rows(), key=lambda row: row["start_time"])
            for row in rows[number * 7 : number * 7 + number % 3]:
                box.store.remove(row["logid"])
            for index in range(number % 4):
                start = round(NOW * 1000) - index * 40 * DAY
                box.store.add(call(box, f"new-{number}-{index}", start))

        box.before_request = meddle
        run = run_tap({**box.config, "page_size": 100})
        assert_once(run, before & server_ids(box))


def test_rule_4_a_count_that_stays_too_high_is_told(run_tap: RunTap, clock: FakeClock) -> None:
    dialect = Dialect(total="stale_high", total_error=2)
    with Sandbox(history=history(90), dialect=dialect, clock=clock) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert box.stats.requests <= 8
    assert "meta.total is 92 but only 90 distinct calls were returned" in run.log


def test_rule_5_rows_are_in_order_and_state_follows_each_window(
    run_tap: RunTap, clock: FakeClock
) -> None:
    dialect = Dialect(max_range_days=120)
    with Sandbox(history=history(3_000), dialect=dialect, clock=clock) as box:
        run = run_tap(box.config)
    order = [(record["start_time"], record["logid"]) for record in run.records]
    assert order == sorted(order)
    assert len(run.states) >= 3
    newest: dict[str, str] = defaultdict(str)
    for message in run.messages:
        if message["type"] == "RECORD":
            newest[message["stream"]] = message["record"]["start_time"]
        elif message["type"] == "STATE":
            for stream, state in message["value"]["bookmarks"].items():
                bookmark = state.get("replication_key_value", "")
                assert bookmark <= max(newest[stream], newest["call_logs"])
    assert run.bookmark == order[-1][0]


def test_rule_5_a_clock_of_the_future_does_not_move_the_bookmark_there(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=history(50), clock=clock) as box:
        box.store.add(call(box, "early", round(NOW * 1000) + 3_600_000))
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
    assert run.bookmark == "2026-03-01T12:00:00.000000+00:00"


def test_rule_5_an_empty_account_moves_its_bookmark_behind_the_present(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=None, clock=clock) as box:
        run = run_tap({**box.config, "start_date": "2020-01-01", "lookback_days": 5})
        assert box.stats.requests == 1 + 20  # these verify the silent years
    assert run.exit_code == 0
    assert run.bookmark == "2026-02-24T12:00:00.000000+00:00"


def test_rule_6_the_lookback_brings_late_and_changed_calls_and_no_older_ones(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=history(), clock=clock) as box:
        first = run_tap(box.config)
        newest = max(int(row["start_time"]) for row in box.store.rows())
        box.store.add(call(box, "late", newest - 2 * DAY))
        box.store.add(call(box, "too late", newest - 4 * DAY))
        changed = next(row for row in box.store.rows() if int(row["start_time"]) > newest - DAY)
        box.store.add({**changed, "feedback": 5})
        recent = {
            row["logid"] for row in box.store.rows() if int(row["start_time"]) >= newest - 3 * DAY
        }
        requests = box.stats.requests
        second = run_tap(box.config, state=first.state)
        assert box.stats.requests - requests <= math.ceil(len(recent) / 200) + 2
    assert set(second.ids) == recent
    assert "late" in second.ids
    assert next(row for row in second.records if row["logid"] == changed["logid"])["feedback"] == 5
    assert second.bookmark == first.bookmark
    assert {
        state["bookmarks"]["call_logs"]["replication_key_value"] for state in second.states
    } == {first.bookmark}


def test_rule_6_without_a_lookback_the_bookmark_itself_is_read_again(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=history(), clock=clock) as box:
        config = {**box.config, "lookback_days": 0}
        first = run_tap(config)
        newest = max(int(row["start_time"]) for row in box.store.rows())
        box.store.add(call(box, "same millisecond", newest))
        second = run_tap(config, state=first.state)
    assert "same millisecond" in second.ids
    assert len(second.ids) == 2
