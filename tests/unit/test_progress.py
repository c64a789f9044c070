"""Progress: log lines, structured fields and the estimate of the time left."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tap_zohovoice.progress import DownloadProgress, WindowProgress
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter

if TYPE_CHECKING:
    from tests.support.cli import FakeClock


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "tap-zohovoice")
    return caplog


def fields(log: pytest.LogCaptureFixture, *names: str) -> list[tuple[object, ...]]:
    """Return the values of some fields of each line."""
    return [tuple(vars(record).get(name) for name in names) for record in log.records]


def test_window_progress_lines(clock: FakeClock, log: pytest.LogCaptureFixture) -> None:
    limiter = SlidingWindowLimiter(30, 60, clock)
    progress = WindowProgress(
        "call_logs",
        clock=clock,
        limiter=limiter,
        share_done=lambda rows: rows / 4000,
        tokens_fetched=lambda: 1,
    )
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
    clock: FakeClock, log: pytest.LogCaptureFixture
) -> None:
    limiter = SlidingWindowLimiter(30, 60, clock)
    progress = WindowProgress(
        "call_logs",
        clock=clock,
        limiter=limiter,
        share_done=lambda _: 0.5,
        tokens_fetched=lambda: 0,
    )
    for _ in range(29):
        limiter.acquire()
        limiter.release()
    progress.update("x", 2)
    assert fields(log, "seconds_left") == [(60,)]


@pytest.mark.parametrize("total", [200, 0])
def test_download_progress_lines(
    clock: FakeClock, log: pytest.LogCaptureFixture, total: int
) -> None:
    results: Counter[str] = Counter()
    limiter = SlidingWindowLimiter(30, 60, clock)
    progress = DownloadProgress("recordings", "file", clock=clock, limiter=limiter, results=results)
    if total:
        progress.add_total(total)
    results.update({"fetched": 49, "there already": 1})
    clock.time += 59
    progress.update()
    clock.time += 1
    progress.update()
    clock.time += 59
    progress.update()
    clock.time += 3600
    progress.finish()
    expected = [
        "200 files to download, about 6 min 54 s at the rate limit",
        "50 of 200 files (25 %): 49 fetched, 1 there already; about 3 min 0 s left",
        "50 files in 1 h 1 min: 49 fetched, 1 there already",
    ]
    if not total:
        expected = ["50 files: 49 fetched, 1 there already", expected[-1]]
    assert log.messages == expected
    counts = (49, 1)
    names = ("named", "fetched", "there_already", "percent", "seconds_left")
    assert fields(log, *names) == [
        *([(200, None, None, None, 414), (None, *counts, 25, 180)] if total else []),
        *([] if total else [(None, *counts, None, None)]),
        (None, *counts, None, None),
    ]
    assert fields(log, "seconds")[-1] == (3719.0,)


def test_summary_without_downloads(clock: FakeClock, log: pytest.LogCaptureFixture) -> None:
    limiter = SlidingWindowLimiter(30, 60, clock)
    DownloadProgress("x", "file", clock=clock, limiter=limiter, results={}).finish()
    assert log.messages == ["0 files in 0 s: none"]
