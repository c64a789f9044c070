"""Response bodies: read in bounded time and size, decompressed, checked for truncation."""

import re
import zlib
from collections.abc import Iterable, Iterator

import requests
from urllib3.exceptions import HTTPError

from tap_zohovoice._time import Clock

ACCEPT_ENCODING = "gzip, deflate"
CHUNK_SIZE = 64 * 1024
MAX_BODY_BYTES = 32 * 1024 * 1024
"""Limit of a body that is read whole; the largest page, of 1,000 calls, has about 2 MB."""
MIN_BYTES_PER_SECOND = 4_000  # slower responses are aborted; telephone audio has 8,000
_CODINGS = re.compile(r"\b(?:gzip|deflate|br|compress|dc[bz]|zstd)\b")
"""Compressions; other tokens of `Content-Encoding`, such as `none`, have no effect."""
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


def content_length(response: requests.Response) -> int | None:
    """Return the length of a body in bytes; None if it is unknown, or of the compressed form."""
    text = response.headers.get("Content-Length", "")
    if _content_codings(response) or "Transfer-Encoding" in response.headers:
        return None
    return int(text) if text.isdecimal() and len(text) < 20 else None  # noqa: PLR2004 - 64 bits


def read_body(response: requests.Response, clock: Clock, timeout: float) -> bytes:
    """Read a whole body, of `MAX_BODY_BYTES` at most; for the rest see `iter_body`."""
    body = bytearray()
    for chunk in iter_body(response, clock, timeout):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            message = "body too long"
            raise requests.exceptions.ContentDecodingError(message, response=response)
    return bytes(body)


def iter_body(
    response: requests.Response, clock: Clock, timeout: float, start: float | None = None
) -> Iterator[bytes]:
    """Iterate over the decompressed chunks of a streamed body.

    It may take `timeout` seconds from `start` on (of the monotonic clock; None: from now on), plus
    the time for its bytes at `MIN_BYTES_PER_SECOND`.

    Raises:
        requests.RequestException: If the body is too slow, truncated or cannot be decompressed.
    """
    try:
        chunks = _iter_raw(response, clock, timeout, clock.monotonic() if start is None else start)
        for _ in _content_codings(response):
            chunks = _inflate(chunks)
        yield from chunks
    except HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(response=response) from error
    except zlib.error as error:
        raise requests.exceptions.ContentDecodingError(response=response) from error


def _content_codings(response: requests.Response) -> list[str]:
    return _CODINGS.findall(response.headers.get("Content-Encoding", "").lower())


def _iter_raw(
    response: requests.Response, clock: Clock, timeout: float, start: float
) -> Iterator[bytes]:
    received = 0
    # `read1` returns what has arrived; the wait for a whole chunk would have no time limit.
    while chunk := response.raw.read1(CHUNK_SIZE, decode_content=False):
        yield chunk
        received += len(chunk)
        if clock.monotonic() - start > timeout + received / MIN_BYTES_PER_SECOND:
            raise requests.ReadTimeout(response=response)


def _inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip or zlib in bounded chunks; urllib3's decoders accept a body without its end.

    Members of gzip may follow each other; other bytes behind the last one are ignored.
    """
    stream, is_over = zlib.decompressobj(_GZIP_OR_ZLIB), False
    for chunk in chunks:
        data = b"" if is_over else chunk
        while data:
            if stream.eof:
                is_over = not _GZIP_MAGIC.startswith(data[:2])
                if is_over:
                    break
                stream = zlib.decompressobj(_GZIP_OR_ZLIB)
            yield stream.decompress(data, CHUNK_SIZE)
            data = stream.unconsumed_tail or stream.unused_data
    if not stream.eof:
        raise zlib.error
