"""The lists of contacts and of their statuses: `zv/contacts`, `zv/contacts/contact_status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_voice_sandbox.contacts_fixtures import build_id, named_customers
from zoho_voice_sandbox.filters import FLAG, Parameter
from zoho_voice_sandbox.paging import NoPaging, OffsetPaging
from zoho_voice_sandbox.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.directory import Person

CONTACTS = Resource(
    rows_key="contacts",
    key="contact_id",
    paging=OffsetPaging("size", default=50, max_size=50),
    parameters={"totalCount": Parameter(FLAG)},
    total="on_request",
    ids=frozenset({"contact_id", "id"}),
)
CONTACT_STATUSES = Resource(
    rows_key="contact_status", key="id", paging=NoPaging(), ids=frozenset({"id"})
)
_STATUSES = ("Active", "Inactive", "VIP")
_COUNTRIES = ("United States", "United Kingdom", "Germany", "")


def build_contact(place: int, people: Sequence[Person]) -> Row:
    """Return the row of a contact; customers whose calls have a name are first.

    Args:
        place: Place in the list, from 0.
        people: The users, one of whom owns the contact.
    """
    customers = named_customers()
    if place < len(customers):
        number, name = customers[place]
    else:
        # Ofcom reserves these for fiction.
        number, name = f"+44 1134960{place % 1000:03}", f"Contact {place + 1}"
    first, _, last = name.partition(" ")
    owner = people[place % len(people)]
    # Unlike everywhere else, numbers have no space.
    number = number.replace(" ", "")
    is_mobile = place % 4 != 0
    return {
        "contact_id": build_id(f"contact {place}"),
        "contact_owner": {"display_value": owner.name, "id": owner.user_id},
        "first_name": first,
        "last_name": last,
        "email": f"contact{place + 1}@example.com" if place % 3 else "",
        "mobile": number if is_mobile else "",
        "mobile1": "",
        "mobile2": "",
        "mobile3": "",
        "phone": "" if is_mobile else number,
        "phone1": "",
        "phone2": "",
        "phone3": "",
        "company": "Example Ltd" if place % 5 == 0 else "",
        "address": "",
        "state": "",
        "country": _COUNTRIES[place % len(_COUNTRIES)],
        "is_favourite": "true" if place % 10 == 0 else "",
        "is_spam": "",
    }


def build_statuses() -> list[Row]:
    """Return the rows of all statuses of contacts."""
    return [{"display_value": name, "id": build_id(f"status {name}")} for name in _STATUSES]
