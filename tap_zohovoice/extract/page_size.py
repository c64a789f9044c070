"""How many rows to ask for in one request."""

from __future__ import annotations

_DOCUMENTED = 100
"""The size in the documentation's sample request; larger ones are used by clients."""


class PageSizeNegotiation:
    """The size of a page, smaller where the server refuses it.

    A refusal need not say what it refuses. So a size that may be the reason is lowered on
    suspicion, and tried again once a request has gone through.

    Args:
        wanted: Rows to ask for.
    """

    def __init__(self, wanted: int) -> None:
        self._size = wanted
        self._is_proven = False
        self._suspect: int | None = None
        self._retrial: int | None = None

    @property
    def next(self) -> int:
        """The size to ask for next."""
        return self._retrial or self._size

    def accept(self, size: int) -> None:
        """Learn that the server took a size."""
        self._size = size
        self._is_proven = True
        self._retrial, self._suspect = self._suspect, None

    def refuse(self, size: int, blames: str) -> bool:
        """Learn that the server refused a request.

        Args:
            size: The size that was asked for.
            blames: `size` if the server says that this was the reason.

        Returns:
            Whether the size is the reason, so that the same request with the next size may pass.
        """
        if size == self._retrial:
            half = size // 2
            self._retrial = half if half > self._size else None
            return True
        if self._is_proven or blames != "size":
            return False
        return self.lower()

    def suspect(self) -> bool:
        """Lower a size that may be the reason of a refusal.

        Returns:
            Whether it could be.
        """
        if self._is_proven or self._size <= _DOCUMENTED:
            return False
        self._suspect = self._size
        while self._size > _DOCUMENTED:
            self._size //= 2
        return True

    def lower(self) -> bool:
        """Halve the size.

        Returns:
            Whether it could be.
        """
        if self._size == 1:
            return False
        self._size //= 2
        return True
