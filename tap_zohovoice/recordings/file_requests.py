"""Requests for files: one name or several, with the parameters that the server accepts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import requests

from tap_zohovoice.exceptions import (
    AmbiguousResponseError,
    InvalidParameterError,
    RateLimitedError,
    RateLimitLockoutError,
    RetriesExhaustedError,
    RetryableError,
    TokenRejectedError,
    ZohoVoiceError,
)
from tap_zohovoice.http.client import ApiClient
from tap_zohovoice.http.retry import item_attempts
from tap_zohovoice.recordings.writer import read_head, truncated, unusable

_T = TypeVar("_T")
_MAX_ATTEMPTS = 2
"""Attempts of a request for several files."""


@dataclass(eq=False, repr=False)
class FileRequests:
    """Sends requests for files, and remembers what the last responses were like."""

    api: ApiClient
    is_mode_accepted = False
    """Whether a request succeeded, so that no later failure is the fault of `mode`."""
    failures_in_a_row = 0
    """Requests for one file without a usable response."""
    _mode = "play"  # live servers and the documentation disagree about its values
    _lockouts_in_a_row = 0

    def send(
        self,
        names: Sequence[str],
        handle: Callable[[requests.Response, bytes, Iterator[bytes]], _T | None],
    ) -> _T:
        """Request files, and return what `handle` returns for a response, its head and its rest.

        `handle` returns None for a body that is not what was requested.
        """
        is_single = len(names) == 1

        def receive(response: requests.Response) -> _T:
            try:
                chunks = self.api.iter_body(response)
                head = read_head(chunks)
                is_ok = response.status_code == HTTPStatus.OK
                result = handle(response, head, chunks) if is_ok else None
                if result is None:
                    raise self._unexpected_content(names, response, head + next(chunks, b""))
            except requests.RequestException as error:
                reason = "the file is incomplete"
                raise truncated(reason) from error
            return result

        def request(mode: str) -> _T:
            params = {"recording_filename": ",".join(names), **({"mode": mode} if mode else {})}
            attempts = item_attempts(self.failures_in_a_row) if is_single else _MAX_ATTEMPTS
            lockouts, self._lockouts_in_a_row = self._lockouts_in_a_row, 0
            try:
                return self.api.get(
                    params, receive, stream=True, max_attempts=attempts, max_lockouts=1
                )
            except RateLimitLockoutError:
                self._lockouts_in_a_row = lockouts + 1
                raise
            except RetriesExhaustedError:
                self.failures_in_a_row += is_single
                raise

        try:
            result = request(self._mode)
        except InvalidParameterError:
            if self.is_mode_accepted or not self._mode:
                raise
            result, self._mode = request(""), ""
        self.is_mode_accepted, self.failures_in_a_row = True, 0
        return result

    def concerns_others(self, error: ZohoVoiceError) -> bool:
        """Return whether the error of the last request would be that of others too.

        One response that looks like a lockout may be about its files; two in a row are not.
        """
        return not error.summary or self._lockouts_in_a_row > 1

    def _unexpected_content(
        self, names: Sequence[str], response: requests.Response, body: bytes
    ) -> ZohoVoiceError:
        """Return an error for a response without files, or raise the one that it states."""
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
        expected = "audio" if len(names) == 1 else "archive"
        return unusable(f"HTTP {response.status_code}, no {expected} in the response")
