"""Transcripts: asked for one by one, for calls that have one, and only if they are wanted."""

import re
from typing import Any

import pytest
import requests_mock

from tests.support.calls import call, history, server_ids
from tests.support.catalog import selecting
from tests.support.cli import NOW, FakeClock, RunTap
from zoho_voice_sandbox import Dialect, Sandbox

ALL = selecting("call_logs", "recordings", "transcripts")


def due(box: Sandbox) -> set[tuple[str, str]]:
    """Return call and kind of each transcript that there is."""
    kinds = {"call_recording": "recording", "voicemail": "voicemail"}
    return {
        (row["logid"], kind)
        for row in box.store.rows()
        for key, kind in kinds.items()
        if key in row and row["call_recording_transcription_status"] == "completed"
    }


def test_transcripts_are_not_asked_for_unless_they_are_selected(
    run_tap: RunTap, clock: FakeClock
) -> None:
    with Sandbox(history=history(100), clock=clock) as box:
        run = run_tap(box.config)
        assert box.stats.transcripts.requests == 0
    assert run.rows("transcripts") == []


@pytest.mark.parametrize("form", ["string", "object", "segments_string"])
def test_each_completed_transcript_comes_once_and_in_parts(
    run_tap: RunTap, clock: FakeClock, form: Any
) -> None:
    with Sandbox(history=history(160), dialect=Dialect(transcript_form=form), clock=clock) as box:
        run = run_tap(box.config, catalog=ALL)
        assert run.exit_code == 0, run.log
        rows = run.rows("transcripts")
        assert {(row["logid"], row["kind"]) for row in rows} == due(box)
        assert {kind for _, kind in due(box)} == {"recording", "voicemail"}
        assert len(rows) == len(due(box)) == box.stats.transcripts.requests
        assert all("size" in params for _, params, _ in box.stats.log)
        types = {params["logId"]: params["transcriptionType"] for _, params, _ in
                 box.stats.transcripts.log}  # fmt: skip
    for row in rows:
        assert types[row["logid"]] == {"recording": "2", "voicemail": "1"}[row["kind"]]
        assert row["error"] is row["raw"] is None
        assert row["provider"]
        assert len(row["segments"]) >= 2
        for segment in row["segments"]:
            assert segment["speaker"] in {"Agent", "Customer"}
            assert segment["text"]
            assert segment["startTime"] <= segment["endTime"]
        assert {"sentiment", "summary"} <= set(row["analytics"])
    for part in run.state["bookmarks"]["transcripts"]["partitions"]:
        of_kind = [row for row in rows if row["kind"] == part["context"]["kind"]]
        assert part["replication_key_value"] >= of_kind[-1]["start_time"]


def test_what_does_not_parse_is_kept_as_it_is(run_tap: RunTap, clock: FakeClock) -> None:
    dialect = Dialect(transcript_form="broken")
    with Sandbox(history=history(60), dialect=dialect, clock=clock) as box:
        rows = run_tap(box.config, catalog=ALL).rows("transcripts")
    assert rows
    assert all(row["raw"] and row["segments"] is None for row in rows)


@pytest.mark.parametrize("fault", ["500", "html", "cut", "error_200", "array", "redirect"])
def test_a_transcript_that_fails_is_a_row_with_the_reason(
    run_tap: RunTap, clock: FakeClock, fault: str
) -> None:
    faults = dict.fromkeys((2, 3, 4), fault)
    with Sandbox(history=history(90), clock=clock, transcript_faults=faults) as box:
        run = run_tap(box.config, catalog=ALL)
        assert run.exit_code == 0, run.log
        assert set(run.ids) == server_ids(box)
        rows = run.rows("transcripts")
        assert {(row["logid"], row["kind"]) for row in rows} == due(box)
    failed = [place for place, row in enumerate(rows) if row["error"]]
    assert failed in ([1], [1, 2, 3])
    assert all(rows[place]["segments"] is None for place in failed)


@pytest.mark.parametrize(("status", "is_token"), [(403, True), (400, True), (200, False)])
def test_several_failures_in_a_row_get_one_new_token(
    run_tap: RunTap, clock: FakeClock, status: int, is_token: bool
) -> None:
    """A dead token in unknown words would make an error of each transcript that is left."""
    tokens: list[str] = []

    def is_dead(request: Any) -> bool:
        if "transcribe" in request.path:
            tokens.append(request.headers["Authorization"])
        return len(tokens) > 5 and (tokens[-1] == tokens[0] or not is_token)

    error = {"status": "ERROR", "code": "X7", "message": "Not for you"}
    with (
        Sandbox(history=history(200), clock=clock) as box,
        requests_mock.Mocker(real_http=True) as mock,
    ):
        url = re.compile(f"{box.url}.*transcribe")
        mock.get(url, additional_matcher=is_dead, status_code=status, json=error)
        run = run_tap(box.config, catalog=ALL)
        assert run.exit_code == 0, run.log
        rows = run.rows("transcripts")
        assert box.stats.tokens == 2
    failed = [place for place, row in enumerate(rows) if row["error"]]
    assert failed == ([5, 6, 7] if is_token else [*range(5, len(rows))])


