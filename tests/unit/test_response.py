"""Classification of responses, and redaction of their texts."""

import json
import re
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tap_zohovoice.exceptions import (
    RateLimitedError,
    RequestError,
    RetryableError,
    ZohoVoiceError,
)
from tap_zohovoice.http.error_body import ErrorBody
from tap_zohovoice.http.redaction import HIDDEN, redact
from tap_zohovoice.http.response import is_ambiguous, validate_response

URL = "https://voice.example.invalid/logs?fromDate=a&toDate=b"
NOW = 1_772_366_400.0
CASES = json.loads((Path(__file__).parent / "responses.json").read_text(encoding="utf-8"))
"""Words of errors, by what they mean."""
HTML = b"<!DOCTYPE html><html><head><title>Zoho</title></head><body>Sign in</body></html>"
ROLLING = CASES["lockouts of any shape"][0][1]
CLIQ = {"code": "request_limit_exceeded", "message": "You have exceeded the URL throttle limits."}
ROW = {
    "logid": "1",
    "hangup_cause_description": "Too many requests. Try again after 5 minutes. Number blocked",
    "notes": "invalid oauth token; throttled; locked",
}
# The words of these rows mean no error, and they are no list of calls.
ROWS = [[ROW], [[ROW]], json.dumps({"logs": [ROW, ROW]})[:-20], json.dumps([ROW])[:-5]]
FAILED = {"logs": [ROW], "status": "ERROR"}


def zvt(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message, "status": "ERROR"}


WORDS: dict[str, dict[str, object]] = {
    "throttling": {"name": "RateLimitedError"},
    "dead tokens": {"name": "TokenRejectedError"},
    "passing faults": {"name": "RetryableError", "has_advice": False},
    "limits of a value": {"name": "InvalidParameterError", "rejected": "other"},
}
"""Groups of words, and what they mean."""


def errors() -> Iterator[tuple[str, list[int], object, dict[str, object]]]:
    """Yield group, statuses and body of responses, and what is expected of their errors."""
    for group, rows in CASES["errors"].items():
        for statuses, body, error in rows:
            yield group, statuses, body, error if isinstance(error, dict) else {"name": error}
    for group, meaning in WORDS.items():
        statuses = [200, 400, 403, 503] if group == "throttling" else [200, 400, 403]
        for row in CASES[group]:
            code, message, *param = ["X", row] if isinstance(row, str) else row
            expected = meaning | ({"rejected": param[0] or "other"} if param else {})
            yield group, statuses, {"code": code, "message": message}, expected


def classify(status: int, body: object = b"", headers: Any = (), **options: Any) -> Any:
    """Return the error that a response stands for, or the body of a success."""
    body = body.encode() if isinstance(body, str) else body
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    response.request = requests.Request("GET", URL).prepare()
    try:
        return validate_response(response, content, now=NOW, **options)
    except (ZohoVoiceError, RetryableError) as error:
        return error


def message_of(error: RequestError) -> str:
    assert isinstance(error, RequestError)
    return str(error).removeprefix("Zoho Voice: ")


def facts_of(found: Any) -> dict[str, object]:
    if isinstance(found, dict):
        return {"name": None}
    has_advice = message_of(found) != found.summary
    return {**vars(found), "name": type(found).__name__, "has_advice": has_advice}


@pytest.mark.parametrize("word", ["200", "SUCCESS", "success", "OK", " 204 ", 200, None])
@pytest.mark.parametrize("status", [200, 206])
def test_success_keeps_the_whole_body(status: int, word: object) -> None:
    body = {"meta": {"total": 1}, "logs": [ROW], "status": word}
    assert classify(status, body) == body
    del body["status"]
    assert classify(status, body) == body


@pytest.mark.parametrize(("group", "statuses", "body", "expected"), list(errors()))
def test_error_follows_from_status_and_words(
    group: str, statuses: list[int], body: object, expected: dict[str, object]
) -> None:
    headers = {"Retry-After": "120"} if "Retry-After" in group else {}
    for status in statuses:
        facts = facts_of(classify(status, body, headers))
        assert {name: facts[name] for name in expected} == expected, status


@pytest.mark.parametrize(("status", "body", "content", "expected"), CASES["empty successes"])
def test_empty_success_may_be_ambiguous(
    status: int, body: Any, content: dict[str, Any] | None, expected: bool
) -> None:
    found = classify(status, body)
    assert found == (body if content is None else content)
    assert is_ambiguous(status, found) == expected


@pytest.mark.parametrize(
    ("status", "body", "wait"), [*CASES["lockouts of any shape"], (429, [ROW], None)], ids=repr
)
def test_throttle_in_any_shape_is_a_lockout(status: int, body: object, wait: float | None) -> None:
    for headers, seconds in (({}, wait), ({"retry-AFTER": "33"}, 33.0)):
        error = classify(status, body, headers)
        assert (type(error), error.wait) == (RateLimitedError, seconds)


@pytest.mark.parametrize(("text", "wait"), [*CASES["Retry-After"], ("9" * 400, None)])
@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_retry_after_is_a_number_or_a_date(name: str, text: str, wait: float | None) -> None:
    for status in (429, 503):
        assert classify(status, headers={name: text}).wait == wait


