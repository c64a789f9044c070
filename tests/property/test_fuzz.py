"""Malformed responses and states: never a traceback, a hang or a wrong STATE."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from tap_zohovoice._time import format_epoch_ms
from tests.property.test_simulation import check_examples
from tests.support.bad_responses import ANY_JSON, BAD_RESPONSES, NASTY, BadResponse
from tests.support.calls import milliseconds
from tests.support.cli import NOW
from tests.support.scenarios import RunSpec, Scenario, prepared, simulate
from tests.support.simulated_account import DAY, SECOND, AccountSpec, Burst
from tests.support.simulated_api import SECRETS
from zoho_voice_sandbox import Dialect

ALL = ("call_logs", "recordings", "transcripts")
ACCOUNT = AccountSpec((Burst(9, 30, SECOND), Burst(50_000, 25, SECOND)), size=10, days=60)


def scenario(
    *faulty_runs: RunSpec, streams: tuple[str, ...] = ALL, account: AccountSpec = ACCOUNT
) -> Scenario:
    """Make a scenario whose last run has no trouble."""
    return Scenario(account, (*faulty_runs, RunSpec(gap=700)), streams=streams, fetches=True)


@pytest.mark.parametrize("name", NASTY)
def test_nasty_answer_is_error_or_plain_meaning(name: str) -> None:
    runs = [RunSpec(gap=700, faults=((number, NASTY[name]),)) for number in (1, 3)]
    simulate(scenario(*runs, streams=("call_logs",)))


@pytest.mark.simulation
@pytest.mark.parametrize("name", NASTY)
def test_nasty_answer_to_everything_ends_the_run(name: str) -> None:
    always = tuple((number, NASTY[name]) for number in range(1, 60))
    simulate(scenario(RunSpec(faults=always), RunSpec(token_faults=always)))


MOMENTS = st.one_of(st.integers(1, 6), st.integers(1, 90))


def faulty_runs(most: int) -> st.SearchStrategy[tuple[tuple[int, BadResponse], ...]]:
    fault = st.tuples(MOMENTS, BAD_RESPONSES)
    return st.lists(fault, max_size=most, unique_by=lambda fault: fault[0]).map(tuple)


RUNS = st.builds(
    RunSpec,
    gap=st.sampled_from((0.0, 700.0)),
    faults=faulty_runs(8),
    token_faults=st.one_of(st.just(()), faulty_runs(3)),
)
SCENARIOS = st.builds(
    lambda runs, streams, order: scenario(
        *runs, streams=streams, account=replace(ACCOUNT, dialect=Dialect(order=order))
    ),
    st.lists(RUNS, min_size=1, max_size=2),
    st.sampled_from((("call_logs",), ALL)),
    st.sampled_from(("newest", "oldest", "logid")),
)


@pytest.mark.simulation
def test_answers_in_any_words_cost_no_call() -> None:
    check_examples(SCENARIOS, simulate)


# What each of these texts means, and no other is one of them.
BOOKMARKS = {
    "2026-02-20": "2026-02-20T00:00:00.000000+00:00",
    "2026-02-20T05:30:00+05:30": "2026-02-20T00:00:00.000000+00:00",
    "2026-02-27T00:00:00Z": "2026-02-27T00:00:00.000000+00:00",
    "2026-02-27 00:00": "2026-02-27T00:00:00.000000+00:00",
    "1969-12-31T23:59:59Z": "1969-12-31T23:59:59.000000+00:00",
    "2030-01-01": "2030-01-01T00:00:00.000000+00:00",
    "9999-12-31T23:59:59Z": "9999-12-31T23:59:59.000000+00:00",
}
NO_MOMENTS: tuple[object, ...] = (
    *("", "soon", "0000-00-00", "2026-13-01", "1772300000000", 1772300000000, {}, [], True),
)
BOOKMARK = st.fixed_dictionaries(
    {},
    optional={
        "replication_key": st.sampled_from(("start_time", "start_time", "updated_at", None, 5)),
        "replication_key_value": st.sampled_from((*BOOKMARKS, *BOOKMARKS, None, *NO_MOMENTS)),
        "starting_replication_value": ANY_JSON,
        "replication_key_signpost": ANY_JSON,
        "progress_markers": ANY_JSON,
        "partitions": ANY_JSON,
        "version": ANY_JSON,
    },
)
NAMES = st.sampled_from(("call_logs", "call_logs", "recordings", "transcripts", "users", ""))
STATES = st.fixed_dictionaries(
    {"bookmarks": st.dictionaries(NAMES, BOOKMARK, max_size=3) | ANY_JSON},
    optional={
        "currently_syncing": ANY_JSON,
        "type": st.sampled_from(("STATE", "RECORD")),
        "value": st.fixed_dictionaries({"bookmarks": st.dictionaries(NAMES, BOOKMARK)}),
        "singer_state": ANY_JSON,
    },
)


def told(state: object) -> dict[str, Any]:
    """Return the bookmark of the call logs that a state tells, as far as it is one."""
    if isinstance(state, dict) and state.get("type") == "STATE" and "value" in state:
        state = state["value"]
    bookmarks = state.get("bookmarks") if isinstance(state, dict) else None
    bookmark = bookmarks.get("call_logs") if isinstance(bookmarks, dict) else None
    return bookmark if isinstance(bookmark, dict) else {}


# Texts of states, some of which are no JSON.
WRITTEN = (STATES | ANY_JSON).map(lambda state: json.dumps(state).encode())
CUT = st.builds(
    lambda text, cut: text[: len(text) * cut // 10], STATES.map(json.dumps), st.integers(1, 9)
)
CONTENTS = {"any words": WRITTEN, "no JSON": st.binary(max_size=50) | CUT.map(str.encode)}


@pytest.mark.simulation
@pytest.mark.parametrize("kind", CONTENTS)
def test_state_is_refused_or_means_what_it_says(kind: str) -> None:
    check_examples(CONTENTS[kind], check_state)


def check_state(content: bytes) -> None:
    try:
        state, is_json = json.loads(content), True
    except (ValueError, RecursionError):
        state, is_json = None, False
    with prepared(Scenario(ACCOUNT)) as run:
        path = run.folder / "given.json"
        path.write_bytes(content)
        code, log, messages = run.call_tap("--state", str(path))
    assert not any(word in log for word in ("Traceback", "Unexpected", *SECRETS)), log
    assert code in ({0, 1} if is_json else {1}), log
    if code:
        assert not messages
        assert run.api.requests == 0
        return
    bookmark = told(state)
    is_ours = bookmark.get("replication_key", "start_time") == "start_time"
    given = bookmark.get("replication_key_value") if is_ours else None
    assert given is None or given in BOOKMARKS, "it means nothing, and was taken for something"
    since = BOOKMARKS[given] if given else format_epoch_ms(ACCOUNT.start)
    present = format_epoch_ms(round(NOW * 1000))
    back = format_epoch_ms(max(milliseconds(min(since, present)) - 3 * DAY, ACCOUNT.start))
    out = {message["record"]["logid"] for message in messages if message["type"] == "RECORD"}
    assert {name for start, name, _ in run.account.calls if format_epoch_ms(start) >= back} <= out
    last = [message["value"] for message in messages if message["type"] == "STATE"][-1]
    moved = last["bookmarks"]["call_logs"]["replication_key_value"]
    # A bookmark of the future is lowered: the calls are read again.
    assert (since if since <= present else back) <= moved <= present
