"""The server never sees too many requests, whatever the latency, and whoever else is running."""

from __future__ import annotations

import datetime as dt
import logging
import re
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_zohovoice._compat import override
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tap_zohovoice.rate_limit.store import SQLiteSlotStore, store_path
from tests.support.cli import FakeClock

CLIENT, URL = "1000.MADEUPCLIENT", "https://voice.example.invalid/rest/json/zv/logs"
LOGGER = "tap-zohovoice.throttle"
WAITING = re.compile(r".+; waiting (\d+) s, until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")
HAIR = 1e-5  # what floats lose in the sums of a clock


class TwoFacedClock(FakeClock):
    """A clock whose wall time can be set, as people do."""

    offset = 0.0

    @override
    def now(self) -> float:
        return super().now() + self.offset


def throttle_of(
    clock: FakeClock,
    calls: int = 30,
    seconds: float = 60,
    *,
    client: str = CLIENT,
    url: str = URL,
    timeout: float = 60,
) -> SlidingWindowLimiter:
    """Make a throttle as a process of its own would."""
    return SlidingWindowLimiter(calls, seconds, clock, SQLiteSlotStore(client, url, timeout, clock))


def waited(throttle: SlidingWindowLimiter, clock: FakeClock) -> float:
    """Tell how long a request has to wait."""
    start = clock.time
    throttle.acquire()
    throttle.release()
    return clock.time - start


def assert_never_too_many(seen: list[float], calls: int, seconds: float) -> None:
    seen = sorted(seen)
    for first, last in zip(seen, seen[calls - 1 :], strict=False):
        assert last - first >= seconds - HAIR


LATENCIES = st.floats(0, 90) | st.sampled_from([0.0, 0.0, 0.1, 59.999, 60.0])
# Who asks, how long the answer takes, when in that time the server sees it, pause until the next.
REQUESTS = st.lists(
    st.tuples(st.integers(0, 1), LATENCIES, st.floats(0, 1), LATENCIES | st.just(0.0)),
    min_size=5,
    max_size=30,
)


@settings(deadline=None)
@given(REQUESTS, st.integers(2, 6), st.sampled_from([1, 10, 60]))
def test_no_period_holds_as_many_requests_as_are_allowed(
    plan: list[tuple[int, float, float, float]], calls: int, seconds: int
) -> None:
    clock = FakeClock()
    throttle = SlidingWindowLimiter(calls, seconds, clock)
    seen = []
    for _, latency, share, pause in plan:
        throttle.acquire()
        seen.append(clock.time + share * latency)
        clock.time += latency
        throttle.release()
        clock.time += pause
    assert_never_too_many(seen, calls, seconds)
    assert throttle.requests == len(plan)


@settings(max_examples=40, deadline=None)
@given(REQUESTS, st.integers(2, 5), st.booleans())
def test_two_processes_do_not_exceed_the_limit_together(
    plan: list[tuple[int, float, float, float]],
    calls: int,
    overlap: bool,
) -> None:
    clock, client = FakeClock(), uuid.uuid4().hex
    pair = [throttle_of(clock, calls, client=client, timeout=10_000) for _ in range(2)]
    seen: list[float] = []
    under_way: SlidingWindowLimiter | None = None
    for who, latency, share, pause in plan:
        if overlap and under_way is None and calls > 2:  # one slot would be waited for forever
            under_way = pair[1 - who]
            under_way.acquire()
            seen.append(clock.time)
        pair[who].acquire()
        seen.append(clock.time + share * latency)
        clock.time += latency
        pair[who].release()
        if under_way:
            under_way.release()
            under_way = None
        clock.time += pause
    assert_never_too_many(seen, calls, 60)
    assert sum(throttle.requests for throttle in pair) == len(seen)


