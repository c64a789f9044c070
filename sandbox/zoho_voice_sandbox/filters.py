"""The filters of lists, by the keys of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect

    Predicate: TypeAlias = Callable[[Row], bool]
    FilterFactory: TypeAlias = Callable[[str, Dialect], Predicate]

ID = r"\d{1,19}"
IDS = rf"{ID}(,{ID})*"
TEXT = r".{1,200}"
FLAG = "true|false"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a list.

    Attributes:
        pattern: What its values match.
        build: Returns the filter of a value, and may reject it. None for one that filters no rows.
        is_implied: Whether rows are filtered without the parameter too, as for an empty value.
    """

    pattern: str
    build: FilterFactory | None = None
    is_implied: bool = False


def equals(key: str) -> FilterFactory:
    """Return a filter of rows that have the value itself under a key."""
    return lambda value, _dialect: lambda row: str(row.get(key, "")) == value


def has(key: str) -> FilterFactory:
    """Return a filter of rows that have the value in the list under a key."""
    return lambda value, _dialect: lambda row: value in row[key]


def contains(*keys: str) -> FilterFactory:
    """Return a filter of rows that have the value as a part of the text under one of the keys."""

    def build(value: str, _dialect: Dialect) -> Predicate:
        wanted = value.casefold()
        return lambda row: any(wanted in str(row.get(key, "")).casefold() for key in keys)

    return build


def is_set(key: str) -> FilterFactory:
    """Return a filter that asks for rows with a true value under a key, or for all rows."""
    return lambda value, _dialect: lambda row: value != "true" or bool(row.get(key))
