"""The account of the tests, and the expected rows in a warehouse."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from zoho_voice_sandbox import Dialect, History, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable

Row: TypeAlias = "dict[str, Any]"
Rows: TypeAlias = "dict[tuple[str, ...], Row]"

KEYS = {
    "call_logs": ("logid",),
    "recordings": ("recording_filename",),
    "transcripts": ("logid", "kind"),
}
"""The streams, and the key of each."""
MOMENTS = ("start_time", "answer_time", "end_time", "downloaded_at")
OBJECTS = (
    *("bridged_agent", "voice_credits", "call_recording", "voicemail", "additional_fields"),
    *("segments", "analytics"),
)
DAYS = 30
HOUR_MS = 3_600_000
MARK = "\N{REPLACEMENT CHARACTER}"
_CREDITS = ("voice", "free_minutes", "total", "recording", "transcription")
_CASTS = ("logid", "service", "duration", *MOMENTS, *OBJECTS)
# Fields of a call that the tap declares; others go to `additional_fields`.
_PLAIN = (
    *("call_type", "caller_id_number", "caller_id_name", "destination_number"),
    *("destination_name", "user_number", "did_number", "number_id", "agent_number", "department"),
    *("zsoid", "hangup_cause", "hangup_cause_displayname", "hangup_cause_description"),
    *("sip_hangup_disposition", "disconnected_by", "isBlocked", "is_test_call"),
    *("voicemail_read_by", "call_recording_transcription_status", "contact_name", "feedback"),
    *("bh_profile", "is_bh_off_duty"),
)


def open_account(calls: int, seed: int, **dialect: Any) -> Sandbox:
    """Generate an account whose last call was yesterday, with limits that cause no waits.

    Args:
        calls: How many calls it holds, besides one with awkward values.
        seed: The same seed makes the same calls.
        dialect: How it behaves otherwise.

    Returns:
        The account; it listens as a context manager.
    """
    last = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    box = Sandbox(
        history=History(seed, calls, last - dt.timedelta(days=DAYS - 1), last),
        dialect=Dialect(limit_calls=100_000, tokens_limit=1_000, **dialect),
    )
    box.store.add(awkward(next(iter(box.store.rows()))))
    return box


def awkward(row: Row) -> Row:
    """Return a call with values that databases may reject."""
    start = int(row["start_time"]) + 7 * 24 * HOUR_MS + 123
    without = ("call_recording", "voicemail")  # the name of a file is a key
    return {
        **{name: value for name, value in row.items() if name not in without},
        "logid": "awkward",
        "start_time": str(start),
        "end_time": str(start + 61_005),
        "duration": "100:00:01",
        "service": 2**63 + 1,
        "contact_name": "tab\t\"quotes\" \\ 'n' \r\nline, 🌻, nul \\u0000, {brace}, \\N",
        "caller_id_name": "",
        "agent_number": "NULL",
        "destination_name": "nul \0, half \ud83c of a 🌻",
        "feedback": 2**63,
        "call_recording_transcription_status": "failed",
        "deep": {"a": [{"b": 2**70, "c": 0.1, "d": None, "ü'\"": ["\n\0", True, {}]}]},
        "zz.dotted name": "\\.",
    }


def bring_news(box: Sandbox) -> dict[str, str]:
    """Change the account in ways that a second run must detect.

    Args:
        box: The account, read once.

    Returns:
        The logids of the calls, by what happened to them.
    """
    rows = sorted(box.store.rows(), key=lambda row: int(row["start_time"]))
    bookmark = int(rows[-1]["start_time"])
    bare = [
        row
        for row in rows
        if not row.get("feedback") and not row.get("call_recording") and not row.get("voicemail")
    ]
    changed = bare[-1]
    late, new = bookmark - 5 * HOUR_MS, bookmark + HOUR_MS // 2
    times = {"late": (late, bookmark), "new": (new, new + 1000)}
    for logid, (start, end) in times.items():
        moments = {"start_time": str(start), "end_time": str(end)}
        box.store.add({**bare[0], "logid": logid, **moments})
    file = {
        "recording_filename": "late.wav",
        "recording_duration": 3.5,
        "content_type": "audio/wav",
    }
    box.store.add({**changed, "feedback": 1, "call_recording": file})
    return {"late": "late", "new": "new", "changed": changed["logid"]}


def held_calls(box: Sandbox) -> Rows:
    """Return the expected rows in a warehouse, in the form of `plain`."""
    return keyed("call_logs", (_storable(_call(row)) for row in box.store.rows()))


def held_recordings(box: Sandbox) -> Rows:
    """Return the expected rows of recordings."""
    found = []
    for row in box.store.rows():
        for kind, field in (("recording", "call_recording"), ("voicemail", "voicemail")):
            if file := row.get(field):
                found.append(
                    {
                        "recording_filename": file["recording_filename"],
                        "logid": row["logid"],
                        "kind": kind,
                        "start_time": int(row["start_time"]),
                        "duration_seconds": file["recording_duration"],
                        "size": file.get("recording_size_in_bytes"),
                        "content_type": file["content_type"],
                    }
                )
    return keyed("recordings", found)


def held_transcripts(box: Sandbox) -> set[tuple[str, ...]]:
    """Return the keys of the expected transcripts."""
    completed = (
        row for row in box.store.rows() if row["call_recording_transcription_status"] == "completed"
    )
    return {
        (row["logid"], "voicemail" if row.get("voicemail") else "recording") for row in completed
    }


def last_start(box: Sandbox) -> str:
    """Return the bookmark after all calls are read."""
    last = max(int(row["start_time"]) for row in box.store.rows())
    return format_epoch_ms(last)


def format_epoch_ms(milliseconds: int) -> str:
    """Format milliseconds since the epoch as the tap does."""
    seconds, rest = divmod(milliseconds, 1000)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC).replace(microsecond=rest * 1000)
    return moment.isoformat(timespec="microseconds")


def keyed(stream: str, rows: Iterable[Row]) -> Rows:
    """Return rows by their key, of each key the last one."""
    return {tuple(row[name] for name in KEYS[stream]): row for row in rows}


def plain(row: Row) -> Row:
    """Convert a row of any warehouse to a common form.

    Args:
        row: By the names of its columns. Moments are text, in UTC where they have no zone;
            objects may be text.

    Returns:
        By names in lower case: moments in milliseconds since the epoch, objects as such.
    """
    lowered = {name.lower(): value for name, value in row.items()}
    for name in MOMENTS:
        if isinstance(text := lowered.get(name), str):
            moment = dt.datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
            lowered[name] = round(moment.timestamp() * 1000)
    for name in OBJECTS:
        if isinstance(text := lowered.get(name), str):
            lowered[name] = json.loads(text)
    return {name: value for name, value in lowered.items() if not name.startswith("_sdc_")}


def _call(row: Row) -> Row:
    agent, credit = row.get("bridged_agent"), row["voice_credits"]
    extra = {name: value for name, value in row.items() if name not in {*_CASTS, *_PLAIN}}
    extra |= {f"voice_credits.{name}": credit[name] for name in credit if name not in _CREDITS}
    hours, minutes, seconds = (int(part) for part in ("0:" + row["duration"]).split(":")[-3:])
    call = {
        **{name.lower(): row.get(name) for name in _PLAIN},
        **{name: int(row[name]) if row.get(name) else None for name in MOMENTS[:3]},
        "logid": row["logid"],
        "service": str(row["service"]),
        "duration": row["duration"],
        "duration_seconds": hours * 3600 + minutes * 60 + seconds,
        "bridged_agent": agent and {**agent, "time": format_epoch_ms(int(agent["time"]))},
        "voice_credits": {name: credit.get(name) for name in _CREDITS},
        "additional_fields": extra,
    }
    for name in ("call_recording", "voicemail"):
        file = row.get(name)
        members = ("recording_filename", "recording_duration", "content_type")
        more = ("dfs_path", "block_id", "recording_size_in_bytes")
        call[name] = file and {member: file.get(member) for member in (*members, *more)}
    return call


def _storable(value: Any) -> Any:
    """Replace text that PostgreSQL cannot store; integers beyond 64 bits become text."""
    if isinstance(value, str):
        return (
            value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", MARK)
        )
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if type(value) is int and value >= 2**63:
        return str(value)
    if not isinstance(value, dict):
        return value
    stored = {name: _storable(item) for name, item in value.items()}
    if isinstance(stored.get("feedback"), str):
        stored["additional_fields"]["feedback"] = stored["feedback"]
        stored["feedback"] = None
    return stored
