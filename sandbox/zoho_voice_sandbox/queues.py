"""The list of queues: `zv/api/queues`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_voice_sandbox.contacts_fixtures import QUEUES as NAMES
from zoho_voice_sandbox.contacts_fixtures import build_id
from zoho_voice_sandbox.filters import ID, TEXT, Parameter, contains, equals
from zoho_voice_sandbox.paging import OffsetPaging
from zoho_voice_sandbox.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect

_STRATEGIES = ("ring-all", "round-robin", "top-down", "ring-progressively")


def _rename_id(row: Row, dialect: Dialect) -> Iterator[Row]:
    yield {dialect.queue_key if key == "id" else key: value for key, value in row.items()}


QUEUES = Resource(
    rows_key="queues",
    key="id",
    paging=OffsetPaging("offset", default=50),
    parameters={
        "queueid": Parameter(ID, equals("id")),
        "searchText": Parameter(TEXT, contains("name", "emailId")),
    },
    ids=frozenset({"id", "groupid", "audioId"}),
    finish=_rename_id,
)


def build_queue(place: int) -> Row:
    """Return the row of a queue; the queues of calls are first."""
    name = NAMES[place] if place < len(NAMES) else f"Queue {place + 1}"
    has_audio = place % 3 == 0
    row = {
        "id": build_id(name),
        "name": name,
        "queueStrategy": _STRATEGIES[place % len(_STRATEGIES)],
        "enableDefaultAnnouncements": has_audio,
        "queueWaitMusic": {
            "mode": "audio",
            "audioId": build_id(f"audio {name}") if has_audio else "",
            "enableDefaultAnnouncements": has_audio,
        },
    }
    # The second row of the documented response lacks it.
    if place % 2 == 0:
        row["emailId"] = f"queue{place + 1}@example.com"
    return row
