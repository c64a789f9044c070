"""Exceptions of the tap: one tree below those of the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import ConfigValidationError, FatalAPIError, RetriableAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ZohoVoiceError(FatalAPIError):
    """Ends the sync; the text is one plain line that says what to do.

    Attributes:
        summary: What a single response said, without advice; empty if there was none.
        is_unreachable: Whether no service responded.
    """

    def __init__(self, text: str = "", *, summary: str = "", is_unreachable: bool = False) -> None:
        super().__init__(text)
        self.summary = summary
        self.is_unreachable = is_unreachable


class MissingScopeError(ZohoVoiceError):
    """The refresh token lacks the scope that a request needs.

    Attributes:
        scope: The scope; empty if several are missing.
    """

    def __init__(self, text: str, *, summary: str = "", scope: str = "") -> None:
        super().__init__(text, summary=summary)
        self.scope = scope


class RetriesExhaustedError(ZohoVoiceError):
    """No attempt got a usable response."""


class RateLimitLockoutError(ZohoVoiceError):
    """The API is locked for longer, or more often, than the tap waits."""


class RateLimitStoreError(ZohoVoiceError):
    """The store that the setting `rate_limit_store` names cannot be reached."""


class InvalidParameterError(ZohoVoiceError):
    """The API rejects a value of the request: a page size, an offset, dates.

    Attributes:
        rejected_param: `size` or `dates` where the response names what it rejects, else empty.
        is_invalid_value: Whether the response says that a value is invalid (`ZVT015`).
    """

    def __init__(
        self,
        text: str,
        *,
        rejected_param: str = "",
        is_invalid_value: bool = False,
        summary: str = "",
    ) -> None:
        super().__init__(text, summary=summary)
        self.rejected_param = rejected_param
        self.is_invalid_value = is_invalid_value


class OAuthError(ZohoVoiceError):
    """Zoho Accounts responds with an OAuth error.

    Attributes:
        error: The error code, in lower case.
        response: The JSON object of the response.
    """

    def __init__(self, text: str, error: str, response: Mapping[str, Any]) -> None:
        super().__init__(text)
        self.error = error
        self.response = response


class InvalidInputError(ConfigValidationError):
    """Settings, catalog or state are invalid; one plain line for each error."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines), errors=list(lines))


class StorageError(ZohoVoiceError):
    """`recordings_path` cannot be read or written."""


class StreamMapError(ZohoVoiceError):
    """An expression of a stream map fails for a record."""


class RetryableError(RetriableAPIError):
    """A failed attempt that a retry may fix.

    Attributes:
        summary: What happened, without advice.
        is_unreachable: Whether no service responded, or not with a whole body.
        wait: Seconds that the response asks to wait; None if it does not say.
    """

    def __init__(
        self,
        text: str,
        *,
        summary: str = "",
        is_unreachable: bool = False,
        wait: float | None = None,
    ) -> None:
        super().__init__(text)
        self.summary = summary or text
        self.is_unreachable = is_unreachable
        self.wait = wait


class RateLimitedError(RetryableError):
    """The API is locked, because of too many requests.

    Attributes:
        is_uncertain: Whether the text may also mean that the request itself is rejected.
    """

    def __init__(
        self, text: str, *, summary: str = "", wait: float | None = None, is_uncertain: bool = False
    ) -> None:
        super().__init__(text, summary=summary, wait=wait)
        self.is_uncertain = is_uncertain


class TokenRejectedError(RetryableError):
    """The API rejects the access token."""


class AmbiguousResponseError(RetryableError):
    """A successful response without content, which may also be a fault."""


class UnexpectedResponseError(RetryableError):
    """A successful response with an unexpected body."""


class ArchiveError(Exception):
    """An archive, or an entry of it, that is not usable."""


class WindowTooLargeError(Exception):
    """A window holds more rows than can be paged through.

    Attributes:
        total: How many it holds; None if that is not known.
    """

    def __init__(self, total: int | None) -> None:
        super().__init__(total)
        self.total = total


class CastError(ValueError):
    """A value does not fit the type of its field."""


class InvalidRecordError(ValueError):
    """A row without a key or a readable start."""


class ShutdownRequested(BaseException):
    """A signal asked the tap to stop.

    Attributes:
        signum: The signal.
        on_shutdown: Writes what must still be emitted.
    """

    def __init__(self, signum: int, on_shutdown: Callable[[], None]) -> None:
        super().__init__(signum)
        self.signum = signum
        self.on_shutdown = on_shutdown
