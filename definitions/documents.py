"""YAML as Meltano and the Hub write it, read and written without losing comments."""

from __future__ import annotations

import io
import sys
from typing import Any

from ruamel.yaml import YAML

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
