"""Where a run continues after one that was stopped."""

import datetime as dt
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from tap_zohovoice.extract.results import CHECKPOINT, Checkpoint
from tap_zohovoice.extract.windows import DateWindow
from tap_zohovoice.http.retry import ItemFailures
from tap_zohovoice.streams.call_items import CallItemStream

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
LOOKBACK = dt.timedelta(days=3)
BOOKMARK = "2026-02-20T00:00:00.000000+00:00"
POSITION = "2026-02-21T08:00:00.000000+00:00"


def days(first: int, last: int) -> DateWindow:
    return DateWindow(dt.date(2026, 2, first), dt.date(2026, 2, last))


WRITTEN = Checkpoint(days(20, 26), {"missed": 3, "incoming": 4}, POSITION, True, 30)
NOT_BEGUN = replace(WRITTEN, call_types={}, emitted_until="")


@pytest.mark.parametrize(
    ("minutes", "changes", "expected"),  # since the stopped run, in its checkpoint
    [
        *[(minutes, {}, WRITTEN) for minutes in (-5, 0, 60)],
        *[(-6, {}, None), (0, {"replication_key_value": "2026-02-21"}, None)],
        # Calls that were younger than the lookback are read again.
        (61, {}, replace(NOT_BEGUN, window=days(20, 25))),
        (61, {"next_day": "2026-02-26"}, replace(NOT_BEGUN, window=days(25, 25))),
        (61, {"last_day": "2026-02-25"}, replace(NOT_BEGUN, window=days(20, 25))),
        (61, {"last_day": "2026-02-24"}, replace(WRITTEN, window=days(20, 24))),
        # Days of which nothing was emitted may take longer than a run has.
        (0, {"call_types": [], "emitted_until": ""}, replace(NOT_BEGUN, window=days(20, 23))),
        (0, {"call_types": []}, replace(WRITTEN, call_types={})),
        (0, {"emitted_until": ""}, replace(WRITTEN, emitted_until="")),
        (
            0,
            {"is_inclusive": "yes", "range_days": -1},
            replace(WRITTEN, is_inclusive=False, range_days=0),
        ),
        *[(0, {name: "soon"}, None) for name in ("next_day", "last_day", "range_days", "read_at")],
        *[(0, {name: 7}, None) for name in ("next_day", "last_day", "read_at")],
        *[(0, {"call_types": wrong}, None) for wrong in (None, 5, ["missed"], [["missed", "x"]])],
        *[(0, {"read_at": None}, None), (0, {"read_at": "0001-01-01"}, None)],
    ],
)
def test_run_continues_at_the_checkpoint(
    minutes: int, changes: dict[str, Any], expected: Checkpoint | None
) -> None:
    read_at = NOW - dt.timedelta(minutes=minutes)
    found = {**WRITTEN.to_state(BOOKMARK, read_at), "emitted_until": POSITION, **changes}
    state = {"replication_key_value": BOOKMARK, "checkpoint": found}
    assert Checkpoint.from_state(state, NOW, LOOKBACK) == expected


@pytest.mark.parametrize("state", [{}, {"checkpoint": None}, {"checkpoint": {}}])
def test_run_without_a_checkpoint_reads_the_lookback(state: dict[str, Any]) -> None:
    assert Checkpoint.from_state(state, NOW, LOOKBACK) is None


@pytest.mark.parametrize(
    ("hour", "expected"),  # on February 27; a day may be over everywhere 12 hours later
    [(12, WRITTEN), (11, replace(NOT_BEGUN, window=days(20, 26)))],
)
def test_checkpoint_is_limited_to_days_that_are_over(hour: int, expected: Checkpoint) -> None:
    assert WRITTEN.limited(dt.datetime(2026, 2, 27, hour, tzinfo=dt.UTC)) == expected


def test_outage_keeps_the_checkpoint_before_its_items() -> None:
    stream, state = Mock(failures=ItemFailures()), {CHECKPOINT: WRITTEN}
    stream.failures.outages = 1
    CallItemStream.set_checkpoint(stream, NOT_BEGUN, state)
    assert state == {CHECKPOINT: WRITTEN}
