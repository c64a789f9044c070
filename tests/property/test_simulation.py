"""The whole tap in virtual time: whatever happens, no call is lost and no rule is broken."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fake_server import (
    EXACT,
    NONE,
    SECOND,
    Burst,
    Change,
    Dialect,
    Scene,
    bursts,
    dialects,
    rows_of,
)
from tests.support.scenarios import Life, Plan, Story, run_once, simulate
from tests.support.simulated_api import Stop, keys_of
from tests.unit.test_windows import ANY, is_knowable
from zoho_voice_sandbox import Dialect as Manners

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Simulate = Callable[[Story], None]

# A life of several runs costs more than one reading of the model.
EXAMPLES = {"default": 250, "nightly": 12_500}[os.environ.get("HYPOTHESIS_PROFILE", "default")]
"""Examples of each property that has its full share; four of them are lives of an account."""


def simulated(share: float = 1.0) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a property be tried as often as the profile says, by `make simulate` alone.

    Args:
        share: Share of the examples that it can have, since each takes its time.
    """
    health = [
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ]
    examples = settings(max_examples=round(share * EXAMPLES), suppress_health_check=health)

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        marked: Callable[..., None] = pytest.mark.simulation(examples(test))
        return marked

    return mark


@pytest.fixture
def live(tmp_path: Path, state_home: Path) -> Simulate:
    """Live through a story."""
    del state_home  # it is where runs share what they counted
    return lambda story: simulate(story, tmp_path / "life")


PLAIN = dialects(
    totals=EXACT,
    max_days=NONE,
    max_size=NONE,
    max_offset=NONE,
    future=st.just(True),
    off=st.just(1),
)
GAPS = st.one_of(st.just(0.0), st.floats(0, 90), st.sampled_from((700.0, 3600.0, 86_400.0, 5e5)))
MANNERS = st.builds(
    Manners,
    throttle=st.sampled_from(
        (
            "429",
            "400_url_rolling",
            "200_url_rolling",
            "400_cliq",
            "200_people",
            "503_text",
            "429_empty",
            "400_minutes",
        )
    ),
    retry_after=st.booleans(),
    token_refused=st.sampled_from(("401_plain", "401_projects", "401_crm", "400_zvt", "200_crm")),
    rows_form=st.sampled_from(("list", "list", "missing", "null", "body", "no_content")),
    status_value=st.sampled_from(("200", "SUCCESS", "success")),
    token_ttl_seconds=st.sampled_from((3600.0, 3600.0, 300.0)),
    token_field=st.sampled_from(("expires_in", "expires_in_sec")),
)
CHANGES = st.lists(
    st.builds(
        Change,
        after=st.integers(0, 25),
        kind=st.sampled_from(("arrive", "late", "future", "delete")),
        place=st.one_of(st.integers(0, 20), st.integers(0, 5000)),
        count=st.integers(1, 5),
    ),
    max_size=4,
).map(tuple)
FAULTS = (
    "500",
    "502_html",
    "503_retry_after:40",
    "cut",
    "timeout",
    "unreachable",
    "truncated",
    "html",
    "error_200",
    "array",
    "renamed",
    "nan",
    "token",
    "lock",
    "redirect",
    "nothing",
)
TOKEN_FAULTS = ("500", "502_html", "html", "cut", "timeout", "unreachable", "denied", "truncated")
STOPS = st.one_of(
    st.none(),
    st.builds(
        Stop,
        how=st.sampled_from(("kill", "term")),
        where=st.sampled_from(("request", "sleep", "write")),
        number=st.one_of(st.integers(1, 8), st.integers(1, 80)),
        share=st.floats(0, 1),
    ),
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
) -> st.SearchStrategy[tuple[Plan, ...]]:
    """Make up runs, the last one without trouble."""
    troubled = st.builds(
        Plan,
        gap=GAPS,
        changes=changes,
        faults=faults(most_faults),
        token_faults=st.one_of(st.just(()), faults(2, TOKEN_FAULTS)),
        stop=STOPS,
        back=st.sampled_from((0.0, 0.0, 0.0, 200.0)),
    )
    last = st.builds(Plan, gap=st.sampled_from((700.0, 90_000.0)), changes=changes)
    return st.builds(
        lambda before, end: (*before, end), st.lists(troubled, min_size=0, max_size=most), last
    )


