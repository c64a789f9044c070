"""Validation of the settings."""

import datetime as dt
import difflib
import importlib.util
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
_URL_EXAMPLES = dict(zip(("accounts_url", "api_url"), DATA_CENTERS["us"], strict=True))


def validation_errors(
    config: Mapping[str, Any], schema: Mapping[str, Any], now: dt.datetime | None = None
) -> list[str]:
    """Return one line for each error in the settings; none quotes a secret or personal value."""
    given = _without_empty(config)
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    return [
        *_check_names(given, schema["properties"], "setting"),
        *_check_required(config, schema["required"]),
        *_schema_errors(given, schema),
        *_check_filters(given.get("filters")),
        *_check_dates(texts, now),
        *chain(*(_CHECKS[name](name, text) for name, text in texts.items() if name in _CHECKS)),
    ]


def _without_empty(config: Mapping[str, Any]) -> dict[str, Any]:
    """Drop null and empty values, which count as not given."""
    return {
        name: _without_empty(value) if name == "filters" and isinstance(value, dict) else value
        for name, value in config.items()
        if value is not None and value != ""
    }


def clean_credentials(config: Mapping[str, Any]) -> dict[str, Any]:
    """Strip blanks, invisible characters and quotes around credentials, left by a copy."""
    return {
        name: clean_credential(value) if name in _CREDENTIALS and isinstance(value, str) else value
        for name, value in config.items()
    }


def clean_credential(text: str) -> str:
    """Strip blanks, invisible characters and quotes around a text."""
    return _AROUND.sub("", text)


def _check_names(given: Mapping[str, Any], known: Mapping[str, Any], kind: str) -> Iterator[str]:
    for name in given:
        if kind == "filter" and name in RESERVED_PARAMS:
            yield f"filters: {name} is reserved for the tap and cannot be set"
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"valid names are {', '.join(known)}"
            yield f"unknown {kind} {name[:60]!r}: {hint}"


def _check_required(config: Mapping[str, Any], required: list[str]) -> Iterator[str]:
    for name in required:
        if config.get(name) is None:
            yield f"{name} is required"
        elif isinstance(config[name], str) and not config[name].strip():
            yield f"{name} is empty"


def _schema_errors(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    reported = set()
    errors = th.DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config)
    # A value of a wrong type violates other rules too, so the type is reported first.
    for error in sorted(errors, key=lambda error: error.validator != "type"):
        name = ".".join(str(part) for part in error.absolute_path)
        if name in reported or error.validator in {"required", "additionalProperties"}:
            continue
        reported.add(name)
        match error.validator:
            case "type":
                expected = error.validator_value
                kinds = expected.split() if isinstance(expected, str) else expected
                listed = " or ".join(kind for kind in kinds if kind != "null")
                yield f"{name} must be of type {listed}"
            case "enum":
                choices = [str(choice) for choice in error.validator_value if choice is not None]
                yield f"{name} must be one of {', '.join(choices)}"
            case "minimum" | "maximum" as rule:
                word = "least" if rule == "minimum" else "most"
                yield f"{name} must be at {word} {error.validator_value}, not {error.instance}"
            case rule:
                yield f"{name} is invalid ({rule})"


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


def _check_credential(name: str, text: str) -> Iterator[str]:
    if not re.fullmatch(r"[!-~]*", text.strip()):  # a blank one is reported as empty
        yield f"{name} contains invalid characters; copy it again"


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


def _check_user_agent(name: str, text: str) -> Iterator[str]:
    if not (text.isascii() and text.isprintable()):
        yield f"{name} must be printable ASCII on one line"


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
    if importlib.util.find_spec("redis") is None:
        yield f"{name} needs the extra redis: pip install redis"
    elif not _is_redis_url(url):
        yield f"{name} must be a URL such as redis://:password@redis.example.com:6379/0"


def _is_redis_url(url: str) -> bool:
    from redis import ConnectionPool  # noqa: PLC0415 - an extra

    try:
        ConnectionPool.from_url(url).make_connection()  # does not connect
    except Exception:  # noqa: BLE001 - options of the URL are arguments of the library
        return False
    parts = _split_url(url, "redis", "rediss")
    return bool(parts and re.fullmatch(r"(/\d*)?", parts.path))


_CHECKS = {
    **dict.fromkeys(_CREDENTIALS, _check_credential),
    **dict.fromkeys(_URL_EXAMPLES, _check_url),
    "user_agent": _check_user_agent,
    "recordings_path": _check_recordings_path,
    "rate_limit_store": _check_rate_limit_store,
}
"""Checks of texts that no schema can describe."""
