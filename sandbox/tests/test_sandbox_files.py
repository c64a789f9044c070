"""Files and transcripts of the sandbox."""

from __future__ import annotations

import io
import json
import socket
import time
import tracemalloc
import wave
from datetime import date
from typing import Any
from zipfile import ZipFile

import pytest
import requests
from werkzeug.test import create_environ

from sandbox_client import Caller, FakeClock, history, set_dialect
from zoho_voice_sandbox import Dialect, History, Sandbox
from zoho_voice_sandbox.__main__ import main

FILES, TRANSCRIPTS = "zv/logs/voicerecording", "zv/transcribe"
KEYS = ("call_recording", "voicemail")
BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
WORST_NAMES = [
    "../../etc/x.wav", "/etc/x.wav", "a/b.wav", "..", "C:\\x", "nul\0byte", "line\r\nbreak",
    "x" * 300, "one,two.wav", ",", " ", "a+b&c=d%20.wav", "ü ☎.wav", "short",
]  # fmt: skip


def fetch(caller: Caller, name: str, **params: object) -> requests.Response:
    return caller.get(FILES, recording_filename=name, **params)


def files_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row[key] for key in KEYS if key in row]


def some_file(caller: Caller) -> dict[str, Any]:
    file: dict[str, Any] = next(file for row in caller.box.store.rows() for file in files_of(row))
    return file


def some_name(caller: Caller) -> str:
    return str(some_file(caller)["recording_filename"])


def transcribed(caller: Caller, key: str = "call_recording") -> str:
    return next(
        str(row["logid"])
        for row in caller.box.store.rows()
        if key in row and row["call_recording_transcription_status"] == "completed"
    )


def content_of(answer: requests.Response) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(answer.json()["transcribeObj"])
    return content


# Files


