"""The other rows of an account: number of rows of each list, and the users."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import NamedTuple

from zoho_voice_sandbox.contacts_fixtures import (
    AGENTS,
    CAMPAIGNS,
    DEPARTMENTS,
    QUEUES,
    build_id,
    own_numbers,
)

ACTIVE, INACTIVE, PENDING = 1, 2, 3
_FIRST_NAMES = ("Ada", "Bülent", "Céline", "Dunja", "Émile", "Fátima", "Götz", "Hana", "Ivo")
_LAST_NAMES = ("Sample", "Muster", "Exempel", "Ejemplo", "Przykład", "Vzorek", "Örnek", "Modell")
_ROLES = ("SUPERADMIN", "ADMIN", "TECHNICIAN", "SUPERVISOR", "SUPERVISOR_PLUS", "TELEPHONY_AGENT")
_AGENT_ROLE = 5
_FIRST_ZUID = 700_000_100
# Not a number of a call; Ofcom reserves it for fiction.
_MAX_SPARE_NUMBERS = 1000


@dataclass(frozen=True)
class Directory:
    """Number of rows of the lists other than call logs.

    Attributes:
        users: Users. All agents of calls are among them; some of the others are inactive or
            pending.
        queues: Queues, those of calls included.
        numbers: Numbers of the account, those of calls included.
        contacts: Contacts; the first are the customers whose calls have a name.
        campaigns: Power dialer campaigns, those of calls included.
        messages: Text messages, over the days of the history.
        scheduled: Text messages that are scheduled when the server starts.
    """

    users: int = 60
    queues: int = 7
    numbers: int = 9
    contacts: int = 180
    campaigns: int = 4
    messages: int = 400
    scheduled: int = 12

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            ValueError: If a number is too small for the calls, or there are too many numbers.
        """
        least = {
            "users": len(AGENTS),
            "queues": len(QUEUES),
            "numbers": len(own_numbers()),
            "campaigns": len(CAMPAIGNS),
        }
        for field in fields(self):
            if getattr(self, field.name) < least.get(field.name, 0):
                msg = f"{field.name} must be at least {least.get(field.name, 0)}"
                raise ValueError(msg)
        if self.numbers > _MAX_SPARE_NUMBERS:
            msg = f"numbers must be at most {_MAX_SPARE_NUMBERS}"
            raise ValueError(msg)


class Person(NamedTuple):
    """A user.

    Attributes:
        place: Place in the list, from 0.
        name: Display name, by which calls refer to an agent.
        user_id: Id of the user.
        agent_id: Id as an agent, which filters use; empty for a pending user.
        zuid: Id at Zoho.
        email: E-mail address.
        status: Active, inactive or pending.
        role: Number of the role.
        department: Name of the department.
    """

    place: int
    name: str
    user_id: str
    agent_id: str
    zuid: int
    email: str
    status: int
    role: int
    department: str

    @property
    def role_name(self) -> str:
        """The name of the role."""
        return _ROLES[self.role]


@cache
def people(count: int) -> tuple[Person, ...]:
    """Return the users of an account; the agents of calls are first."""
    return tuple(_person(place) for place in range(count))


def _person(place: int) -> Person:
    is_agent = place < len(AGENTS)
    name = AGENTS[place] if is_agent else _spare_name(place - len(AGENTS))
    status = ACTIVE if is_agent else {3: INACTIVE, 5: PENDING}.get(place % 9, ACTIVE)
    return Person(
        place=place,
        name=name,
        user_id=build_id(f"user {name}"),
        agent_id="" if status == PENDING else build_id(name),
        zuid=_FIRST_ZUID + place,
        email=f"user{place + 1}@example.com",
        status=status,
        role=_AGENT_ROLE if is_agent else place % len(_ROLES),
        department=DEPARTMENTS[place % len(DEPARTMENTS)],
    )


def _spare_name(number: int) -> str:
    series, number = divmod(number, len(_FIRST_NAMES) * len(_LAST_NAMES))
    first, last = divmod(number, len(_LAST_NAMES))
    suffix = f" {series + 1}" if series else ""
    return f"{_FIRST_NAMES[first]} {_LAST_NAMES[last]}{suffix}"
