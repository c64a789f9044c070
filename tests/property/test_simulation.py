"""The whole tap in virtual time: whatever happens, no call is lost and no rule is broken."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_zohovoice.extract.limits import DEFAULT_SIZE
from tests.support.scenarios import RunSpec, Scenario, simulate
from tests.support.simulated_account import (
    MINUTE,
    SECOND,
    AccountSpec,
    Burst,
    Change,
    account_of,
    build_rows,
)
from tests.support.simulated_api import Stop
from tests.support.strategies import (
    ANSWERED_IN_PART,
    ANY_SERVER,
    KEPT_DAYS,
    WRONG_STARTS,
    bursts,
    changes,
    dialects,
    is_knowable,
)
from zoho_voice_sandbox import Dialect
from zoho_voice_sandbox.dialect import SeveralFiles, Throttle, TokenRefused

# A scenario of several runs costs more than one reading.
EXAMPLES = {"default": 250, "unshrunk": 250, "nightly": 5_000}[
    os.environ.get("HYPOTHESIS_PROFILE", "default")
]
"""Examples of each property that has its full share; four of them are scenarios."""


def check_examples(
    examples: st.SearchStrategy[Any], check: Callable[[Any], None], share: float = 1.0
) -> None:
    """Check a property by this share of the examples of the profile."""
    health = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

    @settings(max_examples=round(share * EXAMPLES), suppress_health_check=health)
    @given(examples)
    def check_property(example: Any) -> None:
        check(example)

    check_property()


GAPS = st.one_of(st.just(0.0), st.floats(0, 90), st.sampled_from((700.0, 3600.0, 86_400.0, 5e5)))
RESPONSES: dict[str, st.SearchStrategy[Any]] = {
    "throttle": st.sampled_from(get_args(Throttle)),
    "retry_after": st.booleans(),
    "token_refused": st.sampled_from(get_args(TokenRefused)),
    "rows_form": st.sampled_from(("list", "missing", "null", "body", "no_content", "error")),
    "status_value": st.sampled_from(("200", "SUCCESS", "success")),
    "token_ttl_seconds": st.sampled_from((3600.0, 3600.0, 300.0)),
    "token_field": st.sampled_from(("expires_in", "expires_in_sec")),
    "several_files": st.sampled_from(get_args(SeveralFiles)),
    "bomb_mb": st.just(1),
}
"""Fields of dialects that change how responses look, not what they say."""
PLAIN = dialects(**RESPONSES)
CHANGES = changes("arrive", "late", "future", "delete", after=25, most=4)
FAULTS = (
    *("500", "502_html", "503_retry_after:40", "cut", "timeout", "unreachable", "truncated"),
    *("html", "error_200", "array", "renamed", "nan", "token", "lock", "redirect", "nothing"),
)
TOKEN_FAULTS = ("500", "502_html", "html", "cut", "timeout", "unreachable", "denied", "truncated")
STOPS = st.none() | st.builds(
    Stop,
    how=st.sampled_from(("kill", "term")),
    where=st.sampled_from(("request", "sleep", "write")),
    number=st.one_of(st.integers(1, 8), st.integers(1, 80)),
    share=st.floats(0, 1),
)
AT_LOCKS = st.builds(
    Stop, st.sampled_from(("kill", "term")), st.just("lock"), number=st.integers(1, 2)
)


def faults(most: int, kinds: tuple[str, ...] = FAULTS) -> st.SearchStrategy[object]:
    number = st.one_of(st.integers(1, 6), st.integers(1, 30))
    fault = st.tuples(number, st.sampled_from(kinds))
    # Two answers in a row that say nothing would be believed.
    unique = (lambda fault: fault[0], lambda fault: fault[1] if fault[1] == "nothing" else fault)
    return st.lists(fault, max_size=most, unique_by=unique).map(tuple)


def runs(
    changes: st.SearchStrategy[tuple[Change, ...]], most_faults: int = 4, most: int = 3
) -> st.SearchStrategy[tuple[RunSpec, ...]]:
    """Make up runs, the last one without trouble."""
    troubled = st.builds(
        RunSpec,
        gap=GAPS,
        changes=changes,
        faults=faults(most_faults),
        token_faults=st.one_of(st.just(()), faults(2, TOKEN_FAULTS)),
        stop=STOPS,
        back=st.sampled_from((0.0, 0.0, 0.0, 200.0)),
    )
    last = st.builds(RunSpec, gap=st.sampled_from((700.0, 90_000.0)), changes=changes)
    return st.builds(
        lambda before, end: (*before, end), st.lists(troubled, min_size=0, max_size=most), last
    )


def accounts(
    dialect: st.SearchStrategy[Dialect],
    sizes: tuple[int | None, ...] = (2, 5, 20, 50, 100, 200, None),
) -> st.SearchStrategy[AccountSpec]:
    def of(size: int | None) -> st.SearchStrategy[AccountSpec]:
        return st.builds(
            AccountSpec,
            bursts=bursts(min(8 * size, 400) if size else 1_500),
            dialect=dialect,
            size=st.just(size),
            days=st.sampled_from((0, 1, 2, 3, 30, 400, 3000)),
            end_minutes=st.one_of(st.none(), st.none(), st.integers(0, 10_000)),
            kinds=st.integers(1, 5),
        )

    return st.sampled_from(sizes).flatmap(of).map(cheap)


def cheap(account: AccountSpec) -> AccountSpec:
    """Ask for fewer days where the server takes few at a time."""
    most = account.dialect.max_range_days
    return account if most is None else replace(account, days=min(account.days, 12 * most))


def is_fair(scenario: Scenario) -> bool:
    """Tell whether the settings fit.

    Without a lookback, a clock that is ahead may take the bookmark ahead of calls that come out of
    order: a phone's clock is ahead too, or rows are in no order of time.
    """
    phones = any(change.kind == "future" for run in scenario.runs for change in run.changes)
    is_orderly = scenario.account.dialect.order != "logid" and not phones
    is_safe = scenario.ahead <= 0 or scenario.lookback > 0 or is_orderly
    return is_safe and scenario.account.start <= scenario.account.end


def is_readable(account: AccountSpec) -> bool:
    """Tell whether a page of that size is ever answered."""
    dialect = account.dialect
    size = account.size or DEFAULT_SIZE
    return dialect.offset_over in {"refuse", "cut"} or size <= (dialect.max_offset or size)


CLOCKS = st.sampled_from((0.0, 0.0, -600.0, -170.0, 170.0, 600.0))


def scenarios(account: st.SearchStrategy[AccountSpec], **given: Any) -> st.SearchStrategy[Scenario]:
    parts = {
        "runs": runs(st.just(()), most_faults=2, most=2),
        "lookback": st.integers(0, 4),
        "latency": st.sampled_from((0.0, 0.2, 0.2, 3.0, 50.0)),
        "ahead": CLOCKS,
        "minutes": st.one_of(st.just(0), st.integers(0, 1440)),
        **given,
    }
    return st.builds(Scenario, account=account, **parts).filter(is_fair)


def recent(
    count: st.SearchStrategy[int], gap: st.SearchStrategy[int]
) -> st.SearchStrategy[tuple[Burst, ...]]:
    """Make up one burst or two of the last days."""
    burst = st.builds(Burst, minutes_ago=st.integers(0, 4000), count=count, gap=gap)
    return st.lists(burst, min_size=1, max_size=2).map(tuple)


def in_part(days: int) -> st.SearchStrategy[AccountSpec]:
    """Generate accounts of calls without a pause, from some day until now."""
    return st.builds(
        AccountSpec,
        bursts=st.builds(
            lambda ago, hours, age: (
                Burst(ago, min(age, days + 5) * 24 // hours, hours * 60 * MINUTE),
            ),
            ago=st.integers(0, 600),
            hours=st.sampled_from((1, 3, 5)),
            age=st.sampled_from((10, 25, 50, 130)),
        ),
        dialect=dialects(**ANSWERED_IN_PART, **RESPONSES),
        size=st.sampled_from((50, 200, None)),
        days=st.just(days),
    )


def is_told(account: AccountSpec) -> bool:
    """Return whether what is not answered of the first window is more than a day, and shows.

    Of fewer days, those with calls may be of the neighbours in another zone.
    """
    answered = account.dialect.answered_days or 0
    # Of the first days of a range alone, those of 23 days do not show that the last have calls.
    is_early = account.dialect.answered_end == "first" and answered < 23 and account.days > 1000
    return not (is_early or 0 < account.days + 4 - answered < 5)


def is_found(scenario: Scenario) -> bool:
    """Tell whether there are calls enough to look for files that no call names by itself."""
    account = scenario.account
    read = [row for row in build_rows(account) if account.start <= row[0] < account.end]
    return scenario.files != "filtered" or len(read) > 80


# Each with its share of the examples.
PROPERTIES: dict[str, tuple[float, st.SearchStrategy[Scenario]]] = {
    "calls that come and go": (
        1.0,
        scenarios(
            accounts(PLAIN),
            runs=runs(CHANGES),
            call_type=st.sampled_from((None, None, None, "missed")),
            calls=st.sampled_from((5, 30, 30)),
        ),
    ),
    "any server": (
        1.0,
        scenarios(
            accounts(dialects(**ANY_SERVER, **RESPONSES)).filter(is_knowable).filter(is_readable),
            runs=runs(st.just(()), most_faults=2),
        ),
    ),
    "days of 30,000 calls": (
        0.04,
        st.builds(
            Scenario,
            account=st.builds(
                AccountSpec,
                bursts=recent(
                    st.sampled_from((1_000, 9_000, 30_000)),
                    st.sampled_from((0, 1, 100, SECOND, 2 * SECOND)),
                ),
                dialect=dialects(
                    max_offset=st.sampled_from((None, 5_000, 10_000)),
                    future_dates=st.sampled_from(("accepted", "refused")),
                    max_size=st.sampled_from((None, None, 200, 500)),
                    size_over=st.sampled_from(
                        ("cap", "refuse", "error500", "timeout", "cut", "empty")
                    ),
                ),
                size=st.sampled_from((200, None)),
                days=st.sampled_from((7, 400)),
            ),
            runs=runs(CHANGES, most_faults=2, most=1),
        ),
    ),
    "all streams of calls": (
        1.0,
        scenarios(
            accounts(PLAIN, sizes=(5, 20, 50)),
            runs=runs(CHANGES, most_faults=3),
            streams=st.sampled_from(
                (
                    *2 * [("call_logs", "recordings")],
                    *[("call_logs", "recordings", "transcripts"), ("recordings",)],
                    *[("transcripts",), ("recordings", "transcripts")],
                )
            ),
            files=st.sampled_from(("none", "always", "always", "filtered")),
            fetches=st.booleans(),
            calls=st.sampled_from((10, 30)),
        ).filter(is_found),
    ),
    "a limit and locks from run to run": (
        1.0,
        st.builds(
            Scenario,
            account=st.builds(
                AccountSpec,
                bursts=recent(st.integers(5, 25), st.sampled_from((0, SECOND))),
                size=st.sampled_from((2, 3, 5)),
                days=st.sampled_from((2, 30)),
            ),
            runs=st.lists(
                st.builds(
                    RunSpec,
                    gap=st.sampled_from((0.0, 0.0, 1.0, 30.0, 59.9)),
                    faults=faults(3, ("lock", "timeout", "cut", "token", "500", "unreachable")),
                    stop=st.one_of(STOPS, AT_LOCKS),
                    back=st.sampled_from((0.0, 0.0, 50.0, 4000.0)),
                ),
                min_size=2,
                max_size=4,
            ).map(lambda runs: (*runs, RunSpec())),
            calls=st.sampled_from((2, 3, 5, 10)),
            latency=st.sampled_from((0.0, 0.2, 3.0, 50.0, 59.0)),
            ahead=CLOCKS,
            shares=st.sampled_from((True, True, False)),
        ),
    ),
    "ranges that are answered in part": (
        0.6,
        scenarios(
            st.sampled_from((2, 40, 55, 100, 400, 3000)).flatmap(in_part).filter(is_told),
            # Few days later, as many are requested as any server answers.
            runs=runs(st.just(()), most_faults=2, most=2).map(
                lambda specs: tuple(replace(spec, gap=min(spec.gap, 3600.0)) for spec in specs)
            ),
            lookback=st.integers(0, 2),
        ),
    ),
    "oldest days that are rejected or left out": (
        0.4,
        scenarios(accounts(dialects(**KEPT_DAYS, **RESPONSES), sizes=(20, 100, None))),
    ),
    "some starts that are wrong": (
        0.4,
        scenarios(accounts(dialects(**WRONG_STARTS, **RESPONSES), sizes=(20, 100, None))),
    ),
}


@pytest.mark.simulation
@pytest.mark.parametrize("name", PROPERTIES)
def test_no_call_lost_and_no_rule_broken(name: str) -> None:
    share, examples = PROPERTIES[name]
    check_examples(examples, simulate, share)


SCENARIOS = json.loads((Path(__file__).parent / "scenarios.json").read_text(encoding="utf-8"))
"""Each of these broke a rule once, or is what no example is likely to be."""


def run_of(
    changes: Iterable[tuple[Any, ...]] = (), stop: tuple[Any, ...] | None = None, **given: Any
) -> RunSpec:
    made = tuple(Change(*change) for change in changes)
    faults = tuple((number, fault) for number, fault in given.pop("faults", ()))
    return RunSpec(changes=made, stop=Stop(*stop) if stop else None, faults=faults, **given)


@pytest.mark.parametrize("name", SCENARIOS)
def test_named_scenario_breaks_no_rule(name: str) -> None:
    given: dict[str, Any] = {"runs": [{}], "streams": ["call_logs"], **SCENARIOS[name]}
    account = account_of(**given.pop("account"))
    runs = tuple(run_of(**run) for run in given.pop("runs"))
    simulate(Scenario(account, runs, tuple(given.pop("streams")), **given))
