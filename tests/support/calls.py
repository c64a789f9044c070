"""Calls of the sandbox: small histories, single calls, and whether a run brought them."""

import datetime as dt
from typing import Any

from tests.support.cli import Run
from zoho_voice_sandbox import History, Sandbox

FIRST, LAST = dt.date(2025, 6, 1), dt.date(2026, 2, 28)


def history(
    calls: int = 900, seed: int = 3, first: dt.date = FIRST, last: dt.date = LAST
) -> History:
    """Return a history whose calls ended before the test's clock starts."""
    return History(seed=seed, calls=calls, first=first, last=last)


def milliseconds(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


def call(box: Sandbox, logid: str, start: int, **fields: Any) -> dict[str, Any]:
    """Return a call log of a given start, in milliseconds since the epoch."""
    sample = next(iter(box.store.rows()), {"call_type": "outgoing", "duration": "00:05"})
    return {**sample, "logid": logid, "start_time": str(start), **fields}


def server_ids(box: Sandbox) -> set[str]:
    calls = box.store.select()
    return {box.store.logid(calls[place]) for place in range(len(calls))}


def assert_once(run: Run, expected: set[str]) -> None:
    """Check that each of these calls came out, and that none came out twice."""
    assert run.exit_code == 0, run.log
    assert len(run.ids) == len(set(run.ids))
    assert expected - set(run.ids) == set()
