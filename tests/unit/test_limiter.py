"""Sliding-window limiter: limit, lockouts and waits, with and without a shared store."""

import datetime as dt
import logging
import re
import sqlite3
import sys
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
LOGGER = "tap-zohovoice.rate_limit"
WAITING = re.compile(r".+; waiting (\d+) s, until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")
ROUNDING = 1e-5  # of sums of floats


class AdjustableClock(FakeClock):
    """A clock whose wall time can be changed."""

    offset = 0.0

    @override
    def now(self) -> float:
        return super().now() + self.offset


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


@given(REQUESTS, st.integers(2, 6), st.sampled_from([1, 10, 60]))
def test_no_period_holds_all_allowed_requests(
    plan: list[tuple[int, float, float, float]], calls: int, seconds: int
) -> None:
    clock = FakeClock()
    limiter = SlidingWindowLimiter(calls, seconds, clock)
    seen = []
    for _, latency, share, pause in plan:
        limiter.acquire()
        seen.append(clock.time + share * latency)
        clock.time += latency
        limiter.release()
        clock.time += pause
    assert_limit_kept(seen, calls, seconds)
    assert limiter.requests == len(plan)


@settings(max_examples=40)
@given(REQUESTS, st.integers(2, 5), st.booleans())
def test_two_processes_share_the_limit(
    plan: list[tuple[int, float, float, float]], calls: int, overlap: bool
) -> None:
    clock, client = FakeClock(), uuid.uuid4().hex
    pair = [make_limiter(clock, calls, client=client, timeout=10_000) for _ in range(2)]
    seen: list[float] = []
    in_flight: SlidingWindowLimiter | None = None
    for who, latency, share, pause in plan:
        if overlap and calls > 2:  # one slot would be waited for forever
            in_flight = pair[1 - who]
            in_flight.acquire()
            seen.append(clock.time)
        pair[who].acquire()
        seen.append(clock.time + share * latency)
        clock.time += latency
        pair[who].release()
        if in_flight:
            in_flight.release()
            in_flight = None
        clock.time += pause
    assert_limit_kept(seen, calls, 60)
    assert sum(limiter.requests for limiter in pair) == len(seen)


@pytest.mark.parametrize("calls", [2, 3, 30])
@pytest.mark.parametrize("is_shared", [True, False])
def test_pace_is_one_request_below_the_limit(
    clock: FakeClock, calls: int, *, is_shared: bool
) -> None:
    limiter = make_limiter(clock, calls) if is_shared else SlidingWindowLimiter(calls, 60, clock)
    start, count = clock.time, 3 * (calls - 1)
    *_, last, over = request_times(limiter, clock, count + 1)
    assert last - start == pytest.approx(120, abs=0.1)
    assert over - last == pytest.approx(60, abs=0.1)
    assert limiter.seconds_for(count) == 180


def test_alternating_processes_share_one_pace(clock: FakeClock) -> None:
    pair = [make_limiter(clock), make_limiter(clock)]
    start = clock.time
    for turn in range(29 * 3):
        seconds_waited(pair[turn % 2], clock)
    assert clock.time - start == pytest.approx(120, abs=0.1)
    assert seconds_waited(make_limiter(clock), clock) == pytest.approx(60, abs=0.1)


def test_full_limiter_reports_wait_without_store(clock: FakeClock) -> None:
    limiter = SlidingWindowLimiter(2, 60, clock)
    assert limiter.try_acquire() == (0.0, "")
    assert limiter.try_acquire() == (60, "At the limit of 2 requests in 60 s")
    clock.time += 1
    limiter.release()
    clock.time += 20
    assert limiter.try_acquire()[0] == pytest.approx(40)
    assert limiter.requests == 1


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
def test_lockout_applies_to_all_processes(clock: FakeClock, seconds: float) -> None:
    first, second = make_limiter(clock), make_limiter(clock)
    seconds_waited(second, clock)
    first.lock_for(seconds, "locked")
    end = clock.time + seconds
    elsewhere = [
        make_limiter(clock, url="http://x.invalid"),
        make_limiter(clock, client="1000.OTHER"),
    ]
    assert [seconds_waited(limiter, clock) for limiter in elsewhere] == [0, 0]
    assert seconds_waited(second, clock) >= seconds
    assert end < clock.time < end + 2 + seconds / 50
    assert seconds_waited(first, clock) < 0.1


def test_process_with_lower_limit_waits_once(clock: FakeClock) -> None:
    many, few = make_limiter(clock), make_limiter(clock, calls=3)
    for _ in range(5):
        seconds_waited(many, clock)
        clock.time += 10
    assert seconds_waited(few, clock) == pytest.approx(40, abs=0.1)
    assert few.waits == 1


