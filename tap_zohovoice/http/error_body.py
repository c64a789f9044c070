"""Error bodies, in any of the shapes that Zoho's products use."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from tap_zohovoice.http.redaction import redact

_MAX_CHARS = 20_000
_DEPTH = 5
_INVISIBLE = re.compile(
    r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL
)
_CAMEL_CASE = re.compile(r"\b(?:[a-z]+|[A-Z][a-z]+)(?:[A-Z][a-z]+)+\b")
_XML = re.compile(rb"(?is)<(?:\?xml|errors?|response|result|fault|soap)\b(?!.*<html)")
_CODE_KEYS = ("code", "title", "errorcode", "error", "statuscode", "reason", "type")
_MESSAGE_KEYS = ("message", "errordescription", "errormessage", "description", "detail", "msg")
_NESTED_KEYS = ("error", "errors", "details", "data", "response", "fault", "status")
_ERROR_KEYS = {*_CODE_KEYS, *_MESSAGE_KEYS, "errors", "response", "fault", "faultstring", "result"}
_ERROR_KEYS |= {"status", "success", "exception"}  # in lower case, without underscores
_FAILURE_KEYS = ("error", "errors", "errorcode", "errormessage", "exception", "fault")
_NO_FAILURE: tuple[object, ...] = (None, "", 0, "0", [], {})
_SUCCESS_KEYS = ("success", "ok", "issuccess", "succeeded")
_NO_ROWS = re.compile(  # of no other reason, such as a plan or a role
    r"(?:there (?:is|are) )?no (?:call |matching |more )*(?:records?|rows?|data|results?|calls"
    r"|(?:call ?)?logs?|entries|items|contacts|queues|numbers|messages|campaigns)"
    r" (?:(?:is|are|was|were) )?(?:found|available|exists?|to (?:show|display))"
    r"(?: (?:for|in|with|the|this|given|requested|selected|specified|dates?|range|period|criteria"
    r"|filters?))*"
)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The parts of an error."""

    code: str
    message: str
    words: str  # all texts, in lower case, without punctuation
    is_structured: bool  # whether the body is an error in JSON
    is_foreign: bool = False  # whether it is not JSON, so not of this API
    is_html: bool = False

    @classmethod
    def from_response(cls, status: int, content: object, body: bytes) -> Self:
        """Parse an error; `content` is the body as JSON, or None if it is not JSON."""
        items = content if isinstance(content, list) else []
        if items and all(isinstance(item, dict) and _is_error(item) for item in items):
            # Rows, which only a success has, have other members too.
            are_errors = all(fold(item).keys() <= _ERROR_KEYS for item in items)
            content = {"errors": items} if are_errors or status >= HTTPStatus.BAD_REQUEST else items
        if not isinstance(content, dict):
            start = body[:_MAX_CHARS].strip().removeprefix(b"\xef\xbb\xbf")
            # Text in rows, complete or truncated, is not an error.
            page = b"" if start[:1] in {b"{", b"["} else start
            text = _INVISIBLE.sub(" ", page.decode("utf-8", "replace"))
            is_foreign = content is None and bool(start)
            is_html = is_foreign and start.startswith(b"<") and not _XML.match(start)
            return cls("", "", _normalize(text), False, is_foreign, is_html)  # noqa: FBT003
        stated = re.fullmatch(r"[45]\d\d", str(content.get("status")))
        code = _find_member(content, _CODE_KEYS) or (stated[0] if stated else "")
        message = _find_member(content, _MESSAGE_KEYS)
        members = {name: value for name, value in content.items() if name != "logs"}
        text = " ".join(_iter_strings(members))[:_MAX_CHARS]
        code = "" if code == str(status) else code
        return cls(code, message, _normalize(text), _is_error(content))

    def summary(self, status: int, hide: Collection[str]) -> str:
        """Return the error in one line that may be logged, without the values to hide."""
        code, message = (redact(text, hide) for text in (self.code, self.message))
        quoted = f'"{message}"' if message and self.message != self.code else ""
        return ", ".join(filter(None, (f"HTTP {status}", code, quoted)))


def _normalize(text: str) -> str:
    """Return words in lower case; `URL_THROTTLES` and `TooManyRequests` become several."""
    text = _CAMEL_CASE.sub(lambda found: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[0]), text)
    return re.sub(r"[\W_]+", " ", text).lower()


def _find_member(content: dict[str, Any], names: tuple[str, ...], depth: int = _DEPTH) -> str:
    """Find a member by name, at the top or inside `error`, `errors`, `details` and the like."""
    members = fold(content)
    for name in names:
        value = members.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    inner = (members.get(name) for name in _NESTED_KEYS if depth)
    first = (value[0] if isinstance(value, list) and value else value for value in inner)
    found = (_find_member(item, names, depth - 1) for item in first if isinstance(item, dict))
    return next(filter(None, found), "")


def fold(content: dict[str, Any]) -> dict[str, Any]:
    """Return members by their names in lower case, without underscores."""
    return {name.lower().replace("_", ""): value for name, value in content.items()}


def states_failure(members: dict[str, Any]) -> bool:
    """Return whether folded members, without rows among them, say that a request failed."""
    is_named = any(members.get(name) not in _NO_FAILURE for name in _FAILURE_KEYS)
    flags = {str(members.get(name, True)).strip().lower() for name in _SUCCESS_KEYS}
    return is_named or not flags.isdisjoint(("false", "0", "no", "n"))


def states_no_rows(content: object) -> bool:
    """Return whether an error says that there are no rows, and nothing else."""
    texts = {_normalize(text).strip() for text in _iter_strings(content)}
    others = {text for text in texts if not _NO_ROWS.fullmatch(text)}
    # A single word is a code or a status.
    return others < texts and all(text == "error occurred" or " " not in text for text in others)


def _is_error(content: dict[str, Any]) -> bool:
    members = fold(content)
    named = (name for name in _ERROR_KEYS & members.keys() if not isinstance(members[name], list))
    return any(named) or not members.keys().isdisjoint(("error", "errors"))


def _iter_strings(value: object, depth: int = _DEPTH) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _iter_strings(inner, depth - 1)
