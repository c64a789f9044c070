"""The query core: dates, order, offsets and totals, without a server."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from zoho_voice_sandbox import Dialect
from zoho_voice_sandbox.date_filter import midnight, time_range, today
from zoho_voice_sandbox.params import InvalidParameterError
from zoho_voice_sandbox.query import LogQuery, QueryFailedError, run_query

if TYPE_CHECKING:
    from zoho_voice_sandbox.query import Page

DAY = date(2026, 3, 1)
NOW_MS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)

POSITIVE = ["answered_days", "order_reach", "replicas", "retention_days", "wrong_start_every"]


def run(query: LogQuery, rows: int = 10, *, number: int = 0, **dialect: Any) -> Page[int]:
    return run_query(query, Dialect(**dialect), NOW_MS, lambda _: range(rows), number)


def rejected_parameter(query: LogQuery, **dialect: Any) -> str:
    with pytest.raises(InvalidParameterError) as rejection:
        run(query, **dialect)
    return rejection.value.parameter


class TestOrder:
    def test_newest_rows_come_first(self) -> None:
        assert run(LogQuery(offset=2, size=3)).rows == [7, 6, 5]

    @pytest.mark.parametrize("order", ["oldest", "logid"])
    def test_other_orders_keep_the_selection(self, order: str) -> None:
        assert run(LogQuery(offset=2, size=3), order=order).rows == [2, 3, 4]

    @pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
    def test_no_rows_beyond_the_last(self, order: str) -> None:
        assert len(run(LogQuery(offset=8, size=5), order=order).rows) == 2
        assert run(LogQuery(offset=10, size=5), order=order).rows == []

    def test_ignored_offset_returns_the_first_page(self) -> None:
        assert run(LogQuery(offset=6, size=2), from_ignored=True).rows == [9, 8]


SEEDED = ["shifting", "swapping", "replicas"]
CHANGING = [*SEEDED, "rotating"]


def run_all(number: int, rows: int = 50, **dialect: Any) -> list[int]:
    return run(LogQuery(size=rows), rows, number=number, **dialect).rows


class TestChangingOrder:
    @pytest.mark.parametrize("order", SEEDED)
    def test_depends_on_seed_and_request_alone(self, order: str) -> None:
        orders = [run_all(number, order=order) for number in range(20)]
        assert orders == [run_all(number, order=order) for number in range(20)]
        assert orders != [run_all(number, order=order, order_seed=2) for number in range(20)]
        assert all(sorted(rows) == list(range(50)) for rows in orders)

    @pytest.mark.parametrize("order", CHANGING)
    @pytest.mark.parametrize("rows", [0, 1, 2, 7])
    def test_pages_of_one_request_number_fit_together(self, order: str, rows: int) -> None:
        pages = [
            run(LogQuery(offset, 3), rows, number=5, order=order).rows for offset in range(0, 9, 3)
        ]
        assert sum(pages, []) == run_all(5, rows, order=order)  # noqa: RUF017 - three short lists

    def test_shifting_rows_differ_each_time(self) -> None:
        orders = {tuple(run_all(number, order="shifting")) for number in range(20)}
        assert len(orders) == 20

    def test_swapping_rows_move_one_place(self) -> None:
        orders = [run_all(number, order="swapping") for number in range(20)]
        assert len(set(map(tuple, orders))) == 20
        assert all(abs(49 - place - row) <= 1 for rows in orders for place, row in enumerate(rows))

    @pytest.mark.parametrize("replicas", [1, 2, 5])
    def test_replicas_have_fixed_orders(self, replicas: int) -> None:
        found = {
            tuple(run_all(number, order="replicas", replicas=replicas)) for number in range(60)
        }
        assert len(found) == replicas

    def test_new_rows_leave_the_order_of_a_replica(self) -> None:
        before = run_all(1, 50, order="replicas")
        after = run_all(1, 60, order="replicas")
        assert [row for row in after if row < 50] == before

    @pytest.mark.parametrize("order", ["shifting", "replicas"])
    def test_reach_limits_moves(self, order: str) -> None:
        for number in range(20):
            rows = run_all(number, order=order, order_reach=4)
            assert rows != sorted(rows, reverse=True)
            assert all(abs(49 - place - row) <= 4 for place, row in enumerate(rows))


class TestOffsetLimit:
    @pytest.mark.parametrize("order", ["newest", "oldest"])
    def test_cut_ends_rows_silently(self, order: str) -> None:
        page = run(LogQuery(offset=4, size=4), order=order, max_offset=6, offset_over="cut")
        assert (len(page.rows), page.total) == (2, 10)
        beyond = LogQuery(offset=8, size=4)
        assert run(beyond, order=order, max_offset=6, offset_over="cut").rows == []

    @pytest.mark.parametrize("order", ["newest", "oldest"])
    def test_empty_returns_no_rows(self, order: str) -> None:
        page = run(LogQuery(offset=4, size=4), order=order, max_offset=6, offset_over="empty")
        assert (page.rows, page.total) == ([], 10)

    def test_page_comes_again(self) -> None:
        beyond, limit = LogQuery(offset=4, size=4), {"max_offset": 6}
        first, last = (run(LogQuery(offset=offset, size=4)).rows for offset in (0, 2))
        assert run(beyond, offset_over="first_page", **limit).rows == first
        assert run(beyond, offset_over="last_page", **limit).rows == last

    def test_offset_beyond_the_limit_fails(self) -> None:
        with pytest.raises(QueryFailedError):
            run(LogQuery(offset=4, size=4), max_offset=6, offset_over="error500")

    def test_size_counts_only_where_the_dialect_says_so(self) -> None:
        query = LogQuery(offset=4, size=4)
        assert rejected_parameter(query, max_offset=6) == "from"
        assert len(run(query, max_offset=6, offset_counts_size=False).rows) == 4

    @pytest.mark.parametrize(
        ("named", "parameter"), [("from", "from"), ("size", "size"), ("none", "")]
    )
    def test_rejection_names_a_parameter(self, named: str, parameter: str) -> None:
        query = LogQuery(offset=4, size=4)
        assert rejected_parameter(query, max_offset=6, offset_named=named) == parameter


class TestRejectedParameters:
    @pytest.mark.parametrize("is_named", [True, False])
    def test_large_size_may_be_named(self, is_named: bool) -> None:
        query = LogQuery(size=9)
        parameter = rejected_parameter(query, max_size=5, size_over="refuse", size_named=is_named)
        assert parameter == ("size" if is_named else "")

    @pytest.mark.parametrize("failure", ["error500", "timeout", "cut"])
    def test_size_at_which_the_server_fails(self, failure: str) -> None:
        with pytest.raises(QueryFailedError) as error:
            run(LogQuery(size=6), max_size=5, size_over=failure)
        assert error.value.failure == failure
        assert len(run(LogQuery(size=5), max_size=5, size_over=failure).rows) == 5

    def test_size_without_rows(self) -> None:
        page = run(LogQuery(size=6), max_size=5, size_over="empty")
        assert (page.rows, page.total) == ([], 10)

    @pytest.mark.parametrize("is_named", [True, False])
    def test_long_range_may_be_named(self, is_named: bool) -> None:
        query = LogQuery(from_date=date(2026, 2, 1), to_date=DAY)
        parameter = rejected_parameter(query, max_range_days=7, dates_named=is_named)
        assert parameter == ("toDate" if is_named else "")

    def test_neutral_messages_name_nothing(self) -> None:
        rejection = Dialect(max_size=5, size_over="refuse", bad_value_message="neutral")
        with pytest.raises(InvalidParameterError, match=r"^Invalid request\.$"):
            run_query(LogQuery(size=9), rejection, NOW_MS, lambda _: range(10))


@pytest.mark.parametrize(
    ("total", "of_ten", "of_none"),
    [
        ("exact", 10, 0),
        ("absent", None, None),
        ("minus_one", -1, -1),
        ("text", "10", "0"),
        ("words", "many", "many"),
        ("stale_high", 13, 0),
        ("stale_low", 7, 0),
        ("capped", 3, 0),
    ],
)
def test_total_has_the_form_of_the_dialect(total: str, of_ten: object, of_none: object) -> None:
    assert run(LogQuery(), 10, total=total, total_error=3).total == of_ten
    assert run(LogQuery(), 0, total=total, total_error=3).total == of_none


@pytest.mark.parametrize(
    ("total", "expected"), [("page", [60, 60, 30, 0]), ("page_end", [60, 120, 150, 150])]
)
def test_total_of_the_page_alone(total: str, expected: list[int]) -> None:
    totals = [
        run(LogQuery(offset, 200), 150, total=total, max_size=60).total
        for offset in (0, 60, 120, 180)
    ]
    assert totals == expected


def test_small_size_is_refused() -> None:
    assert len(run(LogQuery(0, 50), 150, min_size=50).rows) == 50
    assert rejected_parameter(LogQuery(0, 49), min_size=50) == "size"


def test_offset_behind_the_last_row() -> None:
    behind = LogQuery(150, 60)
    assert not run(behind, 150).rows
    assert run(behind, 150, from_behind="last_page").rows == run(LogQuery(120, 60), 150).rows
    with pytest.raises(InvalidParameterError):
        run(behind, 150, from_behind="refuse")
    with pytest.raises(QueryFailedError):
        run(behind, 150, from_behind="error500")


def days_of(first: date | None, last: date | None, **dialect: Any) -> tuple[int, int]:
    """Return the first day and the day after the last of a range, in days before today."""
    start, end = time_range(first, last, Dialect(**dialect), NOW_MS)
    day_ms, today_ms = 86_400_000, midnight(DAY, Dialect())
    return (today_ms - start) // day_ms, (today_ms - end) // day_ms


class TestAnsweredDays:
    FIRST = date(2025, 12, 1)  # 90 days before

    @pytest.mark.parametrize(("end", "days"), [("last", (29, -1)), ("first", (90, 60))])
    def test_longer_ranges_are_answered_in_part(self, end: str, days: tuple[int, int]) -> None:
        assert days_of(self.FIRST, DAY, answered_days=30, answered_end=end) == days

    @pytest.mark.parametrize("end", ["last", "first"])
    def test_shorter_ranges_are_answered_whole(self, end: str) -> None:
        assert days_of(self.FIRST, DAY, answered_days=91, answered_end=end) == (90, -1)

    def test_exclusive_end_is_not_answered(self) -> None:
        assert days_of(self.FIRST, DAY, answered_days=30, to_date_inclusive=False) == (30, 0)

    def test_range_without_last_day_ends_today(self) -> None:
        assert days_of(self.FIRST, None, answered_days=30)[0] == 29
        assert days_of(self.FIRST, None, answered_days=30, answered_end="first") == (90, 60)

    def test_range_without_first_day_is_longer_than_any(self) -> None:
        assert days_of(None, DAY, answered_days=30) == (29, -1)


class TestRetention:
    KEPT, DELETED = date(2026, 1, 30), date(2026, 1, 29)  # 30 and 31 days before

    def rejected(self, first: date, last: date | None, **dialect: Any) -> str:
        with pytest.raises(InvalidParameterError) as rejection:
            time_range(first, last, Dialect(retention_days=30, **dialect), NOW_MS)
        assert rejection.value.code == "ZVT015"
        return rejection.value.parameter

    def test_kept_days_are_answered(self) -> None:
        assert days_of(self.KEPT, DAY, retention_days=30) == (30, -1)

    @pytest.mark.parametrize("last", [None, DAY, DELETED])
    def test_older_starts_are_rejected(self, last: date | None) -> None:
        assert self.rejected(self.DELETED, last) == "fromDate"
        assert self.rejected(self.DELETED, last, dates_named=False) == ""

    def test_older_ends_alone_may_be_rejected(self) -> None:
        assert self.rejected(self.DELETED, self.DELETED, retention_refused="end") == "fromDate"
        found = days_of(date(2025, 1, 1), DAY, retention_days=30, retention_refused="end")
        assert found == (30, -1)

    def test_range_without_first_day_starts_at_retention(self) -> None:
        assert days_of(None, DAY, retention_days=30) == (30, -1)


@pytest.mark.parametrize("name", POSITIVE)
def test_counts_must_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        run(LogQuery(), **{name: 0})


class TestTimeZone:
    @pytest.mark.parametrize(("month", "hours"), [(3, 1), (4, 2), (10, 2), (11, 1)])
    def test_daylight_saving_shifts_midnight(self, month: int, hours: int) -> None:
        dialect = Dialect(utc_offset_minutes=60, daylight_saving=True)
        utc = datetime(2026, month, 5, tzinfo=UTC).timestamp() * 1000
        assert midnight(date(2026, month, 5), dialect) == utc - hours * 3_600_000

    @pytest.mark.parametrize(
        ("minute", "day"), [(0, date(2026, 7, 5)), (59, date(2026, 7, 5)), (60, date(2026, 7, 6))]
    )
    def test_today_starts_at_midnight_of_summer(self, minute: int, day: date) -> None:
        dialect = Dialect(utc_offset_minutes=60, daylight_saving=True)
        moment = datetime(2026, 7, 5, 21, tzinfo=UTC).timestamp() + minute * 60
        assert today(int(moment * 1000), dialect) == day

    def test_exclusive_to_date_ends_at_its_midnight(self) -> None:
        inclusive = time_range(DAY, DAY, Dialect(), NOW_MS)
        exclusive = time_range(DAY, DAY, Dialect(to_date_inclusive=False), NOW_MS)
        assert inclusive.end_ms - inclusive.start_ms == 86_400_000
        assert exclusive.end_ms == exclusive.start_ms

    @pytest.mark.parametrize(("minutes", "is_summer"), [(-735, False), (855, False), (840, True)])
    def test_nonexistent_zones_are_invalid(self, minutes: int, is_summer: bool) -> None:
        with pytest.raises(ValueError, match="between -12:00 and"):
            Dialect(utc_offset_minutes=minutes, daylight_saving=is_summer)

    @pytest.mark.parametrize(("minutes", "is_summer"), [(-720, True), (840, False), (780, True)])
    def test_outermost_zones_are_valid(self, minutes: int, is_summer: bool) -> None:
        assert Dialect(utc_offset_minutes=minutes, daylight_saving=is_summer)
