"""Bodies that are sent in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug import Response

from tap_zohovoice._compat import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tap_zohovoice._time import Clock
    from tap_zohovoice.sandbox.dialect import FileLength

HANDLER = "tap_zohovoice.handler"
"""Key of the request's environment under which its connection's handler stands."""
_PIECE = 64 * 1024
_DRIPS = 10


class FileBody(Response):
    """A file as an answer.

    Attributes:
        length: How its length is told.
        is_cut: Whether the connection breaks at the end of what is sent.
    """

    length: FileLength = "content_length"
    is_cut = False

    @override
    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request.

        Args:
            environ: The request.
            start_response: Where the answer's head goes.

        Returns:
            The answer's body.
        """
        if self.length != "content_length":
            self.automatically_set_content_length = False
            self.headers.pop("Content-Length", None)
            if HANDLER in environ:
                # The server sends chunks where no length is told, except to what knows none.
                is_chunked = self.length == "chunked"
                environ[HANDLER].protocol_version = "HTTP/1.1" if is_chunked else "HTTP/1.0"
        return super().__call__(environ, start_response)

    @override
    def iter_encoded(self) -> Iterator[bytes]:
        """Yield the body piece by piece, so that there is no second copy of a big one."""
        for data in super().iter_encoded():
            yield from pieces(memoryview(data))
        if self.is_cut and self.length == "chunked":
            # Otherwise the server would send the last chunk, and the file would seem complete.
            raise ConnectionAbortedError


def pieces(data: memoryview) -> Iterator[bytes]:
    """Cut a body into pieces.

    Args:
        data: The body.

    Yields:
        Each piece, none of them empty.
    """
    for start in range(0, len(data), _PIECE):
        yield bytes(data[start : start + _PIECE])


def drip(data: memoryview, seconds: float, clock: Clock) -> Iterator[bytes]:
    """Send a body in ten parts, slowly.

    Args:
        data: The body.
        seconds: How long that takes.
        clock: Where waiting is done.

    Yields:
        Each piece, none of them empty.
    """
    for part in range(_DRIPS):
        if part:
            clock.sleep(seconds / (_DRIPS - 1))
        start, end = (len(data) * place // _DRIPS for place in (part, part + 1))
        yield from pieces(data[start:end])