def scenes(
    dialect: st.SearchStrategy[Dialect], sizes: tuple[int, ...] = (2, 5, 20, 50, 100, 200)
) -> st.SearchStrategy[Scene]:
    def of(size: int) -> st.SearchStrategy[Scene]:
        return st.builds(
            Scene,
            bursts=bursts(min(8 * size, 400)),
            dialect=dialect,
            size=st.just(size),
            days=st.sampled_from((0, 1, 2, 3, 30, 400, 3000)),
            end_minutes=st.one_of(st.none(), st.none(), st.integers(0, 10_000)),
            kinds=st.integers(1, 5),
        )

    return st.sampled_from(sizes).flatmap(of).map(cheap)


def cheap(scene: Scene) -> Scene:
    """Ask for fewer days where the server takes few at a time."""
    most = scene.dialect.max_days
    return scene if most is None else replace(scene, days=min(scene.days, 12 * most))


def is_fair(story: Story) -> bool:
    """Tell whether the settings fit.

    Without a lookback, a clock that is ahead may take the bookmark ahead of calls that come out of
    order: a phone's clock is ahead too, or rows are in no order of time.
    """
    phones = any(change.kind == "future" for plan in story.runs for change in plan.changes)
    is_orderly = story.scene.dialect.order != "id" and not phones
    is_safe = story.ahead <= 0 or story.lookback > 0 or is_orderly
    return is_safe and story.scene.start <= story.scene.end


def is_readable(scene: Scene) -> bool:
    """Tell whether a page of that size is ever answered."""
    dialect = scene.dialect
    return dialect.offset_over in {"refuse", "cut"} or scene.size <= (
        dialect.max_offset or scene.size
    )


CLOCKS = st.sampled_from((0.0, 0.0, -600.0, -170.0, 170.0, 600.0))
MINUTES = st.one_of(st.just(0), st.integers(0, 1440))
LATENCIES = st.sampled_from((0.0, 0.2, 0.2, 3.0, 50.0))


CALLS = st.builds(
    Story,
    scene=scenes(PLAIN),
    runs=runs(CHANGES),
    lookback=st.integers(0, 4),
    call_type=st.sampled_from((None, None, None, "missed")),
    calls=st.sampled_from((5, 30, 30)),
    latency=LATENCIES,
    ahead=CLOCKS,
    minutes=MINUTES,
    manners=MANNERS,
).filter(is_fair)


