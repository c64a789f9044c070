"""Several files in one request, against each form of response to it."""

import errno
import io
import json
import re
import signal
import subprocess
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import StorageError
from tap_zohovoice.recordings.storage import LocalStorage
from tests.integration.test_recordings import (
    BEFORE,
    Downloads,
    assert_stored,
    bookmarks,
    errors,
    named,
    program,
    with_file,
)
from tests.support.calls import history
from tests.support.catalog import selecting
from tests.support.cli import NOW, FakeClock, Run, RunTap
from tests.support.folders import files
from zoho_voice_sandbox import Dialect, Sandbox
from zoho_voice_sandbox.audio_fixtures import duration, wav_size

AUDIO = b"RIFF\0\0\0\0WAVE"
# A first file alone, and ten in each of the next requests; some count on one file a request.
REQUESTS = {
    "zip": 1 + 8,
    "zip_folders": 1 + 8,
    "zip_missing": 1 + 8 + 8,
    "zip_doubled": 1 + 8 + 8,
    "zip_broken": 1 + 8 + 8,
    "zip_bomb": 1 + 8 + 8,
    "zip_lying": 1 + 8 + 8,
    "zip_encrypted": 1 + 2 + 79,
    "zip_cut": 1 + 2 + 79,
    "first": 1 + 1 + 79,
    "refuse": 1 + 1 + 79,
    "html": 1 + 1 + 79,
}
STOPPED = {
    "zip_encrypted": "most of the files are missing in the archive",
    "zip_cut": "the archive is incomplete",
    "first": "no archive in the response",
    "refuse": "HTTP 400, ZVT015",
    "html": "HTTP 200, no archive in the response",
}


def server(clock: FakeClock, count: int, form: Any = "zip", **habits: Any) -> Sandbox:
    """Return an account with so many recordings, named `001.wav` and so on."""
    dialect = Dialect(several_files=form, bomb_mb=2, **habits)
    box = Sandbox(history=None, dialect=dialect, clock=clock)
    for number in range(1, count + 1):
        add_file(box, number, f"{number:03}.wav")
    return box


def add_file(box: Sandbox, number: float, name: str) -> None:
    size = wav_size(duration(name))
    start = round(BEFORE + number * 10)
    with_file(box, f"call-{number:03}", name, start, recording_size_in_bytes=size)


@pytest.fixture
def calls(run_tap: RunTap, clock: FakeClock, tmp_path: Path) -> Downloads:
    # The sandbox's bombs exceed this limit on the size of a file.
    own = {"start_date": "2026-01-01", "recordings_max_mb": 1}
    return Downloads(run_tap, clock, tmp_path / "deep" / "calls", own)


def requested(box: Sandbox) -> list[int]:
    """Return the number of files in each request."""
    return [len(params["recording_filename"].split(",")) for _, params, _ in box.stats.files.log]


def lines(run: Run, text: str) -> list[str]:
    return [line for line in run.log.splitlines() if text in line]


def plain(run: Run) -> list[dict[str, Any]]:
    """Return the records without what two runs cannot have in common: folder and time."""
    rows = run.rows("recordings")
    return [
        {
            **row,
            "downloaded_at": bool(row["downloaded_at"]),
            "uri": (row["uri"] or "").partition("/2026/")[2],
        }
        for row in rows
    ]


@pytest.mark.parametrize("form", REQUESTS)
def test_requests_for_eighty_files(calls: Downloads, form: str) -> None:
    with server(calls.clock, 80, form) as box:
        run = calls.download(box)
        names = [row["recording_filename"] for row in run.rows("recordings")]
        assert names == sorted(named(box))
        assert box.stats.files.requests == REQUESTS[form]
        assert (box.stats.files.violations, box.stats.files.locked_calls) == (0, 0)
        assert {params.get("mode") for _, params, _ in box.stats.files.log} == {"play"}
    assert len(lines(run, "Requesting up to 10 files at once")) == form.startswith("zip") - (
        form == "zip_cut"
    )
    stops = lines(run, "Requesting one file at a time")
    assert [STOPPED[form] in line for line in stops] == [True] * (form in STOPPED)
    assert ".wav" not in run.log


@pytest.fixture(scope="module")
def single_runs() -> dict[str, tuple[Run, Run]]:
    """Keep the runs of one file a request, by how logs declare sizes."""
    return {}