@pytest.mark.parametrize(
    ("status", "body", "outcome", "words"),
    [
        *CASES["other responses"],
        (200, b"\xff\xfe\0", "RetryableError", "not the requested JSON"),
        (200, b"[" * 100_000, "RetryableError", "not the requested JSON"),
        *((500, rows, "RetryableError", "HTTP 500") for rows in (*ROWS, FAILED)),
        *((200, rows, "RetryableError", r"not the requested JSON \(a to b\)") for rows in ROWS),
        (200, {"status": "failure", "logs": [ROW]}, "InvalidParameterError", "HTTP 200"),
        (200, FAILED, "InvalidParameterError", "HTTP 200"),
        (599, {"logs": [ROW]}, "RetryableError", "HTTP 599"),
        (401, HTML, "TokenRejectedError", "HTTP 401, an HTML page, not the requested JSON"),
    ],
    ids=lambda value: repr(value)[:70].replace("\\", "/"),
)
def test_other_responses_are_retried_rejected_or_fail(
    status: int, body: object, outcome: str, words: str
) -> None:
    error = classify(status, body)
    assert (type(error).__name__, error.wait) == (outcome, None)
    assert re.search(words, message_of(error))
    assert message_of(error).startswith(f"HTTP {status}")


@pytest.mark.parametrize("skew", [-90_000, -18_000, 18_000, 90_000])
def test_retry_after_is_measured_by_server_date(skew: int) -> None:
    """Both dates are by the server's clock, which may differ from that of this machine."""
    dates = {
        "DATE": formatdate(NOW + skew, usegmt=True),
        "Retry-After": formatdate(NOW + skew + 600, usegmt=True),
    }
    assert classify(429, headers=dates).wait == 600
    dates["DATE"] = "soon"
    assert classify(429, headers=dates).wait == (18_600 if skew == 18_000 else None)


@pytest.mark.parametrize("retry_after", ["0", "-1", formatdate(NOW - 5), str(round(NOW)), "x"])
def test_unusable_retry_after_leaves_wait_of_text(retry_after: str) -> None:
    headers = {"Retry-After": retry_after}
    assert classify(400, ROLLING, headers).wait == 22 * 60
    assert classify(400, CLIQ, headers).wait is None
    assert classify(400, zvt("400", "Locked. Try again after 0 minutes")).wait is None


@pytest.mark.parametrize(
    "raw",
    [
        *[b"\t", b"\n", b"\r", b"\x00", b"\x1f", b"\xff", b"\xe9", b"\xc3"],
        *[rb"\x", rb"\'", rb"\ u00", rb"\u00g0", rb"\D\S"],
    ],
)
def test_nearly_json_is_read(raw: bytes) -> None:
    body = b'{"logs":[{"logid":"1","contact_name":"a' + raw + b'b"}]}'
    expected = "\N{REPLACEMENT CHARACTER}" if raw >= b"\x80" else raw.decode()
    assert classify(200, body) == {"logs": [{"logid": "1", "contact_name": f"a{expected}b"}]}


@pytest.mark.parametrize("private", CASES["private values"])
@pytest.mark.parametrize("text", CASES["messages with a private value"])
def test_message_holds_nothing_private(text: str, private: str) -> None:
    body = {"code": "ZVT099", "message": text.format(private), "status": "ERROR", "agent": private}
    for status in (200, 400, 404, 429, 500):
        message = message_of(classify(status, body))
        assert not [part for part in private.split() if part in message]
        assert "ZVT099" in message
        assert HIDDEN in message


@pytest.mark.parametrize("body", [HTML, b"ann@example.invalid said no", [ROW], {"x": "secret"}])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500])
def test_message_never_quotes_a_body(status: int, body: object) -> None:
    message = message_of(classify(status, body))
    for word in ("html", "Sign in", "ann@", "said", "logid", "blocked", "secret"):
        assert word not in message


@pytest.mark.parametrize("value", ["sesame", "SESAME", "ab1", "a+b(c", "x.y"])
def test_values_are_redacted_in_any_case(value: str) -> None:
    body = zvt("ZVT015", f"contact_name is {value.lower()}, not {value.upper()}")
    message = message_of(classify(400, body, redact=["", "b", value]))
    assert value.lower() not in message.lower()
    assert "contact_name" in message
    assert "ZVT015" in message


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        *[(f"no {quote}ann example{quote} here", f"no {HIDDEN} here") for quote in "'\"`"],
        ("see <a href=ann>this</a>", f"see {HIDDEN}this{HIDDEN}"),
        ("two\r\n lines\tand  gaps", "two lines and gaps"),
        ("x " * 300, "x " * 100 + "..."),
    ],
)
def test_quotes_and_markup_are_redacted(text: str, redacted: str) -> None:
    assert redact(text) == redacted
    assert redact("annabel", ["ann", "annabel", "bel"]) == HIDDEN  # the longest value whole


@pytest.mark.parametrize("message", CASES["documented messages"])
def test_documented_messages_are_kept(message: str) -> None:
    assert redact(message) == message
    assert message in message_of(classify(400, zvt("ZVT099", message)))


@given(st.text(max_size=500))
def test_redacted_text_is_one_short_line(text: str) -> None:
    redacted = redact(text)
    assert len(redacted) <= 203
    assert all(" " <= letter <= "~" for letter in redacted)


@given(st.integers(100, 599), st.binary(max_size=200) | st.text().map(str.encode))
def test_any_response_is_classified(status: int, body: bytes) -> None:
    found = classify(status, body, {"Retry-After": "1"})
    if not isinstance(found, dict):
        assert message_of(found)
        assert "\n" not in message_of(found)


@pytest.mark.parametrize(("content", "code", "message"), CASES["codes and messages"])
def test_code_and_message_are_found_in_any_shape(
    content: dict[str, Any], code: str, message: str
) -> None:
    error = ErrorBody.from_response(400, content, b"")
    assert (error.code, error.message, error.is_structured) == (code, message, True)
