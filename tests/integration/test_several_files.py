"""Several files in one request, against each form of response to it."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from zipfile import ZipFile

import pytest

from tests.support.account import read_cases
from tests.support.cli import NOW, FakeClock, Run, RunTap
from tests.support.recordings import AUDIO, BEFORE, FileAccount, FileAccounts, errors, files
from zoho_voice_sandbox.audio_fixtures import wav_size
from zoho_voice_sandbox.dialect import SeveralFiles

FORMS = get_args(SeveralFiles)
SINGLE = "Requesting one file at a time: "
TEN = [1] * 10
CASES = read_cases("several_files")
"""Requests for 80 files, a first one alone, and why only one a request is left; failures."""


@pytest.fixture
def account(run_tap: RunTap, clock: FakeClock, tmp_path: Path) -> FileAccounts:
    """Make accounts with so many recordings, named `001.wav` and so on."""

    def make(count: int, form: str = "zip", **options: Any) -> FileAccount:
        # The sandbox's bombs exceed this limit on the size of a file.
        options = {"several_files": form, "bomb_mb": 2, **options}
        own, folder = {"recordings_max_mb": 1}, tmp_path / "deep" / "calls"
        box = FileAccount(folder, own, run_tap, clock, None, **options)
        box.add_files(count)
        return box

    return make


def names_from(first: int, count: int = 10) -> list[str]:
    return [f"{number:03}.wav" for number in range(first, first + count)]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what two runs cannot have in common: folder and time."""
    path = (row["uri"] or "").partition("/2026/")[2]
    return {**row, "uri": path, "downloaded_at": bool(row["downloaded_at"])}


@pytest.mark.parametrize("form", FORMS)
def test_requests_for_eighty_files(account: FileAccounts, form: str) -> None:
    requests, stopped = CASES["eighty files"][form]
    with account(80, form) as box:
        run = box.download()
        names = [row["recording_filename"] for row in run.rows("recordings")]
        assert names == sorted(box.named)
        assert box.stats.files.requests == requests
        assert (box.stats.files.violations, box.stats.files.locked_calls) == (0, 0)
        assert {params.get("mode") for _, params, _ in box.stats.files.log} == {"play"}
    is_told = form.startswith("zip") and form != "zip_cut"
    assert len(run.lines("Requesting up to 10 files at once")) == is_told
    assert [stopped in line for line in run.lines(SINGLE)] == [True] * bool(stopped)
    assert ".wav" not in run.log


@pytest.fixture(scope="module")
def single_runs() -> dict[str, tuple[Run, Run]]:
    """Keep the runs of one file a request, by how logs declare sizes."""
    return {}


@pytest.mark.parametrize(
    ("form", "size"),
    [
        *((form, "exact") for form in FORMS),
        *((form, size) for form in ("zip", "zip_missing") for size in ("absent", "text", "wrong")),
    ],
)
def test_records_and_state_are_those_of_single_requests(
    account: FileAccounts, single_runs: dict[str, tuple[Run, Run]], form: str, size: str
) -> None:
    def read(number: int) -> tuple[Run, Run]:
        # Servers that leave out what is missing answer with an archive all the same.
        with account(25, form, file_size=size, file_length="chunked") as box:
            box.folder /= str(number)
            own = {"recordings_path": str(box.folder), "recordings_per_request": number}
            for missing in (4, 15):
                box.audio.drop(f"{missing:03}.wav")
            box.audio.put("005.wav", b"<html><body>Gone</body></html>")
            box.audio.put("006.wav", AUDIO + bytes(1024 * 1024))
            box.audio.put("017.wav", b"")
            box.add_sized_file(7.5, "one, two.wav")
            box.add_sized_file(16.5, "../three.wav")
            box.clock.time = NOW  # up to which the state of a kind without files goes
            first = box.run(**own)
            box.clock.time = NOW + 36_000
            box.audio.put("004.wav", AUDIO + bytes(50))
            box.audio.put("008.wav", AUDIO + bytes(51))
            second = box.run(**own, state=first.state)
            assert len(files(box.folder)) == 23
        return first, second

    if size not in single_runs:  # which do not depend on the form of archives
        single_runs[size] = read(1)
    first, second = read(10)
    for single, several in zip(single_runs[size], (first, second), strict=True):
        assert several.exit_code == 0
        records, expected = (map(plain, run.rows("recordings")) for run in (several, single))
        assert [*records] == [*expected]
        assert several.state == single.state
    assert errors(first).count('HTTP 404, "File not found"') == 2
    assert len(errors(first)) == 5
    assert len(errors(second)) == 4


@pytest.mark.parametrize("size", ["exact", "absent"])
@pytest.mark.parametrize("form", ["zip_bomb", "zip_lying"])
def test_entry_larger_than_its_file_is_unused(account: FileAccounts, form: str, size: str) -> None:
    with account(11, form, file_size=size) as box:
        box.download(recordings_max_mb=100)
        assert box.requested == [1, 10, 1]


@pytest.mark.parametrize(("size", "again"), [(8_044 * 2, [1]), (12_345, [1]), (8_012, [])])
def test_odd_size_is_unused(account: FileAccounts, size: int, again: list[int]) -> None:
    with account(10) as box:
        box.audio.put("odd.wav", AUDIO + bytes(8_000))
        box.audio.put("other", AUDIO + bytes(size - len(AUDIO)))
        box.add_file("odd", "odd.wav", BEFORE + 999, recording_size_in_bytes=8_012)
        put_archive(box, {name: name for name in names_from(2, 9)} | {"odd.wav": "other"})
        box.download()
        assert box.requested == [1, 10, *again]


