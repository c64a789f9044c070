"""Setting `filters`: query parameters of `zv/logs`, their schema and how they are sent."""

from collections.abc import Mapping
from typing import Any

from singer_sdk import typing as th

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


FILTERS = th.ObjectType(
    *(th.Property(name, kind, description=text) for name, kind, text in _FILTERS),
    additional_properties=False,
)


def to_query_params(filters: Mapping[str, Any]) -> dict[str, str]:
    """Convert clean filters: booleans in lower case, lists with commas, no empty lists."""
    texts = {}
    for name, value in filters.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        if text:
            texts[name] = text.lower() if isinstance(value, bool) else text
    return texts
