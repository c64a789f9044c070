"""Sliding-window limiter: limit, lockouts and waits, with and without a shared store."""

import logging
import uuid
from functools import partial
from itertools import cycle, islice, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_zohovoice._compat import override
from tap_zohovoice.rate_limit.limiter import SHARED_LOCKOUT, Grant, SlidingWindowLimiter, SlotStore
from tap_zohovoice.rate_limit.sqlite_store import SQLiteSlotStore
from tests.support.cli import FakeClock

CLIENT, URL = "1000.MADEUPCLIENT", "https://voice.example.invalid/rest/json/zv/logs"
LOGGER = "tap-zohovoice.rate_limit"

ROUNDING = 1e-5  # of sums of floats


def make_limiter(
    clock: FakeClock,
    calls: int = 30,
    seconds: float = 60,
    *,
    client: str = CLIENT,
    url: str = URL,
    timeout: float = 60,
) -> SlidingWindowLimiter:
    """Make a limiter as a separate process would."""
    store = SQLiteSlotStore(client, url, timeout, clock)
    return SlidingWindowLimiter(calls, seconds, clock, store)


def seconds_waited(limiter: SlidingWindowLimiter, clock: FakeClock) -> float:
    start = clock.time
    limiter.acquire()
    limiter.release()
    return clock.time - start


def request_times(limiter: SlidingWindowLimiter, clock: FakeClock, count: int) -> list[float]:
    start = clock.time
    return [start := start + seconds_waited(limiter, clock) for _ in range(count)]


def assert_limit_kept(seen: list[float], calls: int, seconds: float) -> None:
    seen = sorted(seen)
    for first, last in zip(seen, seen[calls - 1 :], strict=False):
        assert last - first >= seconds - ROUNDING


LATENCIES = st.floats(0, 90) | st.sampled_from([0.0, 0.0, 0.1, 59.999, 60.0])
# Process, latency, when in that time the server counts it, pause until the next request.
REQUESTS = st.lists(
    st.tuples(st.integers(0, 1), LATENCIES, st.floats(0, 1), LATENCIES | st.just(0.0)),
    min_size=5,
    max_size=30,
)


@pytest.mark.parametrize("is_shared", [False, True])
def test_no_period_holds_all_allowed_requests(*, is_shared: bool) -> None:
    @settings(max_examples=60 if is_shared else 200)
    @given(REQUESTS, st.integers(2, 6), st.sampled_from([1, 10, 60]), st.booleans())
    def check(
        plan: list[tuple[int, float, float, float]], calls: int, seconds: int, overlap: bool
    ) -> None:
        clock, client, seen = FakeClock(), uuid.uuid4().hex, list[float]()
        pair = [SlidingWindowLimiter(calls, seconds, clock)] * 2
        if is_shared:
            make = partial(make_limiter, clock, calls, seconds, client=client, timeout=10_000)
            pair = [make(), make()]
        for who, latency, share, pause in plan:
            overlaps = is_shared and overlap and calls > 2  # one slot would be waited for forever
            if overlaps:
                pair[1 - who].acquire()
                seen.append(clock.time)
            pair[who].acquire()
            seen.append(clock.time + share * latency)
            clock.time += latency
            pair[who].release()
            if overlaps:
                pair[1 - who].release()
            clock.time += pause
        assert_limit_kept(seen, calls, seconds)
        assert sum(limiter.requests for limiter in {*pair}) == len(seen)

    check()


@pytest.mark.parametrize(("calls", "processes"), [*product([2, 3, 30], [0, 1]), (30, 2)], ids=str)
def test_pace_is_one_request_below_the_limit(clock: FakeClock, calls: int, processes: int) -> None:
    limiters = [make_limiter(clock, calls) for _ in range(processes)]
    limiters = limiters or [SlidingWindowLimiter(calls, 60, clock)]
    start, count = clock.time, 3 * (calls - 1)
    for limiter in islice(cycle(limiters), count):
        seconds_waited(limiter, clock)
    assert clock.time - start == pytest.approx(120, abs=0.1)
    assert seconds_waited(limiters[0], clock) == pytest.approx(60, abs=0.1)
    assert limiters[0].seconds_for(count) == 180


def test_release_without_a_slot_has_no_effect(clock: FakeClock) -> None:
    limiter = make_limiter(clock, calls=2)
    limiter.release()
    assert seconds_waited(limiter, clock) == 0
    limiter.release()
    clock.time += 59
    limiter.release()
    assert seconds_waited(make_limiter(clock, calls=2), clock) == pytest.approx(1, abs=0.1)
    assert limiter.requests == 1


