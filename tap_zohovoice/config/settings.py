"""Settings of the tap: JSON schema with defaults, and typed values."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from singer_sdk import typing as th
from singer_sdk.helpers.capabilities import STREAM_MAPS_CONFIG

from tap_zohovoice._time import parse_date
from tap_zohovoice.config.data_centers import DATA_CENTER_LABELS, DATA_CENTERS
from tap_zohovoice.singer.stream_maps import STREAM_MAPS_SCHEMA

STREAM_NAMES = (
    *("call_logs", "recordings", "transcripts", "users", "queues", "numbers", "contacts"),
    *("contact_statuses", "scheduled_sms", "campaigns", "sms_logs", "agent_status_changes"),
    *("call_queues", "call_agents", "call_campaigns"),
)
DEFAULT_START_DATE = "2020-01-01T00:00:00Z"
CALL_TYPES = ("incoming", "outgoing", "missed", "bridged", "forward")
"""Values of `callType`. Source: documentation of `zv/logs`."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # timestamps count from here
_DATA_CENTER = th.CustomType(
    {"type": "string", "enum": list(DATA_CENTERS), "enumNames": list(DATA_CENTER_LABELS.values())}
)
_STREAMS = th.ArrayType(th.StringType(allowed_values=list(STREAM_NAMES)))
_VISIBLE = "[!-~]*"
_PORT = r"(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_HOST = rf"(\[[0-9a-fA-F:.]+\]|[\w-]{{1,63}}(\.[\w-]{{1,63}})*)(:{_PORT})?"
_URL = rf"https?://{_HOST}(/[^?#@\s]*)?"
_REDIS = rf"rediss?://([^/\s]*@)?{_HOST}(/\d*)?(\?\S*)?"
# Of the URLs of local files, only those that `recordings/storage.py` opens as private folders.
_PATH = r"(?!file:(?!///))[^\x00-\x1f\x7f]+(?<!://)"
# Formats are shown in the documentation; they are not validated.
_TEXTS = ["string", "integer"]
_ID = th.CustomType({"type": [*_TEXTS, "null"], "format": "id"})
_IDS = th.CustomType(
    {"type": [*_TEXTS, "array", "null"], "format": "id", "items": {"type": _TEXTS}}
)
_DIGITS = th.CustomType(
    {"type": [*_TEXTS, "null"], "format": "digits", "pattern": r"^[0-9]*(?!\n)$"}
    | {"exclusiveMinimum": -1, "examples": ["1234"]}
)
_FILTERS: Any = (  # the SDK's types have no common base
    ("callType", th.StringType(allowed_values=CALL_TYPES), "Kind of call."),
    ("numberIds", _IDS, "Ids of the company's numbers."),
    ("userNumber", _DIGITS, "First digits of the customer's number, including the country code."),
    ("agent", _ID, "Id of the agent."),
    ("feedback", th.IntegerType(minimum=1, maximum=5), "Rating of the call."),
    ("contact_name", th.StringType, "Name of the contact."),
    ("isAllCountry", th.BooleanType, "Whether to search all countries; `false` with `userNumber`."),
    ("isVoiceMail", th.BooleanType, "Whether to read only calls with a voicemail."),
    ("isRecording", th.BooleanType, "Whether to read only calls with a recording."),
    ("departmentId", _IDS, "Ids of departments."),
    ("groupIds", _IDS, "Ids of queues."),
    ("campaignId", _ID, "Id of a power dialer campaign."),
)
_FILTERS_TYPE = th.ObjectType(
    *(th.Property(name, kind, description=text) for name, kind, text in _FILTERS),
    additional_properties=False,
)
_DESCRIPTIONS = {
    "client_id": "Client ID of a self client in Zoho's API console.",
    "client_secret": "Client secret of the same self client.",
    "refresh_token": "Refresh token with the scope `ZohoVoice.call.READ`, created by an "
    "administrator.",
    "data_center": "Zoho data center of the account; it determines both URLs.",
    "accounts_url": "Base URL of Zoho Accounts. Default: that of the data center.",
    "api_url": "Base URL of Zoho Voice. Default: that of the data center.",
    "start_date": "Earliest start of the calls to read, inclusive.",
    "end_date": "Latest start of the calls to read, exclusive. Default: now.",
    "lookback_days": "Days before the bookmark that each run reads again, for late changes.",
    "page_size": "Calls per request. Default: as many as Zoho returns, up to 1000.",
    "filters": "Query parameters of Zoho's API that filter the calls. Default: all calls.",
    "streams": "Names of the streams to read if there is no catalog. Default: `call_logs`, and "
    "`recordings` if `recordings_path` is set.",
    "recordings_path": "Folder, or URL that fsspec supports, for the files of recordings and "
    "voicemails. Default: none, files are not downloaded.",
    "recordings_max_mb": "Size limit of a file to download, in megabytes of 1,048,576 bytes.",
    "recordings_per_request": "Files per request if Zoho returns an archive; otherwise the tap "
    "requests one at a time.",
    "rate_limit_calls": "Requests that Zoho allows in `rate_limit_seconds`. The tap sends one "
    "fewer.",
    "rate_limit_seconds": "Period of the rate limit, in seconds.",
    "rate_limit_store": "URL of a Redis server (`redis://` or `rediss://`) that runs on several "
    "machines use to share the rate limit; requires the extra `redis`. Default: a local file that "
    "all runs on this machine share.",
    "lock_seconds": "Length of a lockout, in seconds, if Zoho does not report it.",
    "request_timeout": "Seconds to wait for a response before the request is retried.",
    "user_agent": "User-Agent header. Default: `tap-zohovoice/<version>`.",
}


