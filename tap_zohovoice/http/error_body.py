"""Error bodies, in any of the shapes that Zoho's products use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_zohovoice.http.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MAX_CHARS = 20_000
_DEPTH = 5
_INVISIBLE = re.compile(
    r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL
)
_PASCAL_CASE = re.compile(r"\b(?:[A-Z][a-z]+){2,}\b")
_ERROR_KEYS = {"status", "code", "message", "error", "errors", "error_description", "response"}


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
    def from_response(cls, status: int, content: object, body: bytes) -> ErrorBody:
        """Parse an error; `content` is the body as JSON, or None if it is not JSON."""
        if not isinstance(content, dict):
            start = body[:_MAX_CHARS].strip()
            # Words in rows, whole or cut off, are not an error.
            page = b"" if start[:1] in {b"{", b"["} else start
            text = _INVISIBLE.sub(" ", page.decode("utf-8", "replace"))
            is_foreign = content is None and bool(start)
            is_html = is_foreign and start.lstrip(b"\xef\xbb\xbf").startswith(b"<")
            return cls("", "", _normalize(text), False, is_foreign, is_html)  # noqa: FBT003
        code = _find_member(content, ("code", "title", "error", "status_code"))
        message = _find_member(content, ("message", "error_description", "description"))
        text = "" if "logs" in content else " ".join(_iter_strings(content))[:_MAX_CHARS]
        code = code if code != str(status) else ""
        return cls(code, message, _normalize(text), bool(_ERROR_KEYS & content.keys()))

    def summary(self, status: int, hide: Collection[str]) -> str:
        """Return the error in one line that may be logged, without the values to hide."""
        parts = [f"HTTP {status}"]
        if self.code:
            parts.append(redact(self.code, hide))
        if self.message and self.message != self.code:
            parts.append(f'"{redact(self.message, hide)}"')
        return ", ".join(parts)


def _normalize(text: str) -> str:
    """Return words in lower case; `URL_THROTTLES` and `TooManyRequests` become several."""
    text = _PASCAL_CASE.sub(lambda found: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[0]), text)
    return re.sub(r"[\W_]+", " ", text).lower()


def _find_member(content: dict[str, Any], names: tuple[str, ...], depth: int = _DEPTH) -> str:
    """Find a member by name, at the top or inside `error`, `details` and `data`."""
    for name in names:
        value = content.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    inner = (content.get(name) for name in ("error", "details", "data") if depth)
    found = (_find_member(item, names, depth - 1) for item in inner if isinstance(item, dict))
    return next(filter(None, found), "")


def _iter_strings(value: object, depth: int = _DEPTH) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _iter_strings(inner, depth - 1)
