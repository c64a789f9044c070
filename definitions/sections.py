"""Generated parts of a text between two marker lines; other text stays unchanged."""

from __future__ import annotations

from definitions.errors import DefinitionError


def replace(file: str, text: str, name: str, content: str) -> str:
    """Replace a generated part of a file.

    The part stands between a line that holds `<NAME>` and one that holds `</NAME>`, both in
    comments.

    Raises:
        DefinitionError: If the marks are not there exactly once, in that order.
    """
    lines = text.splitlines()
    first, last = (_only(file, lines, f"<{slash}{name}>") for slash in ("", "/"))
    if first > last:
        message = f"{file}: </{name}> stands before <{name}>"
        raise DefinitionError(message)
    return "\n".join([*lines[: first + 1], *content.splitlines(), *lines[last:], ""])


def _only(file: str, lines: list[str], mark: str) -> int:
    found = [number for number, line in enumerate(lines) if mark in line]
    if len(found) != 1:
        message = f"{file} must have one line with {mark}, not {len(found)}"
        raise DefinitionError(message)
    return found[0]
