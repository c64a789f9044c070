"""Recordings and voicemails: a row for each file that a log names, and the file itself."""

import hashlib
import itertools
import os
import re
import signal
import time
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import requests_mock

from tests.support.account import read_cases
from tests.support.calls import call, server_ids
from tests.support.cli import NOW, FakeClock, RunTap
from tests.support.recordings import (
    AUDIO,
    BEFORE,
    FileAccount,
    FileAccounts,
    errors,
    file_names,
    files,
    stored_path,
)
from zoho_voice_sandbox.dialect import FileLength

HOUR = 3600.0
FILES = ("recordings",)
LENGTHS = get_args(FileLength)
CASES = read_cases("recordings")
MISSING = ("404", "400", "500", "200_error", "200_html", "204", "200_empty")


@pytest.fixture
def account(run_tap: RunTap, clock: FakeClock, tmp_path: Path) -> FileAccounts:
    """Make accounts of which one file a request is read, unless a test says more."""
    own = {"recordings_per_request": 1}
    return partial(FileAccount, tmp_path / "deep" / "calls", own, run_tap, clock)


def test_each_file_is_one_row_of_its_kind(account: FileAccounts) -> None:
    streams = ["call_logs", "recordings"]
    with account() as box:
        del box.own["recordings_path"]
        alone = box.run(streams=["call_logs"])
        requests = box.stats.requests
        run = box.succeed(streams=streams)
        assert box.stats.files.requests == 0
        assert box.stats.requests <= 2 * requests + 2 * 6
        before = box.stats.requests
        again = box.run(streams=streams, state=run.state)
        assert box.stats.requests <= before + 3 * 2  # a page each, and one that verifies its total
        assert file_names(run) == box.named
        logs = {log["logid"]: log for log in box.store.rows()}
    rows, counts = run.rows("recordings"), re.findall(r'"record_count","value":(\d+)', run.log)
    assert sum(map(int, counts)) == len(run.of("RECORD")) > 900
    assert run.ids == alone.ids
    assert len(rows) == len(file_names(run))
    for row in rows:
        file = logs[row["logid"]]["call_recording" if row["kind"] == "recording" else "voicemail"]
        sent = ("filename", "duration", "size_in_bytes")
        names = ("recording_filename", "duration_seconds", "size", "content_type")
        told = [*(file[f"recording_{name}"] for name in sent), file["content_type"]]
        assert [row[name] for name in names] == told
        assert row["uri"] is row["error"] is row["sha256"] is None
    for kind, bookmark in run.bookmarks("recordings").items():
        starts = [row["start_time"] for row in rows if row["kind"] == kind]
        assert starts == sorted(starts) != []
        assert bookmark == starts[-1]
    assert set() < file_names(again) < file_names(run)


@pytest.mark.parametrize(
    ("filters", "kinds", "sent"),
    [
        ({"isRecording": True}, {"recording"}, "isRecording"),
        ({"isVoiceMail": True}, {"voicemail"}, "isVoiceMail"),
        ({"isRecording": False, "isVoiceMail": False}, {"recording", "voicemail"}, "isRecording"),
        ({"callType": "missed"}, {"voicemail"}, ""),
    ],
)
def test_filter_drops_the_other_partition(
    account: FileAccounts, filters: dict[str, Any], kinds: set[str], sent: str
) -> None:
    with account() as box:
        run = box.succeed(streams=FILES, recordings_path=None, filters=filters)
        names = {name for _, query, _ in box.stats.log for name in query}
    assert {row["kind"] for row in run.rows("recordings")} == kinds
    assert {sent} - {""} <= names


def test_recordings_are_selected_where_files_are_wanted(account: FileAccounts) -> None:
    with account(40) as box:
        assert box.run(recordings_path=None).rows("recordings") == []
        assert box.run().rows("recordings") != []
        run = box.run(streams=["call_logs"])
    assert run.rows("recordings") == []
    assert run.log.count("recordings_path is set, but the stream recordings is not selected") == 1


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("size", ["exact", "absent", "text", "wrong"])
def test_files_are_whole(account: FileAccounts, length: str, size: str) -> None:
    if (length, size) == ("close", "wrong"):
        pytest.skip("a log that lies is then the only word on where a file ends")
    with account(40, file_length=length, file_size=size) as box:
        first = box.download(lookback_days=3650)
        asked = box.stats.files.requests
        # Three files prove that the logs tell wrong sizes; until then a short one is asked twice.
        doubted = 3 * (size == "wrong")
        assert asked <= len(box.named) + doubted
        assert file_names(first) == box.named
        assert (box.stats.files.violations, box.stats.violations) == (0, 0)
        for _, params, _ in box.stats.files.log:
            assert params.pop("recording_filename") in box.named
            assert params == {"mode": "play"}
        second = box.run(lookback_days=3650, state=first.state)
        assert second.rows("recordings") == first.rows("recordings")
        assert box.stats.files.requests <= asked + doubted


