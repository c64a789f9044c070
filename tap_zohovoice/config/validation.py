"""Validation of the settings."""

import datetime as dt
import difflib
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any
from urllib.parse import SplitResult, urlsplit

import fsspec
from singer_sdk import typing as th

from tap_zohovoice._time import parse_date
from tap_zohovoice.config.data_centers import DATA_CENTERS
from tap_zohovoice.config.filters import FILTERS, RESERVED_PARAMS
from tap_zohovoice.config.settings import DEFAULT_START_DATE

STORAGE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?://|:)")
"""Start of a `recordings_path` that fsspec opens; any other is a local path."""
_CREDENTIALS = ("client_id", "client_secret", "refresh_token")
# Quotes, and all except letters, digits and visible ASCII characters, at either end.
_AROUND = re.compile(r"""\A(?:[^\w!-~]|["'`])+|(?:[^\w!-~]|["'`])+\Z""")
_PATTERNS = {
    **dict.fromkeys(_CREDENTIALS, ("[!-~]*", "contains invalid characters; copy it again")),
    "user_agent": ("[ -~]*", "must be printable ASCII on one line"),
}
_RULES = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "minimum": "must be at least {}, not {}",
    "maximum": "must be at most {}, not {}",
}
_URL_EXAMPLES = dict(zip(("accounts_url", "api_url"), DATA_CENTERS["us"], strict=True))


def clean_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Drop settings and filters that are null or empty; strip what a copy leaves around others."""
    cleaned: dict[str, Any] = {}
    for name, value in config.items():
        if name in _CREDENTIALS and isinstance(value, str):
            cleaned[name] = clean_credential(value)
        elif value is not None and value != "":
            is_nested = name == "filters" and isinstance(value, dict)
            cleaned[name] = clean_settings(value) if is_nested else value
    return cleaned


def clean_credential(text: str) -> str:
    """Strip blanks, invisible characters and quotes around a text."""
    return _AROUND.sub("", text)


def validation_errors(
    config: Mapping[str, Any], schema: Mapping[str, Any], now: dt.datetime | None = None
) -> list[str]:
    """Return one line for each error in clean settings; none quotes a secret or personal value."""
    texts = {name: value for name, value in config.items() if isinstance(value, str)}
    return [
        *_check_names(config, schema["properties"], "setting"),
        *(f"{name} is required" for name in schema["required"] if name not in config),
        *(f"{name} is empty" for name in schema["required"] if config.get(name) == ""),
        *_schema_errors(config, schema),
        *_check_filters(config.get("filters")),
        *_check_dates(texts, now),
        *chain(*(_CHECKS[name](name, text) for name, text in texts.items() if name in _CHECKS)),
    ]


def _check_names(given: Mapping[str, Any], known: Mapping[str, Any], kind: str) -> Iterator[str]:
    for name in given:
        if kind == "filter" and name in RESERVED_PARAMS:
            yield f"filters: {name} is reserved for the tap and cannot be set"
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"valid names are {', '.join(known)}"
            yield f"unknown {kind} {name[:60]!r}: {hint}"


def _schema_errors(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    errors = th.DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config)
    # A value of a wrong type violates other rules too; then the type is reported.
    by_name = {
        ".".join(map(str, error.absolute_path)): error
        for error in sorted(errors, key=lambda error: error.validator == "type")
        if error.validator not in {"required", "additionalProperties"}
    }
    for name, error in by_name.items():
        rule, expected = str(error.validator), error.validator_value
        values = expected if isinstance(expected, list | tuple) else [expected]
        choices = [text for text in map(str, values) if text not in {"None", "null"}]
        listed = (" or " if rule == "type" else ", ").join(choices)
        text = _RULES.get(rule, f"is invalid ({rule})")
        yield f"{name} {text.format(listed, error.instance)}"


def _check_filters(filters: object) -> Iterator[str]:
    if not isinstance(filters, dict):
        return
    yield from _check_names(filters, FILTERS.to_dict()["properties"], "filter")
    number = str(filters.get("userNumber", "0"))
    if not (number.isascii() and number.isdigit()):
        yield "filters.userNumber must contain digits only"


def _check_dates(texts: Mapping[str, str], now: dt.datetime | None) -> Iterator[str]:
    moments = {"start_date": parse_date(DEFAULT_START_DATE)}
    for name in ("start_date", "end_date"):
        try:
            if name in texts:
                moments[name] = parse_date(texts[name])
        except ValueError:
            yield f"{name} is not a valid date: use 2024-01-31 or 2024-01-31T08:00:00Z"
    start, end = moments["start_date"], moments.get("end_date")
    if now and start > now:
        yield f"start_date ({start:%Y-%m-%d}) is in the future"
    if end is not None and end < start:
        yield f"end_date ({end:%Y-%m-%d}) is before start_date ({start:%Y-%m-%d})"


def _check_text(name: str, text: str) -> Iterator[str]:
    pattern, advice = _PATTERNS[name]
    if not re.fullmatch(pattern, text):
        yield f"{name} {advice}"


def _split_url(url: str, *schemes: str) -> SplitResult | None:
    """Return the parts of a URL with one of these schemes, or None if it is invalid."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # no label is empty or too long
        is_valid = bool(host) and parts.port != 0 and parts.scheme in schemes
    except ValueError:
        return None
    return parts if is_valid and url.isprintable() and " " not in url else None


def _check_url(name: str, url: str) -> Iterator[str]:
    parts = _split_url(url, "http", "https")
    if not parts:
        yield f"{name} must be a URL such as {_URL_EXAMPLES[name]}"
    elif parts.query or parts.fragment or parts.username or parts.password:
        yield f"{name} must be a URL without user, query or fragment"


def _check_recordings_path(name: str, path: str) -> Iterator[str]:
    if not path.isprintable():
        yield f"{name} must be a path or a URL on one line"
    elif path.endswith("://") and not path.startswith("memory"):
        yield f"{name} must name a bucket or a folder"
    elif path.lower().startswith("file:") and not path.lower().startswith("file:///"):
        yield f"{name}: use a path, or a URL such as file:///srv/calls"
    elif STORAGE_URL.match(path):
        for part in path.split("::"):  # fsspec chains file systems that way
            scheme = part.partition("://")[0]
            try:
                fsspec.get_filesystem_class(scheme)
            except ValueError:
                yield f"{name}: unsupported URL scheme {scheme}"
            except ImportError:
                yield f"{name}: the fsspec driver for {scheme} is not installed"


def _check_rate_limit_store(name: str, url: str) -> Iterator[str]:
    parts = _split_url(url, "redis", "rediss")
    try:
        from redis import ConnectionPool  # noqa: PLC0415 - an extra

        ConnectionPool.from_url(url).make_connection()  # does not connect
    except ImportError:
        yield f"{name} needs the extra redis: pip install redis"
        return
    except Exception:  # noqa: BLE001 - options of the URL are arguments of the library
        parts = None
    if not (parts and re.fullmatch(r"(/\d*)?", parts.path)):
        yield f"{name} must be a URL such as redis://:password@redis.example.com:6379/0"


_CHECKS = {
    **dict.fromkeys(_PATTERNS, _check_text),
    **dict.fromkeys(_URL_EXAMPLES, _check_url),
    "recordings_path": _check_recordings_path,
    "rate_limit_store": _check_rate_limit_store,
}
"""Checks of texts that no schema can describe."""
