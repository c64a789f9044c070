"""The order of rows, which some dialects change from request to request."""

from __future__ import annotations

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
        replica = dice.randrange(dialect.replicas)
        dice = Random(f"{dialect.order_seed} replica {replica}")  # noqa: S311 - not for secrets
    # Drawn from the oldest on, so that new rows leave the others of a replica in their order.
    draws = [dice.random() for _ in range(count)]
    if dialect.order_reach is not None:
        draws = [place - dialect.order_reach * draw for place, draw in enumerate(draws)]
    places = sorted(range(count), key=draws.__getitem__, reverse=True)
    return places[offsets.start : offsets.stop]


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
