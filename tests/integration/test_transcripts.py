"""Transcripts: asked for one by one, for calls that have one, and only if they are wanted."""

import re
from typing import Any

import pytest
from requests_mock import Mocker

from tests.support.account import Account, Accounts
from tests.support.calls import call, server_ids
from tests.support.cli import NOW, Run

ALL = ("call_logs", "recordings", "transcripts")


def due(box: Account) -> set[tuple[str, str]]:
    """Return call and kind of each transcript that there is."""
    kinds = {"call_recording": "recording", "voicemail": "voicemail"}
    return {
        (row["logid"], kind)
        for row in box.store.rows()
        for key, kind in kinds.items()
        if row.get(key) and row["call_recording_transcription_status"] == "completed"
    }


def found(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["logid"], row["kind"]) for row in rows}


def failed(run: Run) -> list[int]:
    """Return the places of the transcripts with an error."""
    return [place for place, row in enumerate(run.rows("transcripts")) if row["error"]]


@pytest.mark.parametrize("form", ["string", "object", "segments_string"])
def test_each_completed_transcript_comes_once_and_in_parts(account: Accounts, form: str) -> None:
    status = {"call_recording_transcription_status": "completed"}
    files = {"voicemail": {}, "call_recording": {"recording_filename": "x.wav"}}
    with account(160, transcript_form=form) as box:
        box.store.add(call(box, "no voicemail", round(NOW * 1000) - 1000, **files, **status))
        run = box.succeed(streams=ALL)
        rows = run.rows("transcripts")
        assert found(rows) == due(box)
        assert {kind for _, kind in due(box)} == {"recording", "voicemail"}
        assert len(rows) == len(due(box)) == box.stats.transcripts.requests
        assert all("size" in params for _, params, _ in box.stats.log)
        log = [params for _, params, _ in box.stats.transcripts.log]
    types = {params["logId"]: params["transcriptionType"] for params in log}
    for row in rows:
        assert types[row["logid"]] == {"recording": "2", "voicemail": "1"}[row["kind"]]
        assert row["error"] is row["raw"] is None
        assert row["provider"]
        assert len(row["segments"]) >= 2
        assert {"sentiment", "summary"} <= set(row["analytics"])
    for part in run.state["bookmarks"]["transcripts"]["partitions"]:
        of_kind = [row for row in rows if row["kind"] == part["context"]["kind"]]
        assert part["replication_key_value"] >= of_kind[-1]["start_time"]


@pytest.mark.parametrize("fault", ["500", "html", "cut", "error_200", "array", "redirect"])
def test_failing_transcript_is_an_error_row(account: Accounts, fault: str) -> None:
    with account(90, transcript_faults=dict.fromkeys((2, 3, 4), fault)) as box:
        run = box.read(streams=ALL)
        rows = run.rows("transcripts")
        assert found(rows) == due(box)
    assert failed(run) in ([1], [1, 2, 3])
    assert all(rows[place]["segments"] is None for place in failed(run))


def test_endless_lockout_of_transcripts_stops(account: Accounts) -> None:
    with account(90, transcript_faults=dict.fromkeys(range(1, 100), "lock")) as box:
        run = box.fail("the lockout lasts too long", streams=ALL)
        assert set(run.ids) == server_ids(box)
        assert box.stats.transcripts.requests == 8
        assert box.stats.transcripts.locked_calls == 0


def test_failure_replaces_no_transcript_of_new_call(account: Accounts) -> None:
    status = {"call_recording_transcription_status": "completed"}
    with account(None) as box:
        for name, ago in (("old", 3600), ("during the run", -60)):
            recording = {"recording_filename": f"{name}.wav"}
            start = round(NOW - ago) * 1000
            box.store.add(call(box, name, start, call_recording=recording, **status))

        def wait(_: int) -> None:
            box.clock.time = max(box.clock.time, NOW + 120)

        box.before_request = wait
        first = box.succeed(streams=["transcripts"])
        assert [row["error"] for row in first.rows("transcripts")] == [None, None]
        box.clock.time += 3600
        box.transcript_faults = dict.fromkeys(range(1, 100), "redirect")
        second = box.succeed(streams=["transcripts"], state=first.state)
        assert second.rows("transcripts") == []
        assert "2 error records are not emitted" in second.log


def test_later_failure_does_not_replace_a_transcript(account: Accounts) -> None:
    with account(90, transcript_faults={2: "redirect"}) as box:
        own = {"streams": ALL, "lookback_days": 3650}
        first = box.run(**own)
        (place,) = failed(first)
        missing, total = first.rows("transcripts")[place], len(first.rows("transcripts"))
        # Everything fails; only the transcript that never came is emitted with its error.
        box.transcript_faults.update(dict.fromkeys(range(1, 10 * total), "redirect"))
        second = box.run(**own, state=first.state)
        assert [row["logid"] for row in second.rows("transcripts")] == [missing["logid"]]
        assert second.log.count("error records are not emitted") == 2  # one line for each kind
        box.transcript_faults.clear()
        third = box.run(**own, state=second.state)
        assert len(third.rows("transcripts")) == total
        assert failed(third) == []
        assert "open_failures" not in str(third.state)


@pytest.mark.parametrize("sent", ["", "{}", {}], ids=str)
def test_empty_response_replaces_no_transcript(account: Accounts, sent: object) -> None:
    own = {"streams": ["transcripts"], "lookback_days": 3650}
    with account(40) as box, Mocker(real_http=True) as mock:
        first = box.succeed(**own)
        empty = {"transcribeObj": sent, "code": "200", "status": "SUCCESS"}
        mock.get(re.compile("zv/transcribe"), json=empty)
        second = box.succeed(**own, state=first.state)
    assert len(first.rows("transcripts")) > 3
    assert second.rows("transcripts") == []
    assert "error records are not emitted" in second.log