def test_file_matches_its_row(caller: Caller) -> None:
    set_dialect(caller, limit_calls=1000)
    contents = set()
    for row in caller.box.store.rows():
        for file in files_of(row):
            answer = fetch(caller, file["recording_filename"], mode="play")
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["Content-Length"] == str(file["recording_size_in_bytes"])
            assert len(answer.content) == file["recording_size_in_bytes"]
            with wave.open(io.BytesIO(answer.content)) as sound:
                assert sound.getnframes() / sound.getframerate() == file["recording_duration"]
                assert (sound.getnchannels(), sound.getsampwidth()) == (1, 1)
                samples = sound.readframes(9999)
            assert max(samples) > 200
            assert min(samples) < 56
            assert file["content_type"] == "audio/x-wav"
            assert file["recording_filename"].endswith(".wav")
            contents.add(answer.content)
    assert len(contents) == caller.box.stats.files.answered > 100
    assert {1, 2, 3} == {len(content) // 4000 for content in contents}


def test_same_name_returns_the_same_file(caller: Caller) -> None:
    name = some_name(caller)
    again = Sandbox(history=history(), clock=FakeClock()).audio.read(name)
    assert fetch(caller, name).content == again == caller.box.audio.read(name)


def test_file_exists_as_long_as_its_call() -> None:
    clock = FakeClock()
    with Sandbox(clock=clock, grow_per_hour=720) as box:
        client = Caller(box, clock)
        clock.sleep(3600)
        early = {row["logid"]: row for row in box.store.rows()}
        clock.sleep(300)
        later = {row["logid"]: row for row in box.store.rows()}
        late = {logid for logid in early if files_of(later[logid]) and not files_of(early[logid])}
        clock.sleep(-300)
        names = {logid: files_of(later[logid])[0]["recording_filename"] for logid in late}
        assert len(names) > 5
        assert all(box.audio.read(name) is None for name in names.values())
        logid, name = names.popitem()
        assert fetch(client, name).status_code == 404
        clock.sleep(300)
        assert fetch(client, name).status_code == 200
        box.store.remove(logid)
        assert fetch(client, name).status_code == 404
        box.store.add({"logid": "other", "voicemail": {"recording_filename": name}})
        assert fetch(client, name).status_code == 200


def test_file_is_found_among_a_million_calls() -> None:
    many = History(seed=3, calls=1_000_000, first=date(2023, 1, 1), last=date(2026, 3, 1))
    box = Sandbox(history=many, clock=FakeClock())
    began = time.process_time()
    for row in (row for row, _ in zip(box.store.rows(), range(50), strict=False)):
        for file in files_of(row):
            assert box.audio.read(file["recording_filename"])
    assert box.audio.read("0" * 36 + "_recording.wav") is None
    assert time.process_time() - began < 1


@pytest.mark.parametrize("name", WORST_NAMES)
def test_file_names_are_arbitrary(caller: Caller, name: str) -> None:
    assert fetch(caller, name).status_code == 404
    caller.box.store.add({"logid": "1", "call_recording": {"recording_filename": name}})
    content = fetch(caller, name).content
    assert content == caller.box.audio.read(name)
    assert content[8:12] == b"WAVE"
    caller.box.store.add({"logid": "1"})
    assert fetch(caller, name).status_code == 404


def test_file_references_in_any_form(caller: Caller) -> None:
    listed = [{"recording_filename": "a.wav"}, {"recording_filename": "b.wav"}, "c.wav", None, 5]
    caller.box.store.add({"logid": "1", "call_recording": listed, "voicemail": "d.wav"})
    for name in ("a.wav", "b.wav", "c.wav", "d.wav", "5"):
        assert fetch(caller, name).content == caller.box.audio.read(name) != b""
    assert fetch(caller, "None").status_code == 404
    half = "\ud800.wav"
    caller.box.store.add({"logid": "2", "voicemail": {"recording_filename": half}})
    assert caller.box.audio.read(half)
    assert {"logid": "2", "voicemail": {"recording_filename": half}} in caller.rows()


def test_two_calls_share_a_file(caller: Caller) -> None:
    for logid in "12":
        caller.box.store.add({"logid": logid, "voicemail": {"recording_filename": "x"}})
    caller.box.store.remove("1")
    assert caller.box.audio.read("x")
    caller.box.store.remove("2")
    assert caller.box.audio.read("x") is None


def test_files_are_overridden(caller: Caller) -> None:
    audio = caller.box.audio
    audio.put("nobody.wav", b"abc")
    assert fetch(caller, "nobody.wav").content == audio.read("nobody.wav") == b"abc"
    file = some_file(caller)
    name = file["recording_filename"]
    audio.put(name, b"")
    assert (fetch(caller, name).status_code, fetch(caller, name).content) == (200, b"")
    audio.put(name, b"abcd")
    told = [file for row in caller.rows() for file in files_of(row)]
    assert [file["recording_size_in_bytes"] for file in told if file["recording_filename"] == name]
    assert {file["recording_filename"]: file for file in told}[name] == {
        **file,
        "recording_size_in_bytes": 4,
    }
    audio.drop(name)
    assert audio.read(name) is None
    assert fetch(caller, name).status_code == 404
    audio.put(name, b"back")
    assert fetch(caller, name).content == b"back"


def test_added_row_keeps_its_size(caller: Caller) -> None:
    file = {"recording_filename": "x.wav", "recording_size_in_bytes": 12}
    caller.box.store.add({"logid": "1", "call_recording": [file]})
    caller.box.audio.put("x.wav", b"123")
    assert caller.rows(size=1)[0]["call_recording"] == [file]
    set_dialect(caller, file_size="wrong")
    assert caller.rows(size=1)[0]["call_recording"] == [{**file, "recording_size_in_bytes": 19}]
    assert next(row for row in caller.box.store.rows() if row["logid"] == "1") == {
        "logid": "1",
        "call_recording": [file],
    }


def test_several_files_are_an_archive(caller: Caller) -> None:
    names = list(
        dict.fromkeys(f["recording_filename"] for r in caller.rows() for f in files_of(r))
    )[:10]
    with ZipFile(io.BytesIO(fetch(caller, ",".join(names)).content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: caller.box.audio.read(name) for name in names
        }
    with ZipFile(io.BytesIO(fetch(caller, names[0], password="p").content)) as archive:
        assert archive.namelist() == names[:1]
    assert fetch(caller, f"{names[0]},missing").status_code == 404
    caller.box.audio.put(",".join(names[:2]), b"its own")
    assert fetch(caller, ",".join(names[:2])).content == b"its own"
    assert fetch(caller, ",".join("abcdefghijk")).json()["code"] == "ZVT015"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "ZVT015"),
        ({"recording_filename": ""}, "ZVT015"),
        ({"recording_filename": "x", "mode": "Play"}, "ZVT015"),
        ({"recording_filename": "x", "mode": "Download"}, "ZVT015"),
        ({"recording_filename": "x", "mode": ""}, "ZVT015"),
        ({"recording_filename": "x", "ZUID": "me"}, "ZVT015"),
        ({"recording_filename": "x", "from": "0"}, "ZVT010"),
        ({"recording_filename": "x", "Mode": "play"}, "ZVT010"),
        ({"recording_filename": "x", "mode": "play", "ZUID": "12"}, "404"),
        ({"recording_filename": "x", "mode": "download", "password": "any thing"}, "404"),
    ],
)
def test_parameters_of_files(caller: Caller, params: dict[str, str], code: str) -> None:
    answer = caller.get(FILES, **params)
    assert answer.json()["code"] == code
    assert answer.status_code == (404 if code == "404" else 400)