@pytest.mark.parametrize(("batch", "number"), [(1, 1), (1, 7), (10, 1), (10, 2), (10, 3)])
@pytest.mark.parametrize(
    "fault",
    [
        *["500", "502_html", "503_retry_after", "cut", "cut_body", "truncated", "error_200"],
        *["lock", "token", "slow", "drip:5"],
    ],
)
def test_passing_fault_loses_no_file(
    account: FileAccounts, fault: str, batch: int, number: int
) -> None:
    with account(None, file_faults={number: fault}) as box:
        box.add_files(12)
        run = box.download(recordings_per_request=batch)
        assert file_names(run) == box.named
        assert set(run.ids) == server_ids(box)
        assert box.stats.files.violations == box.stats.files.locked_calls == 0
        more = fault not in {"slow", "drip:5"}
        assert box.stats.files.requests == (12 if batch == 1 else 3) + more
        assert box.stats.tokens == 1 + (fault == "token")
        assert run.bookmarks("recordings")["recording"] == run.rows("recordings")[-1]["start_time"]


@pytest.mark.parametrize(("fault", "requests", "told"), CASES["faults that lose a file"])
def test_fault_loses_a_file(account: FileAccounts, fault: str, requests: int, told: str) -> None:
    with account(40, file_faults=dict.fromkeys(range(4, 4 + requests), fault)) as box:
        run = box.read()
        rows = run.rows("recordings")
        assert file_names(run) == box.named
    assert [place for place, row in enumerate(rows) if row["error"]] == [3]
    assert told in rows[3]["error"]
    assert rows[3]["uri"] is rows[3]["sha256"] is None
    assert len(files(box.folder)) == len(rows) - 1
    assert rows[3]["recording_filename"] not in run.log


@pytest.mark.parametrize("missing", MISSING)
def test_logs_are_complete_while_every_file_fails(account: FileAccounts, missing: str) -> None:
    with account(40, first=date(2026, 2, 5), file_missing=missing) as box:
        alone = box.run(streams=["call_logs"])
        names = box.named
        for name in names:
            box.audio.drop(name)
        # A clock was ahead, so what was emitted up to this bookmark is not known.
        ahead = {"recordings": {"replication_key_value": "2099-01-01"}}
        run = box.succeed(lookback_days=7, state={"bookmarks": ahead})
        assert run.ids == alone.ids
        assert file_names(run) == names
        assert len(errors(run)) == len(names)
        assert box.stats.files.requests <= 2 * len(names) + 9
        assert box.stats.files.violations == 0
        streams = [message.get("stream", "STATE") for message in run.messages]
        last_log = len(streams) - 1 - streams[::-1].index("call_logs")
        first_row = streams.index("recordings", streams.index("recordings") + 1)  # behind SCHEMA
        assert "STATE" in streams[last_log:first_row]
        assert not any(name in run.log for name in names)
        assert files(box.folder) == set()
        # Those of the lookback are asked for again, and come once they are there.
        asked = box.stats.files.requests
        for name in names:
            box.audio.put(name, AUDIO + bytes(1000))
        assert errors(box.run(lookback_days=7, state=run.state)) == []
        assert box.stats.files.requests > asked


