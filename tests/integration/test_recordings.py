"""Recordings and voicemails: a row for each file that a log names, and the file itself."""

import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests_mock

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tests.support.calls import call, history, server_ids
from tests.support.catalog import selecting
from tests.support.cli import NOW, FakeClock, Run, RunTap
from tests.support.folders import files
from zoho_voice_sandbox import Dialect, Sandbox

DAY = 86_400_000
KINDS = ("recording", "voicemail")
FILES = selecting("recordings")
ALONE = {"recordings_per_request": 1}
"""Settings of the tests that count on one file a request."""
BEFORE = round(NOW * 1000) - DAY  # when a call of these tests started, unless it matters


def named(box: Sandbox) -> set[str]:
    """Return the files that the calls of the account name."""
    return {
        row[key]["recording_filename"]
        for row in box.store.rows()
        for key in ("call_recording", "voicemail")
        if key in row
    }


def with_file(box: Sandbox, logid: str, name: str, start: int = BEFORE, **told: Any) -> None:
    """Add a call whose recording has a name."""
    recording = {"recording_filename": name, **told}
    box.store.add(call(box, logid, start, call_recording=recording))


def assert_stored(run: Run, box: Sandbox, folder: Path) -> None:
    """Check that the rows tell the truth, and that the folder holds their files and no more."""
    expected = set()
    for row in run.rows("recordings"):
        assert row["error"] is None
        path = Path(unquote(urlsplit(row["uri"]).path))
        content = path.read_bytes()
        assert content == box.audio.read(row["recording_filename"])
        assert (row["bytes"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert row["content_type"] == "audio/wav"
        assert row["downloaded_at"]
        assert path.parent == folder / row["start_time"][:10].replace("-", "/")
        expected.add(path)
    assert files(folder) == expected


@dataclass
class Downloads:
    """Runs of the tap that store files in a folder."""

    tap: RunTap
    clock: FakeClock
    folder: Path
    own: dict[str, Any] = field(default_factory=dict)

    def run(self, box: Sandbox, *, state: Any = None, catalog: Any = None, **changes: Any) -> Run:
        config = {**box.config, "recordings_path": str(self.folder), **self.own, **changes}
        return self.tap(config, state=state, catalog=catalog)

    def download(self, box: Sandbox, **changes: Any) -> Run:
        """Run, and check that all files are stored."""
        run = self.run(box, **changes)
        assert run.exit_code == 0, run.log
        assert_stored(run, box, self.folder)
        return run


@pytest.fixture
def calls(run_tap: RunTap, clock: FakeClock, tmp_path: Path) -> Downloads:
    return Downloads(run_tap, clock, tmp_path / "calls")


def bookmarks(run: Run) -> dict[str, str]:
    return {
        partition["context"]["kind"]: partition.get("replication_key_value", "")
        for partition in run.state["bookmarks"]["recordings"]["partitions"]
    }


def errors(run: Run) -> list[str]:
    return [row["error"] for row in run.rows("recordings") if row["error"]]


def by_kind(run: Run) -> dict[str, list[dict[str, Any]]]:
    rows = run.rows("recordings")
    return {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}


def test_each_named_file_is_one_row_of_its_kind(run_tap: RunTap, clock: FakeClock) -> None:
    catalog = selecting("call_logs", "recordings")
    with Sandbox(history=history(), clock=clock) as box:
        alone = run_tap(box.config, catalog=selecting("call_logs"))
        requests = box.stats.requests
        run = run_tap(box.config, catalog=catalog)
        assert box.stats.files.requests == 0
        assert box.stats.requests <= 2 * requests + 2 * 6
        before = box.stats.requests
        again = run_tap(box.config, catalog=catalog, state=run.state)
        assert box.stats.requests <= before + 3 * 2  # a page each, and one that verifies its total
        rows = {row["recording_filename"]: row for row in run.rows("recordings")}
        assert set(rows) == named(box)
        logs = {log["logid"]: log for log in box.store.rows()}
    assert run.exit_code == 0
    assert run.ids == alone.ids
    assert len(rows) == len(run.rows("recordings"))
    for name, row in rows.items():
        log = logs[row["logid"]]
        file = log["call_recording" if row["kind"] == "recording" else "voicemail"]
        assert file["recording_filename"] == name
        assert row["duration_seconds"] == file["recording_duration"]
        assert row["size"] == file["recording_size_in_bytes"]
        assert row["content_type"] == file["content_type"]
        assert row["uri"] is row["error"] is row["sha256"] is None
    for kind, of_kind in by_kind(run).items():
        starts = [row["start_time"] for row in of_kind]
        assert starts == sorted(starts) != []
        assert bookmarks(run)[kind] == starts[-1]
    late = {row["recording_filename"] for row in again.rows("recordings")}
    assert late < set(rows)
    assert late


def test_an_old_state_seeds_both_partitions(run_tap: RunTap, clock: FakeClock) -> None:
    bookmark = "2026-02-01T00:00:00.000000+00:00"
    old = {"replication_key": "start_time", "replication_key_value": bookmark}
    with Sandbox(history=history(), clock=clock) as box:
        state = {"bookmarks": {"recordings": old}}
        run = run_tap(box.config, catalog=selecting("recordings"), state=state)
    rows = run.rows("recordings")
    assert {row["kind"] for row in rows} == set(KINDS)
    assert min(row["start_time"] for row in rows) >= "2026-01-29"
    assert "replication_key_value" not in run.state["bookmarks"]["recordings"]
    assert all(value > bookmark for value in bookmarks(run).values())


@pytest.mark.parametrize(
    ("filters", "kinds"),
    [
        ({"isRecording": True}, {"recording"}),
        ({"isVoiceMail": True}, {"voicemail"}),
        ({"isRecording": False, "isVoiceMail": False}, set(KINDS)),
        ({"callType": "missed"}, {"voicemail"}),
    ],
)
def test_a_filter_drops_the_partition_of_the_other_kind(
    run_tap: RunTap, clock: FakeClock, filters: dict[str, Any], kinds: set[str]
) -> None:
    with Sandbox(history=history(), clock=clock) as box:
        config = {**box.config, "filters": filters}
        run = run_tap(config, catalog=selecting("recordings"))
        sent = {name for _, query, _ in box.stats.log for name in query if name.startswith("is")}
    assert run.exit_code == 0, run.log
    assert {row["kind"] for row in run.rows("recordings")} == kinds
    if "callType" not in filters:
        assert {"recording": "isRecording", "voicemail": "isVoiceMail"}[min(kinds)] in sent


def test_recordings_are_selected_by_default_where_files_are_wanted(calls: Downloads) -> None:
    with Sandbox(history=history(40), clock=calls.clock) as box:
        assert calls.tap(box.config).rows("recordings") == []
        config = {**box.config, "recordings_path": str(calls.folder)}
        assert calls.tap(config).rows("recordings") != []
        run = calls.tap(config, catalog=selecting("call_logs"))
    assert run.rows("recordings") == []
    assert run.log.count("recordings_path is set, but the stream recordings is not selected") == 1


@pytest.mark.parametrize("length", ["content_length", "chunked", "close"])
@pytest.mark.parametrize("size", ["exact", "absent", "text", "wrong"])
def test_files_are_complete_with_any_length_and_size(
    calls: Downloads, length: Any, size: Any
) -> None:
    if (length, size) == ("close", "wrong"):
        pytest.skip("a log that lies is then the only word on where a file ends")
    dialect = Dialect(file_length=length, file_size=size)
    with Sandbox(history=history(40), dialect=dialect, clock=calls.clock) as box:
        own = {**ALONE, "lookback_days": 3650}
        first = calls.download(box, **own)
        asked = box.stats.files.requests
        # Three files prove that the logs tell wrong sizes; until then a short one is asked twice.
        doubted = 3 * (size == "wrong")
        assert asked <= len(named(box)) + doubted
        assert {row["recording_filename"] for row in first.rows("recordings")} == named(box)
        assert (box.stats.files.violations, box.stats.violations) == (0, 0)
        for _, params, _ in box.stats.files.log:
            assert params == {"recording_filename": params["recording_filename"], "mode": "play"}
            assert params["recording_filename"] in named(box)
        second = calls.run(box, **own, state=first.state)
        assert second.rows("recordings") == first.rows("recordings")
        assert box.stats.files.requests <= asked + doubted


FAULTS = [
    "500", "502_html", "503_retry_after", "cut", "cut_body", "truncated", "error_200", "lock",
    "token", "slow", "drip:5",
]  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize("fault", FAULTS)
def test_passing_fault_loses_no_file(calls: Downloads, fault: str, number: int) -> None:
    with Sandbox(history=history(40), clock=calls.clock, file_faults={number: fault}) as box:
        run = calls.download(box, **ALONE)
        assert {row["recording_filename"] for row in run.rows("recordings")} == named(box)
        assert set(run.ids) == server_ids(box)
        assert box.stats.files.violations == box.stats.files.locked_calls == 0
        assert box.stats.files.requests <= len(named(box)) + 1
        assert box.stats.tokens == 1 + (fault == "token")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("500", "HTTP 500"),
        ("502_html", "HTTP 502"),
        ("cut", "connection failed"),
        ("cut_body", "the file is incomplete"),
        ("error_200", "HTTP 200"),
        ("token", "HTTP 401"),
        ("drip:900", "the file is incomplete"),
        ("html", "no audio in the response"),
        ("redirect", "HTTP 302"),
        ("array", "no audio in the response"),
    ],
)
def test_lasting_fault_loses_one_file(calls: Downloads, fault: str, told: str) -> None:
    faults = dict.fromkeys((4, 5, 6), fault)
    if fault in {"html", "redirect", "array"}:
        faults = {4: fault}  # asked for once: it would be the same again
    elif fault == "token":
        faults = {4: fault, 5: fault}
    with Sandbox(history=history(40), clock=calls.clock, file_faults=faults) as box:
        run = calls.run(box, **ALONE)
        assert run.exit_code == 0, run.log
        assert set(run.ids) == server_ids(box)
        rows = run.rows("recordings")
        assert {row["recording_filename"] for row in rows} == named(box)
        assert [place for place, row in enumerate(rows) if row["error"]] == [3]
        assert told in rows[3]["error"]
        assert rows[3]["uri"] is rows[3]["sha256"] is None
        assert len(files(calls.folder)) == len(rows) - 1
        assert rows[3]["recording_filename"] not in run.log


