"""Lists that are answered in part, in changing orders, or with totals of another meaning."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.reading import Reading, read
from tests.support.simulated_account import DAY, MINUTE, SECOND, AccountSpec, Burst
from tests.support.strategies import (
    ANY_SERVER,
    CHANGING_ORDERS,
    PAGE_TOTALS,
    bursts,
    dialects,
    is_knowable,
)
from tests.unit.test_windows import assert_complete, assert_once, assert_sound
from zoho_voice_sandbox import Dialect

HALF_DAY = DAY // 2
LONG_AGO = 2251
"""Days from the default `start_date` to the tests' present."""


def read_calls(days: int, *accounts: Burst, size: int = 200, **habits: Any) -> Reading:
    """Read an account of a server with these habits whole, each call once."""
    reading = read(AccountSpec(accounts, Dialect(**habits), size=size, days=days))
    assert_complete(reading)
    assert_once(reading)
    return reading


class TestRangeAnsweredInPart:
    @pytest.mark.parametrize("end", ["last", "first"])
    @pytest.mark.parametrize("days", [30, 31, 90, 180, 365])
    @pytest.mark.parametrize("total", ["exact", "absent"])
    def test_all_calls_are_read(
        self, caplog: pytest.LogCaptureFixture, days: int, end: str, total: str
    ) -> None:
        calls = Burst(20 * 1440, 900, HALF_DAY)
        read_calls(LONG_AGO, calls, answered_days=days, answered_end=end, total=total)
        lines = [line for line in caplog.messages if "only some of the calls" in line]
        assert len(lines) == 1 or (total == "absent" and not lines)

    def test_dense_account_is_read(self) -> None:
        read_calls(1500, Burst(60, 24_000, 60 * MINUTE), answered_days=30)

    @pytest.mark.parametrize("end", ["last", "first"])
    @pytest.mark.parametrize("days", [7, 14, 21])
    def test_few_days_are_enough(
        self, caplog: pytest.LogCaptureFixture, days: int, end: str
    ) -> None:
        read_calls(LONG_AGO, Burst(60, 900, HALF_DAY), answered_days=days, answered_end=end)
        (line,) = [line for line in caplog.messages if "only some of the calls" in line]
        assert int(line.split()[-2]) in range(days - 3, days + 1)

    @pytest.mark.parametrize("end", ["last", "first"])
    @pytest.mark.parametrize("days", [36, 45, 60])
    @pytest.mark.parametrize("hours", [1, 12, 48])
    def test_last_weeks_are_read(self, days: int, end: str, hours: int) -> None:
        calls = Burst(60, 70 * 24 // hours, 60 * hours * MINUTE)
        for answered in {7, 14, 30, days - 3}:
            read_calls(days, calls, answered_days=answered, answered_end=end)

    @pytest.mark.parametrize("end", ["last", "first"])
    @pytest.mark.parametrize("order", ["newest", "oldest"])
    @pytest.mark.parametrize("offset", [-660, 780])
    def test_rows_of_another_zone_hide_none(self, offset: int, order: str, end: str) -> None:
        zone: dict[str, Any] = {
            "utc_offset_minutes": offset,
            "answered_days": 30,
            "answered_end": end,
        }
        read_calls(45, Burst(10, 3_000, 24 * MINUTE), size=20, order=order, **zone)

    @pytest.mark.parametrize("end", ["last", "first"])
    @pytest.mark.parametrize("days", [14, 20])
    def test_windows_that_grow_are_verified(self, days: int, end: str) -> None:
        times = Burst(40 * 1440, 14_000, 4 * MINUTE), Burst(10, 1_900, 30 * MINUTE)
        read_calls(78, *times, answered_days=days, answered_end=end)

    @pytest.mark.parametrize("end", ["last", "first"])
    @pytest.mark.parametrize("days", [60, 90, 180, 365])
    @pytest.mark.parametrize(
        "bursts", [[(500, 30)], [(200, 10)], [(120, 2)], [(50, 3)], [(700, 30), (0, 20)]]
    )
    def test_few_days_of_calls_among_years_are_found(
        self, bursts: list[tuple[int, int]], days: int, end: str
    ) -> None:
        calls = [Burst(ago * 1440 + 60, 300, long * DAY // 300) for ago, long in bursts]
        for total in ("exact", "absent"):
            read_calls(1000, *calls, total=total, answered_days=days, answered_end=end)

    def test_proof_costs_twenty_requests_at_most(self) -> None:
        assert read_calls(LONG_AGO, Burst(10, 400, 30 * MINUTE)).requests <= 3 + 20
        assert read_calls(LONG_AGO, Burst(10, 0, 1)).requests <= 1 + 20
        # Years between two times of calls; the calls themselves take 80 requests.
        times = Burst(1000 * 1440, 8_000, 4 * MINUTE), Burst(10, 8_000, 4 * MINUTE)
        assert read_calls(3650, *times).requests <= 1.05 * 80 + 12 + 30

    @pytest.mark.parametrize("days", [1, 3, 25])
    def test_daily_run_needs_no_proof(self, days: int) -> None:
        assert read_calls(days, Burst(10, 150, days * DAY // 200)).requests <= 2


class TestChangingOrder:
    @pytest.mark.parametrize("order", ["shifting", "swapping", "replicas"])
    @pytest.mark.parametrize("reach", [None, 2, 30])
    @pytest.mark.parametrize("total", ["exact", "absent", "page"])
    @pytest.mark.parametrize("seed", [1, 7])
    def test_all_calls_are_read(self, order: str, reach: int | None, total: str, seed: int) -> None:
        calls = Burst(60, 1_500, 28 * MINUTE)
        read_calls(60, calls, order=order, order_reach=reach, order_seed=seed, total=total)

    @pytest.mark.parametrize("reach", [1, 3, 9, 25])
    @pytest.mark.parametrize("max_size", [37, 90, None])
    @pytest.mark.parametrize("rows", [95, 237, 999])
    def test_list_that_begins_at_another_row_each_time_loses_no_call(
        self, reach: int, max_size: int | None, rows: int
    ) -> None:
        calls = Burst(60, rows, 200 * MINUTE)
        read_calls(150, calls, order="rotating", order_reach=reach, max_size=max_size)

    @pytest.mark.parametrize("order", ["shifting", "replicas"])
    @pytest.mark.parametrize("total", ["absent", "stale_high", "page"])
    def test_day_larger_than_a_page_is_an_error_that_names_it(self, order: Any, total: Any) -> None:
        dialect = Dialect(order=order, total=total, total_error=9)
        reading = read(AccountSpec((Burst(300, 1_500, 3000),), dialect, days=3, kinds=1))
        assert " on 2026-0" in str(reading.error)
        assert_sound(reading)

    def test_order_that_holds_once_by_chance_is_not_believed(self) -> None:
        order: dict[str, Any] = {
            "order": "shifting",
            "order_seed": 2,
            "order_reach": 10,
            "max_size": 37,
        }
        calls = Burst(0, 22, 0), Burst(0, 16, 1)
        read_calls(1, *calls, size=50, total="page", to_date_inclusive=False, **order)

    @pytest.mark.parametrize("order", ["shifting", "swapping", "replicas"])
    @pytest.mark.parametrize("reach", [2, 10])
    @pytest.mark.parametrize("total", ["page", "absent"])
    def test_seam_that_holds_by_chance_loses_no_call(
        self, order: str, reach: int, total: str
    ) -> None:
        habits: dict[str, Any] = {
            "order": order,
            "order_reach": reach,
            "total": total,
            "max_size": 60,
        }
        for seed in range(20):
            calls = Burst(0, 96, 1)
            read_calls(1, calls, size=100, to_date_inclusive=False, order_seed=seed, **habits)

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
    def test_no_call_is_lost_in_silence(self, account: AccountSpec) -> None:
        reading = read(account)
        assert_once(reading)
        if reading.error is None:
            assert_complete(reading)


class TestTotalOfThePage:
    @pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
    @pytest.mark.parametrize("max_size", [None, 37, 60, 99, 100, 150])
    def test_all_calls_are_read(self, order: str, max_size: int | None) -> None:
        calls = Burst(60, 1_500, 28 * MINUTE)
        read_calls(60, calls, total="page", order=order, max_size=max_size)

    @pytest.mark.parametrize("max_size", [37, 90])
    def test_window_as_long_as_a_capped_page_proves_no_end(self, max_size: int) -> None:
        calls = Burst(250 * 1440, max_size, SECOND), Burst(1440, 1_000, DAY // 5)
        limits: dict[str, Any] = {"max_size": max_size, "max_range_days": 30}
        read_calls(260, *calls, total="page", order="logid", **limits)

    def test_true_total_costs_one_request_a_run(self) -> None:
        calls = Burst(10, 300, 4 * 60 * MINUTE)  # 50 days, 42 calls a week
        # Windows, rejected ranges, the past, and ends that are longer than those verified before.
        assert read_calls(50, calls, max_range_days=7).requests <= 8 + 3 + 2 + 4
