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


def run(query: LogQuery, rows: int = 10, **dialect: Any) -> Page[int]:
    return run_query(query, Dialect(**dialect), NOW_MS, lambda _: range(rows))


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

    def test_error500_fails(self) -> None:
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
    def test_size(self, is_named: bool) -> None:
        query = LogQuery(size=9)
        parameter = rejected_parameter(query, max_size=5, size_over="refuse", size_named=is_named)
        assert parameter == ("size" if is_named else "")

    @pytest.mark.parametrize("is_named", [True, False])
    def test_range(self, is_named: bool) -> None:
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
def test_total(total: str, of_ten: object, of_none: object) -> None:
    assert run(LogQuery(), 10, total=total, total_error=3).total == of_ten
    assert run(LogQuery(), 0, total=total, total_error=3).total == of_none


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
