"""YAML as Meltano and the Hub write it, and generated parts of a text between two marks."""

from __future__ import annotations

import io
import sys
from typing import Any

from ruamel.yaml import YAML

from definitions.plugin import DefinitionError

_HUB_WIDTH = 80


def read(text: str) -> Any:  # noqa: ANN401 - of any shape
    """Read YAML with its comments and formatting."""
    return YAML().load(text)


def as_meltano(document: object) -> str:
    """Write YAML as Meltano writes meltano.yml: no indented lists, no broken lines."""
    return _dump(document, sys.maxsize)


def as_hub(document: object) -> str:
    """Write YAML as the definitions of the Hub are written."""
    return _dump(document, _HUB_WIDTH)


def _dump(document: object, width: int) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = width
    text = io.StringIO()
    yaml.dump(document, text)
    # The library leaves trailing spaces where it breaks a line.
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def replace(file: str, text: str, name: str, content: str) -> str:
    """Replace a generated part of a file.

    The part stands between a line that holds `<NAME>` and one that holds `</NAME>`, both in
    comments.
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
