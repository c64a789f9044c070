"""Retry policy: which requests are sent again, when, and how often."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import tenacity

from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RateLimitedError,
    RateLimitLockoutError,
    RequestError,
    RetriesExhaustedError,
    RetryableError,
    TokenRejectedError,
    UnsupportedRequestError,
    ZohoVoiceError,
)
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter

_T = TypeVar("_T")
_LOGGER = logging.getLogger("tap-zohovoice.client")
FAIL_FAST_AFTER = 3  # consecutive items without a usable response; then each gets one attempt
LASTING_OUTAGE = 10  # consecutive items without a response; the bookmark stays before them
MAX_WAIT = 6 * 3600.0  # seconds; a longer lockout ends the run
_FAULTS_BEFORE_RENEWAL = 3
_MAX_FAULT_WAIT, _TOKEN_WAIT = 600.0, 30.0  # seconds; Zoho may not know its own new token yet
_TOO_LONG = "the lockout lasts too long; run again later"


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """When a request that failed is not sent again."""

    attempts: int = 6  # without a usable response
    lockouts: int = 3  # consecutive ones to wait for
    is_trial: bool = False  # whether it may fail, which says nothing of token and lockout


DEFAULT_LIMITS, FEW_ATTEMPTS = RetryLimits(), RetryLimits(attempts=2)
TRIAL_LIMITS = RetryLimits(attempts=2, is_trial=True)

Cause: TypeAlias = type[RequestError]
_CAUSES: tuple[Cause, ...] = (RateLimitedError, TokenRejectedError, RetryableError, ZohoVoiceError)
"""Lockout, token, a fault that may pass, or the request itself, which no retry helps."""


@dataclass(eq=False, repr=False)
class FailureCauses:
    """Finds the causes of failures; those that a response leaves uncertain, by three rules.

    1. Token: the first refusal after a success is retried with a new token. Faults mostly pass, so
       of them it is the third.
    2. Lockout: if that retry and another request are refused too, the API may be locked.
    3. Ruled out: a cause is not assumed again for the same text if its remedy did not help, and a
       lockout neither if another request succeeded at once. A response that looks like a lockout
       then rejects a value, unless the next request, with other values, gets it too.
    """

    failures_before_renewal: int = 1  # after a success; the last is retried with a new token
    _has_passed = False  # whether any request succeeded
    _uncertain: list[str] = field(default_factory=list, init=False)  # texts since a success
    _remedied: set[tuple[Cause, str]] = field(default_factory=set, init=False)
    """Causes of failures of the current request, each with the text of its failure."""
    _ruled_out: set[tuple[Cause, str]] = field(default_factory=set, init=False)

    def begin_request(self) -> None:
        """Observe that a request begins."""
        self._remedied.clear()

    def find(self, error: RequestError, *, is_trial: bool) -> Cause:
        """Return the cause of a failure; a trial is expected to fail, and no reason for a guess."""
        self._ruled_out |= self._remedied  # it failed again
        cause = stated = next(kind for kind in _CAUSES if isinstance(error, kind))
        text = re.sub(r"(?<!HTTP )\b\d+", "", error.summary)  # without offsets, but with the status
        if error.is_uncertain and stated is RateLimitedError:
            cause = ZohoVoiceError if self._is_value(text, is_trial=is_trial) else stated
        elif error.is_uncertain and not is_trial:
            cause = self._guess(stated, text)
        if cause in {RateLimitedError, TokenRejectedError}:
            self._remedied.add((cause, text))
        return cause

    def observe_success(self) -> None:
        """Observe that the request succeeded."""
        if not self._remedied:
            self._ruled_out.update((RateLimitedError, text) for text in self._uncertain)
        self._ruled_out -= self._remedied
        self._uncertain.clear()
        self._has_passed = True

    def _guess(self, stated: Cause, text: str) -> Cause:
        self._uncertain.append(text)
        count, is_refused = len(self._uncertain), stated is ZohoVoiceError
        first = max(self.failures_before_renewal, 1 if is_refused else _FAULTS_BEFORE_RENEWAL)
        guess: Cause = TokenRejectedError if count == first else stated
        if is_refused and count > first + 1:  # the retry of that one, and another request
            guess = RateLimitedError
        return guess if self._has_passed and (guess, text) not in self._ruled_out else stated

    def _is_value(self, text: str, *, is_trial: bool) -> bool:
        """Return whether a failure that looks like a lockout rejects a value."""
        is_repeated = any(cause is RateLimitedError for cause, _ in self._remedied)
        # Without code and message, the same text may stand for a lockout later.
        if (RateLimitedError, text) not in self._ruled_out or not (is_repeated or "," in text):
            return False
        if is_trial:
            return True
        if text in self._uncertain:  # other values do not help
            return False
        self._uncertain.append(text)
        return True


@dataclass(eq=False, repr=False)
class RetryPolicy:
    """Sends requests to a URL again as long as that may help, by tenacity.

    A lockout is not a failed attempt: it locks the limiter, where the next attempt waits.
    """

    limiter: SlidingWindowLimiter
    invalidate_token: Callable[[], bool]  # returns whether a new one may be requested
    lock_seconds: float
    causes: FailureCauses = field(default_factory=FailureCauses, init=False)

    def call(self, func: Callable[[], _T], limits: RetryLimits = DEFAULT_LIMITS) -> _T:
        """Call a function, which sends a request once, until it returns.

        Raises:
            RateLimitLockoutError: If the API stays locked.
            InvalidParameterError: If the request may be rejected, rather than the API locked.
            RetriesExhaustedError: If no attempt got a usable response.
            ZohoVoiceError: If a new access token is rejected too, or `func` raises one.
        """
        self._failures = Counter[Cause]()
        self._limits: dict[Cause, int] = {RetryableError: limits.attempts, TokenRejectedError: 3}
        self._limits |= {RateLimitedError: limits.lockouts + 1, ZohoVoiceError: 1}
        self._is_trial = limits.is_trial
        self.causes.begin_request()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RequestError),
            after=self._observe,
            wait=self._find_wait,
            stop=self._is_last,
            sleep=self._prepare_retry,
            reraise=True,
        )
        try:
            result = retrying(func)
        except RetryableError as error:
            raise self._final_error(error) from error
        self.causes.observe_success()
        return result

    # --- hooks, in the order of their calls after a failure ---

    def _observe(self, state: tenacity.RetryCallState) -> None:
        """Find the cause of a failure; lock the limiter, even if no attempt follows."""
        outcome: Any = state.outcome
        self._error: RequestError = outcome.exception()
        self._cause = self.causes.find(self._error, is_trial=self._is_trial)
        self._failures[self._cause] += 1
        if self._cause is RateLimitedError:
            self._lock()

    def _find_wait(self, _: tenacity.RetryCallState) -> float:
        """Return the seconds to wait here; a lockout is waited for in the limiter."""
        if self._cause is not RetryableError:
            is_new_token = self._cause is TokenRejectedError and self._failures[self._cause] > 1
            return _TOKEN_WAIT if is_new_token else 0.0
        longer = min(self._error.wait or 0.0, _MAX_FAULT_WAIT)
        return max(2.0 ** self._failures[RetryableError], longer)

    def _is_last(self, _: tenacity.RetryCallState) -> bool:
        """Return whether there are enough failures of this cause."""
        is_final = self._is_trial and self._error.is_unreachable
        return is_final or self._failures[self._cause] >= self._limits[self._cause]

    def _prepare_retry(self, seconds: float) -> None:
        """Discard a token that was rejected, so that the next attempt requests a new one; wait."""
        if self._cause is TokenRejectedError and self._failures[TokenRejectedError] == 1:
            if not self.invalidate_token():
                raise self._error
            _LOGGER.info("%s; requesting a new access token", self._error)
        if seconds:
            self.limiter.wait(seconds, str(self._error))

    def _lock(self) -> None:
        error = self._error
        seconds = self.lock_seconds if error.wait is None else error.wait
        if self._failures[RateLimitedError] > 1:  # what the server asked for was not enough
            seconds = max(seconds, self.lock_seconds)
        if seconds > MAX_WAIT:
            message = f"{error}: {_TOO_LONG}"
            raise RateLimitLockoutError(message) from error  # without a summary: it concerns all
        self.limiter.lock_for(seconds, f"{error}: the API is locked")

    def _final_error(self, error: RetryableError) -> ZohoVoiceError:
        summary, count = error.summary or str(error), self._failures[RetryableError]
        if self._cause is ZohoVoiceError:
            message = f"{error}: the request was rejected; run again later"
            return InvalidParameterError(message, rejected="other", summary=summary)
        if isinstance(error, RateLimitedError):
            return RateLimitLockoutError(f"{error}: {_TOO_LONG}", summary=summary)
        if isinstance(error, TokenRejectedError):
            message = f"{error}: a new access token was rejected too; check data_center"
            return ZohoVoiceError(message, summary=summary)
        message = f"{error}; gave up after {count} attempts" if count > 1 else str(error)
        return RetriesExhaustedError(message, summary=summary, is_unreachable=error.is_unreachable)


class ItemFailures:
    """Outcomes of the last requests for items, such as files."""

    unusable = 0  # requests without a usable response since the last success
    refusals = 0  # consecutive requests that ended in a lockout, or with a new token rejected too
    outages = 0  # consecutive refusals or requests without a response; stays at `LASTING_OUTAGE`

    @property
    def limits(self) -> RetryLimits:
        """Limits of a request for the next item."""
        return RetryLimits(attempts=3 if self.unusable < FAIL_FAST_AFTER else 1)

    def observe(self, error: ZohoVoiceError | None, *, is_single: bool = True) -> None:
        """Observe the error of a request, if any; one for several items does not count."""
        is_token = bool(error and isinstance(error.__cause__, TokenRejectedError))
        is_refusal = is_token or isinstance(error, RateLimitLockoutError)
        self.refusals = self.refusals + 1 if is_refusal else 0
        is_outage = is_refusal or bool(error and error.is_unreachable)
        if is_single and self.outages < LASTING_OUTAGE:
            self.outages = self.outages + 1 if is_outage else 0
        if error is None:
            self.unusable = 0
        elif is_single:
            self.unusable += isinstance(error, RetriesExhaustedError)

    def concerns_others(self, error: ZohoVoiceError) -> bool:
        """Return whether the error of the last request would be that of other items too.

        One response that looks like a lockout or a dead token may be about its item; two are not.
        """
        is_unsupported = isinstance(error, UnsupportedRequestError)
        return error.concerns_all or is_unsupported or self.refusals > 1
