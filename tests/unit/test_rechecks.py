"""Which files are requested once more, remembered by a single timestamp."""

import datetime as dt

import pytest

from tap_zohovoice.recordings.writer import Rechecks

LOOKBACK = dt.timedelta(days=3)
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def start(day: int) -> str:
    return f"2026-02-{day:02}T08:00:00.000000+00:00"


def run(before: str, *files: tuple[int, bool]) -> str:
    """Record files by the day of their call, and whether each is provisional."""
    rechecks = Rechecks(before, LOOKBACK)
    for day, is_provisional in files:
        rechecks.record(start(day), is_provisional=is_provisional)
    return rechecks.verified_until


def pending(verified_until: str, *days: int) -> list[int]:
    rechecks = Rechecks(verified_until, LOOKBACK)
    return [day for day in days if rechecks.may_grow(start(day), None)]


@pytest.mark.parametrize(
    ("before", "files", "due"),
    [
        ("", [(20, False), (21, False)], []),
        ("", [(20, True), (21, True)], [20, 21]),
        ("", [(20, False), (21, True)], [21]),
        (start(20), [(20, False), (21, False)], []),
        (start(21), [(20, True), (21, False)], [20, 21]),  # a file that came late
        (start(20), [(20, True)], [20, 21]),  # several files of one call
        (start(19), [(20, False), (20, True), (21, False)], [20, 21]),
        (start(22), [], []),
    ],
)
def test_files_behind_a_provisional_one_wait(
    before: str, files: list[tuple[int, bool]], due: list[int]
) -> None:
    assert pending(run(before, *files), 20, 21) == due


@pytest.mark.parametrize(("days", "is_early"), [(0, True), (2, True), (3, False), (400, False)])
def test_file_downloaded_late_is_final(days: int, *, is_early: bool) -> None:
    begun = (NOW - dt.timedelta(days=days)).isoformat(timespec="microseconds")
    assert Rechecks("", LOOKBACK).may_grow(begun, NOW) == is_early
    assert not Rechecks("", dt.timedelta(0)).may_grow(begun, NOW)
    assert not Rechecks("", dt.timedelta(0)).may_grow(begun, None)
