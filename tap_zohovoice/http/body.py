"""The body of an answer as it comes: in pieces, decoded, and with an end to patience."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_zohovoice._time import Clock

ENCODINGS = "gzip, deflate"
"""What `iter_body` can decode, for the header `Accept-Encoding`."""
PIECE = 64 * 1024
"""Bytes that are read at once, at most."""
_LONGEST = 32 * 1024 * 1024
"""Bytes of a body that is read whole; the largest page, a thousand calls, has about two million."""
_DIGITS = 20
_SLOWEST = 4_000
"""Bytes a second; half of what a telephone line carries."""
_ANY_HEADER = 32 + zlib.MAX_WBITS
"""Tells zlib to find out itself whether it is gzip or zlib."""


def is_plain(answer: requests.Response) -> bool:
    """Tell whether a body comes as it is, not compressed.

    Args:
        answer: The answer.
    """
    return _encoding(answer) in {"", "identity"}


def content_length(answer: requests.Response) -> int | None:
    """Read the length of a body as its answer tells; of a compressed one it says nothing.

    Args:
        answer: The answer.

    Returns:
        Bytes; None if it is not told.
    """
    text = answer.headers.get("Content-Length", "")
    is_told = is_plain(answer) and text.isdecimal() and len(text) < _DIGITS
    return int(text) if is_told else None


def read_body(answer: requests.Response, clock: Clock, timeout: float) -> bytes:
    """Read a body whole, as long as it is of a reasonable size.

    Args:
        answer: The answer, whose body nobody read yet.
        clock: Tells the time.
        timeout: Seconds to wait for, beyond what a body of its size may take.

    Returns:
        The body, decoded.

    Raises:
        requests.RequestException: If it comes too slowly or is too long, if its encoding is no
            good, or if it is cut off.
    """
    body = bytearray()
    try:
        for piece in iter_body(answer, clock, clock.monotonic(), timeout):
            body += piece
            if len(body) > _LONGEST:
                raise requests.exceptions.ContentDecodingError
    except HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError from error
    length = content_length(answer)
    if length is not None and length != len(body):
        raise requests.exceptions.ChunkedEncodingError
    return bytes(body)


def iter_body(
    answer: requests.Response, clock: Clock, asked_at: float, timeout: float
) -> Iterator[bytes]:
    """Read a body.

    Args:
        answer: The answer, whose body nobody read yet.
        clock: Tells the time.
        asked_at: When it was asked for, in seconds of that clock's monotonic time.
        timeout: Seconds to wait for, beyond what a body of its size may take.

    Yields:
        Pieces, of a compressed body what it means.

    Raises:
        requests.RequestException: If it comes too slowly, or its encoding is no good.
        urllib3.exceptions.HTTPError: If it is cut off.
    """
    pieces = _raw(answer, clock, asked_at, timeout)
    return pieces if is_plain(answer) else _inflated(pieces, _encoding(answer))


def _encoding(answer: requests.Response) -> str:
    return str(answer.headers.get("Content-Encoding", "")).strip().lower()


def _raw(
    answer: requests.Response, clock: Clock, asked_at: float, timeout: float
) -> Iterator[bytes]:
    received = 0
    # What has come, at once: to wait for a whole piece could take as long as a server likes.
    read = getattr(answer.raw, "read1", answer.raw.read)  # old versions of urllib3 lack it
    while piece := read(PIECE, decode_content=False):
        yield piece
        received += len(piece)
        if clock.monotonic() - asked_at > timeout + received / _SLOWEST:
            raise requests.ReadTimeout


def _inflated(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Decompress, and notice a missing end, which no other library tells of."""
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise requests.exceptions.ContentDecodingError
    stream = zlib.decompressobj(_ANY_HEADER)
    try:
        for piece in pieces:
            data = piece
            while data and not stream.eof:
                yield stream.decompress(data, PIECE)
                data = stream.unconsumed_tail
    except zlib.error as error:
        raise requests.exceptions.ContentDecodingError from error
    if not stream.eof:
        raise requests.exceptions.ContentDecodingError
