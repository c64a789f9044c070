"""HTTP session whose bodies are read within a deadline."""

import http.client
import os
from collections.abc import Iterator
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.http.body import iter_body

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
    """A session without redirects, cookies and interim responses, which leaves bodies unread.

    Even with `allow_redirects=False`, requests reads the body of a redirect without bound, and
    parses the address in it.
    """

    sent_at = 0.0  # when the last request was sent, in seconds of the monotonic clock

    def __init__(self, clock: Clock, timeout: float) -> None:
        super().__init__()
        self.clock = clock
        self.timeout = timeout
        self.first_dates: dict[str, str] = {}  # `Date` of the first response of each URL
        # Of the environment, `send` uses only proxies.
        env = os.environ
        self.verify = env.get("REQUESTS_CA_BUNDLE") or env.get("CURL_CA_BUNDLE") or True
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())

    @override
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request, and leave its body to `iter_body`."""
        # Whatever the SDK passes; the token must not be sent to another host.
        kwargs |= {"timeout": self.timeout, "stream": True, "allow_redirects": False}
        self.sent_at = self.clock.monotonic()
        response = super().send(request, **kwargs)
        if date := response.headers.get("Date"):
            self.first_dates.setdefault(str(request.url).partition("?")[0], date)
        return response

    def iter_body(self, response: requests.Response) -> Iterator[bytes]:
        """Iterate over the body of the last response; see `http.body.iter_body`."""
        return iter_body(response, self.clock, self.sent_at + self.timeout)

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        return None