def put_archive(box: FileAccount, entries: dict[str, str], **more: str) -> None:
    """Answer a request for files with an archive of their contents, by path."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for path, name in {**more, **entries}.items():
            archive.writestr(path, box.audio.read(name) or b"")
    joined = ",".join(path.rpartition("/")[2].rpartition("\\")[2] for path in entries)
    box.audio.put(joined, buffer.getvalue())


@pytest.mark.parametrize(
    ("count", "most", "mode", "sizes"),
    [
        *[(1, 10, "lower", [1]), (2, 10, "lower", [1, 1])],
        *[(3, 10, "lower", [1, 2]), (4, 10, "lower", [1, 3])],
        *[(23, 1, "lower", [1] * 23), (23, 2, "lower", [1, *[2] * 11])],
        *[(23, 4, "lower", [1, *[4] * 5, 2]), (23, 10, "lower", [1, 10, 10, 2])],
        # A mode that is refused is settled by one file.
        *[(21, 10, "any", [1, 10, 10]), (21, 10, "none", [1, 1, 10, 10])],
    ],
)
def test_requests_have_as_many_files_as_set(
    account: FileAccounts, count: int, most: int, mode: str, sizes: list[int]
) -> None:
    with account(count, file_mode=mode) as box:
        run = box.download(recordings_per_request=most)
        assert box.requested == sizes
    assert bool(run.lines("Requesting")) == (most > 1 and count > 2)


@pytest.mark.parametrize("words", [b"bit rate 64 kbit", b"30 requests per minute"])
def test_words_in_a_file_are_no_error(account: FileAccounts, words: bytes) -> None:
    with account(4, "first") as box:
        for name in names_from(2, 3):
            box.audio.put(name, b"ID3\x03\0" + words + bytes(wav_size(2)))
        run = box.run()
        assert (run.exit_code, box.requested) == (0, [1, 3, 1, 1, 1])
    assert run.lines(f"{SINGLE}HTTP 200, no archive in the response")
    assert max(box.clock.slept, default=0) < 61  # no lock; proofs wait for the limit


@pytest.mark.parametrize(("count", "requests", "told"), CASES["failures"])
def test_request_for_several_that_fails_loses_no_file(
    account: FileAccounts, count: int, requests: str, told: str
) -> None:
    """Each request is given by its size and its form or fault; `10x1` are ten requests."""
    steps = re.findall(r"(?:(\d+)x)?(\d+):?(\w*)", requests)
    steps = [(int(size), name) for times, size, name in steps for _ in range(int(times or 1))]
    names = dict(enumerate((name for _, name in steps), 1))
    faults = {number: name for number, name in names.items() if name and name not in FORMS}
    with account(count, file_faults=faults) as box:

        def change(number: int) -> None:
            form: Any = names.get(number)
            box.dialect = replace(box.dialect, several_files=form if form in FORMS else "zip")

        box.before_file = change
        run = box.download()
        assert box.requested == [size for size, _ in steps]
    assert run.lines(told) or not told
    assert bool(run.lines(SINGLE)) == told.startswith(SINGLE)


def test_endless_lockout_stops_after_call_logs(account: FileAccounts) -> None:
    with account(40, file_faults=dict.fromkeys(range(2, 100), "lock")) as box:
        run = box.fail("the lockout lasts too long")
        assert len(run.ids) == 40
        assert box.requested == [1, 10, 10, 1, 1]
        assert box.stats.files.locked_calls == 0


def test_outage_of_accounts_at_an_archive_is_tried_once(account: FileAccounts) -> None:
    outage = dict.fromkeys(range(2, 99), "500")
    with account(40, file_faults={2: "token"}, token_faults=outage) as box:
        box.fail("Zoho Accounts: .*gave up after 7 attempts$")
        assert box.stats.token_requests == 8


@pytest.mark.parametrize(
    ("words", "waits"), [("limit exceeded: too many names", 1), ("request limit exceeded", 2)]
)
def test_refusal_like_a_lockout_is_waited_out(
    account: FileAccounts, words: str, waits: int
) -> None:
    body = json.dumps({"code": "400", "message": words, "status": "ERROR"}).encode()
    with account(31) as box:
        for first in (2, 12, 22):
            box.audio.put(",".join(names_from(first)), body)
        box.download()
        assert box.requested == [1, 10, 10, *TEN * 3]
    assert len([seconds for seconds in box.clock.slept if seconds > 500]) == waits


@pytest.mark.parametrize("length", ["content_length", "chunked"])
@pytest.mark.parametrize(("size", "expected"), [(4, [1, 4]), (6, [1, 4, 1, 1, 1, 1])])
def test_archive_is_bounded(account: FileAccounts, length: str, size: int, expected: Any) -> None:
    # Four files of up to a megabyte each, and a megabyte for the rest of the archive.
    with account(5, file_length=length) as box:
        box.audio.put("padding", bytes(size * 1024 * 1024))
        put_archive(box, {name: name for name in names_from(2, 4)}, **{"padding.bin": "padding"})
        run = box.download()
        assert box.requested == expected
    stops = run.lines(f"{SINGLE}the archive exceeds the size limit")
    assert len(stops) == (size == 6)


def test_known_archives_set_the_pace(run_tap: RunTap, clock: FakeClock, tmp_path: Path) -> None:
    with FileAccount(tmp_path / "calls", {}, run_tap, clock, 400) as box:
        run = box.download()
        count = len(box.named)
        assert count / 10 <= box.stats.files.requests <= count / 10 + 10
    (told,) = re.findall(r"(\d+) files to download, about (\d+) s at", run.log)[-1:]
    assert int(told[1]) == pytest.approx(-(-int(told[0]) // 10) * 60 / 29, abs=1)