@pytest.mark.parametrize(
    ("form", "size"),
    [
        *((form, "exact") for form in REQUESTS),
        *((form, size) for form in ("zip", "zip_missing") for size in ("absent", "text", "wrong")),
    ],
)
def test_records_and_state_are_those_of_single_requests(
    calls: Downloads, single_runs: dict[str, tuple[Run, Run]], form: str, size: Any
) -> None:
    def read(number: int) -> tuple[Run, Run]:
        # Servers that leave out what is missing answer with an archive all the same.
        with server(calls.clock, 25, form, file_size=size, file_length="chunked") as box:
            for missing in (4, 15):
                box.audio.drop(f"{missing:03}.wav")
            box.audio.put("005.wav", b"<html><body>Gone</body></html>")
            box.audio.put("006.wav", AUDIO + bytes(1024 * 1024))
            box.audio.put("017.wav", b"")
            add_file(box, 7.5, "one, two.wav")
            add_file(box, 16.5, "../three.wav")
            calls.folder = calls.folder.parent / str(number)
            calls.clock.time = NOW  # up to which the state of a kind without files goes
            first = calls.run(box, recordings_per_request=number)
            calls.clock.time = NOW + 36_000
            box.audio.put("004.wav", AUDIO + bytes(50))
            box.audio.put("008.wav", AUDIO + bytes(51))
            second = calls.run(box, recordings_per_request=number, state=first.state)
            assert len({path.name for path in files(calls.folder)}) == 23
        return first, second

    if size not in single_runs:  # which do not depend on the form of archives
        single_runs[size] = read(1)
    first, second = read(10)
    for single, several in zip(single_runs[size], (first, second), strict=True):
        assert several.exit_code == 0
        assert plain(several) == plain(single)
        assert several.state == single.state
    assert [bool(row["error"]) for row in first.rows("recordings")].count(True) == 5
    assert len(errors(second)) == 4


@pytest.mark.parametrize("size", ["exact", "absent"])
@pytest.mark.parametrize("form", ["zip_bomb", "zip_lying"])
def test_entry_that_is_larger_than_its_file_is_not_used(
    calls: Downloads, form: Any, size: Any
) -> None:
    with server(calls.clock, 11, form, file_size=size) as box:
        calls.download(box, recordings_max_mb=100)
        assert requested(box) == [1, 10, 1]


@pytest.mark.parametrize(("size", "expected"), [(8_044 * 2, [1, 1]), (12_345, [1, 1]), (None, [1])])
def test_entry_of_another_size_than_its_log_says_is_not_used(
    calls: Downloads, size: int | None, expected: list[int]
) -> None:
    with server(calls.clock, 10) as box:
        content = AUDIO + bytes(8_000)
        box.audio.put("odd.wav", content)
        with_file(box, "odd", "odd.wav", BEFORE + 999, recording_size_in_bytes=len(content))
        names = [f"{number:03}.wav" for number in range(2, 11)]
        entries = {name: name for name in names}
        box.audio.put("other", AUDIO + bytes(size - 12) if size else content)
        box.audio.put(",".join([*names, "odd.wav"]), zipped({**entries, "odd.wav": "other"}, box))
        calls.download(box)
        assert requested(box) == [1, 10, *expected[1:]]


@pytest.mark.parametrize(
    ("count", "number", "expected"),
    [
        *[(1, 10, [1]), (2, 10, [1, 1]), (3, 10, [1, 2]), (4, 10, [1, 3])],
        *[(23, 1, [1] * 23), (23, 2, [1, *[2] * 11]), (23, 4, [1, *[4] * 5, 2])],
        (23, 10, [1, 10, 10, 2]),
    ],
)
def test_setting_limits_the_files_of_a_request(
    calls: Downloads, count: int, number: int, expected: list[int]
) -> None:
    with server(calls.clock, count) as box:
        run = calls.download(box, recordings_per_request=number)
        assert requested(box) == expected
    assert bool(lines(run, "Requesting")) == (number > 1 and count > 2)


def test_stored_files_are_not_requested_again(calls: Downloads) -> None:
    with server(calls.clock, 30) as box:
        first = calls.run(box)
        removed = sorted(files(calls.folder))[::3]
        for path in removed:
            path.unlink()
        box.stats.files.log.clear()
        calls.download(box, state=first.state)
        names = [params["recording_filename"] for _, params, _ in box.stats.files.log]
        assert ",".join(names).split(",") == [path.name for path in removed]
        assert requested(box) == [1, 9]


@pytest.mark.parametrize("mode", ["any", "none"])
def test_mode_is_settled_before_several_files_are_requested(calls: Downloads, mode: Any) -> None:
    with server(calls.clock, 21, file_mode=mode) as box:
        calls.download(box)
        assert requested(box) == [1] * (mode == "none") + [1, 10, 10]


