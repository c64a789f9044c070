"""The settings of the tap: their schema, Zoho's data centers, and what a schema cannot check."""

from __future__ import annotations

import datetime as dt
import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CALL_TYPES = ("incoming", "outgoing", "missed", "bridged", "forward")
"""Values of `callType`. Source: documentation of `zv/logs`."""

OWNED_PARAMETERS = ("from", "size", "fromDate", "toDate")
"""Query parameters that paging and windows decide, so that no filter may."""

DATA_CENTERS = {
    "us": ("https://accounts.zoho.com", "https://voice.zoho.com"),
    "eu": ("https://accounts.zoho.eu", "https://voice.zoho.eu"),
    "in": ("https://accounts.zoho.in", "https://voice.zoho.in"),
    "au": ("https://accounts.zoho.com.au", "https://voice.zoho.com.au"),
    "jp": ("https://accounts.zoho.jp", "https://voice.zoho.jp"),
    "ca": ("https://accounts.zohocloud.ca", "https://voice.zohocloud.ca"),
    "sa": ("https://accounts.zoho.sa", "https://voice.zoho.sa"),
    "uk": ("https://accounts.zoho.uk", "https://voice.zoho.uk"),
    "ae": ("https://accounts.zoho.ae", "https://voice.zoho.ae"),
    "cn": ("https://accounts.zoho.com.cn", "https://voice.zoho.com.cn"),
}
"""Accounts server and Voice server of each data center.

The accounts servers are documented; of the Voice servers only `us` is, the others follow the
pattern of Zoho's products (`accounts_url` and `api_url` override both).
"""

_START_DATE = "2020-01-01T00:00:00Z"
_ID = th.CustomType({"type": ["string", "integer", "null"]})
_IDS = th.CustomType(
    {"type": ["string", "integer", "array", "null"], "items": {"type": ["string", "integer"]}}
)

FILTERS = th.ObjectType(
    th.Property("callType", th.StringType(allowed_values=CALL_TYPES), description="Kind of call."),
    th.Property("numberIds", _IDS, description="Ids of the company's numbers."),
    th.Property("userNumber", _ID, description="Digits that the customer's number starts with."),
    th.Property("agent", _ID, description="Id of the agent."),
    th.Property("feedback", th.IntegerType(minimum=1, maximum=5), description="Rating, 1 to 5."),
    th.Property("contact_name", th.StringType, description="Name of the contact."),
    th.Property("isAllCountry", th.BooleanType, description="Match `userNumber` in any country."),
    th.Property("isVoiceMail", th.BooleanType, description="Only calls with a voicemail."),
    th.Property("isRecording", th.BooleanType, description="Only calls with a recording."),
    th.Property("departmentId", _IDS, description="Ids of departments."),
    th.Property("groupIds", _IDS, description="Ids of queues."),
    th.Property("campaignId", _ID, description="Id of a power dialer campaign."),
    additional_properties=False,
)

CONFIG_SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "client_id",
        th.StringType,
        required=True,
        title="Client ID",
        description="Client ID of a self client in Zoho's API console.",
    ),
    th.Property(
        "client_secret",
        th.StringType,
        required=True,
        secret=True,
        title="Client secret",
        description="Client secret of the same self client.",
    ),
    th.Property(
        "refresh_token",
        th.StringType,
        required=True,
        secret=True,
        title="Refresh token",
        description="Refresh token with the scope ZohoVoice.call.READ, made by an administrator.",
    ),
    th.Property(
        "data_center",
        th.StringType(allowed_values=list(DATA_CENTERS)),
        default="us",
        title="Data center",
        description="Where the account lives; it gives the addresses of both servers.",
    ),
    th.Property(
        "accounts_url",
        th.StringType,
        title="Accounts URL",
        description="Address of Zoho Accounts, instead of the data center's.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API URL",
        description="Address of Zoho Voice, instead of the data center's.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        default=_START_DATE,
        title="Start date",
        description="Calls that started before are not read.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="Calls that started at this moment or later are not read. Default: now.",
    ),
    th.Property(
        "lookback_days",
        th.IntegerType(minimum=0, maximum=3650),
        default=3,
        title="Lookback days",
        description="Days before the bookmark that each run reads again, for what came late.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=200,
        title="Page size",
        description="Calls asked for in one request.",
    ),
    th.Property(
        "filters",
        FILTERS,
        title="Filters",
        description="Zoho's own query parameters, to read some of the calls only.",
    ),
    th.Property(
        "rate_limit_calls",
        th.IntegerType(minimum=2),
        default=30,
        title="Rate limit: calls",
        description="Requests that Zoho allows in `rate_limit_seconds`; the tap stays under it.",
    ),
    th.Property(
        "rate_limit_seconds",
        th.IntegerType(minimum=1),
        default=60,
        title="Rate limit: seconds",
        description="Seconds in which Zoho counts requests.",
    ),
    th.Property(
        "lock_seconds",
        th.IntegerType(minimum=1),
        default=600,
        title="Lock seconds",
        description="Seconds of a lock, where Zoho does not say how long it is.",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType(minimum=1),
        default=60,
        title="Request timeout",
        description="Seconds to wait for an answer before the request is sent again.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="How the tap names itself. Default: tap-zohovoice/<version>.",
    ),
    additional_properties=False,
).to_dict()