@pytest.mark.parametrize(
    "missing", ["404", "400", "500", "200_error", "200_html", "204", "200_empty"]
)
def test_logs_are_complete_while_every_file_fails(calls: Downloads, missing: Any) -> None:
    with Sandbox(
        history=history(80), dialect=Dialect(file_missing=missing), clock=calls.clock
    ) as box:
        alone = calls.tap(box.config, catalog=selecting("call_logs"))
        for name in named(box):
            box.audio.drop(name)
        run = calls.run(box, **ALONE, lookback_days=7)
        assert run.exit_code == 0, run.log
        assert run.ids == alone.ids
        assert {row["recording_filename"] for row in run.rows("recordings")} == named(box)
        assert len(errors(run)) == len(named(box))
        assert box.stats.files.requests <= 2 * len(named(box)) + 9
        assert box.stats.files.violations == 0
        last_log = max(i for i, m in enumerate(run.messages) if m.get("stream") == "call_logs")
        first_row = next(
            i
            for i, m in enumerate(run.messages)
            if m["type"] == "RECORD" and m["stream"] == "recordings"
        )
        assert last_log < first_row
        assert any(m["type"] == "STATE" for m in run.messages[last_log:first_row])
        assert not any(name in run.log for name in named(box))
        assert files(calls.folder) == set()
        # Those of the lookback are asked for again, and come once they are there.
        asked = box.stats.files.requests
        for row in run.rows("recordings"):
            box.audio.put(row["recording_filename"], b"RIFF\0\0\0\0WAVE" + bytes(1000))
        again = calls.run(box, **ALONE, lookback_days=7, state=run.state)
        assert errors(again) == []
        assert box.stats.files.requests > asked


