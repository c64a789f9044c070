"""Response bodies: read in bounded time and size, decompressed, checked for truncation."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock

ACCEPT_ENCODING = "gzip"
CHUNK_SIZE = 64 * 1024
MAX_BODY_BYTES = 32 * 1024 * 1024
"""Limit of a body that is read whole; the largest page, of 1,000 calls, has about 2 MB."""
MIN_BYTES_PER_SECOND = 4_000  # slower responses are aborted; telephone audio has 8,000
_GZIP_START = b"\x1f"


def content_length(response: requests.Response) -> int | None:
    """Return the length of a body in bytes; None if it is unknown, or of the compressed form."""
    text = response.headers.get("Content-Length", "")
    if _is_compressed(response) or "Transfer-Encoding" in response.headers:
        return None
    return int(text) if text.isdecimal() and len(text) < 20 else None  # noqa: PLR2004 - 64 bits


def read_whole(response: requests.Response, chunks: Iterable[bytes]) -> bytes:
    """Return a whole body, of `MAX_BODY_BYTES` at most."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            message = "body too long"
            raise requests.exceptions.ContentDecodingError(message, response=response)
    return bytes(body)


def iter_body(response: requests.Response, clock: Clock, deadline: float) -> Iterator[bytes]:
    """Iterate over the decompressed chunks of a body; after the deadline, see the minimum pace.

    Raises:
        requests.RequestException: If the body is too slow, truncated or cannot be decompressed.
    """
    body = io.BufferedReader(_TimedBody(response, clock, deadline), CHUNK_SIZE)
    try:
        # Some proxies decompress a body and keep its header.
        is_compressed = _is_compressed(response) and body.peek(1).startswith(_GZIP_START)
        file = gzip.GzipFile(fileobj=body) if is_compressed else body
        while chunk := file.read1(CHUNK_SIZE):
            yield chunk
    except HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(response=response) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise requests.exceptions.ContentDecodingError(response=response) from error


def _is_compressed(response: requests.Response) -> bool:
    """Return whether `Content-Encoding` names gzip; other tokens, as `none`, have no effect."""
    return "gzip" in response.headers.get("Content-Encoding", "").lower()


@dataclass(eq=False, repr=False)
class _TimedBody(io.RawIOBase):
    """The bytes of a body as they are sent, with a deadline."""

    response: requests.Response
    clock: Clock
    deadline: float
    received = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        # `read1` returns what has arrived; the wait for a whole chunk would have no time limit.
        chunk: bytes = self.response.raw.read1(len(buffer), decode_content=False)
        self.received += len(chunk)
        if self.clock.monotonic() > self.deadline + self.received / MIN_BYTES_PER_SECOND:
            raise requests.ReadTimeout(response=self.response)
        buffer[: len(chunk)] = chunk
        return len(chunk)
