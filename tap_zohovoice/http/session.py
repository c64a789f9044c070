"""HTTP session that reads bounded bodies and releases the slot of each request."""

import http.client
import io
import os
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import LocationParseError

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.http.body import read_body
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter

_MAX_INTERIM = 20


class _FinalResponse(http.client.HTTPResponse):
    """Skips interim responses such as `103 Early Hints`; `http.client` skips `100` alone."""

    headers: Any

    @override
    def begin(self) -> None:
        super().begin()
        for _ in range(_MAX_INTERIM):
            if self.status >= HTTPStatus.OK:
                return
            self.headers = None  # not begun
            super().begin()


class _Adapter(HTTPAdapter):
    @override
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if pool.ConnectionCls.response_class is not _FinalResponse:
            members = {"response_class": _FinalResponse}
            pool.ConnectionCls = type("Connection", (pool.ConnectionCls,), members)
        return pool


class PlainSession(requests.Session):
    """A session without redirects, cookies and interim responses, which limits bodies.

    Even with `allow_redirects=False`, requests reads the body of a redirect without bound, and
    parses the address in it.
    """

    first_date = ""
    """`Date` of the first response."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        # Of the environment, `send` uses only proxies.
        env = os.environ
        self.verify = env.get("REQUESTS_CA_BUNDLE") or env.get("CURL_CA_BUNDLE") or True
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())

    @override
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request and read the body, within a deadline and a maximum size.

        `timeout` is required; with `stream`, the caller reads.

        Raises:
            requests.RequestException: If there is no response, or its body is cut off, too slow
                or too large; then its `response` is that response.
        """
        stream = kwargs.pop("stream", False)
        try:
            response = super().send(request, stream=True, **kwargs)
        except LocationParseError as error:  # a host name that only the connection rejects
            raise requests.exceptions.InvalidURL from error
        self.first_date = self.first_date or response.headers.get("Date", "")
        if not stream:
            with closing(response):
                body = read_body(response, self._clock, float(kwargs["timeout"]))
            response.raw = io.BytesIO(body)
        return response

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class ThrottledSession(PlainSession):
    """Releases the slot that `ThrottledAuthenticator` acquired, also after a failure."""

    def __init__(self, limiter_for: Callable[[str], SlidingWindowLimiter], clock: Clock) -> None:
        super().__init__(clock)
        self._limiter_for = limiter_for

    @override
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            return super().send(request, **kwargs)
        finally:
            self._limiter_for(str(request.url)).release()