@pytest.mark.parametrize("calls", [2, 3, 30])
@pytest.mark.parametrize("is_shared", [True, False])
def test_the_pace_is_one_request_fewer_than_allowed(
    clock: FakeClock, calls: int, *, is_shared: bool
) -> None:
    throttle = throttle_of(clock, calls) if is_shared else SlidingWindowLimiter(calls, 60, clock)
    start = clock.time
    for _ in range(3 * (calls - 1)):
        waited(throttle, clock)
    assert clock.time - start == pytest.approx(120, abs=0.1)
    assert waited(throttle, clock) == pytest.approx(60, abs=0.1)
    assert throttle.seconds_for(3 * (calls - 1)) == 180


def test_processes_that_take_turns_share_one_pace(clock: FakeClock) -> None:
    pair = [throttle_of(clock), throttle_of(clock)]
    start = clock.time
    for turn in range(29 * 3):
        waited(pair[turn % 2], clock)
    assert clock.time - start == pytest.approx(120, abs=0.1)
    assert waited(throttle_of(clock), clock) == pytest.approx(60, abs=0.1)


def test_a_thread_that_finds_every_slot_in_use_looks_again_soon() -> None:
    class OtherThread(FakeClock):
        @override
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.time >= answered[-1] and len(answered) == 1:
                answered.append(self.time)
                throttle.release()

    clock = OtherThread()
    answered = [clock.time + 1]
    throttle = SlidingWindowLimiter(2, 60, clock)
    throttle.acquire()
    throttle.acquire()
    assert answered[-1] < answered[0] + 0.2
    assert clock.time - answered[-1] == pytest.approx(60, abs=0.1)


def test_a_withdrawn_slot_is_free_at_once(clock: FakeClock) -> None:
    throttle = throttle_of(clock, calls=2)
    for _ in range(3):
        throttle.acquire()
        throttle.withdraw()
    assert throttle.requests == 0
    assert waited(throttle_of(clock, calls=2), clock) == 0


@pytest.mark.parametrize("seconds", [0.0, 5.0, 600.0])
def test_a_lock_closes_all_slots_of_all_processes_until_its_end(
    clock: FakeClock, seconds: float
) -> None:
    first, second = throttle_of(clock), throttle_of(clock)
    waited(second, clock)
    first.close(seconds, "locked")
    end = clock.time + seconds
    elsewhere = [
        throttle_of(clock, url="http://x.invalid"),
        throttle_of(clock, client="1000.OTHER"),
    ]
    assert [waited(throttle, clock) for throttle in elsewhere] == [0, 0]
    assert waited(second, clock) >= seconds
    assert end < clock.time < end + 2 + seconds / 50
    assert waited(first, clock) < 0.1


def test_a_process_with_fewer_slots_waits_once_for_those_of_another(clock: FakeClock) -> None:
    many, few = throttle_of(clock), throttle_of(clock, calls=3)
    for _ in range(5):
        waited(many, clock)
        clock.time += 10
    assert waited(few, clock) == pytest.approx(40, abs=0.1)
    assert few.waits == 1


