"""The list of users: `zv/api/users`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_voice_sandbox.agent_status import OFFLINE
from zoho_voice_sandbox.contacts_fixtures import build_id
from zoho_voice_sandbox.directory import ACTIVE
from zoho_voice_sandbox.filters import ID, TEXT, Parameter, contains, equals
from zoho_voice_sandbox.paging import OffsetPaging
from zoho_voice_sandbox.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoho_voice_sandbox.agent_status import AgentStatus
    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.directory import Person
    from zoho_voice_sandbox.filters import Predicate

# There is no 1.
_AGENT_STATUS = {"Available": 0, "On Break": 2, "Offline": 3, "On Call": 4, "Busy": 5}
_ZONES = ("GMT", "IST", "CET", "PST")
_LANGUAGES = ("en", "de", "fr", "ja")
_COUNTRY_CODES = (44, 91, 49, 1)
_FIRST_SIP, _FIRST_EXTENSION = 7_000_000, 1_000


def _status(value: str, dialect: Dialect) -> Predicate:
    wanted = value or (str(ACTIVE) if dialect.users_listed == "active" else "")
    return lambda row: wanted in {"", str(row.get("status"))}


def _agent_status(value: str, _dialect: Dialect) -> Predicate:
    return lambda row: str(_AGENT_STATUS.get(row.get("onlineStatus", ""))) == value


USERS = Resource(
    rows_key="users",
    key="userid",
    paging=OffsetPaging("offset", default=50, max_size=50, is_user_list=True),
    parameters={
        "userid": Parameter(ID, equals("userid")),
        "agentId": Parameter(ID, equals("agentId")),
        "searchKey": Parameter(TEXT, contains("name", "emailid", "departmentName")),
        "status": Parameter("[123]", _status, is_implied=True),
        "agentStatus": Parameter("[02345]", _agent_status),
        "role": Parameter("[0-5]", equals("zvtRole")),
        "sortBy": Parameter("NAME|EMAILID|ROLE_ID|DEPARTMENT_ID|CREATED_TIME|ONLINE_STATUS|STATUS"),
    },
    total="always",
    ids=frozenset({"userid", "agentId", "departmentId"}),
    numbers=frozenset({"lastActiveTime", "countryCode", "extension"}),
    sort={
        "NAME": "name",
        "EMAILID": "emailid",
        "ROLE_ID": "zvtRole",
        "DEPARTMENT_ID": "departmentId",
        "ONLINE_STATUS": "onlineStatus",
        "STATUS": "status",
    },
)


def build_user(person: Person, created_ms: int) -> Row:
    """Return the row of a user.

    Args:
        person: The user.
        created_ms: When the server started, in milliseconds since the epoch.
    """
    place = person.place
    row = {
        "extension": _FIRST_EXTENSION + place,
        "agentId": person.agent_id,
        "timezone": _ZONES[place % len(_ZONES)],
        "onlineStatus": OFFLINE,
        "departmentId": build_id(person.department),
        "userid": person.user_id,
        "zvtRole": person.role,
        "countryCode": _COUNTRY_CODES[place % len(_COUNTRY_CODES)],
        "lang": _LANGUAGES[place % len(_LANGUAGES)],
        "departmentName": person.department,
        "lastActiveTime": created_ms - place * 61_000,
        "commServerStatus": "Completed",
        "emailid": person.email,
        ".is_agent": bool(person.agent_id),
        "agentNumber": f"{_FIRST_SIP + place}_{person.agent_id}",
        "zuid": person.zuid,
        "zvtRoleName": person.role_name,
        "name": person.name,
        "status": person.status,
        "reportTime": f"{8 + place % 3:02}:30",
    }
    if not person.agent_id:
        # A pending user has no telephone yet.
        for key in ("extension", "agentId", "agentNumber", "lastActiveTime"):
            del row[key]
    return row


def current_users(rows: Sequence[Row], statuses: AgentStatus, now_ms: int) -> Iterator[Row]:
    """Yield users with the status that they have at a time."""
    for row in rows:
        if row.get(".is_agent"):
            yield {**row, "onlineStatus": statuses.status_at(row["agentId"], now_ms)}
        else:
            yield row
