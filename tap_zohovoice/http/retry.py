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
    ZohoVoiceError,
)
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter

_T = TypeVar("_T")
_LOGGER = logging.getLogger("tap-zohovoice.client")
MAX_ATTEMPTS = 6  # of a request without a usable response
SIZE_ATTEMPTS = 2  # with a page size that may be the cause, before a smaller one is tried
TRIAL_LIMITS = {"max_attempts": 2, "max_unreachable": 1}
"""Limits of a request that is expected to fail; see `RetryPolicy.call`."""
FAIL_FAST_AFTER = 3  # consecutive items without a usable response; then each gets one attempt
LASTING_OUTAGE = 10  # consecutive items without a response; the bookmark stays before them
MAX_LOCKOUTS = 3  # consecutive lockouts to wait for
MAX_WAIT = 6 * 3600.0  # seconds; a longer lockout ends the run
_FAULTS_BEFORE_RENEWAL = 3
"""Consecutive responses without JSON, or with a fault, after which a new token is tried."""
_FAILURES_OF_LOCKOUT = 2
"""Failed requests after a new token failed too, after which a lockout is assumed."""
_MAX_RETRY_WAIT, _SHORT_WAIT = 600.0, 60.0  # seconds
_TOO_LONG = "the lockout lasts too long; run again later"
_IMMEDIATE = (RateLimitedError, TokenRejectedError, AmbiguousResponseError)
"""Retried at once; after a lockout, the limiter makes the request wait."""


@dataclass(eq=False, repr=False)
class RetryPolicy:
    """Sends a request again as long as that may help.

    A lockout is not a failed attempt: it locks the limiter, where the next attempt waits.
    A rejected access token is renewed once: `invalidate_token` returns whether that is possible.
    After a success, a failure with an unknown text may have either cause. The token is renewed
    first; if all other requests fail too, the API may be locked.
    """

    limiter: SlidingWindowLimiter
    invalidate_token: Callable[[], bool]
    lock_seconds: float
    failures_before_renewal: int = 1
    """Consecutive failures after a success; the last one is retried with a new access token."""
    _has_passed = False  # whether any request succeeded
    _failures = 0  # consecutive failures that may be due to the access token
    _is_renewed = False  # whether the last failure is retried with a new token
    _useless: set[type] = field(default_factory=set, init=False)  # errors a new token cannot fix
    _words = ""  # of the last failure
    _no_lockouts: set[str] = field(default_factory=set, init=False)
    """Texts of failures that a wait did not end, or that ended without a wait."""
    _may_narrow = True  # a smaller request may show that an error is no lockout

    def call(
        self,
        func: Callable[[], _T],
        *,
        max_attempts: int = MAX_ATTEMPTS,  # without a usable response
        max_unreachable: int = MAX_ATTEMPTS,  # attempts without a complete response; 1 in a trial
        max_lockouts: int = MAX_LOCKOUTS,  # consecutive ones to wait for
        earlier_attempts: int = 0,  # of an earlier request, which count too
    ) -> _T:
        """Call a function, which sends the request once, until it returns.

        Raises:
            RateLimitLockoutError: If the API stays locked.
            InvalidParameterError: If the request may be rejected, rather than the API locked.
            RetriesExhaustedError: If no attempt got a usable response.
            ZohoVoiceError: If a new access token is rejected too, or `func` raises one.
        """
        limits: dict[type, int] = {RateLimitedError: max_lockouts + 1, TokenRejectedError: 2}
        failures: Counter[type] = Counter({RetryableError: earlier_attempts})
        waited_for: set[str] = set()

        def is_retried(error: BaseException) -> bool:
            if not isinstance(error, RetryableError):
                return False
            kind = type(error) if type(error) in limits else RetryableError
            failures[kind] += 1
            if isinstance(error, RateLimitedError):
                self._lock(error, is_repeated=failures[kind] > 1)
                waited_for.add(_words_of(error))
            most = min(max_attempts, max_unreachable) if error.is_unreachable else max_attempts
            if failures[kind] >= limits.get(kind, most):
                return False
            return not isinstance(error, TokenRejectedError) or self._renew_token(error)

        def wait(state: tenacity.RetryCallState) -> None:
            error = state.outcome and state.outcome.exception()
            if isinstance(error, RetryableError) and not isinstance(error, _IMMEDIATE):
                longer = min(error.wait or 0.0, _MAX_RETRY_WAIT)
                self.limiter.wait(max(2.0 ** failures[RetryableError], longer), str(error))

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_retried), before_sleep=wait
        )
        try:
            # The failure of a trial says nothing.
            result = retrying(func if max_unreachable == 1 else lambda: self._attempt(func))
        except RetryableError as error:
            raise _final_error(error, failures[RetryableError]) from error
        self._observe_success()
        self._no_lockouts -= waited_for
        return result

    def _attempt(self, func: Callable[[], _T]) -> _T:
        try:
            return func()
        except (ZohoVoiceError, RetryableError) as error:
            if error.may_be_token and (other := self._find_other_reason(error)):
                raise other from error
            raise

    def _find_other_reason(self, error: ZohoVoiceError | RetryableError) -> RetryableError | None:
        """Return another cause that a failure after a success may have, for any error text."""
        is_refused = isinstance(error, ZohoVoiceError)
        first = max(self.failures_before_renewal, 1 if is_refused else _FAULTS_BEFORE_RENEWAL)
        self._failures, self._is_renewed = self._failures + 1, False
        self._words, kind = _words_of(error), type(error)
        if not self._has_passed:
            return None
        if self._failures == first and kind not in self._useless:
            self._useless.add(kind)  # unless the next response is a success
            self._is_renewed = True
            return TokenRejectedError(str(error), summary=error.summary)
        is_enough = self._failures >= first + _FAILURES_OF_LOCKOUT
        if is_refused and is_enough and self._words not in self._no_lockouts:
            return RateLimitedError(str(error), summary=error.summary, is_uncertain=True)
        return None

    def _observe_success(self) -> None:
        if self._is_renewed:
            self._useless.clear()
        elif self._failures:  # a request succeeds without a new token
            self._no_lockouts.add(self._words)
        self._failures, self._is_renewed = 0, False
        self._has_passed = self._may_narrow = True

    def _renew_token(self, error: TokenRejectedError) -> bool:
        if not self.invalidate_token():
            return False
        _LOGGER.info("%s; requesting a new access token", error)
        return True

    def _lock(self, error: RateLimitedError, *, is_repeated: bool) -> None:
        """Lock the limiter, for other runs too, and do not wait here: see `RetryPolicy`."""
        words = _words_of(error)
        if error.is_uncertain and words in self._no_lockouts and self._may_narrow:
            self._may_narrow = False  # if a smaller request fails too, it is a lockout
            if "," not in words:  # without code and message, the next one may be a lockout
                self._no_lockouts.remove(words)
            raise InvalidParameterError(
                str(error), is_invalid_value=True, summary=error.summary
            ) from error
        self._no_lockouts.add(words)  # unless the request succeeds after the wait
        wait = self.lock_seconds if error.wait is None else error.wait
        # If the wait that the server asked for does not end a lockout, its length is not known.
        wait = max(wait, self.lock_seconds) if is_repeated and wait < _SHORT_WAIT else wait
        if wait > MAX_WAIT:
            message = f"{error}: {_TOO_LONG}"
            raise RateLimitLockoutError(message) from error  # without a summary: it concerns others
        self.limiter.lock_for(wait, f"{error}: the API is locked")


