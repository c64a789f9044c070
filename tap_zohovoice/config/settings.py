"""Settings of the tap: JSON schema with defaults, and typed values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_zohovoice._time import parse_date
from tap_zohovoice.config.data_centers import DATA_CENTER_LABELS, DATA_CENTERS
from tap_zohovoice.config.filters import FILTERS, to_query_params

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_START_DATE = "2020-01-01T00:00:00Z"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # timestamps count from here

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
        description="Refresh token with the scope `ZohoVoice.call.READ`, made by an administrator.",
    ),
    th.Property(
        "data_center",
        th.CustomType(
            {
                "type": "string",
                "enum": list(DATA_CENTERS),
                "enumNames": [DATA_CENTER_LABELS[code] for code in DATA_CENTERS],
            }
        ),
        default="us",
        title="Data center",
        description="Zoho data center of the account; it determines both URLs.",
    ),
    th.Property(
        "accounts_url",
        th.StringType,
        title="Accounts URL",
        description="Base URL of Zoho Accounts. Default: that of the data center.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API URL",
        description="Base URL of Zoho Voice. Default: that of the data center.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        default=DEFAULT_START_DATE,
        title="Start date",
        description="Calls that started before are not read.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="Calls that started at or after this time are not read. Default: now.",
    ),
    th.Property(
        "lookback_days",
        th.IntegerType(minimum=0, maximum=3650),
        default=3,
        title="Lookback days",
        description="Days before the bookmark that each run reads again, for late changes.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=200,
        title="Page size",
        description="Calls per request.",
    ),
    th.Property(
        "filters",
        FILTERS,
        title="Filters",
        description="Zoho's own query parameters, to limit which calls are read. Default: all.",
    ),
    th.Property(
        "recordings_path",
        th.StringType,
        title="Recordings: path",
        description="Folder, or URL that fsspec supports, for the files of recordings and "
        "voicemails. Default: none, files are not downloaded.",
    ),
    th.Property(
        "recordings_max_mb",
        th.IntegerType(minimum=1, maximum=1_000_000),
        default=200,
        title="Recordings: largest file",
        description="Size limit of a file to download, in megabytes of 1,048,576 bytes.",
    ),
    th.Property(
        "rate_limit_calls",
        th.IntegerType(minimum=2, maximum=1_000_000_000),
        default=30,
        title="Rate limit: calls",
        description="Requests that Zoho allows in `rate_limit_seconds`. The tap makes one fewer.",
    ),
    th.Property(
        "rate_limit_seconds",
        th.IntegerType(minimum=1, maximum=86_400),
        default=60,
        title="Rate limit: seconds",
        description="Period of the rate limit, in seconds.",
    ),
    th.Property(
        "lock_seconds",
        th.IntegerType(minimum=1, maximum=86_400),
        default=600,
        title="Lock seconds",
        description="Length of a lockout, in seconds, where Zoho does not say it.",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType(minimum=1, maximum=3600),
        default=60,
        title="Request timeout",
        description="Seconds to wait for a response before the request is retried.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="User-Agent header. Default: `tap-zohovoice/<version>`.",
    ),
    additional_properties=False,
).to_dict()


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with defaults filled in and dates parsed.

    Attributes:
        accounts_url: URL of Zoho Accounts, without a slash at the end.
        api_url: URL of Zoho Voice, without a slash at the end.
        start: Start of the calls to read, inclusive.
        end: End of the calls to read, exclusive; None if there is none.
        lookback: Time before the bookmark that each run reads again.
        page_size: Rows per request.
        filters: Query parameters as they are sent.
        recordings_path: Folder or URL for files; empty if they are not downloaded.
        recordings_max_mb: Size limit of a file, in units of 1,048,576 bytes.
        rate_limit_calls: Requests that the server allows in `rate_limit_seconds`.
        rate_limit_seconds: Period of the rate limit, in seconds.
        lock_seconds: Length of a lockout of which the server names no end, in seconds.
        request_timeout: Timeout of a request, in seconds.
    """

    accounts_url: str
    api_url: str
    start: dt.datetime
    end: dt.datetime | None
    lookback: dt.timedelta
    page_size: int
    filters: dict[str, str]
    recordings_path: str
    recordings_max_mb: int
    rate_limit_calls: int
    rate_limit_seconds: int
    lock_seconds: int
    request_timeout: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Build the settings from a configuration without `validation_errors`."""
        properties = CONFIG_SCHEMA["properties"]
        given = {name: value for name, value in config.items() if value not in (None, "")}
        filled = {name: given.get(name, spec.get("default")) for name, spec in properties.items()}
        accounts_url, api_url = DATA_CENTERS[filled["data_center"]]
        end = filled["end_date"]
        return cls(
            accounts_url=(filled["accounts_url"] or accounts_url).rstrip("/"),
            api_url=(filled["api_url"] or api_url).rstrip("/"),
            start=max(parse_date(filled["start_date"]), _EPOCH),
            end=parse_date(end) if end else None,
            lookback=dt.timedelta(days=filled["lookback_days"]),
            page_size=filled["page_size"],
            filters=to_query_params(filled["filters"] or {}),
            recordings_path=filled["recordings_path"] or "",
            recordings_max_mb=filled["recordings_max_mb"],
            rate_limit_calls=filled["rate_limit_calls"],
            rate_limit_seconds=filled["rate_limit_seconds"],
            lock_seconds=filled["lock_seconds"],
            request_timeout=filled["request_timeout"],
        )
