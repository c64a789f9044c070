"""Retry policy: which requests are sent again, when, and how often."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import tenacity

from tap_zohovoice.exceptions import (
    AmbiguousResponseError,
    InvalidParameterError,
    RateLimitedError,
    RateLimitLockoutError,
    RequestError,
    RetriesExhaustedError,
    RetryableError,
    TokenRejectedError,
    ZohoVoiceError,
)
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter

_T = TypeVar("_T")
_Kind: TypeAlias = type[RequestError]
_LOGGER = logging.getLogger("tap-zohovoice.client")
MAX_ATTEMPTS = 6  # of a request without a usable response
SIZE_ATTEMPTS = 2  # with a page size that may be the cause, before a smaller one is tried
TRIAL_LIMITS = {"max_attempts": 2, "is_trial": True}
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


@dataclass(eq=False, repr=False)
class RetryPolicy:
    """Sends a request again as long as that may help.

    A lockout is not a failed attempt: it locks the limiter, where the next attempt waits.
    A rejected access token is renewed once: `invalidate_token` returns whether that is possible.
    After a success, a failure with an unknown text may have either cause. The token is renewed
    first; if all other requests fail too, the API may be locked. What does not help is not tried
    again after failures with the same text.
    """

    limiter: SlidingWindowLimiter
    invalidate_token: Callable[[], bool]
    lock_seconds: float
    failures_before_renewal: int = 1
    """Consecutive failures after a success; the last one is retried with a new access token."""
    _has_passed = False  # whether any request succeeded
    _failures: list[str] = field(default_factory=list, init=False)
    """Texts of the failures since the last success that may be due to the token or a lockout."""
    _useless: set[tuple[_Kind, str]] = field(default_factory=set, init=False)
    """What failures are not, by their texts: rejections of a token, or lockouts."""

    def call(
        self,
        func: Callable[[], _T],
        *,
        max_attempts: int = MAX_ATTEMPTS,  # without a usable response
        is_trial: int = False,  # whether a failure says nothing; without a response, it is final
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
        limits: dict[_Kind, int] = {ZohoVoiceError: 0, RetryableError: max_attempts}
        limits |= {TokenRejectedError: 2, RateLimitedError: max_lockouts + 1}
        failures: Counter[_Kind] = Counter({RetryableError: earlier_attempts})
        tried: set[tuple[_Kind, str]] = set()

        def prepare_retry(error: BaseException) -> bool:
            """Do what the next attempt needs; return whether there is one."""
            if not isinstance(error, RequestError):
                return False
            kind, text = _kind_of(error), _text_of(error)
            if not is_trial:
                kind = self._find_cause(error, kind, text)
            failures[kind] += 1
            if kind is RateLimitedError:
                self._lock(error, text, is_repeated=failures[kind] > 1, is_trial=is_trial)
            if failures[kind] >= limits[kind] or (is_trial and error.is_unreachable):
                return False
            if kind is RetryableError:
                if not isinstance(error, AmbiguousResponseError):
                    longer = min(error.wait or 0.0, _MAX_RETRY_WAIT)
                    self.limiter.wait(max(2.0 ** failures[kind], longer), str(error))
                return True
            tried.add((kind, text))
            self._useless |= tried  # unless the request succeeds now
            return kind is RateLimitedError or self._renew_token(error)

        retrying = tenacity.Retrying(retry=tenacity.retry_if_exception(prepare_retry))
        try:
            result = retrying(func)
        except RetryableError as error:
            raise _final_error(error, failures[RetryableError]) from error
        if not tried:  # another request succeeds at once
            self._useless.update((RateLimitedError, text) for text in self._failures)
        self._useless -= tried
        self._failures.clear()
        self._has_passed = True
        return result

    def _find_cause(self, error: RequestError, kind: _Kind, text: str) -> _Kind:
        """Return the class of a failure, or of another cause that it may have after a success."""
        if kind is RateLimitedError or not error.is_uncertain:
            return kind
        self._failures.append(text)
        is_refused, count = kind is ZohoVoiceError, len(self._failures)
        first = max(self.failures_before_renewal, 1 if is_refused else _FAULTS_BEFORE_RENEWAL)
        cause: _Kind = TokenRejectedError if count == first else RateLimitedError
        is_lockout = is_refused and count >= first + _FAILURES_OF_LOCKOUT
        is_likely = self._has_passed and (count == first or is_lockout)
        return cause if is_likely and (cause, text) not in self._useless else kind

    def _renew_token(self, error: RequestError) -> bool:
        if not self.invalidate_token():
            self._useless.discard((TokenRejectedError, _text_of(error)))  # it may help later
            return False
        _LOGGER.info("%s; requesting a new access token", error)
        return True

    def _lock(self, error: RequestError, text: str, *, is_repeated: bool, is_trial: int) -> None:
        """Lock the limiter, for other runs too, and do not wait here: see `RetryPolicy`."""
        is_known = error.is_uncertain and (RateLimitedError, text) in self._useless
        # Without code and message, the same text may stand for a lockout later.
        is_known &= is_repeated or "," in text
        # If a smaller request fails too, it is locked; a trial says nothing.
        if is_known and (is_trial or text not in self._failures):
            self._failures += [] if is_trial else [text]
            message = f"{error}: the request was rejected; run again later"
            raise InvalidParameterError(message, rejected="other", summary=error.summary) from error
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


def _kind_of(error: RequestError) -> _Kind:
    kinds: tuple[_Kind, ...] = (RateLimitedError, TokenRejectedError, RetryableError)
    return next((kind for kind in kinds if isinstance(error, kind)), ZohoVoiceError)


def _text_of(error: RequestError) -> str:
    return re.sub(r"(?<!HTTP )\b\d+", "", error.summary)  # such as offsets, but not the status


def _final_error(error: RetryableError, attempts: int) -> ZohoVoiceError:
    if isinstance(error, RateLimitedError):
        return RateLimitLockoutError(f"{error}: {_TOO_LONG}", summary=error.summary)
    if isinstance(error, TokenRejectedError):
        message = f"{error}: a new access token was rejected too; check data_center"
        return ZohoVoiceError(message, summary=error.summary)
    message = f"{error}; gave up after {attempts} attempts" if attempts > 1 else str(error)
    return RetriesExhaustedError(
        message, summary=error.summary, is_unreachable=error.is_unreachable
    )
