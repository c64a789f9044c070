"""Progress of a run: a live line at a real terminal, log lines elsewhere, structured logs."""

import json
import logging
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tap_zohovoice._compat import override
from tests.support.account import Accounts
from tests.support.calls import history, server_ids
from tests.support.cli import NOW, FakeClock, Run
from tests.support.pty import Terminal
from zoho_voice_sandbox import Dialect, Sandbox

AtTerminal: TypeAlias = Callable[..., Terminal]
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

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ \| [A-Z]+ +\| ")
STATE = {"bookmarks": {"call_logs": {"replication_key_value": "2026-02-28T00:00:00+00:00"}}}


class Watch(logging.Handler):
    """Keeps the log records of progress, and when they came."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.times = [clock.time]
        self._clock = clock

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if "wait_until" not in vars(record):
            self.records.append(record)
            self.times.append(self._clock.time)

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    @property
    def longest_pause(self) -> float:
        return max(after - before for before, after in pairwise([*self.times, self._clock.time]))


@pytest.fixture
def watch(clock: FakeClock) -> Iterator[Watch]:
    logger, handler = logging.getLogger("tap-zohovoice"), Watch(clock)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_calls_log_a_line_every_30_seconds(account: Accounts, watch: Watch) -> None:
    with account(3_000, faults={40: "lock"}) as box:
        box.read(page_size=20)
        assert box.clock.time - NOW > 600  # a lock was waited out too
    assert watch.longest_pause <= 30
    told = [line for line in watch.lines if " of about " in line]
    assert len(told) > 20
    assert any("at the limit for" in line for line in told)
    assert any("waiting for" in line for line in told)
    numbers = [re.findall(r"[\d,]+", line)[:2] for line in told]
    rows = [int(text.replace(",", "")) for text, _ in numbers]
    totals = [int(text.replace(",", "")) for _, text in numbers]
    assert rows == sorted(rows)
    assert len(set(rows)) > 3
    assert max(totals) < 2 * 3_000 < 4 * min(totals)


@pytest.mark.parametrize(
    ("stream", "faults", "start"),
    [
        ("users", {"list_faults": {"users": {1: "lock"}}}, "checking access, waiting for 9 min"),
        ("call_logs", {"token_faults": {1: "slow:45"}}, "requesting an access token"),
    ],
)
def test_line_before_the_first_records(
    account: Accounts, watch: Watch, stream: str, faults: Any, start: str
) -> None:
    with account(30, **faults) as box:
        box.run(streams=[stream], state=STATE)
    assert any(line.startswith(start) for line in watch.lines), watch.lines


def test_run_of_one_window_logs_ten_lines(account: Accounts) -> None:
    with account(60) as box:
        run = box.succeed()
    assert len(run.log.splitlines()) <= 10, run.log
    assert run.log.count("not documented") == 1


@pytest.fixture
def json_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up logs in JSON, as people do."""
    path = tmp_path / "logging.yml"
    path.write_text(CONFIG)
    monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", str(path))


def entries(run: Run) -> list[dict[str, Any]]:
    """Return the lines of the log, whose fields must not have reserved names."""
    found = [json.loads(line) for line in run.log.splitlines()]
    assert not RESERVED & {name for entry in found for name in entry["extra"]}
    return found


def fields(run: Run, name: str) -> list[dict[str, Any]]:
    """Return the fields of all lines that have a certain one."""
    return [entry["extra"] for entry in entries(run) if name in entry["extra"]]


