"""Progress: log lines, structured fields and the estimate of the time left."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tap_zohovoice._compat import override
from tap_zohovoice.progress.figures import (
    DownloadProgress,
    RecordProgress,
    Snapshot,
    WindowProgress,
    format_wait,
)
from tap_zohovoice.progress.reporter import Reporter
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter, Wait
from tests.support.cli import NOW, FakeClock


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "tap-zohovoice")
    return caplog


@pytest.fixture
def limiter(clock: FakeClock) -> SlidingWindowLimiter:
    return SlidingWindowLimiter(30, 60, clock)


def windows(
    clock: FakeClock, limiter: SlidingWindowLimiter, share_done: Callable[[int, float], float]
) -> WindowProgress:
    return WindowProgress(
        "call_logs", clock=clock, limiter=limiter, share_done=share_done, tokens_fetched=lambda: 1
    )


def downloads(
    clock: FakeClock, limiter: SlidingWindowLimiter, results: Counter[str], received: int = 0
) -> DownloadProgress:
    own: Any = {"clock": clock, "limiter": limiter}
    return DownloadProgress(
        "recordings", "file", results=results, bytes_received=lambda: received, **own
    )


def fields(log: pytest.LogCaptureFixture, *names: str) -> list[tuple[object, ...]]:
    return [tuple(vars(record).get(name) for name in names) for record in log.records]


def test_window_progress_lines(
    clock: FakeClock, limiter: SlidingWindowLimiter, log: pytest.LogCaptureFixture
) -> None:
    progress = windows(clock, limiter, lambda rows, _: rows / 4000)
    for rows, requests in ((1000, 29), (1, 1), (2999, 2)):
        for _ in range(requests):
            limiter.acquire()
            limiter.release()
        clock.time += 90
        progress.update(f"window of {rows}", rows)
    progress.finish(4000)
    assert [message for message in log.messages if "waiting" not in message] == [
        "window of 1000: 1,000 calls in 29 requests; 25 % done; about 4 min 30 s left",
        "window of 1: 1 call in 1 request; 25 % done; about 8 min 59 s left",
        "window of 2999: 2,999 calls in 2 requests; 100 % done",
        "4,000 calls in 4 min 30 s: 32 requests, 0 waits, 1 token",
    ]
    assert fields(log, "rows", "requests", "percent", "seconds_left") == [
        (1000, 29, 25, 270),
        (1, 1, 25, 539),
        (2999, 2, 100, None),
        (4000, 32, None, None),
    ]
    assert fields(log, "waits", "tokens", "seconds")[-1] == (0, 1, 270.0)


def test_limit_sets_the_pace_of_the_estimate(
    clock: FakeClock, limiter: SlidingWindowLimiter, log: pytest.LogCaptureFixture
) -> None:
    progress = windows(clock, limiter, lambda _rows, _partial: 0.5)
    for _ in range(29):
        limiter.acquire()
        limiter.release()
    progress.update("x", 2)
    limiter.wait(600, "the API is locked")
    progress.update("x", 2)
    assert [left for (left,) in fields(log, "seconds_left") if left] == [60, 60]


def test_pages_count_before_their_window_is_complete(
    clock: FakeClock, limiter: SlidingWindowLimiter
) -> None:
    progress = windows(
        clock, limiter, lambda rows, partial: min(0.5 * (rows >= 1000) + partial, 1.0)
    )
    assert progress.snapshot().to_log_line("") == "0 calls"
    clock.time += 60
    progress.add_page(["a", "b", "c"], 12, 0.5)
    progress.add_page(["c", "d"], 12, 0.5)  # rows may come twice, where pages shift
    snapshot = progress.snapshot()
    assert snapshot.to_log_line("") == "4 of about 24 calls (17 %), 4/min, about 5 min 0 s left"
    assert snapshot.fields == {"rows": 4, "percent": 16, "seconds_left": 300}
    progress.update("x", 1000)
    progress.add_page(["e"], None, 0.5)
    assert progress.snapshot().done == "1,001 of about 2,002 calls"


def test_records_without_a_known_number_are_counted(
    clock: FakeClock, limiter: SlidingWindowLimiter
) -> None:
    written = [5]
    progress = RecordProgress(
        "users", clock=clock, limiter=limiter, records_written=lambda: written[0]
    )
    limiter.acquire()
    clock.time += 30
    written[0] = 55
    snapshot = progress.snapshot()
    assert snapshot.to_log_line("waiting for 3 s") == (
        "50 records in 1 request, 100/min, waiting for 3 s"
    )
    unknown = {"percent": None, "seconds_left": None}
    assert snapshot.fields == {"rows": 50, "requests": 1, **unknown}


@pytest.mark.parametrize("total", [200, 0])
def test_download_progress(
    clock: FakeClock, limiter: SlidingWindowLimiter, log: pytest.LogCaptureFixture, total: int
) -> None:
    results: Counter[str] = Counter()
    progress = downloads(clock, limiter, results, 12_345_678)
    if total:
        progress.add_total(total, total)
    results.update({"fetched": 49, "skipped": 1})
    clock.time += 60
    snapshot = progress.snapshot()
    clock.time += 3659
    progress.finish()
    told = "49 fetched, 1 skipped"
    first = f"50 of 200 files (25 %), {told}, 50/min, 12.3MB, about 3 min 0 s left"
    assert snapshot.to_log_line("") == (first if total else f"50 files, {told}, 50/min, 12.3MB")
    live = "50 of 200 files, about 3 min 0 s left, 0:01:00 elapsed, 50/min, 12.3MB"
    assert snapshot.to_live_line("", 60.9) == (
        live if total else "50 files, 0:01:00 elapsed, 50/min, 12.3MB"
    )
    assert snapshot.fields == {
        "fetched": 49,
        "skipped": 1,
        "percent": 25 if total else None,
        "seconds_left": 180 if total else None,
        "bytes_received": 12_345_678,
    }
    total_line = ["200 files to download, about 6 min 54 s at the rate limit"] if total else []
    assert log.messages == [*total_line, f"50 files in 1 h 1 min: {told}"]
    names = ("named", "fetched", "skipped", "seconds_left", "seconds")
    assert fields(log, *names) == [
        *([(200, None, None, 414, None)] if total else []),
        (None, 49, 1, None, 3719.0),
    ]


class CountedMeanwhile(Counter[str]):
    """Results to which a download adds a new one while they are read one by one."""

    @override
    def items(self) -> Any:
        for item in super().items():
            self[f"failed {len(self)}"] += 1
            yield item


def test_snapshot_is_safe_while_downloads_count(
    clock: FakeClock, limiter: SlidingWindowLimiter
) -> None:
    progress = downloads(clock, limiter, CountedMeanwhile(fetched=2))
    assert progress.snapshot().fields["fetched"] == 2


def test_summary_without_downloads(
    clock: FakeClock, limiter: SlidingWindowLimiter, log: pytest.LogCaptureFixture
) -> None:
    downloads(clock, limiter, Counter()).finish()
    assert log.messages == ["0 files in 0 s: none"]


def test_a_figure_of_the_live_line_moves_each_second() -> None:
    still = Snapshot("call_logs", "0 calls", 0.0)
    assert [still.to_live_line("", second) for second in (59, 60, 3661)] == [
        "0 calls, 0:00:59 elapsed",
        "0 calls, 0:01:00 elapsed",
        "0 calls, 1:01:01 elapsed",
    ]
    wait = Wait("waiting", 7_200.0)
    waits = [format_wait(wait, second, NOW + second) for second in (0.0, 1.0, 3_601.0)]
    assert [still.to_live_line(text, 5) for text in waits] == [
        "0 calls, waiting for 2 h 0 min 0 s until 14:00:00 UTC",
        "0 calls, waiting for 1 h 59 min 59 s until 14:00:00 UTC",
        "0 calls, waiting for 59 min 59 s until 14:00:00 UTC",
    ]


def halfway() -> Snapshot:
    """Return the progress of a task with ten seconds left, by the pace so far."""
    return Snapshot("x", "1 of 2", 0.0, 0.5, seconds_left=10)


def test_time_left_is_not_less_than_the_wait(
    clock: FakeClock, limiter: SlidingWindowLimiter, log: pytest.LogCaptureFixture
) -> None:
    with Reporter(clock, lambda: limiter.current_wait).task(halfway):
        limiter.wait(60, "HTTP 500")
        limiter.wait(30, "HTTP 500")
    assert [message for message in log.messages if "; waiting" not in message] == [
        "1 of 2 (50 %), waiting for 31 s until 12:01:00 UTC, about 31 s left",
        "1 of 2 (50 %), waiting for 2 s until 12:01:00 UTC, about 10 s left",
        "1 of 2 (50 %), waiting for 3 s until 12:01:30 UTC, about 10 s left",
    ]
    assert [seconds for (seconds,) in fields(log, "seconds_left") if seconds] == [31, 10, 10]


class Waiting:
    """A task whose figure is the time."""

    def __init__(self, clock: FakeClock, name: str = "x") -> None:
        self._clock = clock
        self._name = name
        self._began = clock.time

    def snapshot(self) -> Snapshot:
        seconds = round(self._clock.time - self._began)
        return Snapshot(self._name, f"{seconds} s", 0.0, figures={"rows": seconds})


def test_a_line_comes_within_each_30_seconds_of_a_wait(
    clock: FakeClock, limiter: SlidingWindowLimiter, log: pytest.LogCaptureFixture
) -> None:
    reporter = Reporter(clock, lambda: limiter.current_wait)
    with reporter.task(Waiting(clock).snapshot):
        limiter.wait(100, "At the limit of 30 requests in 60 s")
        with reporter.task(Waiting(clock, "inner").snapshot):
            limiter.wait(30, "HTTP 500")
    limiter.wait(100, "HTTP 500")  # there is nothing to report
    waits = [message for message in log.messages if "; waiting" in message]
    assert len(waits) == 3
    assert [message for message in log.messages if message not in waits] == [
        "29 s, at the limit for 1 min 11 s until 12:01:40 UTC",
        "58 s, at the limit for 42 s until 12:01:40 UTC",
        "87 s, at the limit for 13 s until 12:01:40 UTC",
        "16 s, waiting for 14 s until 12:02:10 UTC",
    ]
    assert fields(log, "stream_name", "rows")[1] == ("x", 29)
    assert limiter.current_wait is None