@pytest.mark.parametrize(
    ("accepted", "modes"),
    [
        ("lower", {"play", "download", None}),
        ("any", {"play", "Play", "download", "Download", None}),
        ("none", {None}),
    ],
)
def test_only_accepted_modes_return_a_file(
    caller: Caller, accepted: str, modes: set[str | None]
) -> None:
    set_dialect(caller, file_mode=accepted)
    name = some_name(caller)
    for mode in ("play", "Play", "download", "Download", "stream", "", None):
        answer = fetch(caller, name) if mode is None else fetch(caller, name, mode=mode)
        assert answer.status_code == (200 if mode in modes else 400)
        assert mode in modes or answer.json()["code"] == "ZVT015"


# How files are told and sent


@pytest.mark.parametrize("length", ["content_length", "chunked", "close"])
def test_length_of_a_file(caller: Caller, length: str) -> None:
    set_dialect(caller, file_length=length)
    content = bytes(range(256)) * 1000
    caller.box.audio.put("x", content)
    answer = fetch(caller, "x")
    assert answer.content == content
    assert ("Content-Length" in answer.headers) == (length == "content_length")
    assert ("Transfer-Encoding" in answer.headers) == (length == "chunked")
    assert "Content-Length" in fetch(caller, "missing").headers
    assert "Content-Length" in caller.get().headers
    caller.box.audio.put("empty", b"")
    assert fetch(caller, "empty").content == b""


def test_large_file_is_not_copied(caller: Caller) -> None:
    caller.get()
    caller.box.audio.put("big", bytes(50_000_000))
    path = f"/rest/json/{FILES}?recording_filename=big"
    token = {"Authorization": f"Zoho-oauthtoken {caller.token}"}
    for length in ("content_length", "chunked", "close"):
        set_dialect(caller, file_length=length)
        environ = create_environ(path, "http://localhost", headers=token)
        tracemalloc.start()
        sizes = [len(piece) for piece in caller.box(environ, lambda *_: lambda _: None)]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(sizes) == 50_000_000
        assert max(sizes) <= 65_536
        assert peak < 30_000_000  # the server sets 10 MB aside for a request of before