@pytest.mark.usefixtures("json_logs")
def test_windows_waits_and_estimates_are_structured_fields(account: Accounts, watch: Watch) -> None:
    with account(1_500, max_range_days=31) as box:
        run = box.read(page_size=10)
        requests, end = box.stats.requests, box.clock.time
    moments = zip(watch.times[1:], watch.records, strict=True)
    told = [(moment, getattr(record, "seconds_left", None)) for moment, record in moments]
    late = [(moment, left) for moment, left in told if left and moment - NOW > (end - NOW) / 4]
    assert len(late) > 3
    for moment, left in late:
        assert moment + left == pytest.approx(end, abs=0.2 * (end - NOW))
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
    for line in [line for line in run.log.splitlines() if "waiting" in line]:
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
def test_downloads_log_a_line_every_30_seconds(
    account: Accounts, watch: Watch, tmp_path: Path
) -> None:
    files = {"recordings_path": str(tmp_path / "files"), "recordings_per_request": 1}
    with account(260) as box:
        run = box.succeed(streams=("recordings", "transcripts"), **files)
        assert box.clock.time - NOW > 120
    assert watch.longest_pause <= 30
    pattern = r"\d+ of \d+ files \(\d+ %\), \d+ fetched, .*kB"
    assert any(re.match(pattern, line) for line in watch.lines)
    for stream in ("recordings", "transcripts"):
        told = [entry["extra"] for entry in entries(run) if entry["stream_name"] == stream]
        received = [each["bytes_received"] for each in told if "bytes_received" in each]
        assert len(received) > 1
        assert received == sorted(received)
        assert received[0] > 0
        kinds = Counter(row["kind"] for row in run.rows(stream))
        named = [each["named"] for each in told if "named" in each]
        assert named == [kinds["recording"], kinds["voicemail"]]
        *fetched, last = [each for each in told if "fetched" in each]
        counts = [each["fetched"] for each in (*fetched, last)]
        assert counts == sorted(counts)
        assert counts[-1] == len(run.rows(stream)) > 30
        assert all(0 < each["percent"] <= 100 for each in fetched)


@pytest.mark.usefixtures("json_logs")
def test_changes_of_status_are_counted_over_all_agents(account: Accounts) -> None:
    stream = "agent_status_changes"
    with account(0) as box:
        run = box.succeed(streams=[stream], start_date="2026-02-20")
    told = [entry["extra"] for entry in entries(run) if entry["stream_name"] == stream]
    for name, least in (("rows", 30), ("requests", 60)):
        counts = [each[name] for each in told if name in each]  # the SDK has lines without
        assert counts == sorted(counts)
        assert counts[-1] > least


@pytest.fixture
def at_terminal(tmp_path: Path) -> AtTerminal:
    """Run the tap at a terminal, with its records in a file."""

    def run(box: Sandbox, **environment: str) -> Terminal:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**box.config, "page_size": 50, "rate_limit_calls": 10_000}))
        script = f'stty cols 100 rows 24; exec "$@" > {tmp_path / "out.jsonl"}'
        variables = [f"{name}={value}" for name, value in environment.items()]
        shell = ["/bin/sh", "-c", script, "sh", "/usr/bin/env", "TERM=xterm", *variables]
        return Terminal([*shell, sys.executable, "-m", "tap_zohovoice", "--config", str(path)])

    return run


def shown(screen: str) -> list[str]:
    """Return the lines that a terminal shows in the end."""
    lines = []
    for line in screen.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return [line for line in lines if line]


DIALECT = Dialect(limit_calls=10_000)


def test_terminal_has_one_line_that_moves(at_terminal: AtTerminal, tmp_path: Path) -> None:
    gates = {number: threading.Event() for number in (1, 4, 8)}

    def hold(number: int) -> None:
        """Hold a request until the test has seen the screen."""
        assert number not in gates or gates[number].wait(20)

    with (
        Sandbox(history=history(600), dialect=DIALECT, before_request=hold) as box,
        at_terminal(box, NO_COLOR="1") as user,
    ):
        user.wait_for("\rcall_logs: 0:00:")
        user.wait_for(" elapsed, 0 calls")  # although no response has come
        gates[1].set()
        user.wait_for("call_logs 25 %|")
        gates[4].set()
        user.wait_for("call_logs 57 %|")
        gates[8].set()
        screen = user.rest()
        ids = server_ids(box)
    assert user.exit_code == 0, screen
    pattern = (
        r"\r(call_logs \d+ %\|[^|]+\| \S+ elapsed, (\d+) of about 600 calls, [^\r,]* left[^\r]*)"
    )
    states = re.findall(pattern, screen)
    assert len({count for _, count in states}) > 1
    assert all(len(line) < 100 for line, _ in states)
    assert "\x1b" not in screen  # neither colours nor moves of the cursor
    assert all(LOG_LINE.match(line) for line in shown(screen)), shown(screen)
    assert len(shown(screen)) > 8
    messages = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {m["record"]["logid"] for m in messages if m["type"] == "RECORD"} == ids


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_terminal_without_a_cursor_has_lines(at_terminal: AtTerminal, term: str) -> None:
    with Sandbox(history=history(60), dialect=DIALECT) as box, at_terminal(box, TERM=term) as user:
        screen = user.rest()
    assert user.exit_code == 0
    assert "%|" not in screen
    assert "\r" not in screen
    assert all(LOG_LINE.match(line) for line in screen.splitlines())
