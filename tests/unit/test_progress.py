"""Progress: log lines, structured fields and the estimate of the time left."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.progress import DownloadProgress, Progress, Reporter, Snapshot, WindowProgress
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter, Wait
from tests.support.cli import FakeClock


@dataclass
class Stage:
    """A clock, a limiter and the log, for any progress."""

    clock: FakeClock
    limiter: SlidingWindowLimiter
    caplog: pytest.LogCaptureFixture
    writer: Any = field(default_factory=lambda: Mock(records_written=5))

    def windows(self, share_done: Callable[[int, float], float]) -> WindowProgress:
        return WindowProgress("call_logs", self.limiter, self.writer, share_done)

    def downloads(self, results: Counter[str], received: int = 0) -> DownloadProgress:
        more: Any = ("file", results, lambda: received)
        return DownloadProgress("recordings", self.limiter, self.writer, *more)

    def request(self, times: int = 1) -> None:
        for _ in range(times):
            self.limiter.acquire()
            self.limiter.release()

    def logged(self) -> list[str]:
        """Return the lines of progress, without those of the limiter."""
        return [text for text in self.caplog.messages if "; waiting" not in text]

    def fields(self, *names: str) -> list[tuple[object, ...]]:
        return [tuple(vars(record).get(name) for name in names) for record in self.caplog.records]


@pytest.fixture
def stage(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> Stage:
    caplog.set_level(logging.INFO, "tap-zohovoice")
    return Stage(clock, SlidingWindowLimiter(30, 60, clock), caplog)


def test_window_progress_lines(stage: Stage) -> None:
    progress = stage.windows(lambda rows, _: rows / 4000)
    for rows, requests in ((1000, 29), (1, 1), (2999, 2)):
        stage.request(requests)
        stage.clock.time += 90
        progress.finish_window(f"window of {rows}", rows)
    stage.writer.records_written += 4000
    progress.finish("call", 1)
    assert stage.logged() == [
        "window of 1000: 1,000 calls in 29 requests; 25 % done; about 4 min 30 s left",
        "window of 1: 1 call in 1 request; 25 % done; about 8 min 59 s left",
        "window of 2999: 2,999 calls in 2 requests; 100 % done",
        "4,000 calls in 4 min 30 s: 32 requests, 0 waits, 1 token",
    ]


def test_limit_sets_the_pace_of_the_estimate(stage: Stage) -> None:
    progress = stage.windows(lambda _rows, _partial: 0.5)
    stage.request(29)
    progress.finish_window("x", 2)
    stage.limiter.wait(600, "the API is locked")
    progress.finish_window("x", 2)
    assert [left for (left,) in stage.fields("seconds_left") if left] == [60, 60]


def test_pages_count_before_their_window_is_complete(stage: Stage) -> None:
    progress = stage.windows(lambda rows, partial: min(0.5 * (rows >= 1000) + partial, 1.0))
    assert progress.snapshot().to_log_line("") == "0 calls"
    stage.clock.time += 60
    progress.add_page(["a", "b", "c"], 12, 0.5)
    progress.add_page(["c", "d"], 12, 0.5)  # rows may come twice, where pages shift
    snapshot = progress.snapshot()
    assert snapshot.to_log_line("") == "4 of about 24 calls (17 %), 4/min, about 5 min 0 s left"
    assert snapshot.fields == {"rows": 4, "percent": 16, "seconds_left": 300}
    progress.finish_window("x", 1000)
    progress.add_page(["e"], None, 0.5)
    assert progress.snapshot().done == "1,001 of about 2,002 calls"


def test_records_without_a_known_number_are_counted(stage: Stage) -> None:
    progress = Progress("users", stage.limiter, stage.writer)
    stage.request()
    stage.writer.records_written += 50
    stage.clock.time += 30
    snapshot = progress.snapshot()
    line = "50 records in 1 request, 100/min, waiting for 3 s"
    assert snapshot.to_log_line("waiting for 3 s") == line
    unknown = {"percent": None, "seconds_left": None}
    assert snapshot.fields == {"rows": 50, "requests": 1, **unknown}


def test_download_progress_is_counted_and_estimated(stage: Stage) -> None:
    results: Counter[str] = Counter()
    progress = stage.downloads(results, 12_345_678)
    progress.add_total(200, 200)
    results.update({"fetched": 49, "skipped": 1})
    stage.clock.time += 60
    left, told = "about 3 min 0 s left", "49 fetched, 1 skipped"
    snapshot = progress.snapshot()
    line = f"50 of 200 files (25 %), {told}, 50/min, 12.3MB, {left}"
    assert snapshot.to_log_line("") == line
    line = f"0:01:00 elapsed, 50 of 200 files, {left}, {told}, 50/min, 12.3MB"
    assert snapshot.to_live_line("", 60.9) == line
    counts = {"fetched": 49, "skipped": 1, "bytes_received": 12_345_678}
    assert snapshot.fields == {**counts, "percent": 25, "seconds_left": 180}
    stage.clock.time += 3659
    progress.finish()
    assert stage.logged() == [
        "200 files to download, about 6 min 54 s at the rate limit",
        f"50 files in 1 h 1 min: {told}",
    ]
    assert stage.fields("named", "fetched", "skipped", "seconds_left", "seconds") == [
        (200, None, None, 414, None),
        (None, 49, 1, None, 3719.0),
    ]


class CountedMeanwhile(Counter[str]):
    """Results to which a download adds a new one while they are read one by one."""

    @override
    def items(self) -> Any:
        for item in super().items():
            self[f"failed {len(self)}"] += 1
            yield item


def test_snapshot_is_safe_while_downloads_count(stage: Stage) -> None:
    progress = stage.downloads(CountedMeanwhile(fetched=2))
    progress.add_total(9, 9)
    assert progress.snapshot().fields["fetched"] == 2
    stage.downloads(Counter()).finish()
    assert stage.logged()[-1] == "0 files in 0 s: none"


@pytest.mark.parametrize(
    ("wait", "second", "clock"),
    [
        *[("", 59, "0:00:59"), ("", 60, "0:01:00"), ("", 3661, "1:01:01")],
        (", waiting for 2 h 0 min until 14:00:00 UTC", 5, "0:00:05"),
    ],
)
def test_figure_of_live_line_moves_each_second(wait: str, second: int, clock: str) -> None:
    line = Snapshot("call_logs", "0 calls").to_live_line(wait.removeprefix(", "), second)
    assert line == f"{clock} elapsed, 0 calls{wait}"


def test_wait_is_shown_until_its_end(stage: Stage) -> None:
    wait = Wait("waiting", stage.clock.utcnow() + timedelta(hours=2))
    halfway = Snapshot("x", "1 of 2", 0.5, seconds_left=10)  # by the pace so far
    with Reporter(stage.clock, lambda: wait).task(lambda: halfway):
        stage.clock.sleep(7_271)
    assert [stage.logged()[place] for place in (0, -4, -2, -1)] == [
        "1 of 2 (50 %), waiting for 1 h 59 min until 14:00:00 UTC, about 1 h 59 min left",
        "1 of 2 (50 %), waiting for 37 s until 14:00:00 UTC, about 37 s left",
        "1 of 2 (50 %), waiting for 0 s until 14:00:00 UTC, about 10 s left",
        "1 of 2 (50 %), waiting for 0 s until 14:00:00 UTC, about 10 s left",
    ]
    assert [left for (left,) in stage.fields("seconds_left")][-4:] == [37, 10, 10, 10]


def test_line_comes_every_30_seconds_of_a_wait(stage: Stage) -> None:
    def take_snapshot(name: str, began: float) -> Snapshot:
        seconds = round(stage.clock.time - began)
        return Snapshot(name, f"{seconds} s", figures={"rows": seconds})

    reporter = Reporter(stage.clock, lambda: stage.limiter.current_wait)
    with reporter.task(partial(take_snapshot, "x", stage.clock.time)):
        stage.limiter.wait(100, "At the limit of 30 requests in 60 s")
        with reporter.task(partial(take_snapshot, "inner", stage.clock.time)):
            stage.limiter.wait(30, "HTTP 500")
    stage.limiter.wait(100, "HTTP 500")  # there is nothing to report
    assert stage.logged() == [
        "29 s, at the limit for 1 min 11 s until 12:01:40 UTC",
        "58 s, at the limit for 42 s until 12:01:40 UTC",
        "87 s, at the limit for 13 s until 12:01:40 UTC",
        "16 s, waiting for 14 s until 12:02:10 UTC",
    ]
    assert len(stage.caplog.messages) == 4 + 3
    assert stage.fields("stream_name", "rows")[1] == ("x", 29)
    assert stage.limiter.current_wait is None


def test_timer_ends_with_its_block() -> None:
    called = threading.Event()
    with Clock().every(0.01, called.set):
        assert called.wait(10)
    assert "timer" not in {thread.name for thread in threading.enumerate()}
