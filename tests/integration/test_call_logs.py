"""Progress in the log: lines for people, and fields of structured logs."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tap_zohovoice._compat import override
from tests.support.account import Accounts
from tests.support.cli import FakeClock, Run

CONFIG = """
version: 1
disable_existing_loggers: false
formatters: {json: {(): singer_sdk.logging.StructuredFormatter}}
handlers:
  stderr: {class: logging.StreamHandler, formatter: json, stream: ext://sys.stderr}
root: {level: INFO, handlers: [stderr]}
"""
# Names that Meltano uses itself; some of them make it fail.
RESERVED = {"event", "level", "logger", "message", "msg", "name", "stack", "timestamp"}

WINDOW = re.compile(
    r"(\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d): ([\d,]+) calls? in (\d+) requests?; (\d+) % done"
    r"(?:; about (?:\d+ h \d+ min|\d+ min \d+ s|\d+ s) left)?"
)


@pytest.fixture
def json_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set up logs in JSON, as people do, and undo it."""
    path = tmp_path / "logging.yml"
    path.write_text(CONFIG)
    monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", str(path))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def entries(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.log.splitlines()]


def fields(run: Run, name: str) -> list[dict[str, Any]]:
    """Return the fields of all lines that have a certain one."""
    return [entry["extra"] for entry in entries(run) if name in entry["extra"]]


@pytest.mark.usefixtures("json_logs")
def test_windows_and_waits_are_structured_fields(account: Accounts) -> None:
    with account(max_range_days=31) as box:
        run = box.read(page_size=20)
        requests = box.stats.requests
    windows = fields(run, "window")
    assert len(windows) > 5
    assert sum(window["rows"] for window in windows) == len(run.records)
    percents = [window["percent"] for window in windows]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert windows[-1]["seconds_left"] is None
    assert all(window["seconds_left"] >= 0 for window in windows[:-1])
    (summary,) = fields(run, "tokens")
    assert summary["rows"] == len(run.records)
    assert summary["requests"] == requests >= sum(window["requests"] for window in windows)
    assert summary["tokens"] == 1
    waits = fields(run, "wait_seconds")
    assert summary["waits"] == len(waits) > 1
    assert sum(wait["wait_seconds"] for wait in waits) == pytest.approx(
        sum(box.clock.slept), abs=30
    )
    assert all(re.fullmatch(r"2026-03-01T1.:..:..\+00:00", wait["wait_until"]) for wait in waits)
    told = [entry["message"] for entry in entries(run)]
    lines = [found[0] for found in map(WINDOW.search, told) if found]
    assert len(lines) == len(windows)
    assert sum("left" in line for line in lines) == len(lines) - 1
    for line in [line for line in told if "waiting" in line]:
        assert "At the limit of 30 requests in 60 s; waiting " in line
        assert "waiting 0 s" not in line


@pytest.mark.usefixtures("json_logs")
def test_errors_are_structured_lines(account: Accounts) -> None:
    with account(30, faults={1: "500", 2: "error_200"}) as box:
        run = box.run(client_secret="wrong")
    assert run.exit_code == 1
    (error,) = [entry for entry in entries(run) if entry["level"] == "error"]
    assert error["message"].startswith("Zoho Accounts: HTTP 200, invalid_client_secret: ")
    assert "exception" not in error


@pytest.mark.usefixtures("json_logs")
def test_structured_fields_avoid_reserved_names(account: Accounts, tmp_path: Path) -> None:
    streams = ("call_logs", "recordings", "transcripts")
    with account(60) as box:
        run = box.succeed(streams=streams, recordings_path=str(tmp_path / "files"))
    names = {name for entry in entries(run) for name in entry["extra"]}
    assert {"window", "rows", "fetched", "named"} <= names
    assert not names & RESERVED
    assert {entry["stream_name"] for entry in entries(run)} >= {*streams}


def test_estimated_time_left_is_accurate(
    account: Accounts, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    begun = clock.time
    times: list[tuple[float, float]] = []

    class Watch(logging.Filter):
        @override
        def filter(self, record: logging.LogRecord) -> bool:
            if left := getattr(record, "seconds_left", None):
                times.append((clock.time, left))
            return True

    watch = Watch()
    caplog.handler.addFilter(watch)
    with account(3_000, max_range_days=31) as box:
        box.read(page_size=10)
    caplog.handler.removeFilter(watch)
    took = clock.time - begun
    late = [(moment, left) for moment, left in times if moment - begun > took / 4]
    assert len(late) > 3
    for moment, left in late:
        assert moment + left == pytest.approx(clock.time, abs=0.2 * took)


@pytest.mark.usefixtures("json_logs")
def test_downloads_log_total_progress_and_summary(account: Accounts, tmp_path: Path) -> None:
    with account(260) as box:
        run = box.run(recordings_path=str(tmp_path / "files"), recordings_per_request=1)
    rows = run.rows("recordings")
    assert len(rows) > 60
    kinds = Counter(row["kind"] for row in rows)
    lines = [entry for entry in entries(run) if "named" in entry["extra"]]  # one for each kind
    assert [line["extra"]["named"] for line in lines] == [kinds["recording"], kinds["voicemail"]]
    told = fields(run, "fetched")
    assert len(told) > 2
    counts = [entry["fetched"] for entry in told]
    assert counts == sorted(counts)
    assert counts[-1] == len(rows)
    assert all(0 < entry["percent"] <= 100 for entry in told[:-1])
    for line in lines:
        minutes, seconds = divmod(line["extra"]["seconds_left"], 60)
        span = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        assert line["stream_name"] == "recordings"
        named = line["extra"]["named"]
        assert line["message"] == f"{named} files to download, about {span} at the rate limit"
