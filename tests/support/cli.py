"""The tap's command line, run in this process by a clock that takes no time."""

import json
import logging
import re
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TextIO

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.cli.command import SIGNALS
from tap_zohovoice.tap import TapZohoVoice

NOW = 1_772_366_400.0  # 2026-03-01 12:00:00 UTC


class FakeClock(Clock):
    """A clock that only moves when somebody sleeps."""

    ahead = 0.0  # seconds of the wall clock

    def __init__(self, now: float = NOW) -> None:
        self.time = now
        self.slept: list[float] = []
        self._timers: list[_Timer] = []

    @override
    def now(self) -> float:
        return self.time + self.ahead

    @override
    def monotonic(self) -> float:
        return self.time - NOW + 1000.0

    @override
    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        end = self.time + seconds
        while due := [timer for timer in self._timers if timer.due <= end]:
            timer = min(due, key=lambda timer: timer.due)
            self.time = max(self.time, timer.due)
            timer.due = self.time + timer.seconds
            timer.func()
        self.time = end

    @override
    @contextmanager
    def every(self, seconds: float, func: Callable[[], None]) -> Generator[None]:
        timer = _Timer(seconds, func, self.time + seconds)
        self._timers.append(timer)
        try:
            yield
        finally:
            self._timers.remove(timer)


@dataclass
class _Timer:
    seconds: float
    func: Callable[[], None]
    due: float


@dataclass
class Run:
    """What a run of the tap left behind."""

    exit_code: int
    messages: list[dict[str, Any]]
    log: str
    stdout: str = field(repr=False, default="")

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def rows(self, stream: str) -> list[dict[str, Any]]:
        records = self.of("RECORD")
        return [message["record"] for message in records if message["stream"] == stream]

    @property
    def records(self) -> list[dict[str, Any]]:
        return self.rows("call_logs")

    @property
    def ids(self) -> list[str]:
        return [record["logid"] for record in self.records]

    @property
    def states(self) -> list[dict[str, Any]]:
        return [message["value"] for message in self.of("STATE")]

    @property
    def state(self) -> dict[str, Any]:
        return self.states[-1]

    @property
    def bookmark(self) -> str:
        return bookmark(self.state)

    def lines(self, pattern: str) -> list[str]:
        """Return the log lines that have a pattern."""
        return [line for line in self.log.splitlines() if re.search(pattern, line)]

    def logged(self, level: str) -> list[str]:
        """Return the texts of the log lines of a level."""
        lines = [line.split(" | ", 3) for line in self.log.splitlines()]
        return [parts[-1] for parts in lines if len(parts) == 4 and parts[1].strip() == level]

    def bookmarks(self, stream: str) -> dict[str, str]:
        """Return the bookmarks of a stream's partitions, by the value of their context."""
        return {
            next(iter(partition["context"].values())): partition["replication_key_value"]
            for partition in self.state["bookmarks"][stream]["partitions"]
            if "replication_key_value" in partition
        }


RunTap = Callable[..., Run]
"""The fixture `run_tap`."""


@cache
def _discover() -> str:
    return json.dumps(TapZohoVoice(config={}, validate_config=False).catalog_dict)


def selecting(*names: str) -> dict[str, Any]:
    """Return a catalog with these streams selected, and no others."""
    catalog: dict[str, Any] = json.loads(_discover())
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in names
    return catalog


def bookmark(state: dict[str, Any]) -> str:
    """Return the bookmark of the call logs in a state, or an empty text."""
    stream = state.get("bookmarks", {}).get("call_logs", {})
    return str(stream.get("replication_key_value", ""))


@contextmanager
def process_restored() -> Generator[None]:
    """Restore loggers, signal handlers and the hook that a command changes in its process."""
    loggers = [logging.root, *map(logging.getLogger, ("tap-zohovoice", "singer_sdk"))]
    handlers_of_signals = {signum: signal.getsignal(signum) for signum in SIGNALS}
    before = [(each, each.level, list(each.handlers), list(each.filters)) for each in loggers]
    hook = sys.unraisablehook
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for each, level, handlers, filters in before:
            each.setLevel(level)
            each.handlers[:], each.filters[:] = handlers, filters
        for signum, handler in handlers_of_signals.items():
            signal.signal(signum, handler)


def call_cli(tap: type[TapZohoVoice], options: Sequence[str], out: TextIO, log: TextIO) -> int:
    try:
        with process_restored(), redirect_stdout(out), redirect_stderr(log):
            tap.cli(options)
    except SystemExit as end:
        return int(end.code or 0)
    message = "the command line returned"
    raise AssertionError(message)
