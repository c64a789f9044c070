"""An error as Zoho words it, in any of the shapes that its products use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_zohovoice.http.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MAX_CHARS = 20_000
MAX_ERRORS_SCANNED = 3
_DEPTH = 5
_HTML_NOISE = re.compile(
    r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL
)
"""What nobody sees of a page."""
_ERROR_KEYS = {"status", "code", "message", "error", "errors", "error_description", "response"}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The parts of an error in any of the shapes that Zoho's products use."""

    code: str
    message: str
    text: str
    is_structured: bool

    @classmethod
    def from_response(cls, status: int, content: object, body: bytes) -> ErrorBody:
        """Read an error.

        Args:
            status: HTTP status, which is not repeated as a code.
            content: The body as JSON; None if it is no JSON.
            body: The body.
        """
        if not isinstance(content, dict):
            # Rows are no complaint, whatever words stand in them, nor is what is left of rows.
            is_json = body.lstrip()[:1] in {b"{", b"["}
            start = b"" if is_json else body[:_MAX_CHARS]
            page = _HTML_NOISE.sub(" ", start.decode("utf-8", "replace"))
            return cls("", "", page, is_structured=False)
        code = _find_member(content, ("code", "title", "error", "status_code"))
        message = _find_member(content, ("message", "error_description", "description"))
        words = "" if "logs" in content else " ".join(_iter_strings(content))[:_MAX_CHARS]
        is_structured = bool(_ERROR_KEYS & set(content))
        return cls(code if code != str(status) else "", message, words, is_structured)

    def summary(self, status: int, redact_values: Collection[str]) -> str:
        """Tell the error in a line that may be logged.

        Args:
            status: HTTP status.
            redact_values: Values that the line must not hold.
        """
        parts = [f"HTTP {status}"]
        if self.code:
            parts.append(redact(self.code, redact_values))
        if self.message and self.message != self.code:
            parts.append(f'"{redact(self.message, redact_values)}"')
        return ", ".join(parts)


def _find_member(content: dict[str, Any], names: tuple[str, ...], depth: int = _DEPTH) -> str:
    """Find a member by name, at the top or inside `error` and `details`."""
    for name in names:
        value = content.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    for name in ("error", "details", "data"):
        inner = content.get(name)
        if isinstance(inner, dict) and depth and (found := _find_member(inner, names, depth - 1)):
            return found
    return ""


def _iter_strings(value: object, depth: int = _DEPTH) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth:
        for inner in value.values():
            yield from _iter_strings(inner, depth - 1)
    elif isinstance(value, list) and depth and len(value) <= MAX_ERRORS_SCANNED:  # more are rows
        for inner in value:
            yield from _iter_strings(inner, depth - 1)