@pytest.mark.parametrize("size", ["exact", "absent", "text", "wrong"])
def test_size_in_rows(caller: Caller, size: str) -> None:
    right = [file for row in caller.rows() for file in files_of(row)]
    set_dialect(caller, file_size=size)
    key = "recording_size_in_bytes"
    for file, told in zip(
        right, (file for row in caller.rows() for file in files_of(row)), strict=True
    ):
        expected = {"exact": file[key], "text": str(file[key]), "wrong": file[key] + 7}
        assert told.get(key) == expected.get(size)
        assert (key in told) == (size != "absent")
        assert {**told, key: 0} == {**file, key: 0}
    assert len(right) > 100


@pytest.mark.parametrize(
    ("form", "status", "sign"),
    [
        ("404", 404, '"status":"ERROR"'),
        ("400", 400, '"status":"ERROR"'),
        ("500", 500, '"code":"500"'),
        ("200_error", 200, '"status":"ERROR"'),
        ("200_html", 200, "<html>"),
        ("200_object", 200, '"status":"SUCCESS"'),
        ("204", 204, ""),
        ("200_empty", 200, ""),
    ],
)
def test_responses_to_a_missing_file(caller: Caller, form: str, status: int, sign: str) -> None:
    set_dialect(caller, file_missing=form)
    answer = fetch(caller, "missing.wav", mode="play")
    assert answer.status_code == status
    assert sign in answer.text if sign else not answer.content
    assert caller.box.stats.files.answered == 0
    assert caller.box.stats.files.log[0][1:] == (
        {"recording_filename": "missing.wav", "mode": "play"},
        status,
    )


def test_filtered_rows_have_file_keys(caller: Caller) -> None:
    whole = {row["logid"]: row for row in caller.rows()}
    set_dialect(caller, file_keys="filtered")
    plain = caller.rows()
    assert [row["logid"] for row in plain] == list(whole)
    assert not [row for row in plain if files_of(row)]
    assert all({**whole[row["logid"]], **row} == whole[row["logid"]] for row in plain)
    for name, key in (("isRecording", "call_recording"), ("isVoiceMail", "voicemail")):
        rows = caller.rows(**{name: "true"})
        assert {row["logid"] for row in rows} == {k for k, row in whole.items() if key in row}
        assert rows == [whole[row["logid"]] for row in rows] != []
    both = caller.rows(isRecording="true", isVoiceMail="true")
    assert both == [row for row in whole.values() if files_of(row)]
    caller.box.store.add({"logid": "1", "call_recording": {}, "voicemail": {}})
    assert set(caller.rows(size=1, isVoiceMail="true")[0]) == {"logid", "voicemail"}


# The limits, the tokens and the counts


@pytest.mark.parametrize(
    ("path", "params", "place"),
    [
        (FILES, {"recording_filename": "x"}, "files"),
        (TRANSCRIPTS, {"logId": "x"}, "transcripts"),
    ],
)
def test_addresses_have_separate_limits(
    caller: Caller, path: str, params: dict[str, str], place: str
) -> None:
    box = caller.box
    counts = getattr(box.stats, place)
    box.audio.put("x", b"x")
    box.transcripts.put("x", "{}")
    assert [caller.get(path, **params).status_code for _ in range(30)] == [200] * 30
    assert "Cannot execute more than 30 requests" in caller.get(path, **params).text
    caller.clock.sleep(599)
    assert "Try again after 10 minutes" in caller.get(path, **params).text
    assert caller.get().status_code == 200
    assert (box.stats.requests, box.stats.violations, box.stats.locked_calls) == (1, 0, 0)
    caller.clock.sleep(600)
    assert caller.get(path, **params).status_code == 200
    assert (counts.requests, counts.answered) == (33, 31)
    assert (counts.violations, counts.locked_calls) == (1, 1)
    assert [status for _, _, status in counts.log].count(400) == 2
    box.lock()
    assert caller.get().status_code == 400
    assert caller.get(path, **params).status_code == 200
    other = {"files": "transcripts", "transcripts": "files"}[place]
    assert getattr(box.stats, other).requests == 0
    assert box.stats.other_requests == 0


