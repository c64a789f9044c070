"""Readings of any account without HTTP: whole, each call once, in order, in few requests."""

import datetime as dt
import json
import math
from collections.abc import Iterator
from itertools import groupby, product
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_zohovoice._time import format_epoch_ms
from tap_zohovoice.extract.limits import DEFAULT_SIZE, ServerLimits
from tap_zohovoice.extract.windows import WindowPlanner
from tests.support.reading import Reading, read
from tests.support.simulated_account import DAY, MINUTE, NOW, AccountSpec, Burst, account_of
from tests.support.strategies import (
    ANY_SERVER,
    CHANGING_ORDERS,
    PAGE_TOTALS,
    bursts,
    changes,
    dialects,
    is_knowable,
)


def assert_once(reading: Reading) -> None:
    ids = reading.ids
    assert len(ids) == len(set(ids)), "a call came out twice"


def assert_complete(reading: Reading) -> None:
    assert reading.error is None
    assert not reading.missing, f"lost {len(reading.missing)} of {len(reading.expected)}"


def read_whole(account: AccountSpec) -> Reading:
    reading = read(account)
    assert_complete(reading)
    assert_once(reading)
    return reading


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
        if chunk.covered_until is None:
            continue
        assert chunk.covered_until <= end
        assert chunk.covered_until >= last
        last = chunk.covered_until
        until = last.isoformat(timespec="microseconds")
        while index < len(reading.expected) and format_epoch_ms(reading.expected[index][0]) < until:
            assert reading.expected[index][1] in out, f"{chunk.covered_until} is not covered"
            index += 1


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


def is_told(account: AccountSpec) -> bool:
    """Return whether something tells what is lost: not of a hidden end or a wrong total."""
    return account.dialect.total == "exact" and account.dialect.offset_over != "empty"


ANY = accounts(dialect=dialects(**ANY_SERVER))
COME_AND_GO = accounts(
    dialect=dialects(**ANY_SERVER), changes=changes("arrive", "late", "delete")
).filter(is_told)


@pytest.mark.simulation
@pytest.mark.parametrize("examples", [ANY, COME_AND_GO], ids=["any server", "come and go"])
def test_nothing_is_lost_in_silence(examples: st.SearchStrategy[AccountSpec]) -> None:
    @given(examples.filter(is_knowable))
    @settings(suppress_health_check=[HealthCheck.filter_too_much])
    def check(account: AccountSpec) -> None:
        assert_sound(read(account))

    check()


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
def test_no_call_is_lost_in_a_changing_order(account: AccountSpec) -> None:
    reading = read(account)
    assert_once(reading)
    if reading.error is None:
        assert_complete(reading)


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
    reading = read_whole(account)
    assert_sound(reading)
    assert reading.requests <= budget(reading)


EXAMPLES = json.loads((Path(__file__).parent / "windows.json").read_text(encoding="utf-8"))
"""What was read in part once, and what was taken for the whole; how each is read now."""


def examples(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the examples of a name with their kind, for each combination of values in lists."""
    for kind, kinds in EXAMPLES.items():
        for example in kinds.get(name, ()):
            values = [
                value if isinstance(value, list) and key not in {"calls", "changes"} else [value]
                for key, value in example.items()
            ]
            for chosen in product(*values):
                yield kind, dict(zip(example, chosen, strict=True))


@pytest.mark.parametrize("name", sorted({name for kind in EXAMPLES.values() for name in kind}))
def test_example_is_whole_or_an_error(name: str) -> None:
    for kind, example in examples(name):
        most_requests, text = example.pop("most_requests", math.inf), example.pop("error", "")
        if kind == "granted":  # at most so many more than with pages of 200 rows
            fixed: dict[str, Any] = {**example, "size": 200}
            most_requests += read_whole(account_of(**fixed)).requests
        most_between = example.pop("most_between", math.inf)
        reading = read(account_of(**example))
        assert_once(reading)
        if kind in {"whole", "once", "granted"}:
            assert_complete(reading)
        if kind not in {"once", "granted"}:
            assert_sound(reading)
        assert reading.error is not None or kind != "error"
        assert text in str(reading.error)
        assert reading.requests <= most_requests, example
        assert reading.most_between <= most_between


def test_share_done_counts_rows_of_known_number() -> None:
    now = dt.datetime.fromtimestamp(NOW / 1000, dt.UTC)
    planner = WindowPlanner(now - dt.timedelta(400), None, now, ServerLimits(200))
    window = planner.next_window()
    assert window
    assert planner.share_done(250) == 0.0
    for rows in (1_000, 500):  # of all days, and of fewer
        planner.shrink(window, rows)
        assert planner.share_done(250) == 0.25
