"""The order of rows, which some dialects change from request to request."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoho_voice_sandbox.dialect import Dialect


def order_places(
    count: int, offsets: range, dialect: Dialect, request_number: int
) -> Sequence[int]:
    """Return the places of the rows at some offsets.

    Args:
        count: Number of rows of the selection.
        offsets: Offsets of the page, all below `count`.
        dialect: The order.
        request_number: Number of the request, on which changing orders depend.

    Returns:
        Places in the selection, which is sorted by start time, or by id for the order `logid`.
    """
    if dialect.order in {"oldest", "logid"}:
        return offsets
    newest = range(count - 1 - offsets.start, count - 1 - offsets.stop, -1)
    if dialect.order == "newest":
        return newest
    if dialect.order == "rotating":
        shift = request_number * (dialect.order_reach or 7)
        return [count - 1 - (offset + shift) % count for offset in offsets]
    # The result depends only on the seed and the number.
    dice = Random(f"{dialect.order_seed} {request_number}")  # noqa: S311 - not for secrets
    if dialect.order == "swapping":
        return _swap_neighbors(count, newest, dice)
    if dialect.order == "replicas":
        seed = f"{dialect.order_seed} replica {dice.randrange(dialect.replicas)}"
        return _replica(count, dialect.order_reach, seed)[offsets.start : offsets.stop]
    return _shuffle(count, dialect.order_reach, dice)[offsets.start : offsets.stop]


@lru_cache(maxsize=8)
def _replica(count: int, reach: int | None, seed: str) -> list[int]:
    return _shuffle(count, reach, Random(seed))  # noqa: S311 - not for secrets


def _shuffle(count: int, reach: int | None, dice: Random) -> list[int]:
    """Return all places, each in front of few others or, without a reach, anywhere."""
    # Drawn from the oldest on, so that new rows leave the others of a replica in their order.
    draws = [dice.random() for _ in range(count)]
    if reach is not None:
        draws = [place - reach * draw for place, draw in enumerate(draws)]
    return sorted(range(count), key=draws.__getitem__, reverse=True)


def _swap_neighbors(count: int, places: range, dice: Random) -> list[int]:
    """Swap about half of the pairs of adjacent rows; the pairs differ between requests."""
    first, swapped = dice.randrange(2), dice.getrandbits(count + 1)
    found = []
    for place in places:
        rank = place - first
        other = first + (rank ^ 1)
        is_swapped = rank >= 0 and other < count and swapped >> (rank >> 1) & 1
        found.append(other if is_swapped else place)
    return found
