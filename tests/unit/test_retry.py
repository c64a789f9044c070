"""Retry policy: which failures are retried, how often, and after which waits."""

from typing import Any

import pytest

from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RateLimitedError,
    RateLimitLockoutError,
    RetriesExhaustedError,
    RetryableError,
    TokenRejectedError,
    UnexpectedResponseError,
    ZohoVoiceError,
)
from tap_zohovoice.http.retry import (
    DEFAULT_LIMITS,
    FAIL_FAST_AFTER,
    MAX_WAIT,
    ItemFailures,
    RetryLimits,
    RetryPolicy,
)
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tests.support.cli import FakeClock

FAILED, ODD, EMPTY = RetryableError("a"), UnexpectedResponseError("b"), RetryableError("c")
LOCKED, REJECTED = RateLimitedError("locked"), TokenRejectedError("rejected")


def uncertain(text: str) -> RateLimitedError:
    return RateLimitedError(text, summary=text, is_uncertain=True)


class Script:
    """A function that raises given errors in turn, then returns; each attempt takes a slot."""

    def __init__(self, clock: FakeClock, *errors: Exception) -> None:
        self.limiter = SlidingWindowLimiter(30, 60, clock)
        self.errors = list(errors)
        self.attempts = self.renewals = 0
        self.may_renew = True
        self.policy = RetryPolicy(self.limiter, self._renew, 600)

    def run(self, limits: RetryLimits = DEFAULT_LIMITS) -> str:
        return self.policy.call(self._attempt, limits)

    def fail(
        self,
        kind: type[Exception],
        match: str | None = None,
        limits: RetryLimits = DEFAULT_LIMITS,
    ) -> Any:
        """Run, which raises an error of this kind; return it."""
        with pytest.raises(kind, match=match) as raised:
            self.run(limits)
        return raised.value

    def _attempt(self) -> str:
        self.limiter.acquire()
        self.limiter.release()
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def _renew(self) -> bool:
        self.renewals += self.may_renew
        return self.may_renew


@pytest.mark.parametrize(
    ("errors", "waits"),
    [
        *[([], []), ([EMPTY], [2])],
        ([FAILED, ODD, FAILED, ODD, FAILED], [2, 4, 8, 16, 32]),
        # Lockouts count as no attempts, and are waited out in the limiter.
        ([FAILED, LOCKED, FAILED, LOCKED, FAILED, LOCKED, FAILED, FAILED], [2, 4, 8, 16, 32]),
        *[([RetryableError("x", wait=given)], [2]) for given in (None, 1)],
        *[([RetryableError("x", wait=given)], [min(given, 600)]) for given in (30, 9999)],
    ],
    ids=str,
)
def test_errors_are_retried_after_waits(
    clock: FakeClock, errors: list[Exception], waits: list[float]
) -> None:
    script = Script(clock, *errors)
    assert script.run() == "done"
    assert [seconds for seconds in clock.slept if seconds <= 600] == waits
    assert script.attempts == len(errors) + 1
    assert len(clock.slept) == len(waits) + errors.count(LOCKED)


@pytest.mark.parametrize("attempts", [1, 2, 6])
def test_attempts_are_limited(clock: FakeClock, attempts: int) -> None:
    error = RetryableError("HTTP 500", summary="summary", is_unreachable=True)
    script = Script(clock, *[error] * 9)
    raised = script.fail(RetriesExhaustedError, limits=RetryLimits(attempts))
    assert script.attempts == attempts
    assert str(raised) == "HTTP 500" + f"; gave up after {attempts} attempts" * (attempts > 1)
    assert (raised.summary, raised.is_unreachable, raised.__cause__) == ("summary", True, error)


def test_error_without_a_summary_concerns_its_request_alone(clock: FakeClock) -> None:
    raised = Script(clock, *[EMPTY] * 9).fail(RetriesExhaustedError)
    assert (raised.summary, raised.concerns_all) == ("c", False)


@pytest.mark.parametrize(
    ("wait", "waits"),
    [
        *[(None, [600]), (90, [90]), (MAX_WAIT, [MAX_WAIT])],
        # A lockout that is longer than it said.
        *[(1, [1, 600, 600]), (59, [59, 600, 600]), (60, [60, 600, 600]), (700, [700, 700, 700])],
    ],
)
def test_lockouts_are_waited_out_in_the_limiter(
    clock: FakeClock, wait: float | None, waits: list[float]
) -> None:
    assert Script(clock, *[RateLimitedError("locked", wait=wait)] * len(waits)).run() == "done"
    assert sum(clock.slept) == pytest.approx(1.01 * sum(waits) + len(waits), abs=0.1)


@pytest.mark.parametrize(
    ("wait", "limits", "attempts"),
    [
        (None, DEFAULT_LIMITS, 4),
        (None, RetryLimits(lockouts=1), 2),
        (MAX_WAIT + 1, DEFAULT_LIMITS, 1),
    ],
)
def test_lockouts_are_limited_in_number_and_length(
    clock: FakeClock, wait: float | None, limits: RetryLimits, attempts: int
) -> None:
    script = Script(clock, *[RateLimitedError("locked", wait=wait)] * 9)
    script.fail(RateLimitLockoutError, "^locked: the lockout lasts too long", limits)
    assert script.attempts == attempts
    # Closed for what comes next, too.
    assert script.limiter.try_acquire()[0] > 600 if wait is None else clock.slept == []


