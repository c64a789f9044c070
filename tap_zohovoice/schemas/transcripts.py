"""JSON schema of transcripts, and parsing of a transcript: JSON in a string, little documented."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_zohovoice.exceptions import UnexpectedResponseError
from tap_zohovoice.singer.json import loads, within_depth

if TYPE_CHECKING:
    from collections.abc import Callable

Fields = dict[str, Any]

_OPEN_OBJECT = th.ObjectType(additional_properties=True)

TRANSCRIPT_SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property("logid", th.StringType, required=True, description="Id of the call log."),
    th.Property(
        "kind",
        th.StringType,
        required=True,
        description="What was transcribed: recording or voicemail.",
    ),
    th.Property("start_time", th.DateTimeType, description="When the call started."),
    th.Property("provider", th.StringType, description="Who transcribed it."),
    th.Property(
        "segments",
        th.ArrayType(_OPEN_OBJECT),
        description="What was said, in order; each segment as Zoho sends it.",
    ),
    th.Property(
        "analytics",
        _OPEN_OBJECT,
        description="Results of Zoho's analysis by feature, such as sentiment or summary.",
    ),
    th.Property("additional_fields", _OPEN_OBJECT, description="What Zoho sends beyond that."),
    th.Property(
        "raw", th.StringType, description="The transcript as sent, where it does not parse."
    ),
    th.Property("error", th.StringType, description="Why there is no transcript."),
    additional_properties=False,
).to_dict()
"""JSON schema of a transcript. The properties of a segment are not documented."""

# Source of these names: documentation of call transcription, and clients.
_PROVIDER = "transcriptionProvider"
_SEGMENTS = "transcriptJson"
_ANALYTICS = "callAnalytics"
_MAX_ENCODINGS = 2
"""How often JSON may be encoded as a string."""
_DOCUMENTED = {_PROVIDER, _SEGMENTS, _ANALYTICS}


def parse_transcript(transcribe_obj: object) -> Fields:
    """Parse `transcribeObj` of a response: a JSON object in a string, or the object itself.

    Returns:
        `provider`, `segments`, `analytics` by feature and `additional_fields`; or `raw`, the string
        as sent, if it does not parse.

    Raises:
        UnexpectedResponseError: If the object is nested too deeply.
    """
    content = _parse_nested(transcribe_obj)
    if not within_depth(transcribe_obj):
        message = "a transcript of too many levels"
        raise UnexpectedResponseError(message)
    if not isinstance(content, dict):
        raw = transcribe_obj if isinstance(transcribe_obj, str) else json.dumps(transcribe_obj)
        return {"raw": raw}
    extra = {name: value for name, value in content.items() if name not in _DOCUMENTED}
    segments = _parse_nested(content.get(_SEGMENTS))
    if isinstance(segments, dict):
        segments = [segments]
    analytics = _parse_nested(content.get(_ANALYTICS))
    if isinstance(analytics, list):
        analytics = _analytics_by_feature(analytics, extra)
    return {
        "provider": _accept(content.get(_PROVIDER), _is_string, extra, _PROVIDER),
        "segments": _accept(segments, _is_list_of_objects, extra, _SEGMENTS),
        "analytics": _accept(analytics, _is_object, extra, _ANALYTICS),
        "additional_fields": extra or None,
    }


def _parse_nested(value: object) -> Any:  # noqa: ANN401 - JSON of any type
    """Parse JSON in a string; what does not parse, or is nested too deeply, stays as it is."""
    content = value
    with suppress(ValueError, RecursionError):
        for _ in range(_MAX_ENCODINGS):
            content = loads(content) if isinstance(content, str) else content
    return content if within_depth(content) else value


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_object, value))


def _accept(value: object, is_valid: Callable[[object], bool], extra: Fields, name: str) -> object:
    """Return a valid value; keep any other among the extra fields and return None."""
    if value is None or is_valid(value):
        return value
    extra[name] = value
    return None


def _analytics_by_feature(analytics: list[Any], extra: Fields) -> Fields | None:
    """Turn a list of `{feature, result}` into an object."""
    found: Fields = {}
    for entry in analytics:
        feature = entry.get("feature") if isinstance(entry, dict) else None
        if not isinstance(feature, str) or feature in found:
            extra.setdefault(_ANALYTICS, []).append(entry)
        else:
            found[feature] = entry.get("result")
    return found or None
