"""Which files are requested together, and which once more."""

import datetime as dt
from collections import Counter
from pathlib import Path
from unittest.mock import Mock

import pytest

from tap_zohovoice._time import Clock
from tap_zohovoice.http.retry import ItemFailures
from tap_zohovoice.recordings.file_requests import MAX_BYTES, MAX_NAME_CHARS, FileRequests
from tap_zohovoice.recordings.storage import LocalStorage
from tap_zohovoice.recordings.writer import FileWriter, Rechecks

MEBI = 1024 * 1024
START = "2026-02-28T12:00:00.000000+00:00"
LOOKBACK = dt.timedelta(days=3)
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
Files = list[tuple[str, int | None]]


def groups_of(folder: Path, files: Files, max_mb: int = 200) -> list[tuple[list[str], list[str]]]:
    """Return the names of each group, and those of them that are requested together."""
    storage = LocalStorage(folder)
    results: Counter[str] = Counter()
    writer = FileWriter(storage, max_mb * MEBI, results, Clock())
    rechecks = Rechecks("", dt.timedelta(0))
    first, *downloads = (
        writer.prepare({"recording_filename": name, "start_time": START, "size": size}, rechecks)
        for name, size in [("first.wav", 1), *files]
    )
    requests = FileRequests(Mock(), writer, 10, ItemFailures())
    requests.download(first, {})  # which is requested alone
    return [
        ([download.name for download in group], names)
        for group, names in requests.iter_groups(downloads)
    ]


@pytest.mark.parametrize(
    ("name", "size", "max_mb", "expected"),
    [
        ("", None, 200, [5, 5, 2]),  # each may be as large as a file may be
        ("", None, 102, [10, 2]),
        ("", None, 600, [1] * 12),
        ("", 100 * MEBI, 200, [10, 2]),
        ("", 128 * MEBI, 200, [8, 4]),
        ("", MAX_BYTES, 2000, [1] * 12),
        ("x" * 1240, 1, 200, [8, 4]),
        ("☎" * 300, 1, 200, [3, 3, 3, 3]),
    ],
    ids=lambda value: str(value)[:9],
)
def test_group_fits_one_request_and_response(
    tmp_path: Path, name: str, size: int | None, max_mb: int, expected: list[int]
) -> None:
    groups = groups_of(tmp_path, [(f"{n}{name}.wav", size) for n in range(12)], max_mb)
    assert [len(names) for _, names in groups] == expected
    assert all(len(",".join(names)) <= MAX_NAME_CHARS for _, names in groups)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *[(name, 1) for name in ("two, names.wav", "a/b.wav", "a\\b.wav", "line\nbreak.wav")],
        *[(name, 1) for name in (" x.wav", "x.wav ", "\ud800")],
        ("big.wav", 201 * MEBI),
    ],
)
def test_odd_names_and_large_files_are_requested_alone(
    tmp_path: Path, name: str, size: int
) -> None:
    files: Files = [("1.wav", 1), (name, size), ("2.wav", 1)]
    sent = name.encode("utf-8", "backslashreplace").decode()
    assert groups_of(tmp_path, files) == [(["1.wav", sent, "2.wav"], ["1.wav", "2.wav"])]


def start(day: int) -> str:
    return f"2026-02-{day:02}T08:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("before", "files", "due"),  # files: day, and whether it is provisional
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
    rechecks = Rechecks(before, LOOKBACK)
    for day, is_provisional in files:
        rechecks.record(start(day), is_provisional=is_provisional)
    later = Rechecks(rechecks.verified_until, LOOKBACK)
    assert [day for day in (20, 21) if later.may_grow(start(day), None)] == due


@pytest.mark.parametrize(("days", "is_early"), [(0, True), (2, True), (3, False), (400, False)])
def test_file_downloaded_late_is_final(days: int, *, is_early: bool) -> None:
    begun = (NOW - dt.timedelta(days=days)).isoformat(timespec="microseconds")
    assert Rechecks("", LOOKBACK).may_grow(begun, NOW) == is_early
    assert not Rechecks("", dt.timedelta(0)).may_grow(begun, NOW)
    assert not Rechecks("", dt.timedelta(0)).may_grow(begun, None)
