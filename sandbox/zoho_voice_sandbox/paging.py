"""The ways in which lists are paged; `offset` means the size of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from zoho_voice_sandbox.params import reject_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoho_voice_sandbox.dialect import Dialect

_OFFSET, _SIZE = r"\d{1,9}", r"[1-9]\d{0,8}"


class Paging(Protocol):
    """One way of paging."""

    @property
    def patterns(self) -> Mapping[str, str]:
        """The pattern of each parameter of paging."""
        ...

    def offsets(self, params: Mapping[str, str], dialect: Dialect, count: int, /) -> range:
        """Return the offsets of the rows that are asked for.

        Args:
            params: The parameters of the request, which match their patterns.
            dialect: Behaviour that is not documented.
            count: Number of rows of the list.

        Raises:
            InvalidParameterError: If the dialect rejects a parameter.
        """
        ...


@dataclass(frozen=True)
class NoPaging:
    """One response holds all rows."""

    @property
    def patterns(self) -> Mapping[str, str]:
        """No parameters."""
        return {}

    def offsets(self, _params: Mapping[str, str], _dialect: Dialect, count: int) -> range:
        """Return the offsets of all rows."""
        return range(count)


@dataclass(frozen=True)
class OffsetPaging:
    """Paging by `from` and a size.

    Attributes:
        size: Name of the parameter of the size.
        default: Size of a page where none is asked for.
        max_size: Largest size that is documented, None for none.
        is_user_list: Whether the dialect chooses the number of the first row.
    """

    size: Literal["offset", "size"]
    default: int
    max_size: int | None = None
    is_user_list: bool = False

    @property
    def patterns(self) -> Mapping[str, str]:
        """The pattern of each parameter of paging."""
        return {"from": _OFFSET, self.size: _SIZE}

    def offsets(self, params: Mapping[str, str], dialect: Dialect, count: int, /) -> range:
        """Return the offsets of the rows that are asked for.

        Raises:
            InvalidParameterError: If the size is too large, or the first row has another number.
        """
        name = self.size if params.get(self.size) else ""
        size = _granted(int(params.get(self.size) or self.default), name, self.max_size, dialect)
        start = int(params.get("from") or 0)
        if self.is_user_list and dialect.users_from != "zero":
            if params.get("from") and not start and dialect.users_from == "one_only":
                reject_value("from", dialect)
            start = max(0, start - 1)
        return range(min(start, count), min(start + size, count))


@dataclass(frozen=True)
class IndexPaging:
    """Paging by the first and the last index."""

    @property
    def patterns(self) -> Mapping[str, str]:
        """The pattern of each parameter of paging."""
        return {"from_index": _OFFSET, "to_index": _OFFSET}

    def offsets(self, params: Mapping[str, str], dialect: Dialect, count: int, /) -> range:
        """Return the offsets of the rows that are asked for.

        Raises:
            InvalidParameterError: If there are too many.
        """
        first = int(dialect.campaign_indexes == "from_one")
        start = max(0, int(params.get("from_index") or 0) - first)
        end = start + (count if dialect.campaign_rows is None else dialect.campaign_rows)
        if params.get("to_index"):
            end = int(params["to_index"]) - first + (dialect.campaign_end == "included")
        name = "to_index" if params.get("to_index") else ""
        end = start + _granted(max(0, end - start), name, None, dialect)
        return range(min(start, count), min(end, count))


def _granted(size: int, name: str, max_size: int | None, dialect: Dialect) -> int:
    """Return how many rows a page may have.

    Args:
        size: How many are wanted.
        name: The parameter that asks for them, empty if none does.
        max_size: The largest number that is documented, None for none.
        dialect: The largest number, and what happens above it.

    Raises:
        InvalidParameterError: If that number is refused.
    """
    sizes = [most for most in (max_size, dialect.list_max_size) if most is not None]
    if not sizes or size <= min(sizes):
        return size
    if name and dialect.list_size_over == "refuse":
        reject_value(name, dialect)
    return min(sizes)
