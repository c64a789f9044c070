"""Settings of a configuration and of the environment: reading and validation."""

import datetime as dt
import json
import os
import re
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import suppress
from typing import Any

import fsspec
from singer_sdk import typing as th

from tap_zohovoice._time import parse_date
from tap_zohovoice.config.settings import DEFAULT_START_DATE
from tap_zohovoice.singer.stream_maps import shorten, suggest

ENV_PREFIX = "TAP_ZOHOVOICE_"
STORAGE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?://|:)")  # any other is a local path
_CREDENTIALS = ("client_id", "client_secret", "refresh_token")
# Quotes, and all except letters, digits and visible ASCII characters, at either end.
_AROUND = re.compile(r"""\A(?:[^\w!-~]|["'`])+|(?:[^\w!-~]|["'`])+\Z""")
_RULES = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "minimum": "must be at least {}, not {}",
    "maximum": "must be at most {}, not {}",
    "pattern": "is invalid; an example is {}",
}


def parse_env(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Parse settings from environment variables; a blank one counts as not set.

    A text that is not of the type of its setting stays text, which validation reports.
    """
    values: dict[str, Any] = {}
    for name, spec in schema["properties"].items():
        text, kinds = os.environ.get(ENV_PREFIX + name.upper(), ""), spec["type"]
        if text.strip():
            values[name] = text
            with suppress(KeyError, RecursionError, ValueError):
                if "integer" in kinds:
                    values[name] = int(text)
                elif "boolean" in kinds:
                    values[name] = ConfigParser.BOOLEAN_STATES[text.strip().lower()]
                elif "array" in kinds and not text.lstrip().startswith("["):
                    values[name] = [item.strip() for item in text.split(",")]
                elif "string" not in kinds:
                    values[name] = json.loads(text)
    return values


def clean_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Drop settings and filters that are null or empty; strip what a copy leaves around others."""
    cleaned = dict(config)
    for name in _CREDENTIALS:
        if isinstance(text := config.get(name), str):
            cleaned[name] = clean_credential(text)
    if isinstance(filters := config.get("filters"), dict):
        cleaned["filters"] = clean_settings(filters)
    return {name: value for name, value in cleaned.items() if value not in (None, "")}


def clean_credential(text: str) -> str:
    """Strip blanks, invisible characters and quotes around a text."""
    return _AROUND.sub("", text)


def validation_errors(
    config: Mapping[str, Any], schema: Mapping[str, Any], now: dt.datetime | None = None
) -> list[str]:
    """Return one line for each error in clean settings; none quotes a secret or personal value."""
    errors = dict(_schema_errors(config, schema))
    valid = {name: value for name, value in config.items() if name not in errors}
    others = [*_check_dates(valid, now), *_check_storage(valid.get("recordings_path", ""))]
    return [*errors.values(), *others]


def _schema_errors(
    config: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield invalid, missing and unknown settings, each with a line."""
    errors = th.DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config)
    # A value of a wrong type violates other rules too; its type comes last and is reported.
    for error in sorted(errors, key=lambda error: error.validator == "type"):
        spec: Any = error.schema
        rule, expected = str(error.validator), error.validator_value
        known, name = spec.get("properties", {}), ".".join(map(str, error.absolute_path))
        if rule == "required":
            missing = [name for name in expected if name not in error.instance]
            yield from ((name, f"{name} is required") for name in missing)
        elif rule == "additionalProperties":
            for unknown in [name for name in error.instance if name not in known]:
                path = f"{name}.{unknown}" if name else unknown
                yield path, f"unknown setting {shorten(path)}{suggest(unknown, known)}"
        else:
            values = spec.get("examples") if rule == "pattern" else expected
            values = values if isinstance(values, list | tuple) else [values]
            choices = [text for text in map(str, values) if text not in {"None", "null"}]
            listed = (" or " if rule == "type" else ", ").join(choices)
            text = _RULES.get(rule, f"is invalid ({rule})")
            yield name, f"{name} {text.format(listed, error.instance)}"


def _check_dates(config: Mapping[str, str], now: dt.datetime | None) -> Iterator[str]:
    moments = {"start_date": parse_date(DEFAULT_START_DATE)}
    for name in ("start_date", "end_date"):
        try:
            if name in config:
                moments[name] = parse_date(config[name])
        except ValueError:
            yield f"{name} is not a valid date: use 2024-01-31 or 2024-01-31T08:00:00Z"
    start, end = moments["start_date"], moments.get("end_date")
    if now and start > now:
        yield f"start_date ({start:%Y-%m-%d}) is in the future"
    if end is not None and end < start:
        yield f"end_date ({end:%Y-%m-%d}) is before start_date ({start:%Y-%m-%d})"


def _check_storage(path: str) -> Iterator[str]:
    """Yield an error for each file system of a URL that fsspec cannot open."""
    parts = path.split("::") if STORAGE_URL.match(path) else []  # fsspec chains them that way
    for scheme in (part.partition("://")[0] for part in parts):
        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError:
            yield f"recordings_path: unsupported URL scheme {scheme}"
        except ImportError:
            yield f"recordings_path: the fsspec driver for {scheme} is not installed"
