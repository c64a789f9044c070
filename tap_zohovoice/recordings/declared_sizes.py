"""Sizes of files that call logs declare, and whether they have been right so far."""

from __future__ import annotations

import logging
from collections import Counter

MAX_DECLARED_SIZE = 2**40
MIN_WRONG_SIZES = 3
"""Files of another size than declared, after which declared sizes are ignored."""
_LOGGER = logging.getLogger("tap-zohovoice.recordings")


class DeclaredSizes:
    """Compares declared sizes with those of the files."""

    def __init__(self) -> None:
        self._results: Counter[bool] = Counter()

    @property
    def are_ignored(self) -> bool:
        """Whether declared sizes are unusable: several were wrong, and none was right."""
        return self._results[False] >= MIN_WRONG_SIZES and not self._results[True]

    def validate(self, declared: int | None) -> int | None:
        """Return a declared size; None if it cannot be one."""
        is_possible = declared is not None and 0 < declared <= MAX_DECLARED_SIZE
        return declared if is_possible else None

    def is_unknown(self, declared: int | None) -> bool:
        """Return whether it is not known how long a file should be."""
        return declared is None or self.are_ignored

    def compare(self, declared: int | None, size: int) -> None:
        """Compare a declared size with the size of the whole file."""
        if declared is None:
            return
        is_right = size == declared
        if not is_right and not self._results[False]:
            _LOGGER.warning(
                "The call log declares %d bytes for a file of %d bytes; keeping the file",
                declared,
                size,
            )
        self._results[is_right] += 1
