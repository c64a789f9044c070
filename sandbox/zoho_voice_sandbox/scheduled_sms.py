"""The list of scheduled text messages: `v1/sms/schedule`."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from zoho_voice_sandbox.contacts_fixtures import build_id, customers, own_numbers
from zoho_voice_sandbox.filters import FLAG, TEXT, Parameter, contains, is_set
from zoho_voice_sandbox.history import DAY_MS
from zoho_voice_sandbox.paging import OffsetPaging
from zoho_voice_sandbox.resource import Resource
from zoho_voice_sandbox.sms_dates import date_parameters
from zoho_voice_sandbox.sms_logs import COUNTRIES, TEXTS, ZSOID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.directory import Person

SCHEDULED_SMS = Resource(
    rows_key="schedule",
    key="jobId",
    paging=OffsetPaging("size", default=100),
    parameters={
        **date_parameters(".due_ms"),
        "searchtext": Parameter(TEXT, contains("message", "customerName", "customerNumber")),
        "optArchived": Parameter(FLAG, is_set(".archived")),
        "optUnread": Parameter(FLAG, is_set(".unread")),
    },
    ids=frozenset({"jobId", "zsoid"}),
    numbers=frozenset({"multipartCount"}),
)
_ZONES = ("Asia/Kolkata", "Europe/Berlin", "America/New_York")


def build_job(place: int, created_ms: int, people: Sequence[Person]) -> Row:
    """Return the row of a scheduled message, which is due some days after the server's start.

    Args:
        place: Place in the list, from 0.
        created_ms: When the server started, in milliseconds since the epoch.
        people: The users, one of whom sends it.
    """
    dice = hashlib.blake2b(f"job {place}".encode(), digest_size=16).digest()
    # In whole minutes, and in the order of the list.
    due_ms = created_ms // 60_000 * 60_000 + DAY_MS * (1 + place) // 2
    zone = _ZONES[place % len(_ZONES)]
    wall = datetime.fromtimestamp(due_ms / 1000, UTC).astimezone(ZoneInfo(zone))
    customer, name = customers()[dice[0]]
    own = own_numbers()[dice[1] % 4][0]
    sender = people[place % len(people)]
    return {
        "jobId": build_id(f"job {place}"),
        "logid": str(uuid.UUID(bytes=dice, version=4)),
        "scheduledTime": f"{wall:%Y-%m-%d %H:%M:%S}",
        "timeZone": zone,
        "status": "IN_QUEUE",
        "customerNumber": customer,
        "customerName": name or customer,
        "senderId": own,
        "senderIdName": "Main SMS",
        "message": TEXTS[place % len(TEXTS)],
        "userName": sender.name,
        "messageType": "OUTGOING",
        "country": COUNTRIES[customer.partition(" ")[0]],
        "countryCode": COUNTRIES[customer.partition(" ")[0]],
        "senderIdCountry": COUNTRIES[own.partition(" ")[0]],
        "isLongCode": True,
        "multipartCount": 1,
        "zuid": sender.zuid,
        "zsoid": ZSOID,
        ".due_ms": due_ms,
    }


def current_jobs(rows: Sequence[Row], now_ms: int) -> list[Row]:
    """Return the jobs that are not due at a time."""
    return [row for row in rows if row.get(".due_ms", now_ms + 1) > now_ms]