@pytest.mark.parametrize(
    ("batch", "first", "requests"),
    # Two for several, three for each of three files, and one for each of the others.
    [(1, 21, 20 + 3 * 3 + 17), (10, 4, 3 + 2 + 3 * 3 + 16)],
)
@pytest.mark.parametrize("fault", ["cut", "cut_body", "502_html"])
def test_outage_keeps_bookmark_before_files(
    account: FileAccounts, fault: str, batch: int, first: int, requests: int
) -> None:
    with account(None, file_faults=dict.fromkeys(range(first, 1_000), fault)) as box:
        box.add_files(40)
        run = box.read(recordings_per_request=batch)
        rows = run.rows("recordings")
        came = 20 if batch == 1 else 21
        assert [row["error"] is None for row in rows] == [True] * came + [False] * (40 - came)
        assert run.bookmarks("recordings")["recording"] == rows[came - 1]["start_time"]
        assert box.stats.files.requests == requests
        box.file_faults.clear()
        resumed = box.run(recordings_per_request=batch, state=run.state)
        assert errors(resumed) == []
        assert file_names(resumed) >= {row["recording_filename"] for row in rows[came:]}
        assert len(files(box.folder)) == 40


def test_bookmark_stays_before_an_outage_that_ended(account: FileAccounts) -> None:
    lost = 3 * 3 + 9  # requests for twelve files
    with account(None, file_faults=dict.fromkeys(range(21, 21 + lost), "cut")) as box:
        box.add_files(40)
        run = box.read(recordings_per_request=1)
        rows = run.rows("recordings")
        assert [row["error"] is None for row in rows] == [True] * 20 + [False] * 12 + [True] * 8
        assert run.bookmarks("recordings")["recording"] == rows[19]["start_time"]


def test_bookmark_stays_before_the_lockout_that_ends_a_run(account: FileAccounts) -> None:
    with account(None, file_faults=dict.fromkeys(range(10, 100), "lock")) as box:
        box.add_files(12)
        run = box.fail("the lockout lasts too long", recordings_per_request=1)
        rows = run.rows("recordings")
        assert [row["error"] is None for row in rows] == [True] * 9 + [False]
        assert run.bookmarks("recordings")["recording"] == rows[8]["start_time"]


@pytest.mark.parametrize("words", ["This recording is blocked by its owner.", "try again later"])
def test_response_like_lockout_loses_one_file(account: FileAccounts, words: str) -> None:
    with account(60) as box:
        names = sorted(box.named)
        lost = {names[3], names[7]}
        for name in lost:
            box.audio.put(name, words.encode())
        run = box.succeed()
        assert file_names(run) == box.named
        rows = run.rows("recordings")
        assert {row["recording_filename"] for row in rows if row["error"]} == lost
        assert run.bookmarks("recordings")["recording"] == run.bookmark
        assert len(files(box.folder)) == len(names) - 2
        assert box.stats.files.requests == len(names) + 2
    assert words not in run.log


def test_single_wrong_size_keeps_other_sizes_trusted(account: FileAccounts) -> None:
    faults = dict.fromkeys((2, 3, 4), "truncated")
    with account(None, file_length="close", file_faults=faults) as box:
        for number, size in enumerate((5, 100_012, 100_012)):
            box.audio.put(f"{number}.wav", AUDIO + bytes(100_000))
            name, start = f"{number}.wav", BEFORE + number
            box.add_file(f"{number}", name, start, recording_size_in_bytes=size)
        first = box.run()
        assert [bool(row["error"]) for row in first.rows("recordings")] == [False, True, False]
        second = box.run(state=first.state)
    assert errors(second) == []
    assert {row["bytes"] for row in second.rows("recordings")} == {100_012}


@pytest.mark.parametrize("size", [0, -1, 10**30, 2**41, 0.5, "big"])
def test_impossible_size_is_ignored(account: FileAccounts, size: object) -> None:
    with account(None) as box:
        box.add_file("call", "call.wav", recording_size_in_bytes=size)
        first = box.run()
        assert errors(first) == []
        assert box.run(state=first.state).rows("recordings") == first.rows("recordings")
        assert box.stats.files.requests == 1


