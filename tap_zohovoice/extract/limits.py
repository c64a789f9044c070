"""How far paging gets with a server, as learnt while it is asked."""

from __future__ import annotations

from dataclasses import dataclass

_SURE_OFFSET = 5_000
"""Offsets that clients use; whether deeper ones are answered is found out before relying on it."""
_LARGE = 15_000
"""Rows of a window that are enough, where offsets have no end."""
_LIKELY_OFFSETS = (10_000, 5_000, 2_000, 1_000, 500, 200, 100)
"""Where `from` + `size` may end, the likeliest first: it is the default of the search engine that
Zoho's metrics suggest; clients stop at 5,000 and 2,000; the documentation's sample asks for 100."""


@dataclass
class ServerLimits:
    """How far paging gets with this server, as learnt in this run.

    Attributes:
        most: Rows that a window may hold.
        size: Rows asked for in one request.
        sure: Offset up to which no proof is asked for.
        deepest: Offset up to which rows have come.
        farthest: Largest `from` + `size` asked for that had rows.
        complete: Rows of the largest window that is known to have come out whole.
        trusts_total: Whether totals have been right so far.
    """

    most: int
    size: int
    sure: int = _SURE_OFFSET
    deepest: int = 0
    farthest: int = 0
    complete: int = 0
    trusts_total: bool = True

    @classmethod
    def for_size(cls, size: int) -> ServerLimits:
        """Start without experience.

        Args:
            size: Rows asked for in one request.
        """
        few = min(size, _LIKELY_OFFSETS[-1])  # offsets reach as far as that, if they reach anywhere
        return cls(most=_LIKELY_OFFSETS[0] - size, size=size, complete=few)

    def reaches(self, offset: int, size: int, rows: int) -> None:
        """Learn that an offset has rows.

        Args:
            offset: The offset.
            size: Rows asked for.
            rows: Rows that came.
        """
        self.deepest = max(self.deepest, offset + rows)
        self.farthest = max(self.farthest, offset + size)
        self.most = max(self.most, min(self.deepest, _LARGE))

    def ends_at(self, offset: int) -> None:
        """Learn that rows at an offset do not come."""
        limits = [limit - self.size for limit in _LIKELY_OFFSETS if limit - self.size < offset]
        self.most = max(min(self.most, *limits[:1], offset), self.deepest, 1)
        self.sure = min(self.sure, self.deepest)