def _setting(name: str, kind: Any = th.StringType, **options: Any) -> th.Property[Any]:  # noqa: ANN401 - the SDK's types have no common base
    words = name.replace("_", " ").capitalize()
    title = re.sub(r"\b(?:Api|id|mb|url)\b", lambda word: word[0].upper(), words)
    return th.Property(name, kind, description=_DESCRIPTIONS[name], title=title, **options)


def _text(name: str, pattern: str, example: str, **options: Any) -> th.Property[Any]:  # noqa: ANN401 - as above
    # `$` alone allows a line break at the end.
    kind = th.StringType(pattern=rf"^{pattern}(?!\n)$")
    return _setting(name, kind, examples=[example], **options)


def _integer(name: str, default: int | None, minimum: int, maximum: int) -> th.Property[int]:
    return _setting(name, th.IntegerType(minimum=minimum, maximum=maximum), default=default)


CONFIG_SCHEMA: dict[str, Any] = th.PropertiesList(
    _text("client_id", _VISIBLE, "1000.ABC123", required=True),
    _text("client_secret", _VISIBLE, "abc123", required=True, secret=True),
    _text("refresh_token", _VISIBLE, "1000.abc123.def456", required=True, secret=True),
    _setting("data_center", _DATA_CENTER, default="us"),
    _text("accounts_url", _URL, DATA_CENTERS["us"][0]),
    _text("api_url", _URL, DATA_CENTERS["us"][1]),
    _setting("start_date", th.DateTimeType, default=DEFAULT_START_DATE),
    _setting("end_date", th.DateTimeType),
    _integer("lookback_days", 3, 0, 3650),
    _integer("page_size", None, 1, 1000),
    _setting("filters", _FILTERS_TYPE),
    _setting("streams", _STREAMS),
    _text("recordings_path", _PATH, "s3://bucket/calls"),
    _integer("recordings_max_mb", 200, 1, 1_000_000),
    _integer("recordings_per_request", 10, 1, 10),
    _integer("rate_limit_calls", 30, 2, 1_000_000_000),
    _integer("rate_limit_seconds", 60, 1, 86_400),
    _text("rate_limit_store", _REDIS, "redis://:password@redis.example.com:6379/0", secret=True),
    _integer("lock_seconds", 600, 1, 86_400),
    _integer("request_timeout", 60, 1, 3600),
    _text("user_agent", "(?! )[ -~]*", "tap-zohovoice/1.0"),
    additional_properties=False,
).to_dict()
CONFIG_SCHEMA["properties"]["stream_maps"] = (
    STREAM_MAPS_CONFIG["properties"]["stream_maps"] | STREAM_MAPS_SCHEMA
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with defaults filled in and dates parsed."""

    accounts_url: str  # this and the next without a slash at the end
    api_url: str
    start: dt.datetime  # of the calls to read, inclusive
    end: dt.datetime | None  # exclusive
    lookback: dt.timedelta
    page_size: int | None  # None: as many as Zoho grants
    filters: dict[str, str]  # query parameters as they are sent
    recordings_path: str  # empty if files are not downloaded
    recordings_max_mb: int
    recordings_per_request: int
    rate_limit_calls: int
    rate_limit_seconds: int
    lock_seconds: int
    request_timeout: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build the settings from a clean configuration without `validation_errors`."""
        defaults = {name: spec.get("default") for name, spec in CONFIG_SCHEMA["properties"].items()}
        values: dict[str, Any] = {**defaults, **config}
        accounts_url, api_url = DATA_CENTERS[values["data_center"]]
        end = values["end_date"]
        values |= {
            "accounts_url": (values["accounts_url"] or accounts_url).rstrip("/"),
            "api_url": (values["api_url"] or api_url).rstrip("/"),
            "start": max(parse_date(values["start_date"]), _EPOCH),
            "end": parse_date(end) if end else None,
            "lookback": dt.timedelta(days=values["lookback_days"]),
            "filters": to_query_params(values["filters"] or {}),
            "recordings_path": values["recordings_path"] or "",
        }
        return cls(**{field.name: values[field.name] for field in fields(cls)})


def to_query_params(filters: Mapping[str, Any]) -> dict[str, str]:
    """Convert clean filters: booleans in lower case, lists with commas, no empty lists."""
    texts = {}
    for name, value in filters.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        if text:
            texts[name] = text.lower() if isinstance(value, bool) else text
    return texts