@pytest.mark.parametrize(
    ("status", "ends"),
    [(400, "with a new token"), (403, "with a new token"), (400, "after ten minutes"), (200, "")],
)
@pytest.mark.parametrize("stream", ["recordings", "transcripts"])
def test_refusal_in_unknown_words_ends(
    account: FileAccounts, stream: str, status: int, ends: str
) -> None:
    """A dead token in unknown words would make an error of each item that is left."""
    count = itertools.count(1)
    refused = dict[str, float]()  # until when, by the header with the token

    def is_refused(request: Any) -> bool:
        token = request.headers["Authorization"] if "token" in ends else ""
        if next(count) == 6:
            refused[token] = box.clock.time + 600 if "after" in ends else float("inf")
        return bool(box.clock.time < refused.get(token, 0))

    path = re.compile("voicerecording|transcribe")
    error = {"code": "Q9", "message": "Das geht so nicht", "status": "ERROR"}
    with account(120) as box, requests_mock.Mocker(real_http=True) as mock:
        mock.get(path, additional_matcher=is_refused, status_code=status, json=error)
        run = box.succeed(streams=[stream])
        assert box.stats.tokens == 2
    failed = [place for place, row in enumerate(run.rows(stream)) if row["error"]]
    count_of_rows = len(run.rows(stream))
    assert count_of_rows > 15
    if "after" in ends:
        assert 3 <= len(failed) <= 5
    else:
        assert failed == ([5, 6, 7] if ends else [*range(5, count_of_rows)])


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (400, "ZVT022", "the refresh token lacks a scope"),
        (400, "ZVT010", "unsupported parameter"),
        (404, "ZVT011", "unsupported URL"),
        (401, "401", "a new access token was rejected too"),
    ],
)
@pytest.mark.parametrize("stream", ["recordings", "transcripts"])
def test_error_of_all_items_stops_before_them(
    account: FileAccounts, stream: str, status: int, code: str, text: str
) -> None:
    error = {"code": code, "message": "No", "status": "ERROR"}
    with account(120) as box:
        first = box.succeed(streams=[stream], end_date="2025-09-01")
        with requests_mock.Mocker(real_http=True) as mock:
            mock.get(re.compile("voicerecording|transcribe"), status_code=status, json=error)
            failed = box.fail(text, streams=[stream], state=first.state)
        assert failed.bookmarks(stream) == first.bookmarks(stream)
        runs = [box.succeed(streams=[stream], state=run.state) for run in (failed, first)]
    rows, expected = ([(row["logid"], row["error"]) for row in run.rows(stream)] for run in runs)
    assert rows == expected
    assert {error for _, error in rows} == {None}


@pytest.mark.parametrize(
    ("number", "batch"), [(1, 1), (5, 1), (31, 1), (60, 1), (1, 10), (2, 10), (5, 10)]
)
def test_stopped_run_leaves_no_part(account: FileAccounts, number: int, batch: int) -> None:
    with account(130) as box:
        box.own["recordings_per_request"] = batch
        box.before_file = lambda request: (
            os.kill(os.getpid(), signal.SIGTERM) if request == number else None
        )
        stopped = box.run()
        assert stopped.exit_code == 143
        assert len(files(box.folder)) in {number - 1, number} or batch > 1
        assert all(path.suffix == ".wav" for path in files(box.folder))
        box.before_file = None
        resumed = box.succeed(state=stopped.state)
        assert file_names(stopped, resumed) == box.named
        rows = [*stopped.rows("recordings"), *resumed.rows("recordings")]
        assert files(box.folder) == {stored_path(row) for row in rows}
        # The request that was under way when the run was stopped is the only one made again.
        assert box.stats.files.requests <= len(box.named) + 1


@pytest.mark.parametrize(("batch", "number", "stored"), [(1, 5, 4), (10, 3, 11)])
def test_killed_run_leaves_no_part(
    account: FileAccounts, tmp_path: Path, batch: int, number: int, stored: int
) -> None:
    naps = itertools.count()
    parts: list[Path] = []

    def kill(_seconds: float) -> None:
        """Kill the run between two pieces of a response, of which the first one is stored."""
        if next(naps) == 0:
            return
        while not parts:
            assert process.poll() is None
            time.sleep(0.02)
            parts[:] = box.folder.rglob("*.part")
        process.kill()
        process.wait()

    with account(None, limit_calls=10_000, file_faults={number: "drip:9"}) as box:
        box.add_files(31)
        box.own["recordings_per_request"] = batch
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(box.clock, "sleep", kill)
            process = box.start(tmp_path)
            assert process.wait(60) == -signal.SIGKILL
        suffixes = sorted(path.suffix for path in files(box.folder))
        assert suffixes == [".part"] * len(parts) + [".wav"] * stored
        box.file_faults.clear()
        # The second run waits for slots of the first one.
        assert box.start(tmp_path, rate_limit_seconds=1).wait(60) == 0
        assert {path.name for path in files(box.folder)} == box.named
        assert sum(box.requested) == 31 + batch


