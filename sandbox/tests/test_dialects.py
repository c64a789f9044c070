"""Undocumented behaviour through the server: ranges, orders, totals, times and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox_client import set_dialect

if TYPE_CHECKING:
    from sandbox_client import Caller


@pytest.mark.parametrize("end", ["last", "first"])
def test_long_range_is_answered_in_part(caller: Caller, end: str) -> None:
    days = {"last": ("2026-02-20", "2026-03-01"), "first": ("2026-01-01", "2026-01-10")}[end]
    part = caller.rows(fromDate=days[0], toDate=days[1])
    set_dialect(caller, answered_days=10, answered_end=end)
    response = caller.get(size=1000, fromDate="2026-01-01", toDate="2026-03-01").json()
    assert response["logs"] == part != []
    assert response["meta"]["total"] == len(part)


@pytest.mark.parametrize("order", ["shifting", "swapping", "replicas"])
def test_order_changes_between_requests(caller: Caller, order: str) -> None:
    newest = caller.ids()
    set_dialect(caller, order=order)
    orders = [caller.ids() for _ in range(9)]
    assert all(set(ids) == set(newest) for ids in orders)
    assert len(set(map(tuple, orders))) == (3 if order == "replicas" else 9)


@pytest.mark.parametrize("size", [60, 99, 37])
def test_total_of_the_page_alone(caller: Caller, size: int) -> None:
    set_dialect(caller, total="page", max_size=size)
    assert caller.get(size=200).json()["meta"]["total"] == size
    assert caller.get(size=200, from_=290).json()["meta"]["total"] == 10


@pytest.mark.parametrize("is_named", [True, False])
def test_oldest_days_are_refused(caller: Caller, is_named: bool) -> None:
    set_dialect(caller, retention_days=120, dates_named=is_named)
    assert caller.get(fromDate="2026-02-01", toDate="2026-03-01").status_code == 200
    error = caller.get(fromDate="2026-01-31", toDate="2026-03-01").json()
    assert error["code"] == "ZVT015"
    assert ("fromDate" in error["message"]) == is_named