@dataclass
class ItemFailures:
    """Outcomes of the last requests for items, such as files."""

    unusable = 0  # consecutive requests without a usable response
    lockouts = 0  # consecutive requests that ended in a lockout
    outages = 0  # consecutive requests that no service responded to, up to `LASTING_OUTAGE`

    @property
    def attempts(self) -> int:
        """Maximum attempts for the next item."""
        return 3 if self.unusable < FAIL_FAST_AFTER else 1

    def observe(self, error: ZohoVoiceError | None, *, is_single: bool = True) -> None:
        """Observe the error of a request, if any; one for several items does not count."""
        is_lockout = isinstance(error, RateLimitLockoutError)
        self.lockouts = self.lockouts + 1 if is_lockout else 0
        is_outage = is_lockout or bool(error and error.is_unreachable)
        if is_single and self.outages < LASTING_OUTAGE:
            self.outages = self.outages + 1 if is_outage else 0
        if error is None:
            self.unusable = 0
        elif is_single:
            self.unusable += isinstance(error, RetriesExhaustedError)

    def concerns_others(self, error: ZohoVoiceError) -> bool:
        """Return whether the error of the last request would be that of other items too.

        One response that looks like a lockout may be about its item; two in a row are not.
        """
        return not error.summary or self.lockouts > 1


def _words_of(error: ZohoVoiceError | RetryableError) -> str:
    return re.sub(r"(?<!HTTP )\b\d+", "", error.summary)  # such as offsets, but not the status


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
