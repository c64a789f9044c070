"""What is decided about a made-up call before it is written down."""

from __future__ import annotations

import hashlib
from math import exp
from typing import NamedTuple

# A call's number in the seed's sequence is woven into its logid by an invertible step, so that a
# call is found by its logid without a table of a million of them.
_MASK = 0xFFFFFFFF
_STRIDE = 0x9E3779B1
_UNSTRIDE = pow(_STRIDE, -1, 1 << 32)
LOGID_LENGTH = 36

_TYPES = (
    ("incoming",) * 110
    + ("outgoing",) * 76
    + ("missed",) * 44
    + ("bridged",) * 13
    + ("forward",) * 13
)
# Most calls last a minute or two, one in thirty over an hour.
_TALK = tuple(int(5 + 60 * exp(4.75 * (i / 255) ** 4)) for i in range(256))


class Facts(NamedTuple):
    """The outline of a call.

    Attributes:
        logid: A version 4 UUID.
        call_type: One of the five types.
        ring: Seconds until it was answered or given up.
        talk: Seconds of conversation, 0 for a missed call.
        dice: Bytes from which every further choice about the call is read.
    """

    logid: str
    call_type: str
    ring: int
    talk: int
    dice: bytes


class Sequence:
    """The endless sequence of calls of one seed, each made from its number alone."""

    def __init__(self, seed: int) -> None:
        """Prepare the dice.

        Args:
            seed: Any integer.
        """
        self._key = hashlib.blake2b(str(seed).encode(), digest_size=16).digest()
        self._shift = int.from_bytes(self._key[:4], "big")

    def facts(self, number: int) -> Facts:
        """Outline a call.

        Args:
            number: The call's number, from 0.

        Returns:
            Its outline.
        """
        seed = number.to_bytes(8, "big")
        dice = hashlib.blake2b(seed, digest_size=40, key=self._key).digest()
        call_type = _TYPES[dice[12]]
        talk = 0 if call_type == "missed" else _TALK[dice[13]] + dice[14] % 37
        return Facts(self.logid(number), call_type, 2 + dice[15] % 28, talk, dice)

    def logid(self, number: int) -> str:
        """Return the logid of a call.

        Args:
            number: The call's number.

        Returns:
            A version 4 UUID.
        """
        lead = (number * _STRIDE + self._shift) & _MASK
        rest = hashlib.blake2b(lead.to_bytes(4, "big"), digest_size=11, key=self._key).hexdigest()
        return f"{lead:08x}-{rest[:4]}-4{rest[4:7]}-a{rest[7:10]}-{rest[10:]}"

    def number_of(self, logid: str) -> int | None:
        """Find the call that a logid belongs to.

        Args:
            logid: A logid, of this seed or not.

        Returns:
            The call's number, or None if no call of this seed has that logid.
        """
        try:
            lead = int(logid[:8], 16)
        except ValueError:
            return None
        number = (lead - self._shift) * _UNSTRIDE & _MASK
        return number if self.logid(number) == logid else None

    def span_ms(self, number: int) -> int:
        """Return how long a call takes from its first ring to its end.

        Args:
            number: The call's number.

        Returns:
            Milliseconds.
        """
        facts = self.facts(number)
        return (facts.ring + facts.talk) * 1000
