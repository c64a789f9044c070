"""The settings of the tap: their schema and their defaults."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_zohovoice._time import parse_date
from tap_zohovoice.config.data_centers import DATA_CENTER_LABELS, DATA_CENTERS
from tap_zohovoice.config.filters import FILTERS, query

if TYPE_CHECKING:
    from collections.abc import Mapping

START_DATE = "2020-01-01T00:00:00Z"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # Zoho counts from there, so nothing is older

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
        description="Where the account lives; it gives the addresses of both servers.",
    ),
    th.Property(
        "accounts_url",
        th.StringType,
        title="Accounts URL",
        description="Address of Zoho Accounts. Default: that of the data center.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API URL",
        description="Address of Zoho Voice. Default: that of the data center.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        default=START_DATE,
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
        description="Zoho's own query parameters, to read a part of the calls. Default: all.",
    ),
    th.Property(
        "recordings_path",
        th.StringType,
        title="Recordings: path",
        description="Folder, or address that fsspec knows, for the files of recordings and "
        "voicemails. Default: none, they are not fetched.",
    ),
    th.Property(
        "recordings_max_mb",
        th.IntegerType(minimum=1, maximum=1_000_000),
        default=200,
        title="Recordings: largest file",
        description="Megabytes (of 1,048,576 bytes) of the largest file that is fetched.",
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
        description="Seconds in which Zoho counts requests.",
    ),
    th.Property(
        "lock_seconds",
        th.IntegerType(minimum=1, maximum=86_400),
        default=600,
        title="Lock seconds",
        description="Seconds of a lock, where Zoho does not say how long it is.",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType(minimum=1, maximum=3600),
        default=60,
        title="Request timeout",
        description="Seconds to wait for an answer before the request is sent again.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="How the tap names itself. Default: `tap-zohovoice/<version>`.",
    ),
    additional_properties=False,
).to_dict()


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
        recordings_path: Where files go; empty: nowhere.
        recordings_max_mb: Size of the largest file, in megabytes.
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
    recordings_path: str
    recordings_max_mb: int
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
            start=max(parse_date(filled["start_date"]), _EPOCH),
            end=parse_date(end) if end else None,
            lookback=dt.timedelta(days=filled["lookback_days"]),
            page_size=filled["page_size"],
            filters=query(filled["filters"] or {}),
            recordings_path=filled["recordings_path"] or "",
            recordings_max_mb=filled["recordings_max_mb"],
            rate_limit_calls=filled["rate_limit_calls"],
            rate_limit_seconds=filled["rate_limit_seconds"],
            lock_seconds=filled["lock_seconds"],
            request_timeout=filled["request_timeout"],
        )
