"""HTTP session that reads bounded bodies and releases the slot of each request."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from tap_zohovoice._compat import override
from tap_zohovoice.http.body import read_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_zohovoice._time import Clock
    from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter


class NoRedirectSession(requests.Session):
    """A session that never looks for the target of a redirect.

    Even with `allow_redirects=False`, requests reads the body of a redirect without bound, and
    parses the address in it.
    """

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class ThrottledSession(NoRedirectSession):
    """Releases the slot that `ThrottledAuthenticator` acquired, whatever came of the request.

    Without `stream=True`, the body is read whole before that, within a deadline and a maximum size.

    Args:
        limiter_for: Returns the limiter of a URL.
        clock: Clock for the deadline of a body.
    """

    def __init__(self, limiter_for: Callable[[str], SlidingWindowLimiter], clock: Clock) -> None:
        super().__init__()
        self._limiter_for = limiter_for
        self._clock = clock
        self._environments: dict[str, dict[str, Any]] = {}

    @override
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a signed request.

        Args:
            request: The request, for which a slot was acquired.
            stream: Whether the caller reads the body.
            **kwargs: Those of `requests.Session.send`; `timeout` is required.

        Returns:
            The response, with its body unless `stream` is set.

        Raises:
            requests.RequestException: If there is no response, or its body is cut off, too slow
                or too large; then its `response` is that response.
        """
        url, stream = str(request.url), kwargs.pop("stream", False)
        try:
            response = super().send(request, stream=True, **{**self._environment(url), **kwargs})
            if not stream:
                self._read(response, float(kwargs["timeout"]))
        finally:
            self._limiter_for(url).release()
        return response

    def _read(self, response: requests.Response, timeout: float) -> None:
        raw = response.raw
        try:
            body = read_body(response, self._clock, timeout)
        except requests.RequestException as error:
            error.response = response
            raise
        finally:
            raw.close()
            raw.release_conn()
        response.raw = io.BytesIO(body)  # `response.content` reads from there

    def _environment(self, url: str) -> dict[str, Any]:
        """Return proxies and certificates of the environment: requests ignores them in `send`."""
        host = urlsplit(url).netloc
        if host not in self._environments:
            merged = self.merge_environment_settings(url, {}, None, None, None)
            self._environments[host] = {
                name: value for name, value in merged.items() if name != "stream"
            }
        return self._environments[host]
