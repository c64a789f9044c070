"""Settings in environment variables and in a `.env` file."""

import json
from collections.abc import Mapping
from typing import Any

from dotenv import find_dotenv, load_dotenv

from tap_zohovoice.exceptions import InvalidInputError

_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True)
_BOOLEANS |= dict.fromkeys(("false", "0", "no", "off"), False)


def read_dotenv() -> None:
    """Set what the environment lacks from a `.env` file in a folder above this one.

    Raises:
        InvalidInputError: If the file cannot be read.
    """
    path = find_dotenv()
    try:
        load_dotenv(path, encoding="utf-8-sig")
    except ValueError as error:  # an encoding, or a null character
        message = f"The file {path} is not UTF-8 text"
        raise InvalidInputError(message) from error


def parse_env(
    environment: Mapping[str, str],
    schema: Mapping[str, Any],
    prefix: str,
    config: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Parse settings from environment variables.

    A variable that is set but blank counts as not set, unless a required setting is missing.

    Returns:
        The settings, and one line for each that cannot be parsed; none quotes a value.
    """
    values: dict[str, Any] = {}
    lines = []
    for name, spec in schema["properties"].items():
        variable = (prefix + name).upper().replace("-", "_")
        text = environment.get(variable)
        is_missing = name in schema.get("required", ()) and name not in (config or {})
        if text is None or not (text.strip() or is_missing):
            continue
        try:
            if "integer" in spec["type"]:
                values[name] = int(text)
            elif "boolean" in spec["type"]:
                values[name] = _BOOLEANS[text.strip().lower()]
            elif "array" in spec["type"] and not text.lstrip().startswith("["):
                values[name] = [item.strip() for item in text.split(",")]
            else:
                is_json = {"array", "object"} & set(spec["type"])
                values[name] = json.loads(text) if is_json else text
        except (KeyError, RecursionError, ValueError):
            kind = "an integer" if "integer" in spec["type"] else f"a JSON {spec['type'][0]}"
            lines.append(f"{name} must be {kind} (environment variable {variable})")
    return values, lines
