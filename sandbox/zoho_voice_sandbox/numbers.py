"""The list of numbers: `zv/api/v1/numberslist`, which is seen in clients only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_voice_sandbox.contacts_fixtures import build_id, own_numbers
from zoho_voice_sandbox.filters import ID, Parameter, has
from zoho_voice_sandbox.paging import OffsetPaging
from zoho_voice_sandbox.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.directory import Person

_NAMES = ("Main", "", "Hotline 24/7", "Büro")


def _repeat(row: Row, dialect: Dialect) -> Iterator[Row]:
    yield row
    for number in range(1, dialect.number_assignments):
        yield {**row, "numberMapId": build_id(f"{row['numberMapId']} {number}")}


NUMBERS = Resource(
    rows_key="numberslist",
    key="numberId",
    paging=OffsetPaging("offset", default=100),
    parameters={"agentId": Parameter(ID, has(".agents"))},
    ids=frozenset({"numberId", "numberMapId"}),
    numbers=frozenset({"isEnabled"}),
    finish=_repeat,
)


def build_number(place: int, people: Sequence[Person]) -> Row:
    """Return the row of a number; those of calls are first.

    Args:
        place: Place in the list, from 0.
        people: The users, of whom each number belongs to some.
    """
    used = own_numbers()
    # Ofcom reserves these for fiction.
    spare = f"+44 1632960{place:03}"
    number, number_id = used[place] if place < len(used) else (spare, build_id(spare))
    return {
        "numberId": number_id,
        "numberMapId": build_id(f"map {number}"),
        "number": number,
        "displayName": _NAMES[place % len(_NAMES)],
        "isActive": place % 5 != 4,  # noqa: PLR2004 - one in five
        "isIncomingOrOutgoingActive": True,
        "isEnabled": int(place % 5 != 4),  # noqa: PLR2004 - one in five
        ".agents": [
            person.agent_id
            for person in people
            if person.place % 3 == place % 3 and person.agent_id
        ],
    }
