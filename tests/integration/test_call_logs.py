"""Progress in the log: lines for people, and fields of structured logs."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tap_zohovoice._compat import override
from tests.support.calls import assert_once, history, server_ids
from tests.support.catalog import selecting
from tests.support.cli import FakeClock, Run, RunTap
from zoho_voice_sandbox import Dialect, Sandbox

CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "stream": "ext://sys.stderr",
        }
    },
    "root": {"level": "INFO", "handlers": ["stderr"]},
}
# Names that Meltano uses itself; some of them make it fail.
RESERVED = {"event", "level", "logger", "message", "msg", "name", "stack", "timestamp"}

WINDOW = re.compile(
    r"(\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d): ([\d,]+) calls? in (\d+) requests?; (\d+) % done"
    r"(?:; about (?:\d+ h \d+ min|\d+ min \d+ s|\d+ s) left)?"
)

KINDS = ("recording", "voicemail")


@pytest.fixture
def json_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set up logs in JSON, as people do, and undo it."""
    path = tmp_path / "logging.yml"
    path.write_text(json.dumps(CONFIG))  # which is YAML too
    monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", str(path))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def entries(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.log.splitlines()]


def fields(run: Run, name: str, logger: str = "") -> list[dict[str, Any]]:
    """Return the fields of all lines that have a certain one."""
    return [
        entry["extra"]
        for entry in entries(run)
        if name in entry["extra"] and entry["logger_name"].endswith(logger)
    ]


@pytest.mark.usefixtures("json_logs")
def test_windows_and_waits_are_structured_fields(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(), dialect=Dialect(max_range_days=31), clock=clock) as box:
        run = run_tap({**box.config, "page_size": 20})
        assert_once(run, server_ids(box))
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
    assert sum(wait["wait_seconds"] for wait in waits) == pytest.approx(sum(clock.slept), abs=30)
    assert all(re.fullmatch(r"2026-03-01T1.:..:..\+00:00", wait["wait_until"]) for wait in waits)
    told = [entry["message"] for entry in entries(run)]
    lines = [found[0] for found in map(WINDOW.search, told) if found]
    assert len(lines) == len(windows)
    assert sum("left" in line for line in lines) == len(lines) - 1
    for line in [line for line in told if "waiting" in line]:
        assert "At the limit of 30 requests in 60 s; waiting " in line
        assert "waiting 0 s" not in line


@pytest.mark.usefixtures("json_logs")
def test_errors_are_structured_lines(run_tap: RunTap, clock: FakeClock) -> None:
    faults = {1: "500", 2: "error_200"}
    with Sandbox(history=history(30), clock=clock, faults=faults) as box:
        run = run_tap({**box.config, "client_secret": "wrong"})
    assert run.exit_code == 1
    (error,) = [entry for entry in entries(run) if entry["level"] == "error"]
    assert error["message"].startswith("Zoho Accounts: HTTP 200, invalid_client_secret: ")
    assert "exception" not in error


@pytest.mark.usefixtures("json_logs")
def test_structured_fields_avoid_reserved_names(
    run_tap: RunTap, clock: FakeClock, tmp_path: Path
) -> None:
    with Sandbox(history=history(60), clock=clock) as box:
        config = {**box.config, "recordings_path": str(tmp_path / "files")}
        catalog = selecting("call_logs", "recordings", "transcripts")
        run = run_tap(config, catalog=catalog)
    assert run.exit_code == 0
    names = {name for entry in entries(run) for name in entry["extra"]}
    assert {"window", "rows", "fetched", "named"} <= names
    assert not names & RESERVED
    streams = {entry["stream_name"] for entry in entries(run)}
    assert {"call_logs", "recordings", "transcripts"} <= streams


def test_estimated_time_left_is_accurate(run_tap: RunTap, clock: FakeClock) -> None:
    begun = clock.time
    times: list[tuple[float, float]] = []

    class Watch(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            if left := getattr(record, "seconds_left", None):
                times.append((clock.time, left))

    logger = logging.getLogger("tap-zohovoice.call_logs")
    watch = Watch()
    logger.addHandler(watch)
    try:
        with Sandbox(
            history=history(3_000), dialect=Dialect(max_range_days=31), clock=clock
        ) as box:
            assert_once(run_tap({**box.config, "page_size": 10}), server_ids(box))
    finally:
        logger.removeHandler(watch)
    took = clock.time - begun
    late = [(moment, left) for moment, left in times if moment - begun > took / 4]
    assert len(late) > 3
    for moment, left in late:
        assert moment + left == pytest.approx(clock.time, abs=0.2 * took)


def test_downloads_log_total_progress_and_summary(
    run_tap: RunTap, clock: FakeClock, tmp_path: Path, json_logs: None
) -> None:
    del json_logs
    with Sandbox(history=history(260), clock=clock) as box:
        config = {
            **box.config, "recordings_path": str(tmp_path / "files"), "recordings_per_request": 1,
        }  # fmt: skip
        run = run_tap(config)
    rows = run.rows("recordings")
    assert len(rows) > 60
    named = [entry["named"] for entry in fields(run, "named")]  # one for each kind
    assert named == [len([row for row in rows if row["kind"] == kind]) for kind in KINDS]
    told = fields(run, "fetched")
    assert len(told) > 2
    counts = [entry["fetched"] for entry in told]
    assert counts == sorted(counts)
    assert counts[-1] == len(rows)
    assert all(0 < entry["percent"] <= 100 for entry in told[:-1])
    lines = [entry for entry in entries(run) if "named" in entry["extra"]]
    for entry in lines:
        fields_of = entry["extra"]
        minutes, seconds = divmod(fields_of["seconds_left"], 60)
        span = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        assert entry["stream_name"] == "recordings"
        assert entry["message"] == (
            f"{fields_of['named']} files to download, about {span} at the rate limit"
        )
