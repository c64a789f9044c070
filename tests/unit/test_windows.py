"""Rules of correctness 1 to 6, by what comes out of the reading machine for any account."""

import datetime as dt
import math
from itertools import groupby
from operator import attrgetter

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tap_zohovoice._time import format_epoch_ms
from tap_zohovoice.extract.limits import DEFAULT_SIZE
from tap_zohovoice.extract.results import WindowResult
from tests.support.fake_server import (
    DAY,
    MINUTE,
    SECOND,
    AccountSpec,
    Burst,
    Change,
    Reading,
    read,
)
from tests.support.strategies import ANY_SERVER, bursts, changes, dialects, is_knowable
from zoho_voice_sandbox import Dialect
from zoho_voice_sandbox.dialect import OffsetOver, Order, Total


def assert_once(reading: Reading) -> None:
    ids = reading.ids
    assert len(ids) == len(set(ids)), "a call came out twice"


def assert_complete(reading: Reading) -> None:
    assert reading.error is None
    assert not reading.missing, f"lost {len(reading.missing)} of {len(reading.expected)}"


def assert_ordered(reading: Reading) -> None:
    for chunk in reading.chunks:
        keys = [(row.start_time, row.logid) for row in chunk.rows]
        assert keys == sorted(keys)
    there = {name for _, name, _ in reading.expected}
    # Of a day that takes too many requests, one type of call comes after the other.
    moments = [
        moment
        for _, chunks in groupby(reading.chunks, key=attrgetter("window"))
        for moment in sorted(
            row.start_time for chunk in chunks for row in chunk.rows if row.logid in there
        )
    ]
    assert moments == sorted(moments), "a call came out after younger ones"


def assert_covered(reading: Reading) -> None:
    out: set[str] = set()
    index = 0
    last = dt.datetime.min.replace(tzinfo=dt.UTC)
    end = dt.datetime.fromtimestamp(reading.account.end / 1000, dt.UTC)
    for chunk in reading.chunks:
        out.update(row.logid for row in chunk.rows)
        assert chunk.covered_until <= end
        assert chunk.covered_until >= last
        last = chunk.covered_until
        while index < len(reading.expected) and _is_before(reading.expected[index][0], chunk):
            assert reading.expected[index][1] in out, f"{chunk.covered_until} is not covered"
            index += 1


def _is_before(start: int, chunk: WindowResult) -> bool:
    return format_epoch_ms(start) < chunk.covered_until.isoformat(timespec="microseconds")


def assert_sound(reading: Reading) -> None:
    assert_once(reading)
    assert_ordered(reading)
    assert_covered(reading)
    if reading.error is None:
        assert_complete(reading)


def budget(reading: Reading) -> int:
    account = reading.account
    rows = len(reading.server.between(account.start - 2 * DAY, account.end + 2 * DAY))
    proofs = 30 if account.days > 30 else 0  # silent ranges of long windows are verified
    return math.floor(math.ceil(rows / (account.size or DEFAULT_SIZE)) * 1.05 + 12 + proofs)


def accounts(**given: object) -> st.SearchStrategy[AccountSpec]:
    parts = {
        "bursts": bursts(600),
        "size": st.sampled_from((2, 5, 20, 50, 100, 200)),
        "days": st.sampled_from((0, 1, 2, 3, 30, 400, 3000)),
        "end_minutes": st.one_of(st.none(), st.integers(0, 10_000)),
        "kinds": st.integers(1, 5),
        **given,
    }
    return st.builds(AccountSpec, **parts)  # type: ignore[arg-type]


ANY = dialects(**ANY_SERVER)


@pytest.mark.simulation
@given(accounts(dialect=ANY).filter(is_knowable))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_nothing_is_lost_in_silence_whatever_the_server_does(account: AccountSpec) -> None:
    assert_sound(read(account))


@pytest.mark.simulation
@given(accounts(dialect=ANY, changes=changes("arrive", "late", "delete")).filter(is_knowable))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_nothing_is_lost_in_silence_while_calls_come_and_go(account: AccountSpec) -> None:
    # Deletions under a hidden end or a wrong total leave nothing to tell the loss by.
    assume(account.dialect.total == "exact" and account.dialect.offset_over != "empty")
    assert_sound(read(account))


PLAIN = dialects()


@pytest.mark.simulation
@given(accounts(dialect=PLAIN, changes=changes("arrive", "late", "delete")))
def test_a_plain_server_is_read_completely_while_calls_come_and_go(account: AccountSpec) -> None:
    reading = read(account)
    assert_complete(reading)
    assert_sound(reading)


# Rows in no order of time give no hint of where they begin; one request more is spent there.
FRIENDLY = dialects(order=st.sampled_from(("newest", "oldest")))


