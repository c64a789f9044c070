"""The largest page that the server grants is found, whatever it says to larger ones."""

import math
from typing import Any

import pytest

from tests.support.reading import Reading, read
from tests.support.simulated_account import DAY, MINUTE, AccountSpec, Burst
from tests.unit.test_windows import assert_complete, assert_once
from zoho_voice_sandbox import Dialect

ROWS = 12_000
BEHAVIOURS = ["cap", "refuse", "error500", "timeout", "cut", "empty"]


def read_calls(dialect: Dialect, *, rows: int = ROWS, size: int | None = None) -> Reading:
    days = 300
    burst = Burst(10, rows, days * DAY // (rows + 1))
    reading = read(AccountSpec((burst,), dialect, size=size, days=days))
    assert reading.error is None
    assert_complete(reading)
    assert_once(reading)
    return reading


def ideal(size: int, rows: int = ROWS) -> int:
    return math.floor(1.05 * math.ceil(rows / size)) + 12


@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
def test_thousand_rows_are_requested_where_they_are_granted(order: Any) -> None:
    assert read_calls(Dialect(order=order)).requests <= ideal(1000)


@pytest.mark.parametrize("total", ["absent", "page", "stale_high", "stale_low", "capped"])
def test_thousand_rows_are_requested_without_a_usable_total(total: Any) -> None:
    assert read_calls(Dialect(total=total, total_error=3)).requests <= 3 * ideal(1000)


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("days", [400, 2251])
@pytest.mark.parametrize("granted", [100, 200])
def test_windows_without_a_total_are_not_read_in_vain(order: Any, days: int, granted: int) -> None:
    dialect = Dialect(order=order, total="absent", max_size=granted)
    calls = Burst(60, 24_001, 24 * MINUTE)
    reading = read(AccountSpec((calls,), dialect, size=None, days=days))
    assert_complete(reading)
    # The days before the first call take the 30 requests of proofs, and 17 that find it.
    before = 30 + 17 if days > 400 else 0
    assert reading.requests <= 1.1 * math.ceil(24_001 / granted) + 12 + before


@pytest.mark.parametrize("rows", [2_503, 6_007])
def test_end_of_a_list_in_no_order_needs_no_proof_at_a_length_that_is_not_round(rows: int) -> None:
    calls = Burst(60, rows, 60 * MINUTE)
    dialect = Dialect(order="logid", total="absent")
    reading = read(AccountSpec((calls,), dialect, size=200, days=300))
    assert_complete(reading)
    assert reading.requests <= 1.1 * math.ceil(rows / 200) + 6


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("granted", [500, 700, 1000])
def test_largest_size_is_found(behaviour: Any, granted: int) -> None:
    dialect = Dialect(max_size=granted, size_over=behaviour)
    size = granted if behaviour == "cap" else granted // 500 * 500
    assert read_calls(dialect).requests <= ideal(size)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("granted", [200, 300])
def test_fixed_pages_follow_where_no_larger_one_is_granted(behaviour: Any, granted: int) -> None:
    dialect = Dialect(max_size=granted, size_over=behaviour)
    # The model counts one request for all attempts.
    fixed = read_calls(dialect, size=200).requests
    assert read_calls(dialect).requests <= fixed + 2


@pytest.mark.parametrize("behaviour", ["cap", "refuse"])
@pytest.mark.parametrize("total", ["exact", "absent"])
@pytest.mark.parametrize("granted", [20, 37, 100, 150])
def test_smaller_pages_cost_no_more_than_before(behaviour: Any, total: Any, granted: int) -> None:
    dialect = Dialect(max_size=granted, size_over=behaviour, total=total)
    fixed = read_calls(dialect, size=200, rows=3_000).requests
    assert read_calls(dialect, rows=3_000).requests <= fixed


@pytest.mark.parametrize("total", ["exact", "absent", "page"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("granted", [200, 437, 500, 999])
def test_all_calls_are_read_without_a_total(total: Any, behaviour: Any, granted: int) -> None:
    read_calls(Dialect(max_size=granted, size_over=behaviour, total=total), rows=4_321)


@pytest.mark.parametrize("over", ["refuse", "empty", "error500", "cut"])
@pytest.mark.parametrize("limit", [800, 1_000, 3_333, 5_000, 10_000])
@pytest.mark.parametrize("counts_size", [True, False])
def test_limit_of_offsets_is_no_limit_of_sizes(over: Any, limit: int, *, counts_size: bool) -> None:
    dialect = Dialect(max_offset=limit, offset_over=over, offset_counts_size=counts_size)
    large, fixed = read_calls(dialect).requests, read_calls(dialect, size=200).requests
    assert large <= fixed


@pytest.mark.parametrize("rows", [1, 150, 200])
def test_few_calls_are_requested_as_with_a_fixed_size(rows: int) -> None:
    for dialect in (Dialect(), Dialect(total="absent")):
        requests = read_calls(dialect, rows=rows).requests
        assert requests == read_calls(dialect, rows=rows, size=200).requests


def test_day_is_read_as_far_as_offsets_reach() -> None:
    # Pages of 1,000 rows would end at offset 4,000.
    dialect = Dialect(max_offset=5_000, offset_over="error500")
    reading = read(AccountSpec((Burst(300, 4_900, MINUTE // 100),), dialect, size=None, days=3))
    assert reading.error is None
    assert_complete(reading)


@pytest.mark.parametrize("limit", [512, 1_023, 1_024])
@pytest.mark.parametrize("order", ["newest", "logid"])
def test_rows_that_are_cut_at_a_binary_limit_are_read(limit: int, order: Any) -> None:
    for rows in (limit + 3, limit + 24):
        dialect = Dialect(
            order=order, total="absent", max_offset=limit, offset_over="cut", size_over="cap"
        )
        reading = read(AccountSpec((Burst(60, rows, 60 * MINUTE),), dialect, size=200, days=300))
        assert_complete(reading)


def test_silent_windows_take_one_request_where_large_pages_are_granted() -> None:
    calls = Burst(3650 * 1440, 1_500, 20 * MINUTE)
    requests = [
        read(
            AccountSpec((calls,), Dialect(max_range_days=31, max_size=size), size=None, days=3690)
        ).requests
        for size in (200, 1_000)
    ]
    assert requests[1] <= requests[0] + 3
