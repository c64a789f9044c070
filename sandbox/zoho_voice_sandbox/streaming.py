"""Response bodies that are sent in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override
from werkzeug import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

    from zoho_voice_sandbox.clock import Clock
    from zoho_voice_sandbox.dialect import FileLength

HANDLER_KEY = "zoho_voice_sandbox.handler"
"""Key of the connection's handler in the WSGI environment."""
_CHUNK_SIZE = 64 * 1024
_SLOW_PARTS = 10


class FileResponse(Response):
    """A file.

    Attributes:
        length: How its length is sent.
        is_cut: Whether the connection breaks at the end of the body.
    """

    length: FileLength = "content_length"
    is_cut = False

    @override
    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send the response."""
        if self.length != "content_length":
            self.automatically_set_content_length = False
            self.headers.pop("Content-Length", None)
            if HANDLER_KEY in environ:
                # Without a length, the server sends chunks to HTTP/1.1 and none to HTTP/1.0.
                is_chunked = self.length == "chunked"
                environ[HANDLER_KEY].protocol_version = "HTTP/1.1" if is_chunked else "HTTP/1.0"
        return super().__call__(environ, start_response)

    @override
    def iter_encoded(self) -> Iterator[bytes]:
        """Yield the body in chunks, without a second copy of a large one."""
        for data in super().iter_encoded():
            yield from iter_chunks(memoryview(data))
        if self.is_cut and self.length == "chunked":
            # Otherwise the server would send the last chunk, and the file would seem complete.
            raise ConnectionAbortedError


def iter_chunks(data: memoryview) -> Iterator[bytes]:
    """Yield a body in chunks that are not empty."""
    for start in range(0, len(data), _CHUNK_SIZE):
        yield bytes(data[start : start + _CHUNK_SIZE])


def iter_slowly(data: memoryview, seconds: float, clock: Clock) -> Iterator[bytes]:
    """Yield a body in ten parts, spread over some seconds."""
    for part in range(_SLOW_PARTS):
        if part:
            clock.sleep(seconds / (_SLOW_PARTS - 1))
        start, end = (len(data) * place // _SLOW_PARTS for place in (part, part + 1))
        yield from iter_chunks(data[start:end])