def test_memory_is_bounded_with_large_file(account: FileAccounts, tmp_path: Path) -> None:
    content = AUDIO + bytes(120 * 1024 * 1024)
    with account(None, limit_calls=10_000) as box:
        box.add_file("large", "large.wav")
        box.audio.put("large.wav", content)
        assert box.start(tmp_path).wait(60) == 0
    (stored,) = files(box.folder)
    with stored.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert digest == hashlib.sha256(content).hexdigest()
    assert int((tmp_path / "peak").read_text()) < 150 * 1024


def test_hostile_names_stay_in_folder(account: FileAccounts, tmp_path: Path) -> None:
    names = CASES["hostile names"]
    with account(None) as box:
        for number, name in enumerate(names):
            box.add_file(f"call-{number}", name, BEFORE + number)
        run = box.run(recordings_per_request=10)
        assert errors(run) == []
        # Databases refuse U+0000, so no record holds it.
        assert file_names(run) == {name.replace("\0", "\ufffd") for name in names}
        paths = files(tmp_path / "deep")
        assert {path.read_bytes() for path in paths} == {box.audio.read(name) for name in names}
    assert len(paths) == len(names)
    assert {path.parent for path in paths} == {box.folder / "2026" / "02" / "28"}
    assert (box.folder / "2026" / "02" / "28" / "Rückruf ☎.wav").exists()


@pytest.mark.parametrize("length", ["content_length", "chunked"])
def test_too_big_file_is_an_error_row(account: FileAccounts, length: str) -> None:
    with account(None, file_length=length) as box:
        for number, (name, more) in enumerate({"big.wav": 1, "fits.wav": 0}.items()):
            box.add_file(name, name, BEFORE + number)
            box.audio.put(name, AUDIO + bytes(1024 * 1024 - len(AUDIO) + more))
        run = box.succeed(recordings_max_mb=1)
    assert errors(run) == ["the file is larger than recordings_max_mb (1)"]
    assert {path.name for path in files(box.folder)} == {"fits.wav"}


