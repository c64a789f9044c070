"""Parsing of transcripts."""

import json
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_zohovoice.exceptions import UnexpectedResponseError
from tap_zohovoice.singer.json import loads
from tap_zohovoice.streams.transcripts import TranscriptsStream, parse_transcript

VALIDATOR = DEFAULT_JSONSCHEMA_VALIDATOR(TranscriptsStream.schema)
KEY = {"logid": "c3d87e71", "kind": "recording"}
CASE = json.loads((Path(__file__).parent / "transcript.json").read_text(encoding="utf-8"))
"""A transcript as it is sent, and as it is parsed: integers that are too large become text."""
CONTENT, PARSED = CASE["sent"], CASE["parsed"]


def parse(sent: object) -> dict[str, Any]:
    """Parse a transcript, and prove what must hold for every one."""
    parsed = parse_transcript({"transcribeObj": sent})
    assert [error.message for error in VALIDATOR.iter_errors({**KEY, **parsed})] == []
    json.dumps(parsed, allow_nan=False)
    return parsed


def test_transcript_is_parsed_in_every_wrapping() -> None:
    (segment,) = CONTENT["transcriptJson"]
    twice = {**CONTENT, "transcriptJson": json.dumps([segment])}
    single = {**CONTENT, "transcriptJson": segment}
    for sent in (json.dumps(CONTENT), CONTENT, json.dumps(twice), single):
        assert parse(sent) == PARSED
    assert parse(json.dumps(json.dumps(twice))) == PARSED
    assert parse({"callAnalytics": {"score": 2**64}})["analytics"] == {"score": str(2**64)}


@pytest.mark.parametrize("raw", ["\n", "\r\n", "\t", "\0", "\x1f"])
@pytest.mark.parametrize("encodings", [1, 2])
def test_raw_control_characters_are_read(raw: str, encodings: int) -> None:
    inner = json.dumps({"transcriptJson": [{"text": "HelloXyou"}]}).replace("X", raw)
    sent = inner if encodings == 1 else json.dumps(inner)
    text = "Hello" + raw.replace("\0", "\ufffd") + "you"  # no database stores U+0000
    assert parse(sent)["segments"] == [{"text": text}]


@pytest.mark.parametrize("sent", ["{broken", "[1]", "7", '"text"'])
def test_unparsable_transcript_is_kept_raw(sent: str) -> None:
    assert parse(sent) == {"raw": sent}


COLUMNS = {
    "transcriptionProvider": "provider",
    "transcriptJson": "segments",
    "callAnalytics": "analytics",
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("value", [None, 5, True, ["Hello"], "[1", [{"text": "Hello"}, "Hello"]])
def test_unexpected_property_is_kept_as_sent(name: str, value: object) -> None:
    parsed = parse({name: value})
    if (name, value) == ("transcriptionProvider", "[1"):
        assert parsed["provider"] == value
    else:
        columns = dict.fromkeys((*COLUMNS.values(), "additional_fields"))
        assert parsed == columns | ({} if value is None else {"additional_fields": {name: value}})


def test_too_deep_transcript_is_rejected() -> None:
    nested: Any = json.loads("[" * 60 + "]" * 60)
    with pytest.raises(UnexpectedResponseError, match="nested too deeply"):
        parse_transcript({"transcribeObj": {"transcriptJson": nested}})
    assert parse(json.dumps({"transcriptJson": nested}))["raw"]


def is_empty(sent: object) -> bool:
    """Return whether a transcript, in any number of encodings, has nothing in it."""
    with suppress(ValueError, RecursionError):
        while isinstance(sent, str):
            sent = loads(sent)
    return not sent


@pytest.mark.parametrize("sent", [None, "", {}, [], "null", "{}", "[]", '""', '"{}"'], ids=str)
def test_empty_transcript_is_rejected(sent: object) -> None:
    with pytest.raises(UnexpectedResponseError, match="transcribeObj not found, empty, or"):
        parse_transcript({"transcribeObj": sent})


NAMES = st.sampled_from([*CONTENT, "feature", "result", "speaker", "start", "text"])
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_any_json_can_be_parsed(sent: Any) -> None:
    for form in (json.dumps(sent), sent):
        with pytest.raises(UnexpectedResponseError) if is_empty(form) else nullcontext():
            parse(form)


def test_numbers_beyond_floats_stay_text() -> None:
    sent = '{"transcriptJson": [{"start": NaN, "end": 1e999, "text": "x"}]}'
    assert parse(sent)["segments"] == [{"start": "NaN", "end": "1e999", "text": "x"}]
