"""Malformed and misleading responses."""

import gzip
import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

PRIVATE = "+15550100123 Beeblebrox"
"""What responses contain and no log may contain."""
_ENVELOPE = {"meta", "status", "code", "message"}
_SUCCESS = {"200", "SUCCESS", "success"}


@dataclass(frozen=True)
class BadResponse:
    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def may_pass(self) -> bool:
        """Whether it may be taken for a list of calls; anything else must be an error."""
        if not 200 <= self.status < 300:
            return False
        if any(name == "Content-Encoding" for name, _ in self.headers) or not self.body.strip():
            return True
        try:
            text = self.body.decode(json.detect_encoding(self.body), "replace")
            content = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            return False
        if not isinstance(content, dict):
            return bool(content == [])
        if content.get("error") or str(content.get("status", "200")).strip() not in _SUCCESS:
            return False
        logs = content.get("logs")
        others = [value for name, value in content.items() if name not in _ENVELOPE and value]
        is_row = isinstance(logs, dict) and "logid" in logs
        return is_row or isinstance(logs, list) or (logs is None and not others)


def nested(depth: int) -> bytes:
    return b'{"logs":' + b"[" * depth + b"]" * depth + b"}"


def row(**fields: Any) -> str:
    return json.dumps({"logid": "fuzz-1", "start_time": "1772300000000", **fields})


def listed(*rows: str, rest: str = '"status":"200"') -> bytes:
    """Write a list of logs, whose JSON need not be any."""
    return f'{{"logs":[{",".join(rows)}],{rest}}}'.encode("utf-8", "surrogatepass")


def deep(depth: int, inner: str = "") -> str:
    return "[" * depth + inner + "]" * depth


HUGE = "9" * 5000
ESCAPED_NUL = '"\\u0000"'
GZIP = (("Content-Encoding", "gzip"),)
# Each of these is what no strategy is likely to make.
_NASTY: dict[str, bytes | BadResponse] = {
    "nested a thousand times": nested(1000),
    "nested a million times": nested(1_000_000),
    "objects in objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "an error in lists": BadResponse(b'{"error":' + nested(600) + b"}", 400),
    "an error in errors": BadResponse(b'{"error":' * 450 + b"1" + b"}" * 450, 400),
    "a field of many levels": listed(row(), f'{row()[:-1]},"new":{deep(450)}}}'),
    "a file of many levels": listed(
        f'{row()[:-1]},"call_recording":{{"a":{deep(450, ESCAPED_NUL)}}}}}'
    ),
    "a transcript of many levels": json.dumps({"transcribeObj": f'{{"a":{deep(450)}}}'}).encode(),
    "a transcript in lists": f'{{"transcribeObj":{{"callAnalytics":{deep(450)}}}}}'.encode(),
    "a number of 5,000 digits": listed(row(), rest=f'"meta":{{"total":{HUGE}}}'),
    "a start of 5,000 digits": listed(f'{{"logid":"a","start_time":{HUGE}}}'),
    "a total beyond all floats": listed(row(), rest='"meta":{"total":1e999}'),
    "a negative total": listed(row(), rest='"meta":{"total":-1}'),
    "a total in words": listed(row(), rest='"meta":{"total":"many"}'),
    "NaN": listed(row(feedback=0), '{"logid":NaN,"start_time":1772300000000}'),
    "no key": listed('{"start_time":"1772300000000"}'),
    "no start": listed('{"logid":"fuzz-1","start_time":"soon"}'),
    "keys twice": b'{"logs":[{"logid":"a"}],"logs":[],"status":"ERROR","status":"200"}',
    "the same row a thousand times": listed(*[row()] * 1000),
    "half a surrogate pair": listed(row(contact_name="\ud83d", extra={"\udc00": "\0"})),
    "no UTF-8": b'{"logs":[{"logid":"\xff\xfe"}],"status":"200"}',
    "UTF-16": '{"logs":[],"status":"200"}'.encode("utf-16"),
    "a mark before it": b'\xef\xbb\xbf{"logs":[],"status":"200"}',
    "null": b"null",
    "true": b"true",
    "a text": b'"logs"',
    "rows that are no objects": b'{"logs":[1,null,"a",[]],"status":"200"}',
    "an object of rows": b'{"logs":{"0":{"logid":"a"}},"status":"200"}',
    "a half": listed(row())[:-20],
    "two answers": listed(row()) * 2,
    "zeros": bytes(100_000),
    "blanks": b" \n" * 1_000_000,
    "an unfinished tag": b"<" * 200_000 + b"script" * 1000,
    "scripts without end": b"<script>" * 20_000,
    "an error of megabytes": BadResponse(
        json.dumps({"status": "ERROR", "message": PRIVATE * 200_000}).encode(), 400
    ),
    "a hundred thousand errors": BadResponse(
        json.dumps({"errors": [{"message": PRIVATE}] * 100_000}).encode(), 400
    ),
    "an unknown encoding": BadResponse(b"....", headers=(("Content-Encoding", "br"),)),
    "no gzip": BadResponse(b"....", headers=GZIP),
    "forty megabytes": b"[" + bytes(40_000_000),
    "a million empty rows": listed(*["{}"] * 1_000_000),
    "a gzip bomb": BadResponse(gzip.compress(bytes(40_000_000), 1), headers=GZIP),
    "too late for the calendar": BadResponse(b"", 429, (("Retry-After", "9" * 30),)),
    "a time to wait": BadResponse(b"", 503, (("Retry-After", "600"),)),
    "a moment that never was": BadResponse(b"", 503, (("Retry-After", "Wed, 99 Foo 0000"),)),
}
NASTY: dict[str, BadResponse] = {
    name: BadResponse(given) if isinstance(given, bytes) else given
    for name, given in _NASTY.items()
}