@pytest.mark.parametrize("fault", ["cut", "cut_body", "502_html"])
def test_outage_keeps_bookmark_before_files(calls: Downloads, fault: str) -> None:
    with Sandbox(history=history(100), clock=calls.clock) as box:
        box.file_faults.update(dict.fromkeys(range(21, 10_000), fault))
        run = calls.run(box, **ALONE)
        assert run.exit_code == 0
        assert set(run.ids) == server_ids(box)
        rows = run.rows("recordings")
        assert [row["error"] is None for row in rows[:21]] == [True] * 20 + [False]
        assert bookmarks(run)["recording"] == rows[19]["start_time"]
        box.file_faults.clear()
        resumed = calls.run(box, **ALONE, state=run.state)
        assert errors(resumed) == []
        rows = [*rows[:20], *resumed.rows("recordings")]
        assert {row["recording_filename"] for row in rows} == named(box)
        assert len(files(calls.folder)) == len(named(box))


def test_lockout_of_files_does_not_delay_call_logs(calls: Downloads) -> None:
    with Sandbox(history=history(100), clock=calls.clock) as box:
        box.lock("files")
        calls.download(box, **ALONE)
        assert box.stats.files.locked_calls == 1  # the one that met it
        assert box.stats.files.requests == len(named(box)) + 1
        logs = [moment for moment, params, _ in box.stats.log if "isVoiceMail" not in params]
        assert max(logs) < 1_001  # the list of voicemails is read behind the recordings
    assert calls.clock.time - NOW > 600


