"""HTTP session whose bodies are read in bounded time and size, and checked for truncation."""

import gzip
import http.client
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock

ACCEPT_ENCODING = "gzip"
CHUNK_SIZE = 64 * 1024
MAX_BODY_BYTES = 32 * 1024 * 1024  # of one read whole; a page of 1,000 calls has about 2 MB
MIN_BYTES_PER_SECOND = 4_000  # slower responses are aborted; telephone audio has 8,000
_GZIP_START = b"\x1f"
_MAX_INTERIM = 20


class _FinalResponse(http.client.HTTPResponse):
    """Skips interim responses such as `103 Early Hints`; `http.client` skips `100` alone."""

    headers: Any

    @override
    def begin(self) -> None:
        for _ in range(_MAX_INTERIM + 1):
            self.headers = None  # not begun
            super().begin()
            if self.status >= HTTPStatus.OK:
                return


class _Adapter(HTTPAdapter):
    @override
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if pool.ConnectionCls.response_class is not _FinalResponse:
            members = {"response_class": _FinalResponse}
            pool.ConnectionCls = type("Connection", (pool.ConnectionCls,), members)
        return pool


class PlainSession(requests.Session):
    """A session without redirects, cookies and interim responses, which leaves bodies unread.

    Even with `allow_redirects=False`, requests reads the body of a redirect without bound.
    """

    sent_at = 0.0  # when the last request was sent, in seconds of the monotonic clock

    def __init__(self, clock: Clock, timeout: float) -> None:
        super().__init__()
        self.clock = clock
        self.timeout = timeout
        self.first_dates: dict[str, str] = {}  # `Date` of the first response of each URL
        # To find proxies in 40 variables of the environment takes 2 % of the CPU of a page.
        merge = self.merge_environment_settings
        self._options_of = cache(lambda url: merge(url, {}, stream=True, verify=None, cert=None))
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())

    @override
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        url = str(request.url).partition("?")[0]
        # Whatever the SDK passes; the token must not be sent to another host.
        kwargs |= {**self._options_of(url), "timeout": self.timeout, "allow_redirects": False}
        self.sent_at = self.clock.monotonic()
        try:
            response = super().send(request, **kwargs)
        except (TypeError, UnicodeError) as error:  # of requests, for credentials of a proxy
            raise requests.exceptions.InvalidProxyURL from error
        if date := response.headers.get("Date"):
            self.first_dates.setdefault(url, date)
        return response

    def iter_body(self, response: requests.Response) -> Iterator[bytes]:
        """Iterate over the decompressed chunks of the body of the last response.

        It may take the timeout, and longer at the minimum pace.

        Raises:
            requests.RequestException: If the body is too slow, truncated or cannot be decompressed.
        """
        timed = _TimedBody(response, self.clock, self.sent_at + self.timeout)
        body = io.BufferedReader(timed, CHUNK_SIZE)
        try:
            # Tokens such as `none` have no effect; some proxies decompress and keep the header.
            coding = response.headers.get("Content-Encoding", "").lower()
            is_compressed = "gzip" in coding and body.peek(1).startswith(_GZIP_START)
            file = gzip.GzipFile(fileobj=body) if is_compressed else body
            while chunk := file.read1(CHUNK_SIZE):
                yield chunk
        except HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise requests.exceptions.ContentDecodingError from error

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def read_whole(chunks: Iterable[bytes]) -> bytes:
    """Return a whole body, of `MAX_BODY_BYTES` at most."""
    body = io.BytesIO()
    for chunk in chunks:
        body.write(chunk)
        if body.tell() > MAX_BODY_BYTES:
            raise requests.exceptions.ContentDecodingError
    return body.getvalue()


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
            raise requests.ReadTimeout
        buffer[: len(chunk)] = chunk
        return len(chunk)