@pytest.mark.parametrize("place", ["files", "transcripts"])
def test_addresses_have_separate_locks(caller: Caller, place: Any) -> None:
    caller.box.audio.put("x", b"x")
    caller.box.transcripts.put("x", "{}")
    set_dialect(caller, throttle="429", retry_after=True)
    caller.box.lock(place)
    answers = {
        "files": fetch(caller, "x"),
        "transcripts": caller.get(TRANSCRIPTS, logId="x"),
        "logs": caller.get(),
    }
    assert {name for name, answer in answers.items() if answer.status_code == 429} == {place}
    assert answers[place].headers["Retry-After"] == "600"
    assert getattr(caller.box.stats, place).locked_calls == 1


@pytest.mark.parametrize("path", [FILES, TRANSCRIPTS])
def test_files_and_transcripts_require_the_scope(caller: Caller, path: str) -> None:
    caller.get()
    caller.box.expire_tokens()
    assert caller.get(path, nonsense=1).status_code == 401
    caller.token = ""
    assert caller.get(path, nonsense=1).json()["code"] == "ZVT010"
    set_dialect(caller, scope_missing=True)
    assert caller.get(path, nonsense=1).json()["code"] == "ZVT022"


def test_summary_of_counters(caller: Caller) -> None:
    name = some_name(caller)
    caller.get()
    fetch(caller, name)
    fetch(caller, "missing")
    caller.box.lock("files")
    fetch(caller, name)
    caller.get(TRANSCRIPTS, logId=transcribed(caller), transcriptionType=2)
    assert caller.box.stats.summary() == {
        "requests": 1,
        "answered": 1,
        "violations": 0,
        "locked_calls": 0,
        "tokens": 1,
        "token_requests": 1,
        "other_requests": 0,
        "file_requests": 3,
        "file_answered": 1,
        "file_violations": 0,
        "file_locked_calls": 1,
        "transcript_requests": 1,
        "transcript_answered": 1,
        "transcript_violations": 0,
        "transcript_locked_calls": 0,
    }


# Transcripts


def test_transcript_is_json_in_a_string(caller: Caller) -> None:
    logid = transcribed(caller)
    answer = caller.get(TRANSCRIPTS, logId=logid, transcriptionType=2)
    assert answer.status_code == 200
    assert {**answer.json(), "transcribeObj": ""} == {
        "transcribeObj": "",
        "status": "SUCCESS",
        "code": "200",
    }
    content = content_of(answer)
    assert set(content) == {"transcriptionProvider", "transcriptJson", "callAnalytics"}
    segments = content["transcriptJson"]
    assert 3 <= len(segments) <= 5
    assert {segment["speaker"] for segment in segments} == {"Agent", "Customer"}
    assert all(segment["text"] for segment in segments)
    assert all(segment["startTime"] < segment["endTime"] for segment in segments)
    assert {"sentiment", "summary"} < {entry["feature"] for entry in content["callAnalytics"]}
    assert caller.get(TRANSCRIPTS, logId=logid, transcriptionType=2).text == answer.text
    others = [row["logid"] for row in caller.box.store.rows() if "call_recording" in row]
    for other in others:
        caller.box.store.add(
            {
                **(caller.box.store.find(other) or {}),
                "call_recording_transcription_status": "completed",
            }
        )
    set_dialect(caller, limit_calls=1000)
    texts = {caller.get(TRANSCRIPTS, logId=o, transcriptionType=2).text for o in others}
    assert len(texts) == len(others) > 100


