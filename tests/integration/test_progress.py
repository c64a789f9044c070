"""Progress of a run: a live line at a real terminal, and log lines elsewhere."""

import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tap_zohovoice._compat import override
from tests.support.calls import assert_once, history, server_ids
from tests.support.catalog import selecting
from tests.support.cli import NOW, FakeClock, RunTap
from tests.support.pty import Terminal
from zoho_voice_sandbox import Dialect, Sandbox

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ \| [A-Z]+ +\| ")
CALLS = re.compile(
    r"[\d,]+ of about [\d,]+ calls \(\d+ %\)(, [\d,]+/min)?"
    r"(, (at the limit|waiting) for (\d+ min )?\d+ s until \d\d:\d\d:\d\d UTC)?"
    r"(, about (\d+ h \d+ min|(\d+ min )?\d+ s) left)?"
)


STATE = {"bookmarks": {"call_logs": {"replication_key_value": "2026-02-28T00:00:00+00:00"}}}


class Watch(logging.Handler):
    """Keeps the log records of progress."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._clock = clock
        self._times = [clock.time]

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if "wait_until" not in vars(record):
            self.records.append(record)
            self._times.append(self._clock.time)

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    @property
    def longest_pause(self) -> float:
        return max(after - before for before, after in pairwise([*self._times, self._clock.time]))


@pytest.fixture
def watch(clock: FakeClock) -> Iterator[Watch]:
    logger, handler = logging.getLogger("tap-zohovoice"), Watch(clock)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_line_at_least_every_30_seconds_of_calls(
    run_tap: RunTap, clock: FakeClock, watch: Watch
) -> None:
    with Sandbox(history=history(3_000), clock=clock, faults={40: "lock"}) as box:
        assert_once(run_tap({**box.config, "page_size": 20}), server_ids(box))
    assert clock.time - NOW > 600  # a lock was waited out too
    assert watch.longest_pause <= 30
    told = [line for line in watch.lines if CALLS.search(line)]
    assert len(told) > 20
    assert all(CALLS.fullmatch(line) for line in told)
    assert any("at the limit for" in line for line in told)
    assert any("waiting for" in line for line in told)
    numbers = [re.findall(r"[\d,]+", line)[:2] for line in told]
    rows = [int(text.replace(",", "")) for text, _ in numbers]
    totals = [int(text.replace(",", "")) for _, text in numbers]
    assert rows == sorted(rows)
    assert len(set(rows)) > 3
    assert max(totals) < 2 * 3_000 < 4 * min(totals)


def test_a_line_at_least_every_30_seconds_of_downloads(
    run_tap: RunTap, clock: FakeClock, watch: Watch, tmp_path: Path
) -> None:
    streams = ("recordings", "transcripts")
    more = {"recordings_path": str(tmp_path / "files"), "recordings_per_request": 1}
    with Sandbox(history=history(260), clock=clock) as box:
        assert run_tap({**box.config, **more}, catalog=selecting(*streams)).exit_code == 0
    assert clock.time - NOW > 120
    assert watch.longest_pause <= 30
    for stream in streams:
        fields = [vars(record) for record in watch.records if record.name.endswith(stream)]
        received = [each["bytes_received"] for each in fields if "bytes_received" in each]
        assert len(received) > 1
        assert received == sorted(received)
        assert received[0] > 0
    pattern = r"\d+ of \d+ files \(\d+ %\), \d+ fetched, .*kB"
    assert any(re.match(pattern, line) for line in watch.lines)


@pytest.mark.parametrize(
    ("stream", "faults", "start"),
    [
        ("users", {"list_faults": {"users": {1: "lock"}}}, "checking access, waiting for 9 min"),
        ("call_logs", {"token_faults": {1: "slow:45"}}, "requesting an access token"),
    ],
)
def test_a_line_before_the_first_records(
    run_tap: RunTap, clock: FakeClock, watch: Watch, stream: str, faults: Any, start: str
) -> None:
    with Sandbox(history=history(30), clock=clock, **faults) as box:
        run_tap(box.config, catalog=selecting(stream), state=STATE)
    assert any(line.startswith(start) for line in watch.lines), watch.lines


def test_a_run_of_one_window_logs_ten_lines(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(60), clock=clock) as box:
        run = run_tap(box.config)
    assert run.exit_code == 0
    lines = run.log.splitlines()
    assert len(lines) <= 10, run.log
    assert sum("not documented" in line for line in lines) == 1


@pytest.fixture
def at_terminal(tmp_path: Path) -> Callable[..., Terminal]:
    """Run the tap at a terminal, with its records in a file."""

    def run(box: Sandbox, columns: int = 100, **environment: str) -> Terminal:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**box.config, "page_size": 50, "rate_limit_calls": 10_000}))
        script = f'stty cols {columns} rows 24; exec "$@" > {tmp_path / "out.jsonl"}'
        variables = [f"{name}={value}" for name, value in environment.items()]
        program = [sys.executable, "-m", "tap_zohovoice", "--config", str(path)]
        return Terminal(
            ["/bin/sh", "-c", script, "sh", "/usr/bin/env", "TERM=xterm", *variables, *program]
        )

    return run


class Gate:
    """Holds some requests of a sandbox, until the test has seen the screen."""

    def __init__(self, *numbers: int) -> None:
        self._gates = {number: threading.Event() for number in numbers}

    def hold(self, number: int) -> None:
        if number in self._gates:
            assert self._gates[number].wait(20)

    def open(self, number: int) -> None:
        self._gates[number].set()


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


def test_a_terminal_has_one_line_that_moves(
    at_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    gate = Gate(1, 4, 8)
    with (
        Sandbox(history=history(600), dialect=DIALECT, before_request=gate.hold) as box,
        at_terminal(box, NO_COLOR="1") as user,
    ):
        user.wait_for("\rcall_logs: 0 calls, 0:00:")
        user.wait_for(" elapsed")  # although no response has come
        gate.open(1)
        user.wait_for("call_logs 25 %|")
        gate.open(4)
        user.wait_for("call_logs 57 %|")
        gate.open(8)
        screen = user.rest()
        ids = server_ids(box)
    assert user.exit_code == 0, screen
    states = re.findall(
        r"\r(call_logs \d+ %\|[^|]+\| (\d+) of about 600 calls, about [^\r,]* left[^\r]*)", screen
    )
    assert len({count for _, count in states}) > 1
    assert all(len(line) < 100 for line, _ in states)
    assert "\x1b" not in screen  # neither colours nor moves of the cursor
    assert all(LOG_LINE.match(line) for line in shown(screen)), shown(screen)
    assert len(shown(screen)) > 8
    messages = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {m["record"]["logid"] for m in messages if m["type"] == "RECORD"} == ids


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_without_a_cursor_has_lines(
    at_terminal: Callable[..., Terminal], term: str
) -> None:
    with Sandbox(history=history(60), dialect=DIALECT) as box, at_terminal(box, TERM=term) as user:
        screen = user.rest()
    assert user.exit_code == 0
    assert "%|" not in screen
    assert "\r" not in screen
    assert all(LOG_LINE.match(line) for line in screen.splitlines())