def test_a_lock_outlives_the_process_that_met_it(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    throttle_of(clock).close(600, "locked")
    clock.time += 200
    assert 400 <= waited(throttle_of(clock), clock) < 410
    assert "Zoho's lock, met by another run, is not over" in caplog.text


@pytest.mark.parametrize("shorter", [0.0, 5.0])
def test_a_shorter_lock_does_not_end_a_longer_one(clock: FakeClock, shorter: float) -> None:
    first, second = throttle_of(clock), throttle_of(clock)
    first.close(600, "locked")
    second.close(shorter, "locked")
    assert waited(throttle_of(clock), clock) >= 600


def test_a_longer_lock_prolongs_a_shorter_one(clock: FakeClock) -> None:
    throttle = throttle_of(clock)
    throttle.close(5, "locked")
    throttle.close(600, "locked")
    assert waited(throttle, clock) >= 600


@pytest.mark.parametrize("timeout", [1, 60, 300])
def test_the_slot_of_a_killed_process_is_freed_in_time(clock: FakeClock, timeout: int) -> None:
    throttle_of(clock, calls=2, timeout=timeout).acquire()
    assert waited(throttle_of(clock, calls=2, timeout=timeout), clock) == pytest.approx(
        timeout + 60, abs=0.1
    )


@pytest.mark.parametrize("back", [30.0, 3600.0, 40 * 365 * 86_400.0])
def test_a_clock_set_back_closes_nothing_for_longer_than_meant(back: float) -> None:
    clock = TwoFacedClock()
    waited(throttle_of(clock, calls=2), clock)
    clock.offset = -back
    assert waited(throttle_of(clock, calls=2), clock) == pytest.approx(60, abs=0.1)
    throttle_of(clock, calls=2).acquire()
    clock.offset *= 2
    assert waited(throttle_of(clock, calls=2), clock) == pytest.approx(120, abs=0.1)
    throttle_of(clock).close(600, "locked")
    clock.offset *= 2
    assert 600 <= waited(throttle_of(clock), clock) < 610


def test_a_clock_set_back_makes_no_lock_longer() -> None:
    clock = TwoFacedClock()
    throttle_of(clock).close(600, "locked")
    clock.offset = -3600.0
    throttle_of(clock).close(5, "locked")
    assert 600 <= waited(throttle_of(clock), clock) < 610


def test_a_clock_set_while_a_process_runs_does_not_let_more_pass() -> None:
    clock = TwoFacedClock()
    throttle = throttle_of(clock, calls=3)
    seen = []
    for offset in (0, 1e6, -1e6, 0, 59, -59, 1e6, 2e6, 3e6):
        clock.offset = offset
        throttle.acquire()
        seen.append(clock.time)
        throttle.release()
    assert_never_too_many(seen, 3, 60)


def test_every_wait_says_why_and_until_when(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    throttle = throttle_of(clock, calls=3)
    ends = []
    for turn in range(8):
        before = len(clock.slept)
        if turn == 3:
            throttle.close(600, "Zoho says so")
        if turn == 5:
            throttle.pause(7, "a moment")
            ends.append(clock.time)
        waited(throttle, clock)
        ends += [clock.time] * (len(clock.slept) - before - (turn == 5))
    lines = [entry.getMessage() for entry in caplog.records if entry.name == LOGGER]
    assert len(lines) == len(clock.slept) == len(ends) == throttle.waits > 3
    for line, seconds, end in zip(lines, clock.slept, ends, strict=True):
        told = WAITING.fullmatch(line)
        assert told
        assert float(told[1]) == pytest.approx(seconds, abs=1)
        until = dt.datetime.fromisoformat(f"{told[2]}+00:00").timestamp()
        assert until == pytest.approx(end, abs=1)
    assert sum("Zoho says so;" in line for line in lines) == 1
    assert sum("At the limit of 3 requests in 60 s;" in line for line in lines) == len(lines) - 2


def test_the_file_holds_nothing_but_numbers(clock: FakeClock) -> None:
    throttle = throttle_of(clock)
    for _ in range(40):
        waited(throttle, clock)
    throttle.close(600, "locked by +1 555 0100")
    path = store_path(CLIENT, URL)
    with closing(sqlite3.connect(path)) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master")]
        rows = [row for name in tables for row in file.execute(f"SELECT * FROM {name}")]  # noqa: S608
    assert len(rows) > 5
    assert {type(value) for row in rows for value in row} <= {int, float, type(None)}
    assert not [word for word in (CLIENT, URL, "555") if word.encode() in path.read_bytes()]
    assert CLIENT not in str(path)
    assert "voice" not in path.name
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.parent.stat().st_mode & 0o077 == 0


def test_each_client_and_each_url_has_a_file_of_its_own() -> None:
    pairs = [(CLIENT, URL), (CLIENT, URL + "/x"), (CLIENT + "x", URL), ("", CLIENT + URL)]
    assert len({store_path(*pair) for pair in pairs}) == len(pairs)
    assert store_path(CLIENT, URL) == store_path(CLIENT, URL)


def test_the_file_lies_in_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_path(CLIENT, URL).parent == tmp_path / "state-home" / "tap-zohovoice"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert store_path(CLIENT, URL).parent == tmp_path / ".local" / "state" / "tap-zohovoice"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert store_path(CLIENT, URL).parent == tmp_path / "local" / "tap-zohovoice"