@pytest.mark.parametrize("fault", ["502_html", "cut"])
def test_in_an_outage_the_bookmark_stays_before_the_transcripts(
    run_tap: RunTap, clock: FakeClock, fault: str
) -> None:
    with Sandbox(history=history(300), clock=clock) as box:
        box.transcript_faults.update(dict.fromkeys(range(6, 10_000), fault))
        run = run_tap(box.config, catalog=ALL)
        assert run.exit_code == 0, run.log
        assert set(run.ids) == server_ids(box)
        rows = run.rows("transcripts")
        assert [row["error"] is None for row in rows[:6]] == [True] * 5 + [False]
        first, *others = run.state["bookmarks"]["transcripts"]["partitions"]
        assert first["replication_key_value"] == rows[4]["start_time"]
        assert all("replication_key_value" not in other for other in others)
        assert box.stats.transcripts.requests == len(due(box)) + 6  # three were asked thrice
        box.transcript_faults.clear()
        again = run_tap(box.config, catalog=ALL, state=run.state)
        assert not any(row["error"] for row in again.rows("transcripts"))
        got = {(row["logid"], row["kind"]) for row in [*rows[:5], *again.rows("transcripts")]}
        assert got == due(box)


def test_a_lock_without_end_stops_plainly(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(90), clock=clock) as box:
        box.transcript_faults.update(dict.fromkeys(range(1, 100), "lock"))
        run = run_tap(box.config, catalog=ALL)
        assert run.exit_code == 1
        assert set(run.ids) == server_ids(box)
        assert "the lockout lasts too long" in run.log
        assert box.stats.transcripts.requests == 8
        assert box.stats.transcripts.locked_calls == 0


def test_a_file_without_a_name_has_no_transcript(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=None, clock=clock) as box:
        box.store.add(call(
            box, "call", round(NOW * 1000) - 1000, voicemail={},
            call_recording={"recording_filename": "x.wav"},
            call_recording_transcription_status="completed",
        ))  # fmt: skip
        run = run_tap({**box.config, "start_date": "2026-01-01"}, catalog=ALL)
    assert [row["kind"] for row in run.rows("transcripts")] == ["recording"]


def test_a_lock_of_the_transcripts_is_waited_out(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(90), clock=clock) as box:
        box.lock("transcripts")
        run = run_tap(box.config, catalog=ALL)
        assert run.exit_code == 0, run.log
        assert {(row["logid"], row["kind"]) for row in run.rows("transcripts")} == due(box)
        assert box.stats.transcripts.locked_calls == 1
        assert box.stats.transcripts.violations == 0


def test_only_calls_of_a_kind_are_requested(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(900), clock=clock) as box:
        run = run_tap(box.config, catalog=selecting("transcripts"))
        assert run.exit_code == 0, run.log
        assert {(row["logid"], row["kind"]) for row in run.rows("transcripts")} == due(box)
        assert run.records == []
        kinds = [{"isRecording", "isVoiceMail"} & set(query) for _, query, _ in box.stats.log]
        assert all(len(kind) == 1 for kind in kinds)


def test_later_failure_does_not_replace_a_transcript(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(90), clock=clock) as box:
        config = {**box.config, "lookback_days": 3650}
        box.transcript_faults.update({2: "redirect"})
        first = run_tap(config, catalog=ALL)
        failed = [row["logid"] for row in first.rows("transcripts") if row["error"]]
        assert len(failed) == 1
        total = len(first.rows("transcripts"))
        # Everything fails; only the transcript that never came is emitted with its error.
        box.transcript_faults.update(dict.fromkeys(range(1, 10 * total), "redirect"))
        second = run_tap(config, catalog=ALL, state=first.state)
        assert [row["logid"] for row in second.rows("transcripts")] == failed
        assert second.log.count("error records are not emitted") == 2  # one line for each kind
        box.transcript_faults.clear()
        third = run_tap(config, catalog=ALL, state=second.state)
        assert len(third.rows("transcripts")) == total
        assert not any(row["error"] for row in third.rows("transcripts"))
        assert "open_failures" not in str(third.state)