# Accounts of one or two times of even calls, with silence before, between and after.
EVEN = st.lists(
    st.builds(
        Burst,
        minutes_ago=st.integers(0, 700_000),
        count=st.integers(0, 12_000),
        gap=st.sampled_from((4 * MINUTE, 20 * MINUTE, 60 * MINUTE)),
    ),
    min_size=1,
    max_size=2,
).map(tuple)


@pytest.mark.simulation
@given(
    accounts(
        dialect=FRIENDLY,
        bursts=EVEN,
        size=st.sampled_from((100, 200)),
        days=st.sampled_from((30, 400, 2251, 3650)),
        end_minutes=st.none(),
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_requests_keep_within_the_budget(account: AccountSpec) -> None:
    reading = read(account)
    assert_complete(reading)
    assert_sound(reading)
    assert reading.requests <= budget(reading)


DENSE = tuple(Burst(1440 * ago + 300, 30_000, 1000) for ago in (1, 9))


@pytest.mark.simulation
@pytest.mark.parametrize("over", ["refuse", "empty", "error500"])
@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
@pytest.mark.parametrize("inclusive", [True, False])
def test_days_of_30_000_calls_are_read_by_type_of_call(
    over: OffsetOver, order: Order, inclusive: bool
) -> None:
    dialect = Dialect(max_offset=10_000, offset_over=over, order=order, to_date_inclusive=inclusive)
    reading = read(AccountSpec(DENSE, dialect, size=200))
    assert_complete(reading)
    assert_sound(reading)


@pytest.mark.parametrize("over", ["refuse", "empty", "error500"])
@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
@pytest.mark.parametrize("total", ["exact", "absent"])
def test_a_day_that_no_offset_reaches_is_named(
    over: OffsetOver, order: Order, total: Total
) -> None:
    dialect = Dialect(max_offset=10_000, offset_over=over, order=order, total=total)
    reading = read(AccountSpec(DENSE[:1], dialect, size=200, kinds=1))
    assert "2026-02-2" in str(reading.error)


def test_example_a_range_of_three_days_refused_does_not_prove_that_to_date_is_inclusive() -> None:
    dialect = Dialect(to_date_inclusive=False, max_range_days=2, dates_named=False)
    assert_sound(read(AccountSpec((Burst(1440, 2, 1),), dialect, days=2)))


@pytest.mark.parametrize(
    "dialect",
    [
        Dialect(to_date_inclusive=False, max_range_days=365),
        Dialect(to_date_inclusive=False, max_size=10, size_over="refuse", size_named=False),
    ],
)
def test_example_today_is_read_although_the_future_seemed_to_be_refused(dialect: Dialect) -> None:
    assert_complete(read(AccountSpec((Burst(1, 1, 0),), dialect, size=50, days=363)))


def test_example_the_last_day_in_the_east_is_read_where_to_date_is_exclusive() -> None:
    dialect = Dialect(utc_offset_minutes=765, to_date_inclusive=False, future_dates="refused")
    assert_complete(read(AccountSpec((Burst(0, 4, 913_441),), dialect, days=1)))


def test_example_rows_that_slid_after_a_window_shrank_are_read() -> None:
    change = Change(after=3, kind="delete", place=0, count=4)
    assert_complete(read(AccountSpec((Burst(0, 7, 1),), size=2, changes=(change,))))


def test_example_rows_are_not_skipped_between_a_step_back_and_a_page_seen_before() -> None:
    deletions = ((10, 0, 1), (2, 11, 1), (20, 791, 8), (16, 10, 3))
    account = AccountSpec(
        (Burst(220, 105, SECOND), Burst(1119, 51, 0), Burst(459, 11, 0)),
        Dialect(utc_offset_minutes=-495, to_date_inclusive=False),
        size=2,
        end_minutes=122,
        changes=tuple(Change(after, "delete", place, count) for after, place, count in deletions),
    )
    assert_complete(read(account))


def test_example_a_total_that_is_passed_proves_no_end_where_an_offset_is_refused() -> None:
    dialect = Dialect(order="logid", max_offset=100, total="stale_low", total_error=60)
    reading = read(AccountSpec((Burst(0, 160, 162 * MINUTE),), dialect, size=50, days=18))
    assert_sound(reading)


@pytest.mark.parametrize(("size", "cap", "rows"), [(20, 100, 97), (200, 10_000, 9_960)])
def test_example_a_silent_cap_ends_a_second_dense_day_although_as_deep_rows_have_come(
    size: int, cap: int, rows: int
) -> None:
    days = (Burst(9 * 1440, rows, SECOND), Burst(10, rows, SECOND))
    assert_sound(
        read(AccountSpec(days, Dialect(max_offset=cap, offset_over="empty"), size, kinds=1))
    )


def test_example_a_page_as_long_as_all_before_is_a_capped_one() -> None:
    dialect = Dialect(max_size=10, total="stale_low")
    assert_sound(read(AccountSpec((Burst(0, 20, 1),), dialect, size=50)))


def test_example_a_day_of_one_type_behind_a_silent_cap_without_totals_is_no_whole_day() -> None:
    dialect = Dialect(future_dates="refused", max_offset=2_000, offset_over="empty", total="absent")
    assert_sound(read(AccountSpec((Burst(0, 1_998, 1),), dialect, size=50, days=1, kinds=1)))


def test_example_calls_of_one_millisecond_before_the_start_are_not_the_newest_first() -> None:
    accounts = (Burst(3 * 1440 + 240, 40, 0), Burst(10, 30, SECOND))
    assert_complete(read(AccountSpec(accounts, Dialect(order="oldest"), size=20, days=3)))


def test_example_a_dense_day_is_not_read_twice() -> None:
    reading = read(AccountSpec((Burst(0, 10_207, 1),), size=500, days=1))
    assert reading.requests <= budget(reading)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_example_a_count_that_ends_at_ten_thousand_is_no_count(order: Order) -> None:
    dialect = Dialect(
        order=order, max_offset=10_000, offset_over="empty", total="capped", total_error=10_000
    )
    assert_complete(
        read(AccountSpec((Burst(100, 30_000, 3 * MINUTE),), dialect, size=200, days=900))
    )


@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
@pytest.mark.parametrize("kinds", [1, 5])
def test_example_a_dense_day_without_a_count_does_not_end_where_offsets_do(
    order: Order, kinds: int
) -> None:
    dialect = Dialect(
        order=order, max_offset=5_000, offset_over="empty", offset_counts_size=True, total="absent"
    )
    account = AccountSpec((Burst(60, 12_000, 2_800),), dialect, size=200, days=2200, kinds=kinds)
    reading = read(account)
    assert_sound(reading)
    assert (reading.error is None) == (kinds == 5)


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize(("size", "cap"), [(200, 200), (200, 150), (200, 100), (1000, 1000)])
def test_example_a_first_page_that_ends_where_offsets_do_is_not_all(
    order: Order, size: int, cap: int
) -> None:
    dialect = Dialect(order=order, max_offset=cap, offset_over="cut", total="absent")
    assert_complete(
        read(AccountSpec((Burst(10, 3_000, 20 * MINUTE),), dialect, size=size, days=60))
    )


@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
def test_example_a_right_count_is_believed_where_pages_end_early(order: Order) -> None:
    dialect = Dialect(order=order, max_offset=100, offset_over="cut")
    assert_complete(read(AccountSpec((Burst(10, 3_000, 20 * MINUTE),), dialect, size=200, days=60)))


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_example_a_window_of_as_many_rows_as_offsets_reach_proves_nothing(order: Order) -> None:
    dialect = Dialect(order=order, max_offset=500, offset_over="cut", total="absent")
    calls = (Burst(40 * 1440, 500, 80 * MINUTE), Burst(10, 900, 40 * MINUTE))
    assert_complete(read(AccountSpec(calls, dialect, size=100, days=70)))


@pytest.mark.parametrize("rows", [501, 502, 510])
def test_example_one_row_of_either_half_is_missed_where_rows_are_in_no_order(rows: int) -> None:
    dialect = Dialect(order="logid", max_offset=500, offset_over="cut", total="absent")
    for minutes in range(0, 2000, 400):
        calls = (Burst(10 + minutes, rows, 70 * MINUTE),)
        assert_complete(read(AccountSpec(calls, dialect, size=100, days=30)))


def test_example_a_count_that_is_no_longer_believed_does_not_end_in_a_loop() -> None:
    bursts = (Burst(382, 2, MINUTE), Burst(51, 237, MINUTE), Burst(34_057, 48, 180 * MINUTE))
    dialect = Dialect(order="logid", max_size=50, max_offset=100, total="stale_high", total_error=3)
    assert_sound(read(AccountSpec(bursts, dialect, size=5, days=400, kinds=3)))


def test_example_a_count_that_is_too_low_does_not_narrow_a_window_day_by_day() -> None:
    dialect = Dialect(
        order="oldest",
        to_date_inclusive=False,
        max_size=50,
        max_offset=100,
        total="capped",
        total_error=1,
    )
    calls = (Burst(29_938, 11, SECOND), Burst(2_085_206, 198, 180 * MINUTE))
    reading = read(AccountSpec(calls, dialect, size=200, days=3000))
    assert reading.error is None
    assert_complete(reading)
    assert reading.requests < 200


@pytest.mark.parametrize("total", ["exact", "absent"])
@pytest.mark.parametrize("rows", [100, 250])
def test_example_a_server_that_always_starts_at_the_first_row_is_not_asked_for_ever(
    total: Total, rows: int
) -> None:
    reading = read(AccountSpec((Burst(60, rows, SECOND),), Dialect(total=total, from_ignored=True)))
    assert "at every offset" in str(reading.error)
    assert reading.requests < 50
