"""The list of power dialer campaigns: `zv/api/powerdialer`.

The choice of fields and the sorting are not served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_voice_sandbox.contacts_fixtures import CAMPAIGNS as NAMES
from zoho_voice_sandbox.contacts_fixtures import build_id
from zoho_voice_sandbox.filters import ID, TEXT, Parameter, contains, equals
from zoho_voice_sandbox.paging import IndexPaging
from zoho_voice_sandbox.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.directory import Person


def _per_user(row: Row, dialect: Dialect) -> Iterator[Row]:
    users = row.get(".users", [])[: dialect.campaign_users]
    for user_id, name in users:
        yield {**row, "assign_user": user_id, "assign_user_name": name}
    if not users:
        yield row


CAMPAIGNS = Resource(
    rows_key="records",
    key="campaign_id",
    paging=IndexPaging(),
    parameters={
        "campaign_id": Parameter(ID, equals("campaign_id")),
        "searchText": Parameter(TEXT, contains("name")),
        "searchStatus": Parameter(TEXT, equals("status")),
    },
    ids=frozenset({"campaign_id", "assign_user", "created_by"}),
    numbers=frozenset({"total_contact_count", "break_duration_secs"}),
    finish=_per_user,
)


def build_campaign(place: int, people: Sequence[Person]) -> Row:
    """Return the row of a campaign; the campaigns of calls are first.

    Args:
        place: Place in the list, from 0.
        people: The users, to whom the campaign is assigned.
    """
    name = NAMES[place] if place < len(NAMES) else f"Campaign {place + 1}"
    creator = people[-1 - place % len(people)]
    assigned = [people[(place + step) % len(people)] for step in range(3)]
    return {
        "campaign_id": build_id(name),
        "name": name,
        "created_by": creator.user_id,
        "created_by_name": creator.name,
        "total_contact_count": 4 + 37 * place,
        "contact_upload_status": "success",
        # Not documented.
        "status": "paused" if place % 2 else "active",
        "break_duration_secs": 30,
        ".users": [(person.user_id, person.name) for person in assigned],
    }
