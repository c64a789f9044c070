"""Requests to one URL of the API: signed, sent, validated and retried."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from requests.auth import AuthBase

from tap_zohovoice.config.data_centers import SCOPE
from tap_zohovoice.exceptions import RetryableError
from tap_zohovoice.http.network_errors import network_errors
from tap_zohovoice.http.response import is_ambiguous, validate_response
from tap_zohovoice.http.retry import DEFAULT_LIMITS, RetryLimits, RetryPolicy
from tap_zohovoice.http.session import PlainSession, read_whole

_T = TypeVar("_T")
_Parse = Callable[[dict[str, Any]], _T]


@dataclass(eq=False, repr=False, kw_only=True)
class ApiClient:
    """Requests to one URL: the SDK's request loop sends through `retry`, all others through `get`.

    For each attempt, the authenticator waits for a slot and signs, and the session sends. The slot
    is released after the body. `redact` returns what must not be in an error: secrets and filters.
    """

    url: str
    headers: Mapping[str, str]
    session: PlainSession
    authenticator: AuthBase
    policy: RetryPolicy
    redact: Callable[[], Collection[str]]
    scope: str = SCOPE
    bytes_received = 0  # in all bodies so far, decompressed
    _was_ambiguous = False

    def get(
        self,
        params: Mapping[str, str],
        handle: Callable[[requests.Response], _T],
        limits: RetryLimits = DEFAULT_LIMITS,
    ) -> _T:
        """Send a GET request with retries; return what `handle` returns.

        `handle` reads the body by `iter_body`, and may raise errors as `RetryPolicy.call` says.
        """
        request = requests.Request("GET", self.url, params=dict(params), headers=self.headers)
        prepared = request.prepare()  # without a signature, which each attempt adds

        def attempt() -> _T:
            with closing(self.session.send(self.authenticator(prepared))) as response:
                return handle(response)

        return self.retry(attempt, limits)

    def iter_body(self, response: requests.Response) -> Iterator[bytes]:
        """Iterate over the body of the last response; see `PlainSession.iter_body`."""
        for chunk in self.session.iter_body(response):
            self.bytes_received += len(chunk)
            yield chunk

    def get_json(
        self, params: Mapping[str, str], parse: _Parse[_T], limits: RetryLimits = DEFAULT_LIMITS
    ) -> _T:
        """Get a JSON object and parse it; see `get` and `parse_json`."""
        return self.get(params, lambda response: self.parse_json(response, parse), limits)

    def parse_json(self, response: requests.Response, parse: _Parse[_T]) -> _T:
        """Read and validate a response, and parse its JSON object; see `validate` for errors.

        `parse` raises `UnexpectedResponseError` if it cannot.
        """
        with closing(response):
            body = read_whole(self.iter_body(response))
        return parse(self.validate(response, body))

    def validate(
        self, response: requests.Response, body: bytes, redact: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the JSON object of a success, or raise an exception; see `validate_response`."""
        now, hidden = self.session.clock.now(), [*self.redact(), *redact]
        content = validate_response(response, body, now=now, redact=hidden, scope=self.scope)
        if is_ambiguous(response.status_code, content) and not self._was_ambiguous:
            self._was_ambiguous = True  # one empty response must not move a bookmark
            message = "empty response"
            raise RetryableError(message)
        return content

    def retry(self, func: Callable[[], _T], limits: RetryLimits = DEFAULT_LIMITS) -> _T:
        """Call a function that makes one attempt, with retries; see `get`."""

        @network_errors("Zoho Voice", "api_url", self.url)
        def attempt() -> _T:
            try:
                return func()
            finally:
                self.policy.limiter.release()

        self._was_ambiguous = False
        return self.policy.call(attempt, limits)