@pytest.mark.parametrize("words", [b"bit rate 64 kbit", b"30 requests per minute"])
def test_words_in_a_file_are_no_error(calls: Downloads, words: bytes) -> None:
    with server(calls.clock, 4, "first") as box:
        for number in (2, 3, 4):
            box.audio.put(f"{number:03}.wav", b"ID3\x03\0" + words + bytes(wav_size(2)))
        run = calls.run(box)
        assert (run.exit_code, requested(box)) == (0, [1, 3, 1, 1, 1])
    assert lines(run, "Requesting one file at a time: HTTP 200, no archive in the response")
    assert max(calls.clock.slept, default=0) < 61  # no lock; proofs wait for the limit


@pytest.mark.parametrize("form", ["refuse", "first", "html"])
def test_refusal_after_an_archive_concerns_its_files_alone(calls: Downloads, form: Any) -> None:
    with server(calls.clock, 61) as box:

        def change(number: int) -> None:
            refused = number in {3, 15}
            box.dialect = replace(box.dialect, several_files=form if refused else "zip")

        box.before_file = change
        run = calls.download(box)
        assert requested(box) == [1, 10, 10, *[1] * 10, 10, 10, *[1] * 10, 10, 10]
    assert len(lines(run, "Requesting the files of a failed request one by one")) == 1
    assert lines(run, "one file at a time") == []


def test_refusals_in_a_row_end_requests_for_several(calls: Downloads) -> None:
    with server(calls.clock, 61) as box:

        def change(number: int) -> None:
            box.dialect = replace(box.dialect, several_files="zip" if number < 3 else "refuse")

        box.before_file = change
        run = calls.download(box)
        assert requested(box) == [1, 10, 10, *[1] * 10, 10, *[1] * 10, 10, *[1] * 30]
    assert len(lines(run, "one file at a time: HTTP 400")) == 1


def test_missing_file_that_fails_a_whole_request_costs_its_group_alone(calls: Downloads) -> None:
    with server(calls.clock, 31) as box:
        box.audio.drop("015.wav")
        run = calls.run(box)
        assert errors(run) == ['HTTP 404, "File not found"']
        assert requested(box) == [1, 10, 10, *[1] * 10, 10]
        assert len(files(calls.folder)) == 30


@pytest.mark.parametrize(("cut", "expected"), [({2}, [1, 10, 10, 10]), ({3}, [1, 10, 10, 10])])
def test_archive_that_is_cut_off_once_is_requested_again(
    calls: Downloads, cut: set[int], expected: list[int]
) -> None:
    with server(calls.clock, 21) as box:

        def change(number: int) -> None:
            box.dialect = replace(box.dialect, several_files="zip_cut" if number in cut else "zip")

        box.before_file = change
        calls.download(box)
        assert requested(box) == expected


def test_archive_that_is_cut_off_twice_after_others_costs_its_group_alone(calls: Downloads) -> None:
    with server(calls.clock, 41) as box:
        box.file_faults.update({3: "cut_body", 4: "cut_body"})
        run = calls.download(box)
        assert requested(box) == [1, 10, 10, 10, *[1] * 10, 10, 10]
    assert len(lines(run, "one by one: the file is incomplete")) == 1


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    "fault",
    [
        "500", "502_html", "503_retry_after", "cut", "cut_body", "truncated", "error_200", "lock",
        "token", "slow", "drip:5",
    ],
)  # fmt: skip
def test_passing_fault_costs_one_request(calls: Downloads, fault: str, number: int) -> None:
    with server(calls.clock, 31) as box:
        box.file_faults[number] = fault
        run = calls.download(box)
        assert box.stats.files.requests == 4 + (fault not in {"slow", "drip:5"})
        assert box.stats.files.violations == box.stats.files.locked_calls == 0
        assert bookmarks(run)["recording"] == run.rows("recordings")[-1]["start_time"]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (2, [1, 10, 10, *[1] * 40]),  # nothing came yet that speaks for several files
        (3, [1, 10, 10, 10, *[1] * 10, 10, 10]),
    ],
)
@pytest.mark.parametrize("fault", ["500", "cut"])
def test_request_that_fails_twice(
    calls: Downloads, fault: str, first: int, expected: list[int]
) -> None:
    with server(calls.clock, 41) as box:
        box.file_faults.update({first: fault, first + 1: fault})
        calls.download(box)
        assert requested(box) == expected


