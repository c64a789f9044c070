"""Exceptions of the tap, derived from those of the SDK where they end a sync or a request."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from singer_sdk.exceptions import ConfigValidationError, FatalAPIError, RetriableAPIError


@dataclass(eq=False, repr=False)
class ZohoVoiceError(FatalAPIError):
    """Ends the sync; the text is one line that says what to do."""

    text: str = ""
    _: KW_ONLY
    summary: str = ""  # text of a single response, without advice; empty if there was none
    is_unreachable: bool = False  # whether no service responded
    may_be_token: bool = False  # whether an invalid access token may be the reason


@dataclass(eq=False, repr=False, kw_only=True)
class MissingScopeError(ZohoVoiceError):
    """The refresh token lacks the scope that a request needs."""

    scope: str = ""  # empty if several are missing


class RetriesExhaustedError(ZohoVoiceError):
    """No attempt got a usable response."""


class RateLimitLockoutError(ZohoVoiceError):
    """The API is locked for longer, or more often, than the tap waits."""


class RateLimitStoreError(ZohoVoiceError):
    """The store that the setting `rate_limit_store` names cannot be reached."""


@dataclass(eq=False, repr=False, kw_only=True)
class InvalidParameterError(ZohoVoiceError):
    """The API rejects a value of the request: a page size, an offset, dates."""

    rejected_param: str = ""  # `size` or `dates`, where the response names it
    is_invalid_value: bool = False  # whether the response says so, as `ZVT015` does


class OAuthError(ZohoVoiceError):
    """Zoho Accounts responds with an OAuth error."""


class StorageError(ZohoVoiceError):
    """`recordings_path` cannot be read or written."""


class InvalidInputError(ConfigValidationError):
    """Settings, catalog or state are invalid; one plain line for each error."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines), errors=list(lines))


@dataclass(eq=False, repr=False)
class RetryableError(RetriableAPIError):
    """A failed attempt that a retry may fix."""

    text: str
    _: KW_ONLY
    summary: str = ""  # what happened, without advice
    is_unreachable: bool = False  # whether there was no response, or an incomplete one
    may_be_token: bool = False  # whether an invalid access token may be the reason
    wait: float | None = None  # seconds to wait, if the response states them

    def __post_init__(self) -> None:
        """Use the text where no summary is given."""
        self.summary = self.summary or self.text


@dataclass(eq=False, repr=False, kw_only=True)
class RateLimitedError(RetryableError):
    """The API is locked, because of too many requests."""

    is_uncertain: bool = False  # whether the request itself may be rejected instead


class TokenRejectedError(RetryableError):
    """The API rejects the access token."""


@dataclass(eq=False, repr=False, kw_only=True)
class AmbiguousResponseError(RetryableError):
    """A successful response without content, which may also be a fault."""

    body: dict[str, Any] = field(default_factory=dict)


class UnexpectedResponseError(RetryableError):
    """A successful response with an unexpected body."""


@dataclass(eq=False, repr=False)
class WindowTooLargeError(Exception):
    """A window has more rows than can be paged through."""

    total: int | None  # number of its rows; None if that is not known


class CastError(ValueError):
    """A value does not match the type of its field."""


class InvalidRecordError(ValueError):
    """A row without a key or a readable start."""


@dataclass(eq=False, repr=False)
class ShutdownRequested(BaseException):
    """The tap was stopped by a signal."""

    signum: int
    on_shutdown: Callable[[], None]  # writes what must still be emitted
