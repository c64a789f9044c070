"""People, phone numbers and texts of generated calls.

All numbers are in ranges that national regulators reserve for fiction.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache

CUSTOMERS = (
    "Zoë Mañana",
    "Łucja Żółtowska",
    "Jürgen Groß",
    "佐倉 日和",
    "ليلى النجمي",
    "आरव कल्पित",
    "Anaïs d'Exemple",
    "Søren Prøvesen",
    "Ünal Örnekoğlu",
    "Ольга Примерова",
    "Δάφνη Υποδείγμα",
    "김가상",
    "Café Étoile ☕",
    "Sunny Florist 🌻",
    "Peter Testcase",
    'Mary "Mock" O\'Sample',
)
AGENTS = (
    "Inês Exemplo",
    "Karl Weiß",
    "Piotr Łąka",
    "架空 太郎",
    "سامي المثال",
    "मीरा नमूना",
    "Chloé Fictive",
    "John",
)
DEPARTMENTS = ("Sales", "Kundenservice Süd", "Soporte técnico", "営業部")
QUEUES = ("New customers", "Rückfragen", "Après-vente")
CAMPAIGNS = ("Spring follow-up", "Über-Aktion")
PROFILES = ("Sales Team", "24/7 Été")

# (text, description) of an answered, a missed and a busy call, as accounts in several languages
# show them: only `hangup_cause` is the same everywhere.
HANGUP_TEXTS = (
    {
        "NORMAL_CLEARING": ("Successful call", "The call was completed successfully."),
        "NO_ANSWER": ("No answer", "Nobody answered the call."),
        "USER_BUSY": ("User busy", "The other party was busy."),
    },
    {
        "NORMAL_CLEARING": ("Atendida", "La llamada se completó con éxito."),
        "NO_ANSWER": ("Sin respuesta", "Nadie contestó la llamada."),
        "USER_BUSY": ("Usuario ocupado", "El usuario está ocupado."),
    },
    {
        "NORMAL_CLEARING": ("Erfolgreicher Anruf", "Der Anruf wurde ordnungsgemäß beendet."),
        "NO_ANSWER": ("Keine Antwort", "Niemand hat den Anruf angenommen."),
        "USER_BUSY": ("Besetzt", "Die Gegenstelle ist besetzt."),
    },
)


@lru_cache(maxsize=1_000)
def build_id(name: str) -> str:
    """Return the id for a name; rows of calls contain names, filters use ids."""
    digest = hashlib.blake2b(name.encode(), digest_size=6).digest()
    # Longer than a double can hold exactly, as some ids of the real service are.
    return str(58_000_000_000_000_001 + int.from_bytes(digest, "big") % 1_000_000_000 * 2)


def customer_numbers() -> tuple[str, ...]:
    """Return 256 numbers of customers, with a space after the country code as in the API."""
    american = [f"+1 {area}55501{n:02}" for area in (202, 303, 415) for n in range(0, 100, 3)]
    british = [f"+44 7700900{n:03}" for n in range(0, 1000, 13)]
    german = [f"+49 3023125{n:03}" for n in range(0, 1000, 13)]
    return tuple((american + british + german)[:256])


@cache
def customers() -> tuple[tuple[str, str], ...]:
    """Return the numbers of customers and their names, empty for those that are not known."""
    return tuple(
        (number, CUSTOMERS[place % len(CUSTOMERS)] if place % 3 else "")
        for place, number in enumerate(customer_numbers())
    )


@cache
def named_customers() -> tuple[tuple[str, str], ...]:
    """Return the numbers and names of the customers with a name."""
    return tuple(customer for customer in customers() if customer[1])


@cache
def own_numbers() -> tuple[tuple[str, str], ...]:
    """Return the numbers of the account and their ids."""
    numbers = ("+1 2025550199", "+1 4155550198", "+44 7700900999", "+49 3023125999")
    return tuple((number, build_id(number)) for number in numbers)