def test_voicemail_has_a_transcript(caller: Caller) -> None:
    logid = transcribed(caller, "voicemail")
    content = content_of(caller.get(TRANSCRIPTS, logId=logid))
    assert content["transcriptJson"]
    assert content == content_of(caller.get(TRANSCRIPTS, logId=logid, transcriptionType=1))
    assert caller.get(TRANSCRIPTS, logId=logid, transcriptionType=2).json()["code"] == "ZVTST005"
    rows = [row for row in caller.box.store.rows() if "voicemail" in row]
    statuses = [row["call_recording_transcription_status"] for row in rows]
    assert 0 < statuses.count("completed") < len(rows) / 3


def test_missing_transcript_is_an_error(caller: Caller) -> None:
    def code(logid: str, kind: int = 2) -> str:
        answer = caller.get(TRANSCRIPTS, logId=logid, transcriptionType=kind)
        assert answer.json()["status"] == "ERROR"
        assert answer.status_code == 400
        return str(answer.json()["code"])

    logid = transcribed(caller)
    plain = next(
        row["logid"]
        for row in caller.box.store.rows()
        if "call_recording" in row and row["call_recording_transcription_status"] == "not_initiated"
    )
    caller.box.store.add({"logid": "1", "call_recording_transcription_status": "completed"})
    assert code(plain) == code("1") == code("nobody") == code(logid, kind=1) == "ZVTST005"
    assert caller.get(TRANSCRIPTS, logId=logid, transcriptionType=2).status_code == 200
    caller.box.store.remove(logid)
    assert code(logid) == "ZVTST005"
    assert caller.box.stats.transcripts.answered == 1


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "ZVT015"),
        ({"logId": ""}, "ZVT015"),
        ({"logId": "x", "transcriptionType": "3"}, "ZVT015"),
        ({"logId": "x", "transcriptionType": "recording"}, "ZVT015"),
        ({"logId": "x", "logid": "x"}, "ZVT010"),
    ],
)
def test_parameters_of_transcripts(caller: Caller, params: dict[str, str], code: str) -> None:
    caller.box.transcripts.put("x", "{}")
    answer = caller.get(TRANSCRIPTS, **params)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_forms_of_a_transcript(caller: Caller) -> None:
    logid = transcribed(caller)

    def sent(form: str) -> Any:
        set_dialect(caller, transcript_form=form)
        answer = caller.get(TRANSCRIPTS, logId=logid, transcriptionType=2)
        return answer.json()["transcribeObj"]

    content = json.loads(sent("string"))
    assert sent("object") == content
    inner = json.loads(sent("segments_string"))
    assert json.loads(inner["transcriptJson"]) == content["transcriptJson"]
    assert {**inner, "transcriptJson": 0} == {**content, "transcriptJson": 0}
    broken = sent("broken")
    assert isinstance(broken, str)
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)


def test_transcripts_are_overridden(caller: Caller) -> None:
    logid = transcribed(caller)
    set_dialect(caller, transcript_form="object")
    caller.box.transcripts.put(logid, "no JSON at all")
    for kind in (1, 2):
        answer = caller.get(TRANSCRIPTS, logId=logid, transcriptionType=kind)
        assert answer.json()["transcribeObj"] == "no JSON at all"
    caller.box.transcripts.drop(logid)
    assert caller.get(TRANSCRIPTS, logId=logid, transcriptionType=2).status_code == 400


# Faults