def test_unusable_folder_stops_after_call_logs(account: FileAccounts, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    with account(40) as box:
        run = box.fail("recordings_path", recordings_path=str(tmp_path / "taken" / "calls"))
        assert set(run.ids) == server_ids(box)
    assert run.log.count("recordings_path") == 1
    assert run.bookmark


def test_changed_file_is_downloaded_again(account: FileAccounts) -> None:
    with account(None) as box:

        def put(name: str, size: int) -> None:
            box.audio.put(name, AUDIO + bytes(size))
            box.add_file(name, name, recording_size_in_bytes=len(AUDIO) + size)

        put("same.wav", 1000)
        put("other.wav", 1000)
        first = box.run()
        put("other.wav", 2000)
        box.download(state=first.state)
        assert box.stats.files.requests == 3


def test_file_of_two_legs_is_one_row(account: FileAccounts) -> None:
    with account(None) as box:
        box.add_file("leg-1", "shared.wav")
        box.add_file("leg-2", "shared.wav", BEFORE + 5)
        parts = [{"recording_filename": "part-1.wav"}, {"recording_filename": "part-2.wav"}]
        box.store.add(call(box, "several", BEFORE + 9, call_recording=parts))
        run = box.run(streams=FILES, recordings_path=None)
    rows = [(row["recording_filename"], row["logid"]) for row in run.rows("recordings")]
    assert rows == [("shared.wav", "leg-1"), ("part-1.wav", "several"), ("part-2.wav", "several")]


@pytest.mark.parametrize("keys", ["always", "filtered"])
@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
def test_only_calls_with_files_are_read(account: FileAccounts, order: str, keys: str) -> None:
    with account(1_000, order=order, file_keys=keys) as box:
        run = box.succeed(streams=FILES, recordings_path=None, page_size=100)
        assert file_names(run) == box.named
        assert len(run.rows("recordings")) == len(box.named)
        assert f": {len(box.named):,} listed" in run.log
        assert "download" not in run.log
        assert box.stats.requests <= -(-len(box.named) // 100) + 2 * 6
        kinds = [{"isRecording", "isVoiceMail"} & set(query) for _, query, _ in box.stats.log]
        assert all(len(kind) == 1 for kind in kinds)


WHOLE = AUDIO + bytes(range(1, 251)) * 20


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("age", "runs"), CASES["growing files"])
def test_growing_file_is_replaced(
    account: FileAccounts, length: str, age: float, runs: list[tuple[float, int, int]]
) -> None:
    """Each run is given by the seconds before it, the size by then, and all requests so far."""
    with account(None, file_length=length) as box:
        box.add_file("new", "new.wav", round((NOW - age) * 1000))
        state = None
        for wait, size, requests in runs:
            box.clock.time += wait
            box.audio.put("new.wav", WHOLE[:size])
            state = box.download(streams=FILES, state=state).state
            assert [path.read_bytes() for path in files(box.folder)] == [WHOLE[:size]]
            assert box.stats.files.requests == requests


@pytest.mark.parametrize("size", ["absent", "text", "exact"])
def test_files_are_requested_once_more(account: FileAccounts, size: str) -> None:
    with account(60, first=date(2026, 2, 18), file_size=size) as box:
        run, requests = box.run(), []
        starts = [row["start_time"] for row in run.rows("recordings")]
        recent = [start for start in starts if start >= "2026-02-26T12:00:00"]
        assert 0 < len(recent) < len(starts)
        for day in range(5):
            box.clock.time += 24 * HOUR
            box.add_file(f"day-{day}", f"day-{day}.wav", round((box.clock.time - HOUR) * 1000))
            before = box.stats.files.requests
            run = box.succeed(state=run.state)
            requests.append(box.stats.files.requests - before)
    # Those of the first run that are in the lookback, then that of the day before.
    again = 0 if size != "absent" else len(recent)
    assert requests == [1 + again, 2, 2, 2, 2]


def test_phone_that_is_ahead_ends_no_recheck(account: FileAccounts) -> None:
    with account(None) as box:
        box.add_file("new", "new.wav", round((NOW - 3600) * 1000))
        box.audio.put("new.wav", WHOLE[:2000])
        run = box.download(streams=FILES)
        box.clock.time += HOUR
        box.audio.put("new.wav", WHOLE)
        sized = {"recording_filename": "ahead.wav", "recording_size_in_bytes": len(WHOLE)}
        row = call(box, "ahead", round(NOW * 1000) + 10**9, call_recording=sized)
        box.store.add(row, at_ms=round(NOW * 1000))
        box.audio.put("ahead.wav", WHOLE)

        def stop_before_the_other(number: int) -> None:
            if number == 3:
                os.kill(os.getpid(), signal.SIGTERM)

        box.before_file = stop_before_the_other
        stopped = box.run(streams=FILES, state=run.state)
        box.before_file = None
        assert stopped.exit_code == 143
        assert file_names(stopped) == {"ahead.wav"}
        box.download(streams=FILES, state=stopped.state)


@pytest.mark.parametrize("length", ["content_length", "close"])
@pytest.mark.parametrize("missing", ["404", "500", "200_empty", None])
def test_stored_file_outlives_a_failing_recheck(
    account: FileAccounts, length: str, missing: str | None
) -> None:
    with account(None, file_length=length, file_missing=missing or "404") as box:
        box.add_file("new", "new.wav")
        box.audio.put("new.wav", WHOLE[:2000])
        first = box.run()
        box.clock.time += HOUR
        if missing:
            box.audio.drop("new.wav")
        else:
            box.audio.put("new.wav", WHOLE[:1000])  # a response that was cut off
        second = box.run(state=first.state)
        assert second.rows("recordings") == first.rows("recordings")
        requests = box.stats.files.requests
        assert requests > 1
        box.clock.time += HOUR
        box.audio.put("new.wav", WHOLE)
        assert box.run(state=second.state).exit_code == 0
        assert box.stats.files.requests == requests + 1
    (path,) = files(box.folder)
    assert path.read_bytes() == WHOLE


def test_runs_without_a_state_recheck_only_recent_files(account: FileAccounts) -> None:
    with account(None) as box:
        for days in (0, 5, 5):
            box.clock.time += days * 24 * HOUR
            name = f"{box.clock.time:.0f}.wav"
            box.add_file(name, name, round((box.clock.time - HOUR) * 1000))
            box.run()
        assert box.stats.files.requests == 3
        box.clock.time += HOUR
        run = box.run()
        assert box.stats.files.requests == 4
        box.clock.time += HOUR
        box.run(state=run.state)
        assert box.stats.files.requests == 4