def parse_date(value: str) -> dt.datetime:
    """Read a date or a date-time, in UTC where it names no zone.

    Args:
        value: Text such as `2024-01-31` or `2024-01-31T08:00:00+01:00`.

    Returns:
        The moment, in UTC.

    Raises:
        ValueError: If the text is neither.
    """
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=dt.UTC)
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:  # the first and last day of the calendar
        raise ValueError(value) from error


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings with defaults filled in and dates read.

    Attributes:
        accounts_url: Address of Zoho Accounts, without a slash at the end.
        api_url: Address of Zoho Voice, without a slash at the end.
        start: First moment of interest, inclusive.
        end: Last moment of interest, exclusive; None: no end.
        lookback: How far before the bookmark a run starts.
        page_size: Rows asked for in one request.
        filters: Query parameters as they are sent.
        rate_limit_calls: Requests allowed in `rate_limit_seconds`.
        rate_limit_seconds: Length of the server's window, in seconds.
        lock_seconds: Length of a lock that names no time, in seconds.
        request_timeout: Patience with an answer, in seconds.
    """

    accounts_url: str
    api_url: str
    start: dt.datetime
    end: dt.datetime | None
    lookback: dt.timedelta
    page_size: int
    filters: dict[str, str]
    rate_limit_calls: int
    rate_limit_seconds: int
    lock_seconds: int
    request_timeout: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """Read settings that `problems` found nothing wrong with.

        Args:
            config: The settings as given.

        Returns:
            The settings as the tap uses them.
        """
        properties = CONFIG_SCHEMA["properties"]
        given = {name: value for name, value in config.items() if value not in (None, "")}
        filled = {name: given.get(name, spec.get("default")) for name, spec in properties.items()}
        accounts_url, api_url = DATA_CENTERS[filled["data_center"]]
        end = filled["end_date"]
        return cls(
            accounts_url=(filled["accounts_url"] or accounts_url).rstrip("/"),
            api_url=(filled["api_url"] or api_url).rstrip("/"),
            start=parse_date(filled["start_date"]),
            end=parse_date(end) if end else None,
            lookback=dt.timedelta(days=filled["lookback_days"]),
            page_size=filled["page_size"],
            filters=query(filled["filters"] or {}),
            rate_limit_calls=filled["rate_limit_calls"],
            rate_limit_seconds=filled["rate_limit_seconds"],
            lock_seconds=filled["lock_seconds"],
            request_timeout=filled["request_timeout"],
        )


def query(filters: Mapping[str, Any]) -> dict[str, str]:
    """Write filters as Zoho reads them: lower-case booleans, lists with commas, nothing empty."""
    texts = {}
    for name, value in filters.items():
        if isinstance(value, bool):
            texts[name] = str(value).lower()
        elif isinstance(value, list):
            texts[name] = ",".join(str(item) for item in value)
        elif value is not None:
            texts[name] = str(value)
    return {name: text for name, text in texts.items() if text}


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
    start = moments.get("start_date", parse_date(_START_DATE))
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