@pytest.mark.parametrize("words", ["This recording is blocked by its owner.", "try again later"])
def test_response_like_lockout_loses_one_file(calls: Downloads, words: str) -> None:
    with Sandbox(history=history(60), clock=calls.clock) as box:
        names = sorted(named(box))
        for name in names[3], names[7]:
            box.audio.put(name, words.encode())
        run = calls.run(box, **ALONE)
        assert run.exit_code == 0, run.log
        assert {row["recording_filename"] for row in run.rows("recordings")} == named(box)
        failed = {row["recording_filename"] for row in run.rows("recordings") if row["error"]}
        assert failed == {names[3], names[7]}
        assert bookmarks(run)["recording"] == run.bookmark
        assert len(files(calls.folder)) == len(names) - 2
        assert box.stats.files.requests == len(names) + 2
    assert words not in run.log


def test_single_wrong_size_keeps_other_sizes_trusted(calls: Downloads) -> None:
    dialect = Dialect(file_length="close")
    faults = dict.fromkeys((2, 3, 4), "truncated")
    with Sandbox(history=None, dialect=dialect, clock=calls.clock, file_faults=faults) as box:
        content = b"RIFF\0\0\0\0WAVE" + bytes(100_000)
        for number, size in enumerate((5, len(content), len(content))):
            box.audio.put(f"{number}.wav", content)
            with_file(
                box, f"{number}", f"{number}.wav", BEFORE + number, recording_size_in_bytes=size
            )
        own = {"start_date": "2026-01-01", **ALONE}
        first = calls.run(box, **own)
        assert [bool(row["error"]) for row in first.rows("recordings")] == [False, True, False]
        second = calls.run(box, **own, state=first.state)
        assert errors(second) == []
        assert {row["bytes"] for row in second.rows("recordings")} == {len(content)}


@pytest.mark.parametrize("size", [0, -1, 10**30, 2**41, 0.5, "big"])
def test_impossible_size_is_ignored(calls: Downloads, size: Any) -> None:
    with Sandbox(history=None, clock=calls.clock) as box:
        with_file(box, "call", "call.wav", recording_size_in_bytes=size)
        first = calls.run(box, start_date="2026-01-01")
        assert errors(first) == []
        second = calls.run(box, start_date="2026-01-01", state=first.state)
        assert second.rows("recordings") == first.rows("recordings")
        assert box.stats.files.requests == 1