def test_outage_of_several_groups_ends_requests_for_several(calls: Downloads) -> None:
    with server(calls.clock, 61) as box:
        box.file_faults.update(dict.fromkeys((3, 4, 15, 16, 27, 28), "cut"))
        calls.download(box)
        assert requested(box) == [1, 10, *[10, 10, *[1] * 10] * 3, *[1] * 20]


@pytest.mark.parametrize("fault", ["cut", "502_html"])
def test_outage_keeps_bookmark_before_files(calls: Downloads, fault: str) -> None:
    with server(calls.clock, 80) as box:
        box.file_faults.update(dict.fromkeys(range(4, 10_000), fault))
        run = calls.run(box)
        rows = run.rows("recordings")
        assert [row["error"] is None for row in rows] == [True] * 21 + [False] * 59
        assert bookmarks(run)["recording"] == rows[20]["start_time"]
        # Two for several, three for each of three files, and one for each of the others.
        assert box.stats.files.requests == 3 + 2 + 3 * 3 + 56
        box.file_faults.clear()
        resumed = calls.run(box, state=run.state)
        assert errors(resumed) == []
        assert_stored(resumed, box, calls.folder)


def test_endless_lockout_stops_after_call_logs(calls: Downloads) -> None:
    with server(calls.clock, 40) as box:
        box.file_faults.update(dict.fromkeys(range(2, 100), "lock"))
        run = calls.run(box)
        assert run.exit_code == 1
        assert len(run.ids) == 40
        assert "the lockout lasts too long" in run.log
        assert requested(box) == [1, 10, 10, 1, 1]
        assert box.stats.files.locked_calls == 0


@pytest.mark.parametrize(
    ("words", "waits"), [("limit exceeded: too many names", 1), ("request limit exceeded", 2)]
)
def test_refusal_in_the_words_of_a_lockout_is_waited_out(
    calls: Downloads, words: str, waits: int
) -> None:
    body = {"code": "400", "message": words, "status": "ERROR"}
    with server(calls.clock, 31) as box:
        for first in (2, 12, 22):
            joined = ",".join(f"{number:03}.wav" for number in range(first, first + 10))
            box.audio.put(joined, json.dumps(body).encode())
        calls.download(box)
        assert requested(box) == [1, 10, 10, *[1] * 30]
    assert len([seconds for seconds in calls.clock.slept if seconds > 500]) == waits


@pytest.mark.parametrize("fault", ["token", "html", "redirect", "array"])
def test_other_failures_lose_no_file(calls: Downloads, fault: str) -> None:
    with server(calls.clock, 31) as box:
        box.file_faults.update({3: fault, **({4: fault} if fault == "token" else {})})
        calls.download(box)
        asked = [1, 10, 10, *([10, 1] if fault == "token" else []), *[1] * 10, 10]
        assert requested(box) == asked


HOSTILE = ["../../{}", "/etc/{}", "C:\\x\\{}", "..\\{}", "calls/../../{}"]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_stay_in_folder(calls: Downloads, path: str) -> None:
    with server(calls.clock, 5) as box:
        names = [f"{number:03}.wav" for number in range(2, 6)]
        box.audio.put(",".join(names), zipped({path.format(name): name for name in names}, box))
        calls.download(box)
        assert requested(box) == [1, 4]
        assert files(calls.folder.parent) == {
            calls.folder / "2026/02/28" / n for n in ["001.wav", *names]
        }


