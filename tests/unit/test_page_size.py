"""The largest page that the server grants is found, whatever it says to larger ones."""

import math
from itertools import product
from typing import Any

import pytest

from tests.support.reading import Reading
from tests.support.simulated_account import DAY, MINUTE, account_of
from tests.unit.test_windows import read_whole

ROWS = 12_000
BEHAVIOURS = ["cap", "refuse", "error500", "timeout", "cut", "empty"]


def read_calls(rows: int = ROWS, size: int | None = None, **habits: Any) -> Reading:
    """Read calls that are spread over the days whole, each call once."""
    return read_whole(
        account_of([(10, rows, 300 * DAY // (rows + 1))], size=size, days=300, **habits)
    )


def ideal(size: int) -> int:
    return math.floor(1.05 * math.ceil(ROWS / size)) + 12


@pytest.mark.parametrize(
    ("habits", "times"),
    [
        *[({"order": order}, 1) for order in ("newest", "oldest", "logid")],
        # Without a usable total.
        *[({"total": total}, 3) for total in ("absent", "page")],
        *[({"total": f"stale_{way}", "total_error": 3}, 3) for way in ("high", "low")],
        ({"total": "capped", "total_error": 3}, 3),
    ],
    ids=str,
)
def test_thousand_rows_are_requested_where_they_are_granted(
    habits: dict[str, Any], times: int
) -> None:
    assert read_calls(**habits).requests <= times * ideal(1000)


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("days", [400, 2251])
@pytest.mark.parametrize("granted", [100, 200])
def test_windows_without_total_are_not_read_twice(order: Any, days: int, granted: int) -> None:
    habits: dict[str, Any] = {"order": order, "total": "absent", "max_size": granted}
    reading = read_whole(account_of([(60, 24_001, 24 * MINUTE)], size=None, days=days, **habits))
    # The days before the first call take the 30 requests of proofs, and 17 that find it.
    before = 30 + 17 if days > 400 else 0
    assert reading.requests <= 1.1 * math.ceil(24_001 / granted) + 12 + before


@pytest.mark.parametrize("rows", [2_503, 6_007])
def test_unordered_list_of_odd_length_needs_no_proof(rows: int) -> None:
    habits: dict[str, Any] = {"size": 200, "days": 300, "order": "logid", "total": "absent"}
    reading = read_whole(account_of([(60, rows, 60 * MINUTE)], **habits))
    assert reading.requests <= 1.1 * math.ceil(rows / 200) + 6


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("granted", [500, 700, 1000])
def test_largest_size_is_found(behaviour: str, granted: int) -> None:
    size = granted if behaviour == "cap" else granted // 500 * 500
    assert read_calls(max_size=granted, size_over=behaviour).requests <= ideal(size)


@pytest.mark.parametrize(
    ("rows", "total", "behaviour", "granted", "more"),
    [
        *[(ROWS, "exact", how, granted, 2) for how in BEHAVIOURS for granted in (200, 300)],
        *product([3_000], ["exact", "absent"], ["cap", "refuse"], [20, 37, 100, 150], [0]),
    ],
)
def test_smaller_pages_cost_as_pages_of_fixed_size(
    rows: int, total: str, behaviour: str, granted: int, more: int
) -> None:
    """The model counts one request for all attempts."""
    habits: dict[str, Any] = {"max_size": granted, "size_over": behaviour, "total": total}
    fixed = read_calls(rows, 200, **habits).requests
    assert read_calls(rows, **habits).requests <= fixed + more


@pytest.mark.parametrize("over", ["refuse", "empty", "error500", "cut"])
@pytest.mark.parametrize("limit", [800, 1_000, 3_333, 5_000])
@pytest.mark.parametrize("counts_size", [True, False])
def test_limit_of_offsets_is_no_limit_of_sizes(over: str, limit: int, *, counts_size: bool) -> None:
    habits: dict[str, Any] = {
        "max_offset": limit,
        "offset_over": over,
        "offset_counts_size": counts_size,
    }
    assert read_calls(6_000, **habits).requests <= read_calls(6_000, 200, **habits).requests


@pytest.mark.parametrize("rows", [1, 150, 200])
@pytest.mark.parametrize("total", ["exact", "absent"])
def test_few_calls_are_requested_as_with_fixed_size(rows: int, total: str) -> None:
    fixed = read_calls(rows, 200, total=total).requests
    assert read_calls(rows, total=total).requests == fixed


def test_silent_windows_take_one_request_with_large_pages() -> None:
    calls = [(3650 * 1440, 1_500, 20 * MINUTE)]
    few, many = (
        read_whole(account_of(calls, size=None, days=3690, max_range_days=31, max_size=size))
        for size in (200, 1_000)
    )
    assert many.requests <= few.requests + 3