@pytest.mark.parametrize("ends", ["with a new token", "after ten minutes"])
@pytest.mark.parametrize("stream", ["recordings", "transcripts"])
def test_refusal_of_all_items_in_unknown_words_ends(
    calls: Downloads, stream: str, ends: str
) -> None:
    count, clock = itertools.count(1), calls.clock
    refused = dict[str, float]()  # until when, by the header with the token

    def is_refused(request: Any) -> bool:
        token = request.headers["Authorization"] if "token" in ends else ""
        if next(count) == 4:
            refused[token] = clock.time + 600 if "after" in ends else float("inf")
        return clock.time < refused.get(token, 0)

    path = re.compile("voicerecording|transcribe")
    error = {"code": "Q9", "message": "Das geht so nicht", "status": "ERROR"}
    with (
        Sandbox(history=history(120), clock=clock) as box,
        requests_mock.Mocker(real_http=True) as mock,
    ):
        mock.get(path, additional_matcher=is_refused, status_code=400, json=error)
        run = calls.run(box, catalog=selecting(stream), **ALONE)
    assert run.exit_code == 0, run.log
    failed = [row["error"] for row in run.rows(stream) if row["error"]]
    assert 3 <= len(failed) <= 5 < len(run.rows(stream)) - 10


def test_rejected_tokens_are_renewed_a_few_times(calls: Downloads) -> None:
    with Sandbox(history=history(100), clock=calls.clock) as box:
        box.file_faults.update(dict.fromkeys(range(1, 1000), "token"))
        run = calls.run(box, **ALONE, filters={"isRecording": True})
        assert run.exit_code == 0, run.log
        assert len(errors(run)) == sum("call_recording" in row for row in box.store.rows())
        assert box.stats.tokens <= 8


@pytest.mark.parametrize(
    ("number", "of_a_request"), [(1, 1), (5, 1), (31, 1), (60, 1), (1, 10), (2, 10), (5, 10)]
)
def test_stopped_run_leaves_no_partial_file(
    calls: Downloads, number: int, of_a_request: int
) -> None:
    folder = calls.folder
    with Sandbox(history=history(130), clock=calls.clock) as box:

        def stop(request: int) -> None:
            if request == number:
                os.kill(os.getpid(), signal.SIGTERM)

        box.before_file = stop
        stopped = calls.run(box, recordings_per_request=of_a_request)
        assert stopped.exit_code == 143
        assert len(files(folder)) in {number - 1, number} or of_a_request > 1
        assert all(path.suffix == ".wav" for path in files(folder))
        box.before_file = None
        resumed = calls.run(box, recordings_per_request=of_a_request, state=stopped.state)
        assert resumed.exit_code == 0
        both = [*stopped.rows("recordings"), *resumed.rows("recordings")]
        rows = {row["recording_filename"]: row for row in both}
        assert set(rows) == named(box)
        assert files(folder) == {Path(unquote(urlsplit(r["uri"]).path)) for r in rows.values()}
        # The request that was under way when the run was stopped is the only one made again.
        assert box.stats.files.requests <= len(named(box)) + 1


def program(box: Sandbox, folder: Path, **settings: Any) -> list[str]:
    config = {**box.config, "rate_limit_calls": 10_000, "recordings_path": str(folder), **settings}
    path = folder.parent / "config.json"
    path.write_text(json.dumps(config))
    code = (
        "from tap_zohovoice.tap import TapZohoVoice\n"
        "try:\n"
        "    TapZohoVoice.cli()\n"
        "finally:\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    peak = next(line.split()[1] for line in lines if line.startswith('VmHWM'))\n"
        "    open('peak', 'w').write(peak)\n"
    )
    return [sys.executable, "-c", code, "--config", str(path)]


