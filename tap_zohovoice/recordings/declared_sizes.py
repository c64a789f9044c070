"""Whether logs can be believed about the sizes of files."""

from __future__ import annotations

_PROOF = 3
"""Files of another size than their logs say, after which no log is believed."""
_LARGEST = 2**40
"""Bytes; a log that tells more tells nothing."""


class ToldSizes:
    """Compares what logs tell with what files turn out to be.

    A single log that lies casts no doubt on the others, and one that tells the truth speaks for
    all: sizes in another unit, say, are wrong for every file.
    """

    def __init__(self) -> None:
        """Believe the logs, to begin with."""
        self._right = 0
        self._wrong = 0

    @property
    def lie(self) -> bool:
        """Whether sizes that logs tell mean nothing."""
        return self._wrong >= _PROOF and not self._right

    @staticmethod
    def usable(told: int | None) -> int | None:
        """Return a size that a file can have, or None.

        Args:
            told: What the log tells, in bytes.
        """
        return told if told is not None and 0 < told <= _LARGEST else None

    def compare(self, told: int | None, size: int) -> None:
        """Note a size that is known for certain.

        Args:
            told: What the log tells, in bytes, if it is usable.
            size: The size of the file, in bytes.
        """
        if told is not None:
            self._right += size == told
            self._wrong += size != told