@pytest.mark.parametrize(
    ("kind", "status", "sign"),
    [
        ("500", 500, b'"code":"500"'),
        ("502_html", 502, b"<h1>502"),
        ("503_retry_after:7", 503, b"unavailable"),
        ("html", 200, b"<title>Sign in"),
        ("error_200", 200, b'"status":"ERROR"'),
        ("lock", 400, b"THROTTLES"),
        ("token", 401, b"Unauthorized"),
        ("redirect", 302, b""),
        ("array", 200, b"{"),
        ("nan", 200, b"{"),
        ("hollow", 200, b"{"),
        ("renamed", 200, b"{"),
        ("slow:4", 200, b"RIFF"),
        ("drip:4", 200, b"RIFF"),
    ],
)
def test_file_fault_comes_once(caller: Caller, kind: str, status: int, sign: bytes) -> None:
    name = some_name(caller)
    right = fetch(caller, name).content
    caller.box.file_faults[2] = kind
    answer = fetch(caller, name)
    assert answer.status_code == status
    assert answer.content.startswith(sign) or sign in answer.content
    assert answer.headers.get("Retry-After") == ("7" if "retry" in kind else None)
    is_late = kind in {"slow:4", "drip:4"}
    assert (answer.content == right) == is_late
    assert caller.clock.passed == pytest.approx(4 if is_late else 0)
    assert caller.box.stats.files.answered == (2 if is_late else 1)
    third = fetch(caller, name)
    assert third.content == right or kind in {"lock", "token"}
    assert third.status_code == (status if kind in {"lock", "token"} else 200)
    assert caller.get().status_code == (401 if kind == "token" else 200)


@pytest.mark.parametrize("length", ["content_length", "chunked", "close"])
@pytest.mark.parametrize("kind", ["cut", "cut_body", "truncated"])
def test_cut_file_breaks_or_ends_early(caller: Caller, length: str, kind: str) -> None:
    set_dialect(caller, file_length=length)
    content = bytes(range(200)) * 1000
    caller.box.audio.put("x", content)
    caller.box.file_faults[1] = kind
    if kind == "truncated" or (kind, length) == ("cut_body", "close"):
        assert fetch(caller, "x").content == content[:100_000]
    else:
        received = b""
        with pytest.raises(BROKEN):  # noqa: PT012 - it breaks at either step
            answer = requests.get(
                f"{caller.box.url}/rest/json/{FILES}?recording_filename=x",
                headers={
                    "Authorization": f"Zoho-oauthtoken {caller.post().json()['access_token']}"
                },
                stream=True,
                timeout=9,
            )
            for piece in answer.iter_content(1000):
                received += piece
        assert received == (b"" if kind == "cut" else content[:100_000])
    assert caller.box.stats.files.answered == 0
    assert fetch(caller, "x").content == content


@pytest.mark.parametrize("length", ["content_length", "chunked", "close"])
def test_dripping_file_arrives_in_ten_chunks(caller: Caller, length: str) -> None:
    caller.get()
    set_dialect(caller, file_length=length)
    content = b"0123456789" * 10
    caller.box.audio.put("x", content)
    caller.box.audio.put("y", b"123")
    caller.box.file_faults = {1: "drip:90", 2: "drip"}
    host, _, port = caller.box.url.removeprefix("http://").partition(":")
    seen: list[float] = []
    token = {"Authorization": f"Zoho-oauthtoken {caller.token}"}
    environ = create_environ(f"/rest/json/{FILES}?recording_filename=x", headers=token)
    body = iter(caller.box(environ, lambda *_: lambda _: None))
    pieces = []
    for piece in body:
        pieces.append(piece)
        seen.append(caller.clock.passed)
    assert pieces == [b"0123456789"] * 10
    assert seen == pytest.approx([10 * number for number in range(10)])
    with socket.create_connection((host, int(port)), 9) as connection:
        connection.sendall(
            f"GET /rest/json/{FILES}?recording_filename=y HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Zoho-oauthtoken {caller.token}\r\nConnection: close\r\n\r\n".encode()
        )
        sent = b"".join(iter(lambda: connection.recv(999), b""))
    body_sent = sent.partition(b"\r\n\r\n")[2]
    plain = b"1\r\n1\r\n1\r\n2\r\n1\r\n3\r\n0\r\n\r\n"
    assert body_sent == (plain if length == "chunked" else b"123")
    assert caller.clock.passed == pytest.approx(95)


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("500", '"code":"500"'),
        ("error_200", '"status":"ERROR"'),
        ("html", "Sign in"),
        ("lock", "THROTTLES"),
        ("token", "Unauthorized"),
        ("array", '[{"transcribeObj"'),
        ("hollow", '"transcribeObj":"{}"'),
        ("renamed", '"transcript":'),
        ("nan", "NaN"),
    ],
)
def test_transcript_fault_comes_once(caller: Caller, kind: str, sign: str) -> None:
    params = {"logId": transcribed(caller), "transcriptionType": 2}
    right = caller.get(TRANSCRIPTS, **params).text
    caller.box.transcript_faults[2] = kind
    spoilt = caller.get(TRANSCRIPTS, **params).text
    assert sign in spoilt
    assert sign not in right
    assert caller.box.stats.transcripts.answered == 1
    assert caller.get().status_code == (401 if kind == "token" else 200)
    if kind not in {"lock", "token"}:
        assert caller.get(TRANSCRIPTS, **params).text == right