def test_killed_run_leaves_no_partial_file(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    gate = threading.Event()

    class Gate(Clock):
        naps = 0

        @override
        def sleep(self, seconds: float) -> None:
            self.naps += 1
            gate.wait(30 if self.naps > 1 else 0)  # the first piece comes at once

    faults = {5: "drip:9"}
    dialect = Dialect(limit_calls=10_000)
    with Sandbox(history=history(40), dialect=dialect, clock=Gate(), file_faults=faults) as box:
        for name in named(box):
            box.audio.put(name, b"RIFF\0\0\0\0WAVE" + name.encode() * 1000)
        out = tmp_path / "out"
        with out.open("wb") as pipe:
            process = subprocess.Popen(
                program(box, folder, **ALONE), cwd=tmp_path, stdout=pipe, stderr=subprocess.DEVNULL
            )
        for _ in range(1_500):
            # The fifth file waits half-written; those before it come and go too quickly.
            begun = box.stats.files.requests == max(faults)
            if begun and any(path.suffix == ".part" for path in files(folder)):
                break
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert [path.suffix for path in files(folder)].count(".part") == 1
        gate.set()
        box.file_faults.clear()
        again = subprocess.run(
            program(box, folder, **ALONE), cwd=tmp_path, capture_output=True, check=True
        )
        records = [
            message["record"]
            for message in map(json.loads, again.stdout.splitlines())
            if message["type"] == "RECORD" and message["stream"] == "recordings"
        ]
        assert {row["recording_filename"] for row in records} == named(box)
        assert files(folder) == {Path(unquote(urlsplit(row["uri"]).path)) for row in records}
        assert box.stats.files.requests == len(named(box)) + 1


def test_memory_is_bounded_with_large_file(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    with Sandbox(history=None, dialect=Dialect(limit_calls=10_000)) as box:
        content = b"RIFF\0\0\0\0WAVE" + bytes(120 * 1024 * 1024 - 12)
        with_file(box, "large", "large.wav", start=BEFORE)
        box.audio.put("large.wav", content)
        subprocess.run(
            program(box, folder, start_date="2026-01-01"),
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        (stored,) = files(folder)
        with stored.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        assert digest == hashlib.sha256(content).hexdigest()
    assert int((tmp_path / "peak").read_text()) < 150 * 1024


HOSTILE = [
    "../../outside.wav", "/etc/outside.wav", "..", ".", "a/b.wav", "a\\b.wav", "C:\\x.wav",
    "nul\0byte.wav", "line\nbreak.wav", "x" * 300 + ".wav", ".hidden.wav", "two, names.wav",
    "Rückruf ☎.wav", "%2e%2e%2fx.wav", "s3://bucket/x.wav", "~/x.wav", "con.wav",
]  # fmt: skip


def test_hostile_names_stay_in_folder(calls: Downloads, tmp_path: Path) -> None:
    folder = calls.folder = tmp_path / "deep" / "er" / "calls"
    with Sandbox(history=None, clock=calls.clock) as box:
        for number, name in enumerate(HOSTILE):
            with_file(box, f"call-{number}", name, BEFORE + number)
        run = calls.run(box, start_date="2026-01-01")
        assert run.exit_code == 0, run.log
        rows = {row["recording_filename"]: row for row in run.rows("recordings")}
        # Databases refuse U+0000, so no record holds it.
        assert set(rows) == {name.replace("\0", "\ufffd") for name in HOSTILE}
        day = folder / "2026" / "02" / "28"
        paths = files(tmp_path / "deep")
        assert {path.parent for path in paths} == {day}
        contents = {path.read_bytes() for path in paths}
        fetched = [name for name, row in rows.items() if row["error"] is None]
        sent = [name.replace("\ufffd", "\0") for name in fetched]
        assert contents == {box.audio.read(name) for name in sent}
        assert len(paths) == len(fetched) == len(HOSTILE)
        assert (day / "Rückruf ☎.wav").exists()


def test_too_big_file_is_an_error_row(calls: Downloads, tmp_path: Path) -> None:
    for length in ("content_length", "chunked"):
        dialect = Dialect(file_length=length)
        with Sandbox(history=None, dialect=dialect, clock=calls.clock) as box:
            with_file(box, "big", "big.wav")
            with_file(box, "fits", "fits.wav", BEFORE + 1)
            box.audio.put("big.wav", b"RIFF\0\0\0\0WAVE" + bytes(1024 * 1024))
            box.audio.put("fits.wav", b"RIFF\0\0\0\0WAVE" + bytes(1024 * 1024 - 12))
            calls.folder = tmp_path / length
            run = calls.run(box, start_date="2026-01-01", recordings_max_mb=1)
        assert run.exit_code == 0, run.log
        assert errors(run) == ["the file is larger than recordings_max_mb (1)"]
        assert {path.name for path in files(tmp_path / length)} == {"fits.wav"}


def test_unusable_folder_stops_after_call_logs(calls: Downloads, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    with Sandbox(history=history(40), clock=calls.clock) as box:
        run = calls.run(box, recordings_path=str(tmp_path / "taken" / "calls"))
        assert set(run.ids) == server_ids(box)
    assert run.exit_code == 1
    lines = [line for line in run.log.splitlines() if "recordings_path" in line]
    assert len(lines) == 1
    assert "Traceback" not in run.log
    assert run.bookmark


def test_changed_file_is_downloaded_again(calls: Downloads) -> None:
    with Sandbox(history=None, clock=calls.clock) as box:
        own = {**ALONE, "start_date": "2026-01-01"}
        for name in ("same.wav", "other.wav"):
            content = b"RIFF\0\0\0\0WAVE" + bytes(1000)
            box.audio.put(name, content)
            with_file(box, name, name, recording_size_in_bytes=len(content))
        first = calls.run(box, **own)
        box.audio.put("other.wav", b"RIFF\0\0\0\0WAVE" + bytes(2000))
        with_file(box, "other.wav", "other.wav", recording_size_in_bytes=2012)
        second = calls.run(box, **own, state=first.state)
        assert box.stats.files.requests == 3
        assert_stored(second, box, calls.folder)


def test_two_legs_of_a_call_that_name_one_file_make_one_row(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=None, clock=clock) as box:
        with_file(box, "leg-1", "shared.wav")
        with_file(box, "leg-2", "shared.wav", BEFORE + 5)
        parts = [{"recording_filename": "part-1.wav"}, {"recording_filename": "part-2.wav"}]
        box.store.add(call(box, "several", BEFORE + 9, call_recording=parts))
        run = run_tap({**box.config, "start_date": "2026-01-01"}, catalog=selecting("recordings"))
    rows = [(row["recording_filename"], row["logid"]) for row in run.rows("recordings")]
    assert rows == [("shared.wav", "leg-1"), ("part-1.wav", "several"), ("part-2.wav", "several")]


@pytest.mark.parametrize("files", ["always", "filtered"])
@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
def test_only_calls_with_files_are_requested(
    run_tap: RunTap, clock: FakeClock, order: Any, files: Any
) -> None:
    dialect = Dialect(order=order, file_keys=files)
    with Sandbox(history=history(2_000), dialect=dialect, clock=clock) as box:
        run = run_tap({**box.config, "page_size": 100}, catalog=selecting("recordings"))
        assert run.exit_code == 0, run.log
        rows = run.rows("recordings")
        assert {row["recording_filename"] for row in rows} == named(box)
        assert len(rows) == len(named(box))
        pages = -(-len(named(box)) // 100)
        assert box.stats.requests <= pages + 2 * 6
        kinds = [{"isRecording", "isVoiceMail"} & set(query) for _, query, _ in box.stats.log]
        assert all(len(kind) == 1 for kind in kinds)


@pytest.mark.parametrize("mode", ["lower", "any", "none"])
def test_rejected_mode_is_left_out(calls: Downloads, mode: Any) -> None:
    with Sandbox(history=history(40), dialect=Dialect(file_mode=mode), clock=calls.clock) as box:
        calls.download(box, **ALONE)
        assert box.stats.files.requests == len(named(box)) + (mode == "none")


WHOLE = b"RIFF\0\0\0\0WAVE" + bytes(range(1, 251)) * 20
HOUR = 3600.0


@pytest.mark.parametrize("length", ["content_length", "chunked", "close"])
@pytest.mark.parametrize("received", [44, 1500])
@pytest.mark.parametrize(
    ("age", "wait"), [(60, 0.25), (600, 1), (600, 24), (30 * HOUR, 24), (HOUR, 60)]
)
def test_file_that_was_still_written_is_replaced(
    calls: Downloads, length: Any, received: int, age: float, wait: float
) -> None:
    with Sandbox(history=None, dialect=Dialect(file_length=length), clock=calls.clock) as box:
        with_file(box, "new", "new.wav", round((NOW - age) * 1000))
        box.audio.put("new.wav", WHOLE[:received])
        first = calls.run(box, catalog=FILES, start_date="2026-01-01")
        assert [row["bytes"] for row in first.rows("recordings")] == [received]
        box.audio.put("new.wav", WHOLE)
        run, requests = first, []
        for _ in range(4):
            calls.clock.time += wait * HOUR
            run = calls.run(box, catalog=FILES, start_date="2026-01-01", state=run.state)
            assert_stored(run, box, calls.folder)
            requests.append(box.stats.files.requests)
    assert [path.read_bytes() for path in files(calls.folder)] == [WHOLE]
    assert requests == [2, 3, 3, 3]  # a file that has grown may do so again


@pytest.mark.parametrize("size", ["absent", "text", "exact"])
def test_files_are_requested_once_more_at_most(calls: Downloads, size: Any) -> None:
    recent_calls = history(60, first=date(2026, 2, 18))
    with Sandbox(history=recent_calls, dialect=Dialect(file_size=size), clock=calls.clock) as box:
        run, requests = calls.run(box, start_date="2026-01-01"), []
        rows = run.rows("recordings")
        recent = [row for row in rows if row["start_time"] >= "2026-02-26T12:00:00"]
        assert 0 < len(recent) < len(rows)
        for day in range(5):
            calls.clock.time += 24 * HOUR
            with_file(box, f"day-{day}", f"day-{day}.wav", round((calls.clock.time - HOUR) * 1000))
            before = box.stats.files.requests
            run = calls.run(box, start_date="2026-01-01", state=run.state)
            assert run.exit_code == 0, run.log
            requests.append(box.stats.files.requests - before)
    # Those of the first run that are in the lookback, then that of the day before.
    again = 0 if size != "absent" else len(recent)
    assert requests == [1 + again, 2, 2, 2, 2]


@pytest.mark.parametrize("length", ["content_length", "close"])
@pytest.mark.parametrize("missing", ["404", "500", "200_empty", None])
def test_stored_file_stays_where_it_cannot_be_requested_once_more(
    calls: Downloads, length: Any, missing: Any
) -> None:
    dialect = Dialect(file_length=length, file_missing=missing or "404")
    with Sandbox(history=None, dialect=dialect, clock=calls.clock) as box:
        with_file(box, "new", "new.wav")
        box.audio.put("new.wav", WHOLE[:2000])
        run = calls.run(box, start_date="2026-01-01")
        rows = run.rows("recordings")
        calls.clock.time += HOUR
        if missing:
            box.audio.drop("new.wav")
        else:
            box.audio.put("new.wav", WHOLE[:1000])  # a response that was cut off
        run = calls.run(box, start_date="2026-01-01", state=run.state)
        assert run.rows("recordings") == rows
        requests = box.stats.files.requests
        assert requests > 1
        calls.clock.time += HOUR
        box.audio.put("new.wav", WHOLE)
        run = calls.run(box, start_date="2026-01-01", state=run.state)
        is_whole = missing == "500"  # what may pass is tried again
        assert box.stats.files.requests == requests + is_whole
    assert run.exit_code == 0
    (path,) = files(calls.folder)
    assert path.read_bytes() == (WHOLE if is_whole else WHOLE[:2000])


def test_all_runs_without_a_state_request_recent_files_once_more_alone(calls: Downloads) -> None:
    with Sandbox(history=None, clock=calls.clock) as box:
        for days in (0, 5, 5):
            calls.clock.time += days * DAY / 1000
            name = f"{calls.clock.time:.0f}"
            with_file(box, name, f"{name}.wav", round((calls.clock.time - HOUR) * 1000))
            calls.run(box, start_date="2026-01-01")
        assert box.stats.files.requests == 3
        calls.clock.time += HOUR
        run = calls.run(box, start_date="2026-01-01")
        assert box.stats.files.requests == 4
        calls.clock.time += HOUR
        calls.run(box, start_date="2026-01-01", state=run.state)
        assert box.stats.files.requests == 4
