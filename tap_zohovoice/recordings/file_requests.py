"""Requests for files: one name or several, with the parameters that the server accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

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
from tap_zohovoice.recordings.writer import truncated, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_zohovoice.http.client import ApiClient

_T = TypeVar("_T")
MAX_LOCKOUTS_PER_REQUEST = 1
"""A second one may be a text in the response to this request only."""


@dataclass(eq=False, repr=False)
class FileRequests:
    """Sends requests for files, and remembers what the last responses were like."""

    api: ApiClient
    is_mode_accepted = False
    """Whether a request succeeded, so that no later failure is the fault of `mode`."""
    _mode = "play"  # live servers and the documentation disagree about its values
    _lockouts = _lockouts_in_a_row = 0

    def send(
        self,
        names: Sequence[str],
        handle: Callable[[requests.Response], _T],
        *,
        max_attempts: int,
    ) -> _T:
        """Request files, and return what `handle` returns for the response, whose body it reads.

        Raises:
            ZohoVoiceError: If there is no usable response.
        """
        self._lockouts = 0
        params = {"recording_filename": ",".join(names), "mode": self._mode}

        def request() -> _T:
            return self.api.get(
                {name: value for name, value in params.items() if value},
                lambda response: self._count_lockouts(handle, response),
                stream=True,
                max_attempts=max_attempts,
                max_lockouts=MAX_LOCKOUTS_PER_REQUEST,
            )

        try:
            result = request()
        except InvalidParameterError:
            if self.is_mode_accepted or not self._mode:
                raise
            params["mode"] = ""
            result = request()
        self._mode, self.is_mode_accepted = params["mode"], True
        return result

    def _count_lockouts(
        self, handle: Callable[[requests.Response], _T], response: requests.Response
    ) -> _T:
        lockouts, self._lockouts_in_a_row = self._lockouts_in_a_row, 0
        try:
            return handle(response)
        except RateLimitedError:
            self._lockouts += 1
            self._lockouts_in_a_row = lockouts + 1
            raise
        except requests.RequestException as error:
            reason = "the file is incomplete"
            raise truncated(reason) from error

    @property
    def is_url_locked(self) -> bool:
        """Whether the lockout of the last request concerns more than that request."""
        is_repeated = self._lockouts > MAX_LOCKOUTS_PER_REQUEST  # else it is too long to wait
        return not is_repeated or self._lockouts_in_a_row > MAX_LOCKOUTS

    def unexpected_content(
        self, names: Sequence[str], response: requests.Response, body: bytes
    ) -> ZohoVoiceError:
        """Return an error for a response without audio, or raise the one that it states."""
        try:
            self.api.classify(response, body, redact=names)
        except (RateLimitedError, TokenRejectedError):
            raise
        except AmbiguousResponseError:
            pass
        except RetryableError:
            is_page = response.ok and body.lstrip()[:1] not in {b"{", b"["}
            if not is_page:  # which would be the same again
                raise
        return unusable(f"HTTP {response.status_code}, no audio in the response")
