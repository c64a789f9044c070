"""The whole tap in virtual time, where lists have only a part of the calls or wrong times."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_simulation import (
    CLOCKS,
    LATENCIES,
    MINUTES,
    RESPONSES,
    accounts,
    is_fair,
    runs,
    simulated,
)
from tests.support.scenarios import Scenario, Simulate
from tests.support.simulated_account import MINUTE, AccountSpec, Burst
from tests.support.strategies import ANSWERED_IN_PART, KEPT_DAYS, WRONG_STARTS, dialects


def scenarios(account: st.SearchStrategy[AccountSpec], **given: Any) -> st.SearchStrategy[Scenario]:
    parts = {
        "runs": runs(st.just(()), most_faults=2, most=2),
        "lookback": st.integers(0, 4),
        "latency": LATENCIES,
        "ahead": CLOCKS,
        "minutes": MINUTES,
        **given,
    }
    return st.builds(Scenario, account=account, **parts).filter(is_fair)


def steady(days: int) -> st.SearchStrategy[tuple[Burst, ...]]:
    """Generate calls without a pause, from some day until now."""
    return st.builds(
        lambda ago, hours, age: (Burst(ago, age * 24 // hours, hours * 60 * MINUTE),),
        ago=st.integers(0, 600),
        hours=st.sampled_from((1, 3, 5)),
        age=st.sampled_from((10, 25, 50, 130)).map(lambda age: min(age, days + 5)),
    )


def in_part(days: int) -> st.SearchStrategy[AccountSpec]:
    return st.builds(
        AccountSpec,
        bursts=steady(days),
        dialect=dialects(**ANSWERED_IN_PART, **RESPONSES),
        size=st.sampled_from((50, 200, None)),
        days=st.just(days),
    )


def is_told(account: AccountSpec) -> bool:
    """Return whether what is not answered of the first window is more than a day.

    Of fewer days, those with calls may be of the neighbours in another zone.
    """
    return not 0 < account.days + 4 - (account.dialect.answered_days or 0) < 5


IN_PART = scenarios(
    st.sampled_from((2, 40, 55, 100, 400, 3000)).flatmap(in_part).filter(is_told),
    # Few days later, as many are requested as any server answers.
    runs=runs(st.just(()), most_faults=2, most=2).map(
        lambda specs: tuple(replace(spec, gap=min(spec.gap, 3600.0)) for spec in specs)
    ),
    lookback=st.integers(0, 2),
)


@simulated(share=0.6)
@given(IN_PART)
def test_nothing_is_lost_where_ranges_are_answered_in_part(
    run_scenario: Simulate, scenario: Scenario
) -> None:
    run_scenario(scenario)


KEPT = scenarios(accounts(dialects(**KEPT_DAYS, **RESPONSES), sizes=(20, 100, None)))


@simulated(share=0.4)
@given(KEPT)
def test_nothing_is_lost_where_the_oldest_days_are_rejected_or_left_out(
    run_scenario: Simulate, scenario: Scenario
) -> None:
    run_scenario(scenario)


WRONG = scenarios(accounts(dialects(**WRONG_STARTS, **RESPONSES), sizes=(20, 100, None)))


@simulated(share=0.4)
@given(WRONG)
def test_nothing_is_lost_where_some_starts_are_wrong(
    run_scenario: Simulate, scenario: Scenario
) -> None:
    run_scenario(scenario)
