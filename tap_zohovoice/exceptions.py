"""Exceptions of the tap, derived from those of the SDK where they end a sync or a request."""

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass

from singer_sdk.exceptions import ConfigValidationError, FatalAPIError, RetriableAPIError


@dataclass(eq=False, repr=False)
class RequestError(Exception):
    """What is known of a failed request."""

    text: str = ""  # one line that says what to do
    _: KW_ONLY
    summary: str = ""  # what failed, without advice; empty if it concerns all requests
    is_unreachable: bool = False  # whether there was no response, or an incomplete one
    wait: float | None = None  # seconds to wait, if the response states them
    is_uncertain: bool = False  # whether the reason may be another one, such as a lockout
    rejected: str = ""  # the value that is invalid: `size`, `dates`, or `other` if it is not named
    scope: str = ""  # that is missing; empty if there are several

    @property
    def concerns_all(self) -> bool:
        """Whether all requests fail: there is no access token, or the API stays locked."""
        return not self.summary


class ZohoVoiceError(RequestError, FatalAPIError):
    """Ends the sync."""


class UnsupportedRequestError(ZohoVoiceError):
    """The API rejects all requests of a kind: their URL, a parameter, or the scope of the token."""


class MissingScopeError(UnsupportedRequestError):
    """The refresh token lacks the scope that a request needs."""


class RequestFailedError(ZohoVoiceError):
    """A request failed; one for fewer rows or days may succeed."""


class RetriesExhaustedError(RequestFailedError):
    """No attempt got a usable response."""


class RateLimitLockoutError(ZohoVoiceError):
    """The API is locked for longer, or more often, than the tap waits."""


class InvalidParameterError(RequestFailedError):
    """The API rejects a value of the request: a page size, an offset, dates."""


class StorageError(ZohoVoiceError):
    """A file or folder, such as `recordings_path`, cannot be read or written."""


class InvalidInputError(ConfigValidationError):
    """Settings, catalog or state are invalid; one plain line for each error."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines), errors=list(lines))


class MissingCallsError(ZohoVoiceError):
    """Calls that were received before are not returned for their days."""


class RetryableError(RequestError, RetriableAPIError):
    """A failed attempt that a retry may fix."""


class RateLimitedError(RetryableError):
    """The API is locked, because of too many requests."""


class TokenRejectedError(RetryableError):
    """The API rejects the access token."""


class UnexpectedResponseError(RetryableError):
    """A successful response with an unexpected body, for a reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, summary=f"unexpected response: {reason}")
        self.args = (f"Zoho Voice: {self.summary}",)


@dataclass(eq=False, repr=False)
class WindowTooLargeError(Exception):
    """A window has more rows than can be paged through."""

    total: int | None  # number of its rows; None if that is not known
    days: int = 0  # to request instead; 0 if any number is as good


class CastError(ValueError):
    """A value does not match the type of its field."""


class InvalidRecordError(ValueError):
    """A row that cannot be converted to a record, since it lacks its key, for example."""


@dataclass(eq=False, repr=False)
class ShutdownRequested(BaseException):
    """The tap was stopped by a signal."""

    signum: int
    on_shutdown: Callable[[str], None]  # writes what must still be emitted


def iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Iterate from an error to those it wraps: its `reason`, an argument, or by chaining."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current and current not in seen:
        seen.append(current)
        yield current
        wrapped = (getattr(current, "reason", None), *current.args)
        causes = (*wrapped, current.__cause__, current.__context__)
        current = next((cause for cause in causes if isinstance(cause, BaseException)), None)
