"""What is wrong with the settings, in plain lines that quote nothing secret or personal."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from singer_sdk import typing as th

from tap_zohovoice._time import parse_date
from tap_zohovoice.config.filters import FILTERS, OWNED_PARAMETERS
from tap_zohovoice.config.settings import START_DATE
from tap_zohovoice.recordings.storage import validate_url

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
    given = _without_empty(config)
    return [
        *_unknown(given, schema["properties"], "setting"),
        *_missing(config, schema["required"]),
        *_misfits(given, schema),
        *_bad_urls(given),
        *_bad_user_agent(given.get("user_agent")),
        *_bad_dates(given),
        *_bad_filters(given.get("filters")),
        *_bad_folder(given.get("recordings_path")),
    ]


def _without_empty(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null or empty: it is as good as not given."""
    return {
        name: _without_empty(value) if name == "filters" and isinstance(value, dict) else value
        for name, value in config.items()
        if value is not None and value != ""
    }


def parse_env(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> tuple[dict[str, Any], list[str]]:
    """Read settings from environment variables, as far as they can be read.

    Args:
        environment: The environment.
        schema: JSON schema of the settings.
        prefix: What the variables' names start with.

    Returns:
        The settings, and one plain line for each that cannot be read; none quotes a value.
    """
    values: dict[str, Any] = {}
    lines = []
    for name, spec in schema["properties"].items():
        variable = (prefix + name).upper().replace("-", "_")
        text = environment.get(variable)
        if text is None:
            continue
        try:
            if "integer" in spec["type"]:
                values[name] = int(text)
            else:
                values[name] = json.loads(text) if "object" in spec["type"] else text
        except ValueError:
            kind = "an integer" if "integer" in spec["type"] else "a JSON object"
            lines.append(f"{name} must be {kind} (environment variable {variable})")
    return values, lines


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
    told = set()
    errors = th.DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config)
    # What is of a wrong type breaks other rules too; its type is what is worth telling.
    for error in sorted(errors, key=lambda error: error.validator != "type"):
        name = ".".join(str(part) for part in error.absolute_path)
        if name in told or error.validator in {"required", "additionalProperties"}:
            continue
        told.add(name)
        match error.validator:
            case "type":
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
        if not isinstance(url, str):
            continue
        try:
            parts = urlsplit(url)
            prepared = requests.Request("GET", url).prepare()
            well_formed = bool(parts.hostname and prepared.url) and parts.port != 0
        except (ValueError, requests.RequestException):
            well_formed = False
        if not well_formed or parts.scheme not in {"http", "https"} or " " in url:
            yield f"{name} must be an address such as https://voice.zoho.com"
        elif parts.query or parts.fragment or parts.username or parts.password:
            yield f"{name} must be an address alone, without user, query or fragment"


def _bad_user_agent(user_agent: object) -> Iterator[str]:
    if isinstance(user_agent, str) and not (user_agent.isascii() and user_agent.isprintable()):
        yield "user_agent must be plain text on one line"


def _bad_dates(config: Mapping[str, Any]) -> Iterator[str]:
    moments = {}
    for name in ("start_date", "end_date"):
        value = config.get(name)
        if not isinstance(value, str):
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
    number = str(filters.get("userNumber", "0"))
    if not (number.isascii() and number.isdigit()):
        yield "filters.userNumber must be digits alone"


def _bad_folder(path: object) -> Iterator[str]:
    if not isinstance(path, str):
        return
    if not path.isprintable():
        yield "recordings_path must be a path or an address on one line"
    elif message := validate_url(path):
        yield message
