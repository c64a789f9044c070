"""Generator of calls: logid, type and duration from a seed and a number."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from math import exp
from typing import NamedTuple

# The logid contains the number of the call, invertibly encoded, so that a call is found by its
# logid without a table.
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


class CallOutline(NamedTuple):
    """The outline of a call.

    Attributes:
        logid: A version 4 UUID.
        call_type: One of the five types.
        ring: Seconds until it was answered or given up.
        talk: Seconds of conversation, 0 for a missed call.
        dice: Random bytes for all further fields of the call.
    """

    logid: str
    call_type: str
    ring: int
    talk: int
    dice: bytes


class CallGenerator:
    """The unlimited sequence of calls of a seed, each generated only from its number."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.blake2b(str(seed).encode(), digest_size=16).digest()
        self._shift = _shift(self._key)

    def outline(self, number: int) -> CallOutline:
        """Return the outline of a call by its number, from 0."""
        return _outline(self._key, number)

    def logid(self, number: int) -> str:
        """Return the logid of a call, a version 4 UUID."""
        return _logid(self._key, number)

    def find(self, logid: str) -> int | None:
        """Return the number of a call, None if no call of this seed has that logid."""
        try:
            lead = int(logid[:8], 16)
        except ValueError:
            return None
        number = (lead - self._shift) * _UNSTRIDE & _MASK
        return number if self.logid(number) == logid else None

    def duration_ms(self, number: int) -> int:
        """Return the time from a call's first ring to its end, in milliseconds."""
        outline = self.outline(number)
        return (outline.ring + outline.talk) * 1000


# The calls of small accounts are generated once: tests read the same ones again and again.
@lru_cache(maxsize=10_000)
def _outline(key: bytes, number: int) -> CallOutline:
    dice = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=40, key=key).digest()
    call_type = _TYPES[dice[12]]
    talk = 0 if call_type == "missed" else _TALK[dice[13]] + dice[14] % 37
    return CallOutline(_logid(key, number), call_type, 2 + dice[15] % 28, talk, dice)


@lru_cache(maxsize=10_000)
def _logid(key: bytes, number: int) -> str:
    lead = (number * _STRIDE + _shift(key)) & _MASK
    rest = hashlib.blake2b(lead.to_bytes(4, "big"), digest_size=11, key=key).hexdigest()
    return f"{lead:08x}-{rest[:4]}-4{rest[4:7]}-a{rest[7:10]}-{rest[10:]}"


def _shift(key: bytes) -> int:
    return int.from_bytes(key[:4], "big")
