"""The made-up recordings: short tones, each made from its file's name alone."""

from __future__ import annotations

import hashlib
import io
import wave
from math import pi, sin
from zlib import crc32

_RATE = 4000
_HEADER = 44
_LONGEST = 3


def seconds(name: str) -> int:
    """Return how long the tone of a file is.

    Args:
        name: Name of the file.

    Returns:
        Seconds.
    """
    return 1 + crc32(_bytes(name)) % _LONGEST


def size(length: int) -> int:
    """Return how big a tone is, without making it.

    Args:
        length: How long it is, in seconds.

    Returns:
        Bytes.
    """
    return _HEADER + _RATE * length


def sound(name: str) -> bytes:
    """Make the tone of a file.

    Args:
        name: Name of the file.

    Returns:
        A WAV file, the same every time and another one for every name.
    """
    digest = hashlib.blake2b(_bytes(name), digest_size=16).digest()
    step = 2 * pi * (200 + int.from_bytes(digest[:2], "big") % 1200) / _RATE
    samples = bytearray(
        128 + round(100 * sin(step * place)) for place in range(_RATE * seconds(name))
    )
    # There are fewer pitches than names; the lowest bits tell tones of one pitch apart.
    bits = int.from_bytes(digest, "big")
    for place in range(8 * len(digest)):
        samples[place] = samples[place] & 0xFE | bits >> place & 1
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(1)
        writer.setframerate(_RATE)
        writer.writeframes(samples)
    return file.getvalue()


def _bytes(name: str) -> bytes:
    # A row may hold half a surrogate pair, which strict UTF-8 has no bytes for.
    return name.encode("utf-8", "surrogatepass")
