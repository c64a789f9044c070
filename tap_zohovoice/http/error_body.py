"""An error as Zoho words it, in any of the shapes that its products use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_zohovoice.http.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LONGEST = 20_000
_FEW_ERRORS = 3
_DEPTH = 5
_UNSEEN = re.compile(
    r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL
)
"""What nobody sees of a page."""
_MEMBERS = {"status", "code", "message", "error", "errors", "error_description", "response"}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The parts of an error in any of the shapes that Zoho's products use."""

    code: str
    message: str
    text: str
    understood: bool

    @classmethod
    def of(cls, status: int, content: object, body: bytes) -> ErrorBody:
        """Read an error.

        Args:
            status: HTTP status, which is not repeated as a code.
            content: The body as JSON; None if it is no JSON.
            body: The body.
        """
        if not isinstance(content, dict):
            # Rows are no complaint, whatever words stand in them, nor is what is left of rows.
            is_json = body.lstrip()[:1] in {b"{", b"["}
            start = b"" if is_json else body[:_LONGEST]
            page = _UNSEEN.sub(" ", start.decode("utf-8", "replace"))
            return cls("", "", page, understood=False)
        code = _first(content, ("code", "title", "error", "status_code"))
        message = _first(content, ("message", "error_description", "description"))
        words = "" if "logs" in content else " ".join(_texts(content))[:_LONGEST]
        understood = bool(_MEMBERS & set(content))
        return cls(code if code != str(status) else "", message, words, understood)

    def reason(self, status: int, hide: Collection[str]) -> str:
        """Tell the error in a line that may be logged.

        Args:
            status: HTTP status.
            hide: Values that the line must not hold.
        """
        parts = [f"HTTP {status}"]
        if self.code:
            parts.append(redact(self.code, hide))
        if self.message and self.message != self.code:
            parts.append(f'"{redact(self.message, hide)}"')
        return ", ".join(parts)


def _first(content: dict[str, Any], names: tuple[str, ...], depth: int = _DEPTH) -> str:
    """Find a member by name, at the top or inside `error` and `details`."""
    for name in names:
        value = content.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    for name in ("error", "details", "data"):
        inner = content.get(name)
        if isinstance(inner, dict) and depth and (found := _first(inner, names, depth - 1)):
            return found
    return ""


def _texts(value: object, depth: int = _DEPTH) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth:
        for inner in value.values():
            yield from _texts(inner, depth - 1)
    elif isinstance(value, list) and depth and len(value) <= _FEW_ERRORS:  # more are rows
        for inner in value:
            yield from _texts(inner, depth - 1)
