"""Requests for files: one name or several, with the parameters that the server accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import requests

from tap_zohovoice.exceptions import (
    AmbiguousResponseError,
    InvalidParameterError,
    RateLimitedError,
    RetryableError,
    TokenRejectedError,
    ZohoVoiceError,
)
from tap_zohovoice.http.retry import MAX_LOCKOUTS
from tap_zohovoice.recordings.writer import truncated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_zohovoice.http.client import ApiClient

_T = TypeVar("_T")
MAX_LOCKOUTS_PER_REQUEST = 1
"""A second one may be a text in the response to this request only."""


class FileRequest(Protocol):
    """What is requested, and how many of its responses looked like a lockout."""

    lockouts: int

    @property
    def names(self) -> list[str]:
        """The names that are requested."""


class FileRequests:
    """Sends requests for files.

    Args:
        api: Client of the URL of the files.

    Attributes:
        is_mode_accepted: Whether a request succeeded, so that the next failure is not the fault of
            the parameter `mode`.
    """

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.is_mode_accepted = False
        # Live servers and the documentation disagree about its values.
        self._mode = "play"
        self._lockouts_in_a_row = 0

    def send(
        self, request: FileRequest, handle: Callable[[requests.Response], _T], *, max_attempts: int
    ) -> _T:
        """Send a request, and return what `handle` returns for the response.

        Args:
            request: The request.
            handle: Reads the body; may raise `RetryableError`.
            max_attempts: Attempts without a usable response.

        Raises:
            ZohoVoiceError: If there is no usable response.
        """
        try:
            result = self._send_with_mode(request, handle, self._mode, max_attempts)
        except InvalidParameterError:
            if self.is_mode_accepted or not self._mode:
                raise
            result = self._send_with_mode(request, handle, "", max_attempts)
            self._mode = ""
        self.is_mode_accepted = True
        return result

    def _send_with_mode(
        self,
        request: FileRequest,
        handle: Callable[[requests.Response], _T],
        mode: str,
        max_attempts: int,
    ) -> _T:
        params = {"recording_filename": ",".join(request.names), **({"mode": mode} if mode else {})}
        return self.api.get(
            params,
            lambda response: self._count_lockouts(request, handle, response),
            stream=True,
            max_attempts=max_attempts,
            max_lockouts=MAX_LOCKOUTS_PER_REQUEST,
        )

    def _count_lockouts(
        self,
        request: FileRequest,
        handle: Callable[[requests.Response], _T],
        response: requests.Response,
    ) -> _T:
        lockouts, self._lockouts_in_a_row = self._lockouts_in_a_row, 0
        try:
            return handle(response)
        except RateLimitedError:
            request.lockouts += 1
            self._lockouts_in_a_row = lockouts + 1
            raise
        except requests.RequestException as error:
            reason = "the file is incomplete"
            raise truncated(reason) from error

    def is_url_locked(self, request: FileRequest) -> bool:
        """Return whether a lockout concerns more than a single request."""
        is_repeated = request.lockouts > MAX_LOCKOUTS_PER_REQUEST  # else it is too long to wait
        return not is_repeated or self._lockouts_in_a_row > MAX_LOCKOUTS

    def unexpected_content(
        self, request: FileRequest, response: requests.Response, body: bytes
    ) -> ZohoVoiceError:
        """Return an error for a response without audio, or raise the one that it states."""
        try:
            self.api.classify(response, body, redact=request.names)
        except (RateLimitedError, TokenRejectedError):
            raise
        except AmbiguousResponseError:
            pass
        except RetryableError:
            is_page = response.ok and body.lstrip()[:1] not in {b"{", b"["}
            if not is_page:  # which would be the same again
                raise
        summary = f"HTTP {response.status_code}, no audio in the response"
        return ZohoVoiceError(f"Zoho Voice: {summary}", summary=summary)
