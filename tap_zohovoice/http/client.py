"""HTTP client of one URL: the one layer through which all requests to the API go."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from tap_zohovoice.exceptions import (
    AmbiguousResponseError,
    RetryableError,
    UnexpectedResponseError,
    ZohoVoiceError,
)
from tap_zohovoice.http.response import classify_response
from tap_zohovoice.http.retry import MAX_ATTEMPTS, MAX_LOCKOUTS
from tap_zohovoice.http.tls import explain_transport_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping

    from requests.auth import AuthBase

    from tap_zohovoice._time import Clock
    from tap_zohovoice.http.retry import RetryPolicy

_T = TypeVar("_T")


class ApiClient:
    """Requests to one URL: each attempt is throttled, signed, sent and validated.

    Args:
        url: URL without a query.
        headers: Headers of each request.
        session: Sends, and releases the slot.
        authenticator: Acquires a slot and signs, for each attempt.
        policy: Retry policy of the URL.
        clock: Clock.
        timeout: Seconds to wait for a response.
        redact: Returns what must not be in an error: secrets and filters.
    """

    requested_at = 0.0
    """When the last request was sent, in seconds of the monotonic clock."""

    def __init__(  # noqa: PLR0913 - explicit dependencies
        self,
        *,
        url: str,
        headers: Mapping[str, str],
        session: requests.Session,
        authenticator: AuthBase,
        policy: RetryPolicy,
        clock: Clock,
        timeout: int,
        redact: Callable[[], Collection[str]],
    ) -> None:
        self.session = session
        self.authenticator = authenticator
        self.clock = clock
        self.timeout = timeout
        self._url = url
        self._headers = dict(headers)
        self._policy = policy
        self._redact = redact
        self._was_ambiguous = False

    @staticmethod
    def prepare(**kwargs: Any) -> requests.PreparedRequest:  # noqa: ANN401 - as requests has it
        """Prepare a request without signing it: each attempt is signed when it is sent.

        Args:
            **kwargs: Those of `requests.Request`.

        Raises:
            ZohoVoiceError: If `api_url` is invalid.
        """
        try:
            return requests.Request(**kwargs).prepare()
        except requests.RequestException as error:
            message = "api_url is no usable address"
            raise ZohoVoiceError(message) from error

    def get(
        self,
        params: Mapping[str, str],
        handle: Callable[[requests.Response], _T],
        *,
        stream: bool = False,
        max_attempts: int = MAX_ATTEMPTS,
        max_lockouts: int = MAX_LOCKOUTS,
    ) -> _T:
        """Send a GET request, again where that may help.

        Args:
            params: Query parameters.
            handle: Reads a response; may raise `RetryableError`.
            stream: Whether `handle` reads the body from the connection.
            max_attempts: Attempts without a usable response.
            max_lockouts: Lockouts that are waited out.

        Returns:
            What `handle` returned.

        Raises:
            InvalidParameterError: If the API rejects a value.
            RateLimitLockoutError: If the API stays locked.
            RetriesExhaustedError: If no attempt got a usable response.
            ZohoVoiceError: If the request fails for another reason.
        """
        prepared = self.prepare(
            method="GET", url=self._url, params=dict(params), headers=self._headers
        )

        def attempt() -> _T:
            signed = self.authenticator(prepared)
            self.requested_at = self.clock.monotonic()
            response = self.session.send(
                signed, timeout=self.timeout, allow_redirects=False, stream=stream
            )
            with closing(response):
                return handle(response)

        return self.retry(attempt, max_attempts=max_attempts, max_lockouts=max_lockouts)

    def get_json(
        self,
        params: Mapping[str, str],
        parse: Callable[[dict[str, Any]], _T],
        *,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> _T:
        """Get a JSON object; `parse` reads it, and raises `UnexpectedResponseError` if it cannot.

        See `get` for arguments and errors.
        """
        return self.get(
            params,
            lambda response: self.parse_json(response, parse),
            max_attempts=max_attempts,
        )

    def parse_json(self, response: requests.Response, parse: Callable[[dict[str, Any]], _T]) -> _T:
        """Validate a response and parse its JSON object.

        Raises:
            RetryableError: If another attempt may help.
            ZohoVoiceError: If not.
        """
        body = self.classify(response, response.content)
        try:
            return parse(body)
        except UnexpectedResponseError as error:
            message = f"Zoho Voice: answer not understood: {error}"
            summary = f"answer not understood: {error}"
            raise UnexpectedResponseError(message, summary=summary) from error

    def classify(
        self, response: requests.Response, body: bytes, redact: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the JSON object of a success, or raise what its classification says.

        Args:
            response: The response.
            body: Its body.
            redact: What must not be in the error, beside secrets and filters.

        Raises:
            RetryableError: If another attempt may help.
            ZohoVoiceError: If not.
        """
        resolution = classify_response(
            response.status_code,
            response.headers,
            body,
            now=self.clock.now(),
            redact=[*self._redact(), *redact],
        )
        resolution.raise_for_action()
        if resolution.is_ambiguous and not self._was_ambiguous:
            self._was_ambiguous = True  # no bookmark moves on a single response that says nothing
            message = "empty response"
            raise AmbiguousResponseError(message)
        return resolution.body

    def retry(
        self,
        func: Callable[[], _T],
        *,
        max_attempts: int = MAX_ATTEMPTS,
        max_lockouts: int = MAX_LOCKOUTS,
    ) -> _T:
        """Call a function that makes one attempt, again where that may help; see `get`."""
        self._was_ambiguous = False

        def attempt() -> _T:
            with _explained():
                return func()

        return self._policy.call(attempt, max_attempts=max_attempts, max_lockouts=max_lockouts)


@contextmanager
def _explained() -> Generator[None]:
    """Turn an error of the transport into one of the tap.

    Raises:
        RetryableError: If another attempt may help.
        ZohoVoiceError: If not.
    """
    try:
        yield
    except OSError as error:  # which those of requests are too
        response = getattr(error, "response", None)
        if obstacle := explain_transport_error(error, "api_url"):
            summary = obstacle.text
            if obstacle.is_final:
                message = f"Zoho Voice: {summary}"
                raise ZohoVoiceError(message) from error
        elif response is not None:
            summary = f"HTTP {response.status_code}, no whole answer ({type(error).__name__})"
        elif isinstance(error, requests.exceptions.Timeout):
            summary = "no answer in time"
        else:
            summary = f"connection failed ({type(error).__name__})"
        message = f"Zoho Voice: {summary}"
        raise RetryableError(message, summary=summary, is_unreachable=True) from error
