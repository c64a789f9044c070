"""JSON in and out, and text that every target can store."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_zohovoice.singer.json import (
    MAX_DEPTH,
    ascii_json,
    dumps,
    loads,
    sanitize,
    sanitize_json,
    within_depth,
)

TEXT = st.text(st.characters(codec=None) | st.sampled_from('\0\ud800\udfff\\"é'))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, max_size=3))
def test_json_round_trips_and_is_storable_once_sanitized(content: dict[str, Any]) -> None:
    text = dumps(content)
    assert b"\n" not in text
    assert loads(text) == json.loads(text) == content
    escaped = ascii_json(text)
    assert escaped.isascii()
    assert loads(escaped) == content
    assert loads(sanitize_json(text)) == sanitize(content)
    decoded = json.dumps(sanitize(content), ensure_ascii=False)
    decoded.encode()
    assert "\\u0000" not in decoded


@pytest.mark.parametrize(
    "number",
    [
        *["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999"],
        *["0.1234567890123456789", "12345678901234567.5", f"1e{'9' * 30}"],
    ],
)
def test_number_beyond_floats_stays_text(number: str) -> None:
    assert loads(f"[{number}, 1.5]") == [number, 1.5]


@pytest.mark.parametrize("text", ["", "{", "[1,]", b"\xff"])
def test_invalid_json_is_a_value_error(text: bytes | str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        loads(text)


def test_other_encodings_are_read() -> None:
    assert loads('{"a": "é"}'.encode("utf-16")) == {"a": "é"}


def test_sanitize_replaces_in_keys_and_values() -> None:
    assert sanitize({"a\0": ["\ud800", 1], "a\ufffd": None, "b": {"c": "\0é"}}) == {
        "a\ufffd": ["\ufffd", 1],
        "a\ufffd_": None,
        "b": {"c": "\ufffdé"},
    }


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400], ids=["above", "below", "400"])
def test_sanitize_turns_large_integers_into_text(number: int) -> None:
    text = str(number)
    assert sanitize({"a": [number, {"b": number}]}) == {"a": [text, {"b": text}]}
    assert sanitize([2**63 - 1, -(2**63), True]) == [2**63 - 1, -(2**63), True]


def test_sanitize_limits_depth() -> None:
    value = json.loads("[" * 3 + "]" * 3)
    assert sanitize(value, 3) == value
    with pytest.raises(RecursionError):
        sanitize(value, 2)


@pytest.mark.parametrize("opening", ["[", '{"a": '])
def test_depth_is_limited(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    for depth, expected in ((0, True), (MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        value = json.loads(opening * depth + "1" + closing * depth)
        assert within_depth(value) is expected