DENSE = Burst(1440 + 300, 30_000, 1000)
# Each of these broke a rule once, or is what no example is likely to be.
STORIES: dict[str, Story] = {
    "an offset fails although the rows end before it": Story(
        Scene(
            (Burst(341, 44, 0), Burst(1725, 193, SECOND)),
            Dialect(
                order="oldest",
                inclusive=False,
                max_offset=100,
                offset_over="fail",
                totals="capped",
                off=60,
            ),
            size=50,
            days=1,
            kinds=2,
        ),
        lookback=0,
    ),
    "a row vanishes and another comes behind, while paging goes back": Story(
        Scene(
            (Burst(0, 27, 0), Burst(1, 59, 0)),
            Dialect(order="id", inclusive=False, counts_size=False),
            size=5,
            days=1,
            kinds=1,
        ),
        runs=(
            Plan(
                changes=(
                    Change(0, "arrive", 0, 4),
                    Change(22, "delete", 0, 2),
                    Change(23, "arrive", 0, 2),
                )
            ),
            Plan(gap=700),
        ),
        lookback=0,
        latency=0.0,
    ),
    "files that few old calls name to a filter alone, after a kill": Story(
        Scene((Burst(14_400, 40, SECOND), Burst(9, 120, SECOND)), size=100),
        runs=(Plan(stop=Stop("kill", "request", 4)), Plan(gap=700)),
        streams=("call_logs", "recordings"),
        media="filtered",
        lookback=1,
    ),
    "files of today that only a filter names, where `toDate` is exclusive": Story(
        Scene((Burst(1, 81, 0),), Dialect(inclusive=False), size=20, days=1),
        runs=(Plan(gap=700),),
        streams=("call_logs", "recordings"),
        media="filtered",
        lookback=0,
    ),
    "days of 30,000 calls, and a kill": Story(
        Scene((DENSE,), Dialect(max_offset=10_000), size=200),
        runs=(Plan(stop=Stop("kill", "write", 20_000)), Plan()),
    ),
    "many calls in one millisecond, and a kill": Story(
        Scene((Burst(9, 900, 0),), size=100),
        runs=(Plan(stop=Stop("kill", "write", 450)), Plan()),
        lookback=0,
    ),
    "silences of years": Story(
        Scene(tuple(Burst(365 * 1440 * years, 30, SECOND) for years in range(1, 9)), days=3500),
        runs=(Plan(stop=Stop("term", "request", 1)), Plan(), Plan(gap=400 * 86_400)),
    ),
    "silence, read by a clock that is ahead, and then a call": Story(
        Scene(days=3),
        runs=(Plan(), Plan(gap=60, changes=(Change(0, "arrive", 0, 1),)), Plan(gap=700)),
        lookback=0,
        ahead=600.0,
    ),
    "a limit of its own for each run without the file": Story(
        Scene((Burst(9, 60, SECOND),), size=2),
        runs=(Plan(stop=Stop("kill", "sleep", 20)), Plan(faults=((9, "lock"),)), Plan()),
        calls=3,
        latency=50.0,
        shares=False,
    ),
    "a lock that is met, a kill, and a lock that is not over": Story(
        Scene((Burst(9, 60, SECOND),), size=5),
        runs=(Plan(faults=((4, "lock"),), stop=Stop("kill", "lock", 1)), Plan(gap=5), Plan()),
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_named(live: Simulate, name: str) -> None:
    live(STORIES[name])


def test_files_that_too_few_calls_name_are_found_once_there_are_more(
    tmp_path: Path, state_home: Path
) -> None:
    del state_home
    scene = Scene((Burst(20_000, 40, SECOND),), size=20)
    (tmp_path / "life").mkdir()
    story = Story(scene, streams=("call_logs", "recordings"), media="filtered", lookback=0)
    life = Life(story, tmp_path / "life")
    _, _, messages = run_once(life)
    last = [message["value"] for message in messages if message["type"] == "STATE"][-1]
    (tmp_path / "state.json").write_text(json.dumps(last))
    for number in range(60):
        life.account.add(scene.end - number * 1000)
    _, _, messages = run_once(life, "--state", str(tmp_path / "state.json"))
    rows = [message for message in messages if message.get("stream") == "recordings"]
    out = {row["record"]["recording_filename"] for row in rows if row["type"] == "RECORD"}
    named = [keys_of(row[1], "recordings", "filtered") for row in life.account.rows]
    assert out == {name for names in named for name in names}


@simulated()
@given(CALLS)
def test_nothing_is_lost_through_faults_locks_and_kills_while_calls_come_and_go(
    live: Simulate, story: Story
) -> None:
    live(story)


SERVERS = st.builds(
    Story,
    scene=scenes(ANY).filter(is_knowable).filter(is_readable),
    runs=runs(st.just(()), most_faults=2),
    lookback=st.integers(0, 4),
    latency=LATENCIES,
    ahead=CLOCKS,
    minutes=MINUTES,
    manners=MANNERS,
).filter(is_fair)


@simulated()
@given(SERVERS)
def test_nothing_is_lost_on_any_server_through_faults_locks_and_kills(
    live: Simulate, story: Story
) -> None:
    live(story)


def recent(
    count: st.SearchStrategy[int], gap: st.SearchStrategy[int]
) -> st.SearchStrategy[tuple[Burst, ...]]:
    """Make up one burst or two of the last days."""
    burst = st.builds(Burst, minutes_ago=st.integers(0, 4000), count=count, gap=gap)
    return st.lists(burst, min_size=1, max_size=2).map(tuple)


CROWDS = st.builds(
    Story,
    scene=st.builds(
        Scene,
        bursts=recent(
            st.sampled_from((1_000, 9_000, 30_000)),
            st.sampled_from((0, 1, 100, SECOND, 2 * SECOND)),
        ),
        dialect=dialects(
            totals=EXACT,
            max_days=NONE,
            max_size=NONE,
            max_offset=st.sampled_from((None, 5_000, 10_000)),
            future=st.booleans(),
            off=st.just(1),
        ),
        size=st.just(200),
        days=st.sampled_from((7, 400)),
    ),
    runs=runs(CHANGES, most_faults=2, most=1),
)


@simulated(share=0.04)
@given(CROWDS)
def test_nothing_is_lost_on_days_of_thirty_thousand_calls(live: Simulate, story: Story) -> None:
    live(story)


def is_found(story: Story) -> bool:
    """Tell whether there are calls enough to look for files that no call names by itself."""
    scene = story.scene
    rows = rows_of(scene.bursts, scene.kinds)
    return story.media != "filtered" or sum(scene.start <= row[0] < scene.end for row in rows) > 80


STREAMS = st.sampled_from(
    (
        ("call_logs", "recordings"),
        ("call_logs", "recordings"),
        ("call_logs", "recordings", "transcripts"),
        ("recordings",),
        ("transcripts",),
        ("recordings", "transcripts"),
    )
)


NAMED = st.builds(
    Story,
    scene=scenes(PLAIN, sizes=(5, 20, 50)),
    runs=runs(CHANGES, most_faults=3),
    streams=STREAMS,
    media=st.sampled_from(("none", "told", "told", "filtered")),
    lookback=st.integers(0, 4),
    fetches=st.booleans(),
    calls=st.sampled_from((10, 30)),
    latency=LATENCIES,
    ahead=CLOCKS,
    minutes=MINUTES,
    manners=MANNERS,
).filter(lambda story: is_fair(story) and is_found(story))


@simulated()
@given(NAMED)
def test_no_stream_loses_what_calls_name(live: Simulate, story: Story) -> None:
    live(story)


LIMITS = st.builds(
    Story,
    scene=st.builds(
        Scene,
        bursts=recent(st.integers(5, 25), st.sampled_from((0, SECOND))),
        size=st.sampled_from((2, 3, 5)),
        days=st.sampled_from((2, 30)),
    ),
    runs=st.lists(
        st.builds(
            Plan,
            gap=st.sampled_from((0.0, 0.0, 1.0, 30.0, 59.9)),
            faults=faults(3, ("lock", "timeout", "cut", "token", "500", "unreachable")),
            stop=STOPS,
            back=st.sampled_from((0.0, 0.0, 50.0, 4000.0)),
        ),
        min_size=2,
        max_size=4,
    ).map(lambda plans: (*plans, Plan())),
    lookback=st.just(3),
    calls=st.sampled_from((2, 3, 5, 10)),
    latency=st.sampled_from((0.0, 0.2, 3.0, 50.0, 59.0)),
    ahead=CLOCKS,
    manners=MANNERS,
    shares=st.sampled_from((True, True, False)),
)


@simulated()
@given(LIMITS)
def test_the_limit_is_kept_and_no_lock_is_touched_from_run_to_run(
    live: Simulate, story: Story
) -> None:
    live(story)