def test_uncertain_lockout_of_one_request_is_a_refusal(clock: FakeClock) -> None:
    """Where one request fails and a smaller one succeeds, it was not a lockout."""
    unsure = uncertain("limit exceeded")
    script = Script(clock, unsure, unsure)
    assert script.fail(InvalidParameterError, "limit exceeded").rejected == "other"
    assert script.attempts == 2
    assert script.run() == "done"
    script.errors = [unsure] * 9
    script.fail(InvalidParameterError)
    script.fail(RateLimitLockoutError)  # the smaller request fails too
    assert script.attempts == 3 + 2 + 4


def test_uncertain_lockout_that_ended_is_waited_out_again(clock: FakeClock) -> None:
    unsure = uncertain('HTTP 400, "limit exceeded"')
    script = Script(clock, unsure)
    for waits in (1, 2):
        assert script.run() == "done"
        assert sum(clock.slept) == pytest.approx(waits * 607, abs=0.1)
        script.errors = [unsure]


def test_known_refusal_is_not_waited_for_again(clock: FakeClock) -> None:
    refusals = [uncertain(f'HTTP 400, "limit exceeded at {place}"') for place in (10, 10, 20)]
    script = Script(clock, *refusals[:2])
    script.fail(InvalidParameterError)
    assert script.run() == "done"
    waited = sum(clock.slept)
    script.errors = [refusals[2]]
    script.fail(InvalidParameterError, "at 20")
    assert script.run() == "done"
    assert sum(clock.slept) == waited
    script.errors = [LOCKED]
    assert script.run() == "done"
    assert sum(clock.slept) > waited + 600


def test_lockout_taken_for_a_refusal_is_waited_out_again(clock: FakeClock) -> None:
    unsure = uncertain('HTTP 400, "limit exceeded"')
    script = Script(clock, unsure, unsure)
    script.fail(InvalidParameterError)
    for waits in (2, 3):  # the smaller request fails too, and succeeds after the wait
        script.errors = [unsure]
        assert script.run() == "done"
        assert sum(clock.slept) == pytest.approx(waits * 607, abs=0.1)


def test_rejected_token_is_renewed_once(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tap-zohovoice.client")
    script = Script(clock, REJECTED)
    assert script.run() == "done"
    assert (script.renewals, clock.slept) == (1, [])
    assert caplog.messages == ["rejected; requesting a new access token"]
    script.errors = [REJECTED, FAILED, REJECTED, REJECTED]
    script.fail(ZohoVoiceError, "^rejected: a new access token was rejected too")
    # The new token may not be known at once.
    assert (script.renewals, script.attempts, clock.slept) == (2, 6, [2, 30])
    script.errors = [REJECTED, REJECTED, LOCKED]
    assert script.run() == "done"
    assert clock.slept.count(30) == 2  # a lockout is waited for in the limiter alone


@pytest.mark.parametrize(
    "error", [ZohoVoiceError("x"), InvalidParameterError("x"), KeyError("x"), REJECTED]
)
def test_other_errors_are_not_retried(clock: FakeClock, error: Exception) -> None:
    script = Script(clock, error)
    script.may_renew = False
    raised = script.fail(Exception, "rejected too" if error is REJECTED else "x")
    assert error is (raised.__cause__ if error is REJECTED else raised)
    assert script.attempts == 1


def test_renewal_that_was_not_possible_is_possible_later(clock: FakeClock) -> None:
    script = Script(clock)
    assert script.run() == "done"
    unknown = InvalidParameterError("x", summary="HTTP 403", is_uncertain=True)
    script.may_renew = False
    script.errors = [unknown]
    script.fail(InvalidParameterError)
    assert script.run() == "done"
    script.may_renew = True
    script.errors = [unknown]
    assert script.run() == "done"
    assert script.renewals == 1


def test_success_with_a_new_token_rules_out_no_lockout(clock: FakeClock) -> None:
    script = Script(clock)
    assert script.run() == "done"
    unknown = InvalidParameterError("x", summary="HTTP 403", is_uncertain=True)
    script.errors = [unknown]
    assert script.run() == "done"
    script.errors = [unknown, unknown]
    script.fail(InvalidParameterError)
    assert (script.renewals, clock.slept) == (2, [])
    script.errors = [unknown]
    assert script.run() == "done"
    assert sum(clock.slept) == pytest.approx(607, abs=0.1)


def test_third_fault_is_retried_with_a_new_token(clock: FakeClock) -> None:
    script = Script(clock)
    assert script.run() == "done"
    fault = RetryableError("x", summary="HTTP 500", is_uncertain=True)
    for count, renewals in ((2, 0), (3, 1)):
        script.errors = [fault] * count
        assert script.run() == "done"
        assert script.renewals == renewals


def test_items_after_a_success_get_all_attempts() -> None:
    failures = ItemFailures()
    for _ in range(FAIL_FAST_AFTER):
        assert failures.limits.attempts == 3
        failures.observe(RetriesExhaustedError("gave up", summary="HTTP 500"))
    assert failures.limits.attempts == 1
    failures.observe(None)
    assert failures.limits.attempts == 3
