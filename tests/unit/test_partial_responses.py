"""Lists that are answered in part, in changing orders, or with totals of another meaning."""

from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.reading import read
from tests.support.simulated_account import DAY, MINUTE, AccountSpec, account_of
from tests.support.strategies import (
    ANY_SERVER,
    CHANGING_ORDERS,
    PAGE_TOTALS,
    bursts,
    dialects,
    is_knowable,
)
from tests.unit.test_windows import assert_complete, assert_once, assert_sound, read_whole

LONG_AGO = 2251
"""Days from the default `start_date` to the tests' present."""


@pytest.mark.parametrize("end", ["last", "first"])
@pytest.mark.parametrize(
    ("ago", "days", "total"),
    [
        *product([20 * 1440], [30, 31, 90, 180, 365], ["exact", "absent"]),
        *product([60], [7, 14, 21], ["exact"]),  # the last days prove how many are answered
    ],
)
def test_range_answered_in_part_is_told_once(
    caplog: pytest.LogCaptureFixture, ago: int, days: int, total: str, end: str
) -> None:
    answered: dict[str, Any] = {"answered_days": days, "answered_end": end, "total": total}
    read_whole(account_of([(ago, 900, DAY // 2)], size=200, days=LONG_AGO, **answered))
    lines = [line for line in caplog.messages if "only some of the calls" in line]
    assert len(lines) == 1 or (total == "absent" and not lines)
    if ago == 60:
        assert int(lines[0].split()[-2]) in range(days - 3, days + 1)


@pytest.mark.parametrize(
    ("calls", "days", "most"),
    [
        *[
            ([(10, count, 30 * MINUTE)], LONG_AGO, pages + 20)
            for count, pages in ((400, 3), (0, 1))
        ],
        # Years between two times of calls; the calls themselves take 80 requests.
        ([(ago, 8_000, 4 * MINUTE) for ago in (1000 * 1440, 10)], 3650, 1.05 * 80 + 12 + 30),
        # A daily run needs no proof.
        *[([(10, 150, days * DAY // 200)], days, 2) for days in (1, 3, 25)],
    ],
)
def test_proof_costs_twenty_requests_at_most(calls: Any, days: int, most: float) -> None:
    assert read_whole(account_of(calls, size=200, days=days)).requests <= most


def test_true_total_costs_one_request_a_run() -> None:
    calls = [(10, 300, 4 * 60 * MINUTE)]  # 50 days, 42 calls a week
    reading = read_whole(account_of(calls, size=200, days=50, max_range_days=7))
    # Windows, rejected ranges, the past, and ends that are longer than those verified before.
    assert reading.requests <= 8 + 3 + 2 + 4


@pytest.mark.parametrize("order", ["shifting", "replicas"])
@pytest.mark.parametrize("total", ["absent", "stale_high", "page"])
def test_day_in_changing_order_is_named(order: str, total: str) -> None:
    habits: dict[str, Any] = {"order": order, "total": total, "total_error": 9}
    reading = read(account_of([(300, 1_500, 3000)], days=3, kinds=1, **habits))
    assert " on 2026-0" in str(reading.error)
    assert_sound(reading)


@pytest.mark.simulation
@given(
    st.builds(
        AccountSpec,
        bursts=bursts(600),
        dialect=dialects(**ANY_SERVER | CHANGING_ORDERS | PAGE_TOTALS),
        size=st.sampled_from((20, 50, 100, 200)),
        days=st.sampled_from((1, 3, 30, 400)),
    ).filter(is_knowable)
)
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_no_call_is_lost_in_silence(account: AccountSpec) -> None:
    reading = read(account)
    assert_once(reading)
    if reading.error is None:
        assert_complete(reading)
