"""A transcript as Zoho sends it, in parts: JSON inside a string, of which little is documented."""

from __future__ import annotations

import json
from typing import Any

from singer_sdk import typing as th

from tap_zohovoice.exceptions import UnexpectedResponseError
from tap_zohovoice.singer.json import parse, within_depth

Fields = dict[str, Any]

# The first is documented or was seen; nobody has published the names inside a segment.
_SPEAKER = ("speaker", "speakerName", "speakerLabel", "speakerId", "speaker_name", "speaker_label")
_START = ("start", "startTime", "start_time", "startTimestamp", "from")
_END = ("end", "endTime", "end_time", "endTimestamp", "to")
_TEXT = ("text", "transcript", "sentence", "content", "message")
_KNOWN = {"transcriptionProvider", "transcriptJson", "callAnalytics"}


def parse_transcript(transcribe_obj: object) -> Fields:
    """Take a transcript apart.

    Args:
        transcribe_obj: `transcribeObj` of the answer: a JSON object in a string (documented), or
            the object itself.

    Returns:
        `provider`, `segments`, `analytics` by feature, `additional_fields`, and `raw`, the string
        as sent, where it does not parse.

    Raises:
        UnexpectedResponseError: If the object is none that anybody could go through.
    """
    content = _parsed(transcribe_obj)
    if not within_depth(transcribe_obj):
        message = "a transcript of too many levels"
        raise UnexpectedResponseError(message)
    if not isinstance(content, dict):
        raw = transcribe_obj if isinstance(transcribe_obj, str) else json.dumps(transcribe_obj)
        return {"raw": raw}
    extra = {name: value for name, value in content.items() if name not in _KNOWN}
    segments = _parsed(content.get("transcriptJson"))
    if isinstance(segments, dict):
        segments = [segments]
    if not isinstance(segments, list):
        _keep(extra, "transcriptJson", segments)
        segments = None
    provider = content.get("transcriptionProvider")
    if not isinstance(provider, str):
        _keep(extra, "transcriptionProvider", provider)
        provider = None
    analytics = _parsed(content.get("callAnalytics"))
    if isinstance(analytics, list):
        analytics = _by_feature(analytics, extra)
    elif not isinstance(analytics, dict):
        _keep(extra, "callAnalytics", analytics)
        analytics = None
    return {
        "provider": provider,
        "segments": None if segments is None else [_segment(segment) for segment in segments],
        "analytics": analytics,
        "additional_fields": extra or None,
    }


def _parsed(value: object) -> object:
    """Parse JSON that is in a string; what does not parse, or nobody can read, stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        content = parse(value)
    except (ValueError, RecursionError):
        return value
    return content if within_depth(content) else value


def _keep(extra: Fields, name: str, value: object) -> None:
    if value is not None:
        extra[name] = value


def _by_feature(analytics: list[Any], extra: Fields) -> Fields | None:
    """Make an object of a list of `{feature, result}`."""
    found: Fields = {}
    for entry in analytics:
        feature = entry.get("feature") if isinstance(entry, dict) else None
        if not isinstance(feature, str) or feature in found:
            extra.setdefault("callAnalytics", []).append(entry)
        else:
            found[feature] = entry.get("result")
    return found or None


def _segment(segment: object) -> Fields:
    if not isinstance(segment, dict):
        text = segment if isinstance(segment, str) else None
        extra = None if text else {"segment": segment}
        return {"speaker": None, "start": None, "end": None, "text": text} | {
            "additional_fields": extra
        }
    rest = dict(segment)
    speaker = _take(rest, _SPEAKER, (str, int))
    return {
        "speaker": None if speaker is None else str(speaker),
        "start": _take(rest, _START, (int, float)),
        "end": _take(rest, _END, (int, float)),
        "text": _take(rest, _TEXT, (str,)),
        "additional_fields": rest or None,
    }


def _take(rest: Fields, names: tuple[str, ...], kinds: tuple[type, ...]) -> Any:  # noqa: ANN401
    for name in names:
        value = rest.get(name)
        if isinstance(value, kinds) and not isinstance(value, bool):
            return rest.pop(name)
    return None


_SEGMENT = th.ObjectType(
    th.Property("speaker", th.StringType, description="Who speaks."),
    th.Property("start", th.NumberType, description="Beginning; its unit is not documented."),
    th.Property("end", th.NumberType, description="End, in the same unit."),
    th.Property("text", th.StringType, description="What is said."),
    th.Property(
        "additional_fields",
        th.ObjectType(additional_properties=True),
        description="What else Zoho sends.",
    ),
    additional_properties=False,
)

TRANSCRIPTS_SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property("logid", th.StringType, required=True, description="Id of the call log."),
    th.Property(
        "kind",
        th.StringType,
        required=True,
        description="What was transcribed: recording or voicemail.",
    ),
    th.Property("start_time", th.DateTimeType, description="When the call started."),
    th.Property("provider", th.StringType, description="Who transcribed it."),
    th.Property("segments", th.ArrayType(_SEGMENT), description="What was said, in order."),
    th.Property(
        "analytics",
        th.ObjectType(additional_properties=True),
        description="Results of Zoho's analysis by feature, such as sentiment or summary.",
    ),
    th.Property(
        "additional_fields",
        th.ObjectType(additional_properties=True),
        description="What Zoho sends beyond that.",
    ),
    th.Property(
        "raw", th.StringType, description="The transcript as sent, where it does not parse."
    ),
    th.Property("error", th.StringType, description="Why there is no transcript."),
    additional_properties=False,
).to_dict()
