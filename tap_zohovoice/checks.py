"""What is wrong with the settings, in plain lines that quote nothing secret or personal."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_zohovoice.filters import FILTERS, OWNED_PARAMETERS
from tap_zohovoice.settings import START_DATE, parse_date

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Find everything that is wrong with the settings.

    Args:
        config: The settings as given.
        schema: JSON schema of the settings, with those that the SDK adds.

    Returns:
        One plain line for each problem. No line quotes a value that may be secret or personal.
    """
    return [
        *_unknown(config, schema["properties"], "setting"),
        *_missing(config, schema["required"]),
        *_misfits(config, schema),
        *_bad_urls(config),
        *_bad_dates(config),
        *_bad_filters(config.get("filters")),
    ]


def environment_problems(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> list[str]:
    """Find the environment variables that cannot be read as their settings' types.

    Args:
        environment: The environment.
        schema: JSON schema of the settings.
        prefix: What the variables' names start with.

    Returns:
        One plain line for each; none quotes a value.
    """
    lines = []
    for name, spec in schema["properties"].items():
        variable = (prefix + name).upper().replace("-", "_")
        text = environment.get(variable)
        if text is None:
            continue
        try:
            if "integer" in spec["type"]:
                int(text)
            elif "object" in spec["type"]:
                json.loads(text)
        except ValueError:
            kind = "an integer" if "integer" in spec["type"] else "a JSON object"
            lines.append(f"{name} must be {kind} (environment variable {variable})")
    return lines


def _unknown(given: Mapping[str, Any], known: Mapping[str, Any], kind: str) -> Iterator[str]:
    for name in given:
        if name in known:
            continue
        if kind == "filter" and name in OWNED_PARAMETERS:
            yield f"filters: {name} is decided by the tap itself and cannot be set"
            continue
        near = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        yield f"unknown {kind} {name[:60]!r}: {advice}"


def _missing(config: Mapping[str, Any], required: list[str]) -> Iterator[str]:
    for name in required:
        if config.get(name) is None:
            yield f"{name} is required"
        elif isinstance(config[name], str) and not config[name].strip():
            yield f"{name} is empty"


def _misfits(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for error in th.DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config):
        name = ".".join(str(part) for part in error.absolute_path)
        match error.validator:
            case "required" | "additionalProperties":
                continue
            case "type":
                if error.instance is None and name in schema["required"]:
                    continue
                kinds = [kind for kind in _as_list(error.validator_value) if kind != "null"]
                yield f"{name} must be of type {' or '.join(kinds)}"
            case "enum":
                choices = [str(choice) for choice in error.validator_value if choice is not None]
                yield f"{name} must be one of {', '.join(choices)}"
            case "minimum":
                yield f"{name} must be at least {error.validator_value}, not {error.instance}"
            case "maximum":
                yield f"{name} must be at most {error.validator_value}, not {error.instance}"
            case rule:
                yield f"{name} does not fit its schema ({rule})"


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _bad_urls(config: Mapping[str, Any]) -> Iterator[str]:
    for name in ("accounts_url", "api_url"):
        url = config.get(name)
        if not isinstance(url, str) or not url:
            continue
        try:
            parts = urlsplit(url)
            well_formed = bool(parts.hostname) and parts.port != 0
        except ValueError:
            well_formed = False
        if not well_formed or parts.scheme not in {"http", "https"}:
            yield f"{name} must be an address such as https://voice.zoho.com"
        elif parts.query or parts.fragment or parts.username or parts.password:
            yield f"{name} must be an address alone, without user, query or fragment"


def _bad_dates(config: Mapping[str, Any]) -> Iterator[str]:
    moments = {}
    for name in ("start_date", "end_date"):
        value = config.get(name)
        if not isinstance(value, str) or not value:
            continue
        try:
            moments[name] = parse_date(value)
        except ValueError:
            yield f"{name} is no date: write 2024-01-31 or 2024-01-31T08:00:00Z"
    start = moments.get("start_date", parse_date(START_DATE))
    end = moments.get("end_date")
    if end is not None and end < start:
        yield f"end_date ({end:%Y-%m-%d}) is before start_date ({start:%Y-%m-%d})"


def _bad_filters(filters: object) -> Iterator[str]:
    if not isinstance(filters, dict):
        return
    yield from _unknown(filters, FILTERS.to_dict()["properties"], "filter")
    number = filters.get("userNumber")
    if isinstance(number, str) and not (number.isascii() and number.isdigit()):
        yield "filters.userNumber must be digits alone"