@pytest.mark.parametrize("seconds", [0.0, 5.0, 600.0])
def test_lockout_applies_to_all_processes(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    first, second = make_limiter(clock), make_limiter(clock)
    seconds_waited(second, clock)
    first.lock_for(seconds, "locked")
    end = clock.time + seconds
    elsewhere = make_limiter(clock, url="http://x.invalid"), make_limiter(clock, client="other")
    assert [seconds_waited(limiter, clock) for limiter in elsewhere] == [0, 0]
    clock.time += seconds / 3
    assert seconds_waited(second, clock) >= seconds * 2 / 3
    assert end < clock.time < end + 2 + seconds / 50
    assert seconds_waited(first, clock) < 0.1
    assert "A lockout reported by another run is in effect" in caplog.text


def test_lockout_counts_from_late_reply_of_store(clock: FakeClock) -> None:
    class SlowStore(SlotStore):
        @override
        def try_acquire(self, slots: int, seconds: float) -> Grant:
            clock.sleep(100)  # until it is back
            return Grant(None, 300, SHARED_LOCKOUT)

    limiter = SlidingWindowLimiter(2, 60, clock, SlowStore())
    assert [limiter.try_acquire()[0] for _ in range(2)] == [300, 300]


def test_volatile_store_gets_a_lockout_again(clock: FakeClock) -> None:
    class VolatileStore(SlotStore):
        is_volatile = True

        @override
        def lock_for(self, seconds: float) -> None:
            reports.append((round(clock.time - start), round(seconds)))

    start, reports = clock.time, list[tuple[int, int]]()
    limiter = SlidingWindowLimiter(30, 60, clock, VolatileStore())
    limiter.lock_for(90, "locked")
    assert 90 < seconds_waited(limiter, clock) < 93
    assert reports == [(0, 92), (20, 72), (40, 52), (60, 32), (80, 12)]
    limiter.wait(40, "a moment")
    assert reports[5:] == [(112, 0)]


def test_process_with_lower_limit_waits_once(clock: FakeClock) -> None:
    many, few = make_limiter(clock), make_limiter(clock, calls=3)
    for _ in range(5):
        seconds_waited(many, clock)
        clock.time += 10
    assert seconds_waited(few, clock) == pytest.approx(40, abs=0.1)
    assert few.waits == 1


@pytest.mark.parametrize(
    ("lockouts", "back"), [((600, 0), 0.0), ((600, 5), 0.0), ((5, 600), 0.0), ((600, 5), 3600.0)]
)
def test_longest_lockout_counts(clock: FakeClock, lockouts: tuple[int, int], back: float) -> None:
    for seconds in lockouts:
        make_limiter(clock).lock_for(seconds, "locked")
        clock.ahead -= back
    assert 600 <= seconds_waited(make_limiter(clock), clock) < 620


@pytest.mark.parametrize("timeout", [1, 60, 300])
def test_slot_of_killed_process_expires(clock: FakeClock, timeout: int) -> None:
    killed, other = (make_limiter(clock, calls=2, timeout=timeout) for _ in range(2))
    killed.acquire()
    assert seconds_waited(other, clock) == pytest.approx(timeout + 60, abs=0.1)


@pytest.mark.parametrize("back", [30.0, 3600.0, 40 * 365 * 86_400.0])
def test_clock_set_back_adds_no_wait(clock: FakeClock, back: float) -> None:
    seconds_waited(make_limiter(clock, calls=2), clock)
    clock.ahead = -back
    assert seconds_waited(make_limiter(clock, calls=2), clock) == pytest.approx(60, abs=0.1)
    make_limiter(clock, calls=2).acquire()
    clock.ahead *= 2
    assert seconds_waited(make_limiter(clock, calls=2), clock) == pytest.approx(120, abs=0.1)
    make_limiter(clock).lock_for(600, "locked")
    clock.ahead *= 2
    assert 600 <= seconds_waited(make_limiter(clock), clock) < 610


def test_clock_changes_within_a_run_keep_the_limit(clock: FakeClock) -> None:
    limiter = make_limiter(clock, calls=3)
    seen = []
    for ahead in (0, 1e6, -1e6, 0, 59, -59, 1e6, 2e6, 3e6):
        clock.ahead = ahead
        seen += request_times(limiter, clock, 1)
    assert_limit_kept(seen, 3, 60)


def test_wait_logs_reason_and_end(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    limiter = make_limiter(clock, calls=3)
    request_times(limiter, clock, 3)
    limiter.lock_for(600, "Zoho says so")
    request_times(limiter, clock, 3)
    limiter.wait(7, "a moment")
    assert limiter.waits == 4
    assert [entry.getMessage() for entry in caplog.records if entry.name == LOGGER] == [
        "At the limit of 3 requests in 60 s; waiting 60 s, until 2026-03-01 12:01:00 UTC",
        "Zoho says so; waiting 607 s, until 2026-03-01 12:11:07 UTC",
        "At the limit of 3 requests in 60 s; waiting 60 s, until 2026-03-01 12:12:07 UTC",
        "a moment; waiting 7 s, until 2026-03-01 12:12:14 UTC",
    ]
    fields = vars(caplog.records[-1])
    assert (fields["wait_seconds"], fields["wait_until"]) == (7, "2026-03-01T12:12:14+00:00")
