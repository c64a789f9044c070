"""HTTP client of one URL: signs, sends, validates and retries its requests."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.auth import AuthBase

from tap_zohovoice._time import Clock
from tap_zohovoice.config.data_centers import SCOPE
from tap_zohovoice.exceptions import (
    AmbiguousResponseError,
    RateLimitedError,
    RetryableError,
    TokenRejectedError,
    UnexpectedResponseError,
    ZohoVoiceError,
)
from tap_zohovoice.http.body import iter_body
from tap_zohovoice.http.response import ErrorResolution, classify_response
from tap_zohovoice.http.retry import TRIAL_LIMITS, RetryPolicy
from tap_zohovoice.http.transport import explain_request_error

_T = TypeVar("_T")
_FAULTS_BEFORE_RENEWAL = 3
"""Responses in a row without JSON, or with a fault, after which a new access token is tried."""
_FAILURES_OF_LOCKOUT = 2
"""Failures after that of a renewal, of different requests, that an unknown lockout explains."""


@dataclass(eq=False, repr=False)
class FailureHistory:
    """Finds another reason for failures after a success, whatever the words of the responses.

    The access token may be invalid; and if a new one does not help, and nothing else passes
    either, the API may be locked.
    """

    failures_before_renewal = 1
    """Failures in a row, after a success, of which the last is retried with a new access token."""
    _failures = 0
    _words = ""  # summary of the last failure
    _refusals: set[str] = field(default_factory=set, init=False)  # words that are no lockout
    _useless: set[bool] = field(default_factory=set, init=False)  # kinds a new token cannot mend
    _renewed_at = 0  # number of failures in a row at which a new token was tried
    _has_passed = False

    def observe_success(self) -> None:
        """Observe a usable response."""
        if self._failures > self._renewed_at:
            self._refusals.add(self._words)  # something passes without a wait or a new token
        elif self._failures:
            self._useless.clear()
        self._failures, self._renewed_at, self._has_passed = 0, 0, True

    def explain(
        self,
        error: ZohoVoiceError | RetryableError,
        resolution: ErrorResolution,
        *,
        is_trial: bool,
    ) -> RetryableError | None:
        """Observe a failure, and return another reason that it may have; None if there is none.

        `is_trial` says whether the request was expected to fail.
        """
        is_refused, self._words = isinstance(error, ZohoVoiceError), resolution.summary
        first = max(self.failures_before_renewal, 1 if is_refused else _FAULTS_BEFORE_RENEWAL)
        self._failures += not is_trial or self._failures < first
        may_be_other = self._has_passed and resolution.may_be_token
        if not may_be_other or (is_trial and not is_refused):
            return None
        if self._failures == first and is_refused not in self._useless:
            self._useless.add(is_refused)  # unless the next response is a success
            self._renewed_at = self._failures
            return TokenRejectedError(str(error), summary=self._words)
        is_enough = self._failures >= first + _FAILURES_OF_LOCKOUT
        if is_refused and is_enough and self._words not in self._refusals:
            self._refusals.add(self._words)  # if the next request fails too, it is no lockout
            return RateLimitedError(str(error), summary=self._words, is_uncertain=True)
        return None


@dataclass(eq=False, repr=False, kw_only=True)
class ApiClient:
    """Requests to one URL: the SDK's request loop sends through `retry`, all others through `get`.

    For each attempt, the authenticator waits for a slot and signs; the session sends, and releases
    the slot. `redact` returns what must not be in an error: secrets and filters.
    """

    url: str
    headers: Mapping[str, str]
    session: requests.Session
    authenticator: AuthBase
    policy: RetryPolicy
    clock: Clock
    timeout: int
    redact: Callable[[], Collection[str]]
    scope: str = SCOPE

    requested_at = 0.0
    """When the last request was sent, in seconds of the monotonic clock."""
    bytes_received = 0
    """Size of all bodies so far, decompressed."""
    history: FailureHistory = field(default_factory=FailureHistory, init=False)
    _was_ambiguous = _is_trial = False

    @staticmethod
    def prepare(**kwargs: Any) -> requests.PreparedRequest:  # noqa: ANN401 - as requests has it
        """Prepare a `requests.Request` without signing it: that is done for each attempt.

        Raises:
            ZohoVoiceError: If `api_url` is invalid.
        """
        try:
            return requests.Request(**kwargs).prepare()
        except requests.RequestException as error:
            message = "api_url is invalid"
            raise ZohoVoiceError(message) from error

    def get(
        self,
        params: Mapping[str, str],
        handle: Callable[[requests.Response], _T],
        *,
        stream: bool = False,
        **limits: int,
    ) -> _T:
        """Send a GET request with retries; return what `handle` returns.

        `handle` may raise `RetryableError`; with `stream`, it reads the body from the connection.
        See `RetryPolicy.call` for the limits and for other errors.
        """
        prepared = self.prepare(
            method="GET", url=self.url, params=dict(params), headers=self.headers
        )

        def attempt() -> _T:
            signed = self.authenticator(prepared)
            self.requested_at = self.clock.monotonic()
            response = self.session.send(
                signed, timeout=self.timeout, allow_redirects=False, stream=stream
            )
            with closing(response):
                return handle(response)

        return self.retry(attempt, **limits)

    def iter_body(self, response: requests.Response) -> Iterator[bytes]:
        """Iterate over the body of a streamed response; see `http.body.iter_body`."""
        for chunk in iter_body(response, self.clock, self.requested_at, self.timeout):
            self.bytes_received += len(chunk)
            yield chunk

    def get_json(
        self, params: Mapping[str, str], parse: Callable[[dict[str, Any]], _T], **limits: int
    ) -> _T:
        """Get a JSON object and parse it; see `get` and `parse_json`."""
        return self.get(
            params, lambda response: self.parse_json(response, parse), stream=False, **limits
        )

    def parse_json(self, response: requests.Response, parse: Callable[[dict[str, Any]], _T]) -> _T:
        """Validate a response and parse its JSON object; see `classify` for arguments and errors.

        `parse` raises `UnexpectedResponseError` if it cannot.
        """
        self.bytes_received += len(response.content)
        body = self.classify(response, response.content)
        try:
            return parse(body)
        except UnexpectedResponseError as error:
            summary = f"unexpected response: {error}"
            message = f"Zoho Voice: {summary}"
            raise UnexpectedResponseError(message, summary=summary) from error

    def classify(
        self, response: requests.Response, body: bytes, redact: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the JSON object of a success, or raise the error that a response stands for.

        Args:
            response: The response.
            body: Its body.
            redact: What else must not be in the error.

        Raises:
            RetryableError: If another attempt may help.
            ZohoVoiceError: If no attempt can help.
        """
        resolution = classify_response(
            response.status_code,
            response.headers,
            body,
            now=self.clock.now(),
            redact=[*self.redact(), *redact],
            requested=_requested_days(response),
            scope=self.scope,
        )
        try:
            resolution.raise_for_action()
        except (RateLimitedError, TokenRejectedError):
            raise
        except (ZohoVoiceError, RetryableError) as error:
            if other := self.history.explain(error, resolution, is_trial=self._is_trial):
                raise other from error
            raise
        if resolution.is_ambiguous and not self._was_ambiguous:
            self._was_ambiguous = True  # one empty response must not move a bookmark
            message = "empty response"
            raise AmbiguousResponseError(message)
        self.history.observe_success()
        return resolution.body

    def retry(self, func: Callable[[], _T], **limits: int) -> _T:
        """Call a function that makes one attempt, with retries; see `get`."""
        self._was_ambiguous, self._is_trial = False, limits == TRIAL_LIMITS

        def attempt() -> _T:
            try:
                return func()
            except OSError as error:  # includes the exceptions of requests
                cause = explain_request_error(error, "api_url", self.url)
                message = f"Zoho Voice: {cause.text}"
                if cause.is_final:
                    raise ZohoVoiceError(message) from error
                raise RetryableError(message, summary=cause.text, is_unreachable=True) from error

        return self.policy.call(attempt, **limits)


def _requested_days(response: requests.Response) -> str:
    query = dict(parse_qsl(urlsplit(str(response.request.url)).query))
    days = query.get("fromDate"), query.get("toDate")
    return " ({} to {})".format(*days) if all(days) else ""
