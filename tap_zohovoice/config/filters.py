"""Setting `filters`: query parameters of `zv/logs`, their schema and how they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Mapping

CALL_TYPES = ("incoming", "outgoing", "missed", "bridged", "forward")
"""Values of `callType`. Source: documentation of `zv/logs`."""

RESERVED_PARAMS = ("from", "size", "fromDate", "toDate")
"""Query parameters of pages and windows, which no filter may set."""

# Formats are shown in the documentation; they are not validated.
_ID = th.CustomType({"type": ["string", "integer", "null"], "format": "id"})
_DIGITS = th.CustomType({"type": ["string", "integer", "null"], "format": "digits"})
_IDS = th.CustomType(
    {
        "type": ["string", "integer", "array", "null"],
        "format": "id",
        "items": {"type": ["string", "integer"]},
    }
)

FILTERS = th.ObjectType(
    th.Property("callType", th.StringType(allowed_values=CALL_TYPES), description="Kind of call."),
    th.Property("numberIds", _IDS, description="Ids of the company's numbers."),
    th.Property(
        "userNumber",
        _DIGITS,
        description="First digits of the customer's number, including the country code.",
    ),
    th.Property("agent", _ID, description="Id of the agent."),
    th.Property(
        "feedback", th.IntegerType(minimum=1, maximum=5), description="Rating of the call."
    ),
    th.Property("contact_name", th.StringType, description="Name of the contact."),
    th.Property(
        "isAllCountry",
        th.BooleanType,
        description="Whether to search all countries; Zoho requires `false` with `userNumber`.",
    ),
    th.Property(
        "isVoiceMail", th.BooleanType, description="Whether to read only calls with a voicemail."
    ),
    th.Property(
        "isRecording", th.BooleanType, description="Whether to read only calls with a recording."
    ),
    th.Property("departmentId", _IDS, description="Ids of departments."),
    th.Property("groupIds", _IDS, description="Ids of queues."),
    th.Property("campaignId", _ID, description="Id of a power dialer campaign."),
    additional_properties=False,
)


def to_query_params(filters: Mapping[str, Any]) -> dict[str, str]:
    """Convert filters: booleans in lower case, lists with commas, nothing empty."""
    texts = {}
    for name, value in filters.items():
        if isinstance(value, bool):
            texts[name] = str(value).lower()
        elif isinstance(value, list):
            texts[name] = ",".join(str(item) for item in value)
        elif value is not None:
            texts[name] = str(value)
    return {name: text for name, text in texts.items() if text}
