"""One question to one endpoint: asked, judged, and asked again where that helps."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from singer_sdk.streams import RESTStream
from singer_sdk.streams.rest import PageContext

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RateLimitLockoutError,
    RetriesExhaustedError,
    UnexpectedResponseError,
    ZohoVoiceError,
)
from tap_zohovoice.http.body import ACCEPT_ENCODING, read_body
from tap_zohovoice.http.response import ErrorResolution, ResponseAction, judge
from tap_zohovoice.http.tls import explain_transport_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_sdk.streams.rest import HTTPRequest

    from tap_zohovoice.auth import ThrottledAuthenticator
    from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
    from tap_zohovoice.tap import TapZohoVoice

_T = TypeVar("_T")
_LOGGER = logging.getLogger("tap-zohovoice.client")
_LOCKS = 3
"""Locks in a row that are waited out."""
_TRIES = 6
"""Times that a request without a usable answer is sent."""
_LONGEST_WAIT = 6 * 3600.0
"""Seconds; a server that asks for more is not waited for."""


class ZohoVoiceStream(RESTStream[Any]):
    """A stream of the REST API of Zoho Voice."""

    allow_redirects = False  # the token must go nowhere else
    asked_at = 0.0
    """When the last request was sent, in seconds of the tap's clock."""

    def __init__(self, tap: TapZohoVoice) -> None:
        """Make the stream.

        Args:
            tap: Its tap, which owns settings, authenticator, throttle and session.
        """
        self.tap = tap
        super().__init__(tap)

    @property
    @override
    def url_base(self) -> str:
        return f"{self.tap.settings.api_url}/rest/json/"

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
            "User-Agent": self.tap.user_agent,
        }

    @property
    @override
    def requests_session(self) -> requests.Session:
        return self.tap.session

    @cached_property
    def throttle(self) -> SlidingWindowLimiter:
        """The throttle of this stream's URL."""
        return self.tap.throttle_for(self.get_url(None))

    @cached_property
    def signer(self) -> ThrottledAuthenticator:
        """The authenticator of this stream's URL."""
        return self.tap.authenticator_for(self.throttle)

    @property
    @override
    def authenticator(self) -> ThrottledAuthenticator:
        return self.signer

    @cached_property
    def _surroundings(self) -> dict[str, Any]:
        """Proxies and certificates of the environment.

        Sessions look at these for their own requests only, and each time anew.
        """
        session, url = self.requests_session, self.get_url(None)
        surroundings = session.merge_environment_settings(url, {}, None, None, None)
        return {name: surroundings[name] for name in ("proxies", "verify", "cert")}

    @override
    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        # The SDK announces each error as unhandled; the command line tells it, once and plainly.
        level = logging.DEBUG if level == logging.ERROR else level
        super().log(message, *args, level=level, **kwargs)

    @override
    def get_http_request(self, *, page: PageContext[Mapping[str, str]]) -> HTTPRequest:
        request = super().get_http_request(page=page)
        request.params = dict(page.next_page_token or {})
        return request

    def fetch(
        self,
        params: Mapping[str, str],
        read: Callable[[dict[str, Any]], _T],
        *,
        tries: int = _TRIES,
    ) -> _T:
        """Ask one question until it is answered.

        Args:
            params: Query parameters.
            read: Reads the answer, and raises `UnexpectedResponseError` if it cannot.
            tries: How often it is asked where no answer is usable.

        Returns:
            What `read` made of the answer.

        Raises:
            InvalidParameterError: If the server refuses a value that was asked for.
            RetriesExhaustedError: If no answer is usable.
            ZohoVoiceError: If anything else forbids to go on.
        """
        times: Counter[ResponseAction] = Counter()
        while True:
            verdict = self._ask(params)
            if verdict.is_vague and not times[ResponseAction.OK]:
                times[ResponseAction.OK] += (
                    1  # no bookmark moves on a single answer that says nothing
                )
                continue
            if verdict.outcome is ResponseAction.OK:
                try:
                    return read(verdict.body)
                except UnexpectedResponseError as error:
                    verdict = ErrorResolution(
                        ResponseAction.RETRY, f"answer not understood: {error}"
                    )
            times[verdict.outcome] += 1
            self.react(verdict, times[verdict.outcome], tries)

    def _ask(self, params: Mapping[str, str]) -> ErrorResolution:
        answer = self.send(params)
        if isinstance(answer, ErrorResolution):
            return answer
        with closing(answer):
            try:
                body = read_body(answer, self.tap.clock, self.tap.settings.request_timeout)
            except requests.RequestException as error:
                reason = f"HTTP {answer.status_code}, no whole answer ({type(error).__name__})"
                return ErrorResolution(ResponseAction.RETRY, reason, is_outage=True)
        return self.judge(answer, body)

    def send(self, params: Mapping[str, str]) -> requests.Response | ErrorResolution:
        """Send a request once, with the throttle's leave.

        Args:
            params: Query parameters.

        Returns:
            The answer, whose body is left for the caller to read; or what to do where there is
            none.

        Raises:
            ZohoVoiceError: If the address or its certificate is no good, or there is no token.
        """
        request = self.get_http_request(page=PageContext(None, params))
        # Signing a request, and so taking a slot, is part of preparing it.
        try:
            prepared = self.build_prepared_request(
                method=request.method,
                url=request.url,
                params=request.encode_params(),
                headers=request.headers,
            )
        except requests.RequestException as error:
            message = "api_url is no usable address"
            raise ZohoVoiceError(message) from error
        self.asked_at = self.tap.clock.monotonic()
        try:
            return self.requests_session.send(
                prepared,
                timeout=self.tap.settings.request_timeout,
                allow_redirects=self.allow_redirects,
                stream=True,
                **self._surroundings,
            )
        except OSError as error:  # which those of requests are too
            if obstacle := explain_transport_error(error, "api_url"):
                if obstacle.is_final:
                    message = f"Zoho Voice: {obstacle.text}"
                    raise ZohoVoiceError(message) from error
                return ErrorResolution(ResponseAction.RETRY, obstacle.text, is_outage=True)
            if isinstance(error, requests.exceptions.Timeout):
                return ErrorResolution(ResponseAction.RETRY, "no answer in time", is_outage=True)
            reason = f"connection failed ({type(error).__name__})"
            return ErrorResolution(ResponseAction.RETRY, reason, is_outage=True)
        finally:
            self.throttle.release()

    def judge(self, response: requests.Response, body: bytes, *hide: str) -> ErrorResolution:
        """Tell what an answer means.

        Args:
            response: The answer.
            body: Its body.
            hide: What must not stand in the reason, beside secrets and filters.
        """
        return judge(
            response.status_code,
            response.headers,
            body,
            now=self.tap.clock.now(),
            hide=[*self.tap.tokens.secrets, *self.tap.settings.filters.values(), *hide],
        )

    def react(self, verdict: ErrorResolution, times: int, tries: int = _TRIES) -> None:
        """Do what a verdict asks for, so that the request can be sent again.

        Args:
            verdict: What the last answer meant.
            times: How many answers meant the same.
            tries: How often a request without a usable answer is sent.

        Raises:
            RateLimitLockoutError: If the server is locked for too long.
            InvalidParameterError: If the server refuses a value that was asked for.
            RetriesExhaustedError: If no answer is usable.
            ZohoVoiceError: If anything else forbids to go on.
        """
        reason = f"Zoho Voice: {verdict.reason}"
        match verdict.outcome:
            case ResponseAction.WAIT:
                wait = verdict.wait
                wait = float(self.tap.settings.lock_seconds) if wait is None else wait
                if wait <= _LONGEST_WAIT:
                    self.throttle.close(wait, f"{reason}: the API is locked")
                if times > _LOCKS or wait > _LONGEST_WAIT:
                    message = f"{reason}: the lock lasts too long; run again later"
                    raise RateLimitLockoutError(message, brief=verdict.brief)
            case ResponseAction.RENEW:
                if times > 1 or not self.tap.tokens.drop():
                    message = f"{reason}: a new access token is refused too; check data_center"
                    raise ZohoVoiceError(message, brief=verdict.brief)
                _LOGGER.info("%s; fetching a new access token", reason)
            case ResponseAction.RETRY:
                if times >= tries:
                    message = f"{reason}; asked {times} times" if times > 1 else reason
                    raise RetriesExhaustedError(
                        message, brief=verdict.brief, is_outage=verdict.is_outage
                    )
                self.throttle.pause(max(2.0 ** (times - 1), min(verdict.wait or 0, 600)), reason)
            case ResponseAction.REFUSED:
                raise InvalidParameterError(
                    reason, blames=verdict.blames, is_value=verdict.is_value, brief=verdict.brief
                )
            case _:
                raise ZohoVoiceError(reason, brief=verdict.brief)