@pytest.mark.parametrize("kind", ["cut", "cut_body"])
def test_cut_transcript_breaks_once(caller: Caller, kind: str) -> None:
    caller.box.transcripts.put("x", "y" * 1000)
    caller.box.transcript_faults[1] = kind
    with pytest.raises(BROKEN):
        caller.get(TRANSCRIPTS, logId="x")
    assert content_length(caller.get(TRANSCRIPTS, logId="x")) > 1000


def content_length(answer: requests.Response) -> int:
    return int(answer.headers["Content-Length"])


def test_dripping_logs_take_their_time(caller: Caller) -> None:
    right = caller.get(size=3).content
    caller.box.faults[2] = "drip:9"
    assert caller.get(size=3).content == right
    assert caller.clock.passed == pytest.approx(9)
    assert caller.box.stats.answered == 2


def test_fault_of_a_missing_file(caller: Caller) -> None:
    set_dialect(caller, file_missing="200_html")
    caller.box.file_faults = {1: "nan", 2: "truncated"}
    assert fetch(caller, "missing").json() == {"status": "SUCCESS"}
    assert fetch(caller, "missing").text.startswith("<!DOCTYPE")


def test_faults_are_numbered_by_address() -> None:
    clock = FakeClock()
    with Sandbox(
        clock=clock, faults={1: "500"}, file_faults={2: "500"}, transcript_faults={3: "500"}
    ) as box:
        client = Caller(box, clock)
        box.audio.put("x", b"x")
        box.transcripts.put("x", "{}")
        statuses = [
            (
                client.get().status_code,
                fetch(client, "x").status_code,
                client.get(TRANSCRIPTS, logId="x").status_code,
            )
            for _ in range(4)
        ]
    assert statuses == [(500, 200, 200), (200, 500, 200), (200, 200, 500), (200, 200, 200)]


def test_before_file_is_called_first() -> None:
    seen: list[int] = []

    def before(number: int) -> None:
        seen.append(number)
        box.audio.put("x", str(number).encode())

    with Sandbox(clock=FakeClock(), before_file=before) as box:
        client = Caller(box, FakeClock())
        client.get()
        client.get(TRANSCRIPTS, logId="x")
        assert [fetch(client, "x").content for _ in range(2)] == [b"1", b"2"]
        box.before_file = None
        assert fetch(client, "x").content == b"2"
    assert seen == [1, 2]


def test_unknown_file_faults_are_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    for faults in ({"file_faults": {1: "fire"}}, {"transcript_faults": {1: "drip:"}}):
        with pytest.raises(ValueError, match="unknown fault"):
            Sandbox(**faults)  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    with pytest.raises(ValueError, match="file_missing"):
        Dialect(file_missing="403")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    for option in ("--file-fault", "--transcript-fault"):
        with pytest.raises(SystemExit):
            main([option, "1=fire"])
        assert "unknown fault" in capsys.readouterr().err
