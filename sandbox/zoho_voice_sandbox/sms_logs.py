"""The list of sent and received text messages: `v1/sms/logs`."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zoho_voice_sandbox.contacts_fixtures import customers, own_numbers
from zoho_voice_sandbox.directory import ACTIVE
from zoho_voice_sandbox.filters import FLAG, Parameter, is_set
from zoho_voice_sandbox.history import DAY_MS
from zoho_voice_sandbox.paging import OffsetPaging
from zoho_voice_sandbox.resource import Resource
from zoho_voice_sandbox.sms_dates import date_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.directory import Person
    from zoho_voice_sandbox.filters import FilterFactory, Predicate
    from zoho_voice_sandbox.history import History

COUNTRIES = {"+1": "us", "+44": "gb", "+49": "de"}
"""The country of a number by its prefix."""
TEXTS = ("Hello", "Bitte um Rückruf.", "À bientôt 🌻", "予約を確認しました。", "See you at 10:00.")
ZSOID = "800000001"
_NOT_DIGITS = re.compile(r"\D")
_MINUTE_MS = 60_000


def _messages_sent(row: Row, dialect: Dialect) -> Iterator[Row]:
    """Yield the message with the wall time at which it was sent."""
    if ".archived" in row and "sentTime" not in row:
        wall_ms = row["submittedTime"] + dialect.sms_sent_offset_minutes * _MINUTE_MS
        row = {**row, "sentTime": f"{datetime.fromtimestamp(wall_ms / 1000, UTC):%Y-%m-%d %H:%M}"}
    yield row


def _archived(value: str, dialect: Dialect) -> Predicate:
    if value == "true":
        return lambda row: bool(row.get(".archived"))
    is_everywhere = dialect.sms_archived == "everywhere"
    return lambda row: is_everywhere or not row.get(".archived")


def _type(value: str, _dialect: Dialect) -> Predicate:
    return lambda row: value == "All" or row.get("messageType") == value.upper()


def has_digits(key: str) -> FilterFactory:
    """Return a filter of rows that have the digits of the value under a key."""

    def build(value: str, _dialect: Dialect) -> Predicate:
        wanted = _NOT_DIGITS.sub("", value)
        return lambda row: _NOT_DIGITS.sub("", str(row.get(key, ""))) == wanted

    return build


def _country(value: str, _dialect: Dialect) -> Predicate:
    return lambda row: row.get("country") == value


SMS_LOGS = Resource(
    rows_key="smsLogQuery",
    key="logid",
    paging=OffsetPaging("size", default=100),
    parameters={
        **date_parameters("submittedTime"),
        "messageType": Parameter("All|Incoming|Outgoing", _type),
        "customerNumber": Parameter(r"\d{1,20}", has_digits("customerNumber")),
        "longCode": Parameter(r"[+ ]?[\d ]{1,20}", has_digits("senderId")),
        "country": Parameter("[a-z]{2}", _country),
        "fetchMMS": Parameter(FLAG, is_set("isMMS")),
        "optArchived": Parameter(FLAG, _archived, is_implied=True),
    },
    total="always",
    success={"status": "success"},
    ids=frozenset({"zsoid"}),
    numbers=frozenset({"multipartCount", "fileSize"}),
    finish=_messages_sent,
    is_ordered=True,
)


def build_messages(
    count: int, history: History, now_ms: int, people: Sequence[Person]
) -> Iterator[Row]:
    """Yield messages by time, evenly over the days of the history until now.

    Args:
        count: How many.
        history: The days, and the seed.
        now_ms: The time, in milliseconds since the epoch.
        people: The users, of whom active ones send messages.
    """
    start_ms, end_ms = history.bounds_ms()
    if start_ms < now_ms < end_ms:
        end_ms = now_ms
    step = (end_ms - start_ms) // max(1, count)
    senders = [person for person in people if person.status == ACTIVE]
    for number in range(count):
        dice = hashlib.blake2b(f"sms {history.seed} {number}".encode(), digest_size=32).digest()
        submitted_ms = start_ms + number * step + int.from_bytes(dice[:4], "big") % max(1, step)
        yield _build_message(dice, submitted_ms, senders[dice[16] % len(senders)])


def _build_message(dice: bytes, submitted_ms: int, agent: Person) -> Row:
    customer, name = customers()[dice[17]]
    is_outgoing = bool(dice[18] & 1)
    is_mms = dice[19] % 10 == 0
    row: Row = {
        "logid": str(uuid.UUID(bytes=dice[:16], version=4)),
        "messageId": str(uuid.UUID(bytes=dice[16:32], version=4)),
        "submittedTime": submitted_ms,
        "messageType": "OUTGOING" if is_outgoing else "INCOMING",
        "customerNumber": customer,
        "customerName": name or customer,
        "senderId": own_numbers()[dice[20] % 4][0],
        "senderIdName": "Main SMS" if dice[20] % 2 else "",
        "message": "" if is_mms else TEXTS[dice[21] % len(TEXTS)],
        "userName": agent.name if is_outgoing else "",
        "emailId": agent.email if is_outgoing else "",
        "country": COUNTRIES[customer.partition(" ")[0]],
        "multipartCount": 1 + dice[22] % 3,
        "isBlocked": dice[23] == 0,
        "status": "RECEIVED",
        "statusDescription": "",
        "zsoid": ZSOID,
        ".archived": dice[24] % 4 == 0,
    }
    if is_outgoing:
        row["zuid"] = agent.zuid
        row["status"] = "UNDELIVERED" if dice[25] % 16 == 0 else "DELIVERED"
        row["statusDescription"] = "Unknown subscriber" if dice[25] % 16 == 0 else ""
        # Until then it is queued.
        row[".delivered_ms"] = submitted_ms + 2_000 + DAY_MS * dice[26] // 255
    if is_mms:
        row["isMMS"] = True
        row["mmsMeta"] = [
            {
                "mmsId": str(uuid.UUID(bytes=dice[8:24], version=4)),
                "bucketName": "mms",
                "objectName": dice[:8].hex(),
                "fileName": "picture.jpg",
                "fileSize": 1_000 + dice[27] * 100,
                "fileExtn": "jpg",
            }
        ]
    return row


def current_messages(rows: Sequence[Row], now_ms: int) -> Iterator[Row]:
    """Yield messages with the status that they have at a time."""
    for row in rows:
        is_queued = now_ms < row.get(".delivered_ms", now_ms)
        yield {**row, "status": "IN_QUEUE", "statusDescription": ""} if is_queued else row
