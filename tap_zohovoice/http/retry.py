"""Retry policy: which requests are sent again, when, and how often."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import tenacity

from tap_zohovoice.exceptions import (
    AmbiguousResponseError,
    InvalidParameterError,
    RateLimitedError,
    RateLimitLockoutError,
    RetriesExhaustedError,
    RetryableError,
    TokenRejectedError,
    UnexpectedResponseError,
    ZohoVoiceError,
)
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter

_T = TypeVar("_T")
_LOGGER = logging.getLogger("tap-zohovoice.client")
MAX_ATTEMPTS = 6
"""Attempts of a request without a usable response."""
SIZE_ATTEMPTS = 2
"""Attempts of a page size that may be the reason, before a smaller one is tried."""
TRIAL_LIMITS = {"max_attempts": 2, "max_incomplete": 1}
"""Limits of a request that is expected to fail; see `RetryPolicy.call`."""
FAIL_FAST_AFTER = 3
"""Items in a row without a usable response, after which each gets one attempt."""
MAX_LOCKOUTS = 3
"""Lockouts in a row that are waited out."""
MAX_WAIT = 6 * 3600.0
"""Seconds; the tap waits for no longer lockout."""
_MAX_RETRY_WAIT, _SHORT_WAIT = 600.0, 60.0  # seconds
_TOO_LONG = "the lockout lasts too long; run again later"
_IMMEDIATE = (RateLimitedError, TokenRejectedError, AmbiguousResponseError)
"""Sent again without a wait here; after a lockout, the limiter lets the request wait."""


@dataclass(eq=False, repr=False)
class RetryPolicy:
    """Sends a request again as long as that may help.

    A lockout is no failed attempt: it closes the limiter, where the next attempt waits for a slot.
    A rejected access token is renewed once: `invalidate_token` returns whether that is possible.
    """

    limiter: SlidingWindowLimiter
    invalidate_token: Callable[[], bool]
    lock_seconds: float
    _may_narrow = True  # a smaller request may show that an error is no lockout
    _suspect = ""  # words of the last error that may be no lockout
    _refusals: set[str] = field(default_factory=set, init=False)  # words of those that were none

    def call(
        self,
        func: Callable[[], _T],
        *,
        max_attempts: int = MAX_ATTEMPTS,
        max_lockouts: int = MAX_LOCKOUTS,
        max_incomplete: int = MAX_ATTEMPTS,
        earlier_attempts: int = 0,
    ) -> _T:
        """Call a function, which sends the request once, until it returns.

        Args:
            func: The function.
            max_attempts: Attempts without a usable response.
            max_lockouts: Lockouts in a row that are waited out.
            max_incomplete: Those attempts that got no response, or not a whole one.
            earlier_attempts: Attempts of another request that count too.

        Raises:
            RateLimitLockoutError: If the API stays locked.
            InvalidParameterError: If the request may be rejected, rather than the API locked.
            RetriesExhaustedError: If no attempt got a usable response.
            ZohoVoiceError: If a new access token is rejected too, or `func` raises one.
        """
        limits: dict[type[RetryableError], int] = {
            RateLimitedError: max_lockouts + 1,
            TokenRejectedError: 2,
        }
        failures: Counter[type[RetryableError]] = Counter({RetryableError: earlier_attempts})

        def wait(state: tenacity.RetryCallState) -> float:  # runs before `stop`
            error = _error_of(state)
            if isinstance(error, _IMMEDIATE):
                return 0.0
            longer = min(error.wait or 0.0, _MAX_RETRY_WAIT)
            return max(2.0 ** (failures[RetryableError] + 1), longer)

        def stop(state: tenacity.RetryCallState) -> bool:
            error = _error_of(state)
            kind = RetryableError if isinstance(error, UnexpectedResponseError) else type(error)
            failures[kind] += 1
            if isinstance(error, RateLimitedError):
                words = re.sub(r"\d+", "", error.summary)
                is_second = failures[kind] > 1 or words in self._refusals
                if error.is_uncertain and is_second and self._may_narrow:
                    self._may_narrow = False  # if a smaller request fails too, it is a lockout
                    self._suspect = words
                    raise InvalidParameterError(
                        str(error), is_invalid_value=True, summary=error.summary
                    ) from error
                self._lock(error, is_repeated=failures[kind] > 1)
            most = min(max_attempts, max_incomplete) if error.is_unreachable else max_attempts
            if failures[kind] >= limits.get(kind, most):
                return True
            return isinstance(error, TokenRejectedError) and not self._renew_token(error)

        def give_up(state: tenacity.RetryCallState) -> _T:
            error = _error_of(state)
            raise _final_error(error, failures[RetryableError]) from error

        result = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RetryableError),
            wait=wait,
            stop=stop,
            before_sleep=lambda state: self._wait(state.upcoming_sleep, _error_of(state)),
            sleep=lambda _: None,  # `before_sleep` knows the reason
            retry_error_callback=give_up,
        )(func)
        # The smaller request succeeded, so it was no lockout; without code and message, it may be.
        if not self._may_narrow and "," in self._suspect:
            self._refusals.add(self._suspect)
        self._may_narrow = True
        return result

    def _wait(self, seconds: float, error: RetryableError) -> None:
        if seconds:
            self.limiter.wait(seconds, str(error))

    def _renew_token(self, error: TokenRejectedError) -> bool:
        if not self.invalidate_token():
            return False
        _LOGGER.info("%s; requesting a new access token", error)
        return True

    def _lock(self, error: RateLimitedError, *, is_repeated: bool) -> None:
        """Close the limiter, for other runs too, and do not wait here: see `RetryPolicy`."""
        wait = self.lock_seconds if error.wait is None else error.wait
        # If a short wait that was named does not end a lockout, its length is not known.
        wait = max(wait, self.lock_seconds) if is_repeated and wait < _SHORT_WAIT else wait
        if wait > MAX_WAIT:
            message = f"{error}: {_TOO_LONG}"
            raise RateLimitLockoutError(message) from error  # without a summary: it concerns others
        self.limiter.lock_for(wait, f"{error}: the API is locked")


@dataclass
class ItemFailures:
    """What the last requests for items, such as files, ended with."""

    unusable = 0  # those in a row without a usable response
    lockouts = 0  # those in a row that ended in a lockout

    @property
    def attempts(self) -> int:
        """How often to request the next item."""
        return 3 if self.unusable < FAIL_FAST_AFTER else 1

    def observe(self, error: ZohoVoiceError | None, *, is_single: bool = True) -> None:
        """Observe the error of a request, if any; one for several items counts for none of them."""
        self.lockouts = self.lockouts + 1 if isinstance(error, RateLimitLockoutError) else 0
        if error is None:
            self.unusable = 0
        elif is_single:
            self.unusable += isinstance(error, RetriesExhaustedError)

    def concerns_others(self, error: ZohoVoiceError) -> bool:
        """Return whether the error of the last request would be that of other items too.

        One response that looks like a lockout may be about its item; two in a row are not.
        """
        return not error.summary or self.lockouts > 1


def _error_of(state: tenacity.RetryCallState) -> RetryableError:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, RetryableError) else RetryableError("")


def _final_error(error: RetryableError, attempts: int) -> ZohoVoiceError:
    cause = error.__cause__
    if isinstance(cause, ZohoVoiceError):  # neither a new token nor a wait helped
        return cause
    if isinstance(error, TokenRejectedError) and isinstance(cause, RetryableError):
        error = cause
    if isinstance(error, RateLimitedError):
        return RateLimitLockoutError(f"{error}: {_TOO_LONG}", summary=error.summary)
    if isinstance(error, TokenRejectedError):
        message = f"{error}: a new access token was rejected too; check data_center"
        return ZohoVoiceError(message, summary=error.summary)
    message = f"{error}; gave up after {attempts} attempts" if attempts > 1 else str(error)
    return RetriesExhaustedError(
        message, summary=error.summary, is_unreachable=error.is_unreachable
    )
