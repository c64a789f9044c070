"""Settings in environment variables and in a `.env` file."""

import json
import os
from collections.abc import Mapping
from typing import Any

from dotenv import find_dotenv, load_dotenv

from tap_zohovoice.exceptions import InvalidInputError

PREFIX = "TAP_ZOHOVOICE_"
"""Prefix of the environment variables."""
_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True)
_BOOLEANS |= dict.fromkeys(("false", "0", "no", "off"), False)


def read_dotenv() -> None:
    """Set missing variables of the environment from a `.env` file in a folder above this one.

    Raises:
        InvalidInputError: If the file cannot be read.
    """
    path = find_dotenv()
    try:
        load_dotenv(path, encoding="utf-8-sig")
    except ValueError as error:  # an encoding, or a null character
        message = f"The file {path} is not UTF-8 text"
        raise InvalidInputError(message) from error


def parse_env(schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Parse settings from environment variables; a blank one counts as not set.

    Also returns one line for each variable that cannot be parsed; none quotes a value.
    """
    values: dict[str, Any] = {}
    lines = []
    for name, spec in schema["properties"].items():
        variable = PREFIX + name.upper()
        text = os.environ.get(variable, "")
        if not text.strip():
            continue
        try:
            if "string" in spec["type"]:
                values[name] = text
            elif "integer" in spec["type"]:
                values[name] = int(text)
            elif "boolean" in spec["type"]:
                values[name] = _BOOLEANS[text.strip().lower()]
            elif "array" in spec["type"] and not text.lstrip().startswith("["):
                values[name] = [item.strip() for item in text.split(",")]
            else:
                values[name] = json.loads(text)
        except (KeyError, RecursionError, ValueError):
            kind = "an integer" if "integer" in spec["type"] else f"a JSON {spec['type'][0]}"
            lines.append(f"{name} must be {kind} (environment variable {variable})")
    return values, lines