_WORDS = (
    *(PRIVATE, "throttled", "URL_ROLLING_THROTTLES_LIMIT_EXCEEDED", "Try again after 2 minutes"),
    *("try again after 99999 hours", "invalid oauth token", "INVALID_OAUTHSCOPE", "ERROR"),
    *("SUCCESS", "200", "500", "ZVT010", "ZVT011", "ZVT015", "ZVT022", "Invalid value for size"),
    *("Invalid value for toDate", "-1", "1772300000000", "1e400"),
)
_TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(_WORDS))
_NUMBERS = st.one_of(
    st.integers(-5, 5000),
    st.sampled_from((10**18, 2**63, 2**64, 10**30, 10**400, -(10**400), 1772300000000)),
    st.floats(),
)
_SCALARS = st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS)
_KEYS = (
    *("logs", "meta", "total", "status", "code", "message", "error", "errors", "title"),
    *("details", "data", "transcribeObj", "access_token", "expires_in", "logid"),
)
_NAMES = st.one_of(st.sampled_from(_KEYS), st.text(max_size=5))
_ANY_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=12,
)


@st.composite
def any_json(draw: st.DrawFn) -> Any:
    """Make up JSON; a strategy of this size must have a name, or its description is too long."""
    return draw(_ANY_JSON)


ANY_JSON = any_json()
_FIELDS = (
    *("logid", "uuid", "start_time", "answer_time", "duration", "feedback", "service"),
    *("isBlocked", "voice_credits", "call_recording", "voicemail", "bridged_agent"),
    *("call_recording_transcription_status", "contact_name", "additional_fields", "new"),
)
_ROWS = st.builds(
    lambda fields, key, start: {"logid": f"fuzz-{key}", "start_time": start} | fields,
    st.dictionaries(st.sampled_from(_FIELDS), ANY_JSON, max_size=5),
    st.integers(0, 3),
    st.sampled_from(("1772300000000", 1772000000000, "1772400000000", "0", "99999999999999999")),
)
_ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "logs": st.one_of(ANY_JSON, st.lists(_ROWS | ANY_JSON, max_size=4), st.lists(_ROWS)),
        "meta": ANY_JSON | st.fixed_dictionaries({"total": _SCALARS}),
        "status": st.sampled_from(("200", "SUCCESS", "ERROR", "error", 200, 500, None, [])),
        "code": _SCALARS,
        "message": _TEXTS,
        "error": ANY_JSON,
        "transcribeObj": st.one_of(ANY_JSON, ANY_JSON.map(json.dumps)),
    },
)
_WRITTEN = st.one_of(_ENVELOPES, _ENVELOPES, ANY_JSON).map(lambda value: json.dumps(value).encode())
_BODIES = st.one_of(
    _WRITTEN,
    _WRITTEN,
    st.binary(max_size=60),
    st.builds(lambda text, cut: text[: len(text) * cut // 8], _WRITTEN, st.integers(1, 7)),
    st.sampled_from((b"", b" ", b"[]", b"{}", b"<html><body>Sign in</body></html>")),
    st.sampled_from(sorted(NASTY)).map(lambda name: NASTY[name].body[:10_000]),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Make up bodies, as `any_json` does."""
    body: bytes = draw(_BODIES)
    return body


_STATUSES = st.one_of(
    st.sampled_from((200, 200, 200, 400, 401, 403, 404, 429, 500, 502, 503)), st.integers(200, 599)
)
_RETRY_AFTER = (
    *("0", "30", "600", "1e9", "-5", "٣", "soon", "9" * 20),
    *("Wed, 21 Oct 2099 07:28:00 GMT", "Wed, 21 Oct 1999 07:28:00 GMT"),
)
_HEADER = st.sampled_from(
    (
        *(("Retry-After", text) for text in _RETRY_AFTER),
        *(("Content-Encoding", text) for text in ("gzip", "br", "identity")),
        *(("Location", text) for text in ("/", "http://[", "ftp://x")),
    )
)
_HEADERS = st.one_of(st.just(()), st.just(()), st.lists(_HEADER, max_size=2).map(tuple))
BAD_RESPONSES: st.SearchStrategy[BadResponse] = st.builds(
    BadResponse, bodies(), _STATUSES, _HEADERS
)
