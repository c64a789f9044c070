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
from tests.support.cli import FakeClock, RunTap
from tests.support.pty import Terminal
from zoho_voice_sandbox import Dialect, Sandbox

PROGRAM = "from tap_zohovoice.tap import TapZohoVoice; TapZohoVoice.cli()"
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ \| [A-Z]+ +\| ")
CALLS = re.compile(
    r"[\d,]+ of about [\d,]+ calls \(\d+ %\)(, [\d,]+/min)?"
    r"(, (at the limit|waiting) for (\d+ min )?\d+ s until \d\d:\d\d:\d\d UTC)?"
    r"(, about (\d+ h \d+ min|(\d+ min )?\d+ s) left)?"
)


class Watch(logging.Handler):
    """Remembers when progress was logged, and what."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.lines: list[tuple[float, logging.LogRecord]] = []
        self._clock = clock

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if "wait_until" not in vars(record):
            self.lines.append((self._clock.time, record))

    def figures(self, name: str, stream: str) -> list[Any]:
        """Return a figure of the lines of a stream that have it."""
        records = [vars(record) for _, record in self.lines]
        return [
            record[name] for record in records if name in record and record["stream_name"] == stream
        ]


@pytest.fixture
def watch(clock: FakeClock) -> Iterator[Watch]:
    logger, handler = logging.getLogger("tap-zohovoice"), Watch(clock)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_line_at_least_every_30_seconds_of_calls(
    run_tap: RunTap, clock: FakeClock, watch: Watch
) -> None:
    began = clock.time
    with Sandbox(history=history(3_000), clock=clock, faults={40: "lock"}) as box:
        assert_once(run_tap({**box.config, "page_size": 20}), server_ids(box))
    moments = [began, *(moment for moment, _ in watch.lines), clock.time]
    assert clock.time - began > 600  # a lock was waited out too
    assert max(after - before for before, after in pairwise(moments)) <= 30
    told = [record.getMessage() for _, record in watch.lines if CALLS.search(record.getMessage())]
    assert len(told) > 20
    assert all(CALLS.fullmatch(line) for line in told)
    assert any("at the limit for" in line for line in told)
    assert any("waiting for" in line for line in told)
    rows = [int(line.partition(" of about ")[0].replace(",", "")) for line in told]
    assert rows == sorted(rows)
    assert len(set(rows)) > 3
    totals = [int(re.split(" of about | calls", line)[1].replace(",", "")) for line in told]
    assert max(totals) < 2 * 3_000 < 4 * min(totals)


def test_a_line_at_least_every_30_seconds_of_downloads(
    run_tap: RunTap, clock: FakeClock, watch: Watch, tmp_path: Path
) -> None:
    began = clock.time
    streams = ("recordings", "transcripts")
    with Sandbox(history=history(260), clock=clock) as box:
        config = {
            **box.config, "recordings_path": str(tmp_path / "files"), "recordings_per_request": 1,
        }  # fmt: skip
        run = run_tap(config, catalog=selecting(*streams))
    assert run.exit_code == 0
    moments = [began, *(moment for moment, _ in watch.lines), clock.time]
    assert clock.time - began > 120
    assert max(after - before for before, after in pairwise(moments)) <= 30
    for stream in streams:
        received = watch.figures("bytes_received", stream)
        assert len(received) > 1
        assert received == sorted(received)
        assert received[0] > 0
    text = [record.getMessage() for _, record in watch.lines]
    assert any(re.match(r"\d+ of \d+ files \(\d+ %\), \d+ fetched, .*kB", line) for line in text)


def test_a_line_while_the_access_is_checked(
    run_tap: RunTap, clock: FakeClock, watch: Watch
) -> None:
    with Sandbox(history=history(30), clock=clock, list_faults={"users": {1: "lock"}}) as box:
        run_tap(box.config, catalog=selecting("users"))
    text = [record.getMessage() for _, record in watch.lines]
    assert any(line.startswith("checking access, waiting for 9 min") for line in text)


def test_a_line_while_a_token_is_requested_for_a_later_run(
    run_tap: RunTap, clock: FakeClock, watch: Watch
) -> None:
    with Sandbox(history=history(30), clock=clock) as box:
        state = run_tap(box.config).state
        watch.lines.clear()
        box.token_faults = {2: "slow:45"}
        clock.sleep(4_000)
        run_tap(box.config, state=state)
    text = [record.getMessage() for _, record in watch.lines]
    assert any(line.startswith("requesting an access token") for line in text), text


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
        program = [sys.executable, "-c", PROGRAM, "--config", str(path)]
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
    gate = Gate(4, 8)
    with (
        Sandbox(history=history(600), dialect=DIALECT, before_request=gate.hold) as box,
        at_terminal(box, NO_COLOR="1") as user,
    ):
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


def test_a_figure_moves_before_the_first_response(at_terminal: Callable[..., Terminal]) -> None:
    gate = Gate(1)
    with (
        Sandbox(history=history(60), dialect=DIALECT, before_request=gate.hold) as box,
        at_terminal(box) as user,
    ):
        user.wait_for("\rcall_logs: 0 calls, 0:00:")
        user.wait_for(" elapsed")
        gate.open(1)
        user.rest()
    assert user.exit_code == 0


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