def zipped(entries: dict[str, str], box: Sandbox) -> bytes:
    """Return an archive of entries with the contents of the sandbox's files."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for path, name in entries.items():
            archive.writestr(path, box.audio.read(name) or b"")
    return buffer.getvalue()


@pytest.mark.parametrize("length", ["content_length", "chunked"])
@pytest.mark.parametrize(("size", "expected"), [(4, [1, 4]), (6, [1, 4, 1, 1, 1, 1])])
def test_archive_is_bounded(calls: Downloads, length: Any, size: int, expected: list[int]) -> None:
    # Four files of up to a megabyte each, and a megabyte for the rest of the archive.
    with server(calls.clock, 5, file_length=length) as box:
        names = [f"{number:03}.wav" for number in range(2, 6)]
        padding = bytes(size * 1024 * 1024)
        box.audio.put("padding", padding)
        entries = {"padding.bin": "padding", **{name: name for name in names}}
        box.audio.put(",".join(names), zipped(entries, box))
        run = calls.download(box)
        assert requested(box) == expected
    stops = lines(run, "Requesting one file at a time: the archive exceeds the size limit")
    assert len(stops) == (size == 6)


def test_archive_may_follow_a_marker(calls: Downloads) -> None:
    with server(calls.clock, 11) as box:
        names = [f"{number:03}.wav" for number in range(2, 12)]
        archive = zipped({name: name for name in names}, box)
        box.audio.put(",".join(names), b"PK\x07\x08" + archive)
        calls.download(box)
        assert requested(box) == [1, 10]


def test_empty_archives_end_requests_for_several(calls: Downloads) -> None:
    with server(calls.clock, 31) as box:
        for first in (2, 12, 22):
            joined = ",".join(f"{number:03}.wav" for number in range(first, first + 10))
            box.audio.put(joined, zipped({}, box))
        calls.download(box)
        assert requested(box) == [1, 10, *[1] * 10, 10, *[1] * 20]


def test_archive_that_does_not_fit_the_disk_means_one_file_at_a_time(
    calls: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_storage: LocalStorage) -> None:
        message = "recordings_path: No space left on device"
        raise StorageError(message)

    monkeypatch.setattr(LocalStorage, "open_scratch", fail)
    with server(calls.clock, 31) as box:
        run = calls.download(box)
        assert requested(box) == [1] * 31
    assert len(lines(run, "Requesting one file at a time: recordings_path: No space left")) == 1


@pytest.mark.parametrize("room", [0, 1, 500])
def test_disk_that_is_full_at_the_end_of_an_archive_is_named(
    calls: Downloads, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """The last bytes are written when the file is flushed, and again when it is closed."""

    class FullDisk(io.FileIO):
        @override
        def write(self, data: Any, /) -> int:
            if self.tell() >= room:
                raise OSError(errno.ENOSPC, "secret-name")
            return super().write(bytes(data[:room]))

    def open_full(**_options: Any) -> io.BufferedRandom:
        return io.BufferedRandom(FullDisk(calls.folder.parents[1] / "scratch", "w+"), 16 * 1024**2)

    monkeypatch.setattr(tempfile, "TemporaryFile", open_full)
    with server(calls.clock, 31) as box:
        run = calls.download(box)
        assert requested(box) == [1, 10, *[1] * 30]
    assert len(lines(run, "Requesting one file at a time: recordings_path: No space left")) == 1
    assert "incomplete" not in run.log


def test_files_of_a_whole_account_in_windows_and_kinds(calls: Downloads) -> None:
    with Sandbox(history=history(400), clock=calls.clock) as box:
        more = {"start_date": box.config["start_date"], "lookback_days": 3650}
        first = calls.download(box, **more)
        assert {row["recording_filename"] for row in first.rows("recordings")} == named(box)
        count = len(named(box))
        assert count / 10 <= box.stats.files.requests <= count / 10 + 10
        asked = box.stats.files.requests
        second = calls.run(box, state=first.state, **more)
        assert second.rows("recordings") == first.rows("recordings")
        assert box.stats.files.requests == asked
    # Once archives are known to come, they set the pace.
    (told,) = re.findall(r"(\d+) files to download, about (\d+) s at", first.log)[-1:]
    assert int(told[1]) == pytest.approx(-(-int(told[0]) // 10) * 60 / 29, abs=1)


def test_killed_run_leaves_no_archive(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "calls"
    started = threading.Event()

    def kill(_seconds: float) -> None:  # between two parts of the second archive
        started.wait()
        process.kill()
        process.wait()

    monkeypatch.setattr(clock, "sleep", kill)
    with server(clock, 31, limit_calls=10_000) as box:
        box.file_faults[3] = "drip:9"
        command = program(box, folder, start_date="2026-01-01")
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
            started.set()
            process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        assert box.stats.files.requests == 3
    assert len(files(folder)) == 11
    assert all(path.suffix == ".wav" for path in files(folder))


def test_memory_is_bounded_with_a_bomb(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    with server(clock, 5, "zip_bomb", limit_calls=10_000) as box:
        box.dialect = replace(box.dialect, bomb_mb=180)
        subprocess.run(
            program(box, folder, start_date="2026-01-01"),
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        assert {path.name for path in files(folder)} == named(box)
        assert requested(box) == [1, 4, 1]
    assert int((tmp_path / "peak").read_text()) < 150 * 1024


def test_without_files_nothing_is_requested(calls: Downloads) -> None:
    with server(calls.clock, 5) as box:
        config = {**box.config, "start_date": "2026-01-01", "recordings_per_request": 3}
        run = calls.tap(config, catalog=selecting("recordings"))
        assert len(run.rows("recordings")) == 5
        assert box.stats.files.requests == 0
