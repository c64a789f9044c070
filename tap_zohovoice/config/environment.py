"""Settings in environment variables and in a `.env` file."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
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


def parse_env(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Parse settings from environment variables; a blank one counts as not set.

    A text that is not of the type of its setting stays text, which validation reports.
    """
    values: dict[str, Any] = {}
    for name, spec in schema["properties"].items():
        text, kinds = os.environ.get(PREFIX + name.upper(), ""), spec["type"]
        if text.strip():
            values[name] = text
            with suppress(KeyError, RecursionError, ValueError):
                if "integer" in kinds:
                    values[name] = int(text)
                elif "boolean" in kinds:
                    values[name] = _BOOLEANS[text.strip().lower()]
                elif "array" in kinds and not text.lstrip().startswith("["):
                    values[name] = [item.strip() for item in text.split(",")]
                elif "string" not in kinds:
                    values[name] = json.loads(text)
    return values
