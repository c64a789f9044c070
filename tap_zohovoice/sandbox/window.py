"""A stretch of the account's calls in order of time, without a list of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence


class Handles(Protocol):
    """Anything that knows which call stands at a place."""

    def __len__(self) -> int:
        """Return how many calls there are."""
        ...

    def __getitem__(self, place: int, /) -> int:
        """Return the handle of the call at a place."""
        ...


class Window:
    """The calls between two moments: a run of the history, less gaps, plus latecomers.

    The history may hold a million calls, gaps and latecomers are few; so a place is worked out
    from the few instead of counting through the many.
    """

    def __init__(
        self,
        starts: array[int],
        run: tuple[int, int],
        gaps: Sequence[int],
        extras: Sequence[tuple[int, int]],
    ) -> None:
        """Work out where the latecomers stand.

        Args:
            starts: When each call of the history began.
            run: The first call of the history that belongs here, and the first that does not.
            gaps: Calls of the run that were removed, sorted.
            extras: Moment and handle of each latecomer, sorted.
        """
        self._first, last = run
        self._gaps = [gap - self._first - rank for rank, gap in enumerate(gaps)]
        self._handles = [handle for _, handle in extras]
        self._places = []
        for rank, (moment, _) in enumerate(extras):
            follower = bisect_right(starts, moment, self._first, last)
            self._places.append(follower - self._first - bisect_left(gaps, follower) + rank)
        self._count = last - self._first - len(gaps) + len(extras)

    def __len__(self) -> int:
        """Return how many calls there are."""
        return self._count

    def __getitem__(self, place: int, /) -> int:
        """Return the handle of the call at a place.

        Args:
            place: 0 for the earliest call.

        Returns:
            Its handle.

        Raises:
            IndexError: If there is no such place.
        """
        if not 0 <= place < self._count:
            raise IndexError(place)
        rank = bisect_left(self._places, place)
        if rank < len(self._places) and self._places[rank] == place:
            return self._handles[rank]
        live = place - rank
        return self._first + live + bisect_right(self._gaps, live)
