"""Rows of generated calls."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

from zoho_voice_sandbox import audio_fixtures
from zoho_voice_sandbox.contacts_fixtures import (
    AGENTS,
    CAMPAIGNS,
    DEPARTMENTS,
    HANGUP_TEXTS,
    PROFILES,
    QUEUES,
    customers,
    own_numbers,
)
from zoho_voice_sandbox.history import DAY_MS
from zoho_voice_sandbox.row_forms import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.generator import CallOutline

Row: TypeAlias = dict[str, Any]

FILE_KEYS = {"isRecording": "call_recording", "isVoiceMail": "voicemail"}
"""Filter by files, and the key of the rows that it selects."""
_CUSTOMERS = customers()
_OWN_NUMBERS = own_numbers()
COMPLETED = "completed"
_TIME_KEYS = {"start_time", "answer_time", "end_time"}
_YEAR_2000_MS = 946_684_800_000
_LATE_MS = 60_000
_HOUR = 3600


def build_row(outline: CallOutline, start_ms: int, now_ms: int) -> Row:
    """Return the row of a call, with the keys that calls of its type have.

    The objects in it are shared with other copies of the row, and must not be changed.
    Recordings, transcripts and ratings appear within five minutes of a call's end.

    Args:
        outline: The outline of the call.
        start_ms: Its start, in milliseconds since the epoch.
        now_ms: The time, in milliseconds since the epoch.
    """
    return {**_build(outline, start_ms, _has_late(outline, start_ms, now_ms))}


def encode_row(outline: CallOutline, start_ms: int, now_ms: int) -> bytes:
    """Return the row of a call as JSON; the arguments are those of `build_row`."""
    return _encode(outline, start_ms, _has_late(outline, start_ms, now_ms))


@lru_cache(maxsize=10_000)  # some 15 MB
def _encode(outline: CallOutline, start_ms: int, has_late: bool) -> bytes:  # noqa: FBT001 - a key
    return encode(_build(outline, start_ms, has_late))


def _has_late(outline: CallOutline, start_ms: int, now_ms: int) -> bool:
    return now_ms >= _end_ms(outline, start_ms) + _LATE_MS + outline.dice[30] * 900


def _end_ms(outline: CallOutline, start_ms: int) -> int:
    return start_ms + (outline.ring + outline.talk) * 1000


@lru_cache(maxsize=3_000)  # some 15 MB; filters look at the same rows again and again
def _build(outline: CallOutline, start_ms: int, has_late: bool) -> Row:  # noqa: FBT001 - a key
    row = _base(outline, start_ms)
    if outline.talk:
        _add_answer(row, outline, start_ms)
    _add_undocumented(row, outline, start_ms)
    if has_late:
        _add_late(row, outline)
    return row


def _base(outline: CallOutline, start_ms: int) -> Row:
    dice = outline.dice
    customer, name = _CUSTOMERS[dice[16]]
    own, own_id = _OWN_NUMBERS[dice[17] % 4]
    outward = outline.call_type in {"outgoing", "forward"}
    unanswered = "NO_ANSWER" if dice[18] % 3 else "USER_BUSY"
    cause = "NORMAL_CLEARING" if outline.talk else unanswered
    text, description = HANGUP_TEXTS[max(0, dice[19] % 8 - 5)][cause]
    voice = dice[20] / 4 if outline.talk else 0
    return {
        "logid": outline.logid,
        "call_type": outline.call_type,
        "start_time": str(start_ms),
        "end_time": str(_end_ms(outline, start_ms)),
        "duration": format_duration(outline.talk),
        "caller_id_number": own if outward else customer,
        "caller_id_name": "Zoho" if outward else name or customer,
        "destination_number": customer if outward else own,
        "user_number": customer,
        "did_number": own,
        "number_id": own_id,
        "department": DEPARTMENTS[dice[21] % 4],
        "zsoid": "800000001",
        "service": 58_000_000_000_003_001 + dice[17] % 4,
        "hangup_cause": cause,
        "hangup_cause_displayname": text,
        "hangup_cause_description": description,
        "sip_hangup_disposition": "send_bye" if dice[22] & 1 else "recv_bye",
        "isBlocked": dice[22] == 0,
        "is_test_call": dice[23] == 0,
        "voicemail_read_by": False,
        "call_recording_transcription_status": "not_initiated",
        "voice_credits": {
            "voice": voice,
            "free_minutes": 0,
            "total": voice,
            "surcharge": 0,
        },
        "is_archived": False,
    }


def _add_answer(row: Row, outline: CallOutline, start_ms: int) -> None:
    dice = outline.dice
    agent = AGENTS[dice[24] % 8]
    answer = str(start_ms + outline.ring * 1000)
    row["answer_time"] = answer
    row["agent_number"] = agent
    row["disconnected_by"] = "agent" if dice[22] & 2 else "customer"
    if outline.call_type != "outgoing":
        row["destination_name"] = agent
    if outline.call_type in {"incoming", "bridged"}:
        row["bridged_agent"] = {
            "agent": agent,
            "domain": "sip.example.com",
            "time": answer,
            "uuid": f"{dice[8:12].hex()}-{dice[25:27].hex()}-4a00-a000-{dice[0:6].hex()}",
            "user_agent": "Softphone/1.0 (été)",
        }


def _add_undocumented(row: Row, outline: CallOutline, start_ms: int) -> None:
    """Add keys that are not documented: those seen in clients, and invented ones."""
    dice = outline.dice
    _, name = _CUSTOMERS[dice[16]]
    if name:
        row["contact_name"] = name
    if dice[27] & 3:
        row["bh_profile"] = PROFILES[dice[27] >> 7]
        row["is_bh_off_duty"] = dice[27] & 4 == 0
    if outline.call_type != "outgoing":
        row["queue_name"] = QUEUES[dice[28] % 3]
        row["ivr_path"] = ["root", str(dice[28] % 9), "ü"][: 1 + dice[28] % 3]
    elif dice[28] % 4 == 0:
        row["campaign_name"] = CAMPAIGNS[dice[28] >> 7]
    if dice[29] & 1:
        row["notes_count"] = dice[29] >> 5
        row["retention"] = {"days": 365, "until": str(start_ms + 365 * 86_400_000)}


def _add_late(row: Row, outline: CallOutline) -> None:
    dice = outline.dice
    if not outline.talk:
        if dice[31] % 3 == 0:
            row["voicemail"] = _file(f"{row['logid']}_voicemail.wav", dice)
            row["voicemail_read_by"] = bool(dice[33] & 1)
            if dice[34] & 3 == 0:
                row["call_recording_transcription_status"] = COMPLETED
        return
    if dice[31] % 5 and dice[31] & 3:
        row["call_recording"] = _file(f"{row['logid']}_recording.wav", dice)
        row["voice_credits"]["recording"] = 0.5
        if dice[32] & 3 == 0:
            row["call_recording_transcription_status"] = COMPLETED
            row["voice_credits"]["transcription"] = 1.25
    if dice[33] % 8 == 0:
        row["feedback"] = 1 + dice[34] % 5


def has_wrong_start(logid: str, dialect: Dialect) -> bool:
    """Return whether a call is sent with wrong times."""
    return dialect.wrong_start != "none" and not crc32(logid.encode()) % dialect.wrong_start_every


def reset_to_2000(milliseconds: int) -> int:
    """Return the same time of day on 2000-01-01, in milliseconds since the epoch."""
    return _YEAR_2000_MS + milliseconds % DAY_MS


def rewrite_times(row: Row, dialect: Dialect) -> Row:
    """Return a row with the times that the server sends, which may be wrong."""
    if not has_wrong_start(str(row.get("logid", "")), dialect):
        return row
    sent = dict(row)
    for key in _TIME_KEYS & row.keys():
        if str(row[key]).isdecimal():
            value = int(row[key])
            wrong = {"seconds": value // 1000, "year_2000": reset_to_2000(value), "epoch": 0}
            sent[key] = str(wrong[dialect.wrong_start])
    return sent


def format_duration(seconds: int) -> str:
    """Return a duration as Zoho formats it: `MM:SS`, or `HH:MM:SS` from an hour on."""
    minutes, rest = divmod(seconds, 60)
    if seconds < _HOUR:
        return f"{minutes:02}:{rest:02}"
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def file_names(row: Row) -> Iterator[str]:
    """Yield the name of each file that a row refers to."""
    for key in FILE_KEYS.values():
        value = row.get(key)
        for file in value if isinstance(value, list) else [value]:
            name = file.get("recording_filename") if isinstance(file, dict) else file
            if isinstance(name, str | int):
                yield str(name)


def _file(name: str, dice: bytes) -> Row:
    seconds = audio_fixtures.duration(name)
    return {
        "recording_filename": name,
        "recording_duration": seconds,
        "content_type": "audio/x-wav",
        "dfs_path": f"/dfs/{dice[35]}",
        "block_id": dice[36:40].hex(),
        "recording_size_in_bytes": audio_fixtures.wav_size(seconds),
    }