def test_lockout_outlives_its_process(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    make_limiter(clock).lock_for(600, "locked")
    clock.time += 200
    assert 400 <= seconds_waited(make_limiter(clock), clock) < 410
    assert "A lockout reported by another run is in effect" in caplog.text


@pytest.mark.parametrize(
    ("lockouts", "back"), [((600, 0), 0.0), ((600, 5), 0.0), ((5, 600), 0.0), ((600, 5), 3600.0)]
)
def test_longest_lockout_counts(lockouts: tuple[int, int], back: float) -> None:
    clock = AdjustableClock()
    for seconds in lockouts:
        make_limiter(clock).lock_for(seconds, "locked")
        clock.offset -= back
    assert 600 <= seconds_waited(make_limiter(clock), clock) < 620


@pytest.mark.parametrize("timeout", [1, 60, 300])
def test_slot_of_killed_process_expires(clock: FakeClock, timeout: int) -> None:
    killed, other = (make_limiter(clock, calls=2, timeout=timeout) for _ in range(2))
    killed.acquire()
    assert seconds_waited(other, clock) == pytest.approx(timeout + 60, abs=0.1)


@pytest.mark.parametrize("back", [30.0, 3600.0, 40 * 365 * 86_400.0])
def test_clock_set_back_adds_no_wait(back: float) -> None:
    clock = AdjustableClock()
    seconds_waited(make_limiter(clock, calls=2), clock)
    clock.offset = -back
    assert seconds_waited(make_limiter(clock, calls=2), clock) == pytest.approx(60, abs=0.1)
    make_limiter(clock, calls=2).acquire()
    clock.offset *= 2
    assert seconds_waited(make_limiter(clock, calls=2), clock) == pytest.approx(120, abs=0.1)
    make_limiter(clock).lock_for(600, "locked")
    clock.offset *= 2
    assert 600 <= seconds_waited(make_limiter(clock), clock) < 610


def test_clock_changes_within_a_run_keep_the_limit() -> None:
    clock = AdjustableClock()
    limiter = make_limiter(clock, calls=3)
    seen = []
    for offset in (0, 1e6, -1e6, 0, 59, -59, 1e6, 2e6, 3e6):
        clock.offset = offset
        seen += request_times(limiter, clock, 1)
    assert_limit_kept(seen, 3, 60)


def test_wait_logs_reason_and_end(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    limiter = make_limiter(clock, calls=3)
    ends = []
    for turn in range(8):
        before = len(clock.slept)
        if turn == 3:
            limiter.lock_for(600, "Zoho says so")
        if turn == 5:
            limiter.wait(7, "a moment")
            ends.append(clock.time)
        seconds_waited(limiter, clock)
        ends += [clock.time] * (len(clock.slept) - before - (turn == 5))
    lines = [entry.getMessage() for entry in caplog.records if entry.name == LOGGER]
    assert len(lines) == len(clock.slept) == len(ends) == limiter.waits > 3
    for line, seconds, end in zip(lines, clock.slept, ends, strict=True):
        match = WAITING.fullmatch(line)
        assert match
        assert float(match[1]) == pytest.approx(seconds, abs=1)
        until = dt.datetime.fromisoformat(f"{match[2]}+00:00").timestamp()
        assert until == pytest.approx(end, abs=1)
    assert sum("Zoho says so;" in line for line in lines) == 1
    assert sum("At the limit of 3 requests in 60 s;" in line for line in lines) == len(lines) - 2


def test_store_holds_only_numbers(clock: FakeClock) -> None:
    limiter = make_limiter(clock)
    request_times(limiter, clock, 40)
    limiter.lock_for(600, "locked by +1 555 0100")
    path = store_path(CLIENT, URL)
    with closing(sqlite3.connect(path)) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master")]
        rows = [row for name in tables for row in file.execute(f"SELECT * FROM {name}")]  # noqa: S608
    assert len(rows) > 5
    assert {type(value) for row in rows for value in row} <= {int, float, type(None)}
    journal = path.with_name(f"{path.name}-journal")
    contents = {entry: entry.read_bytes() for entry in path.parent.iterdir()}
    assert contents.keys() == {path, journal}
    assert not contents[journal]
    assert not [word for word in (CLIENT, URL, "555") if word.encode() in contents[path]]
    assert CLIENT not in str(path)
    assert "voice" not in path.name
    assert path.parent.stat().st_mode & 0o077 == 0


def test_store_path_is_unique_per_client_and_url() -> None:
    pairs = [(CLIENT, URL), (CLIENT, URL + "/x"), (CLIENT + "x", URL), ("", CLIENT + URL)]
    assert len({store_path(*pair) for pair in pairs}) == len(pairs)
    assert store_path(CLIENT, URL) == store_path(CLIENT, URL)


def test_store_path_is_in_the_state_folder(
    state_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_path(CLIENT, URL).parent == state_home / "tap-zohovoice"
    if sys.platform == "linux":
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert store_path(CLIENT, URL).parent == tmp_path / ".local" / "state" / "tap-zohovoice"


def test_store_without_home_folder_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "tap_zohovoice.rate_limit.store.user_state_path",
        lambda *_, **__: Path("~nobody-of-that-name/x"),
    )
    with caplog.at_level(logging.WARNING, LOGGER):
        assert seconds_waited(make_limiter(FakeClock()), FakeClock()) == 0
    line = "Cannot open the shared rate-limit file (RuntimeError, no home folder); limiting this"
    assert caplog.messages == [f"{line} process only"]
