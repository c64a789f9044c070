"""Reporter of a run: logs or draws the progress and the waits of the current stream."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Protocol

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tap_zohovoice.progress.text import format_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tap_zohovoice._time import Clock
    from tap_zohovoice.progress.text import Snapshot
    from tap_zohovoice.rate_limit.limiter import Wait

_CHECK_INTERVAL = 1.0  # seconds
_LOG_INTERVAL = 28.5
"""Seconds after which a log line is due: never more than 30, including the delay of the timer."""
_DRAW_INTERVAL = 0.5  # seconds

_NO_CURSOR = {"dumb", "unknown"}
"""Values of `TERM` of terminals that cannot go back to the start of a line."""


class Task(Protocol):
    """Something that takes time."""

    def snapshot(self) -> Snapshot:
        """Return its progress."""
        ...


class Reporter:
    """Reports the progress of a run: in a live line at a terminal, elsewhere in log lines.

    A timer reports, so that it goes on while the tap waits for the limit, a slow response or a
    target that does not read.
    """

    def __init__(self, clock: Clock, find_wait: Callable[[], Wait | None]) -> None:
        self._clock = clock
        self._find_wait = find_wait
        self._task: Task | None = None
        self._bar: _Bar | None = None
        self._started_at = self._logged_at = clock.monotonic()

    @contextmanager
    def task(self, task: Task) -> Generator[None]:
        """Report a task while a block runs; a task within a task goes before it."""
        outer, self._task = self._task, task
        try:
            with nullcontext() if outer else self._running():
                yield
        finally:
            self._task = outer

    @contextmanager
    def _running(self) -> Generator[None]:
        self._bar = _open_bar()
        interval = _DRAW_INTERVAL if self._bar else _CHECK_INTERVAL
        try:
            with self._clock.every(interval, self._report):
                yield
        finally:
            if self._bar:
                self._bar.close()
                self._bar = None

    def _report(self) -> None:
        task, bar, wait = self._task, self._bar, self._find_wait()
        is_due = bar or self._clock.monotonic() - self._logged_at >= _LOG_INTERVAL
        if not task or not is_due:
            return
        now, snapshot, waiting = self._clock.monotonic(), task.snapshot(), ""
        if wait:
            snapshot = snapshot.during_wait(wait.until - now)
            waiting = format_wait(wait, now, self._clock.now())
        if bar:
            bar.draw(snapshot, waiting, now - self._started_at)
            return
        self._logged_at = now
        logger = logging.getLogger(f"tap-zohovoice.{snapshot.name}")
        fields = {"stream_name": snapshot.name, **snapshot.fields}
        logger.info("%s", snapshot.to_log_line(waiting), extra=fields)


class _Line(tqdm):  # type: ignore[type-arg] # at run time it has no parameters
    monitor_interval = 0  # no thread of its own


class _Bar:
    """A live line on standard error. Log records are written above it; it has no colours."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._line = self._stack.enter_context(
            _Line(total=1, bar_format="{desc}", file=sys.stderr, dynamic_ncols=True, leave=False)
        )
        self._stack.enter_context(logging_redirect_tqdm([logging.root], _Line))

    def draw(self, snapshot: Snapshot, wait: str, elapsed: float) -> None:
        """Draw the line anew, with the seconds since the start of the run."""
        line, share = self._line, snapshot.share
        line.bar_format = f"{snapshot.name}: {{desc}}"
        if share is not None:
            line.bar_format = f"{snapshot.name} {{percentage:.0f}} %|{{bar}}| {{desc}}"
            line.n = share
        line.set_description_str(snapshot.to_live_line(wait, elapsed), refresh=False)
        line.refresh()

    def close(self) -> None:
        """Clear the line."""
        with suppress(OSError, ValueError):  # the terminal is gone
            self._stack.close()


def _open_bar() -> _Bar | None:
    """Return a live line, if standard error is a terminal that can show it.

    Records on the same terminal would mix with it.
    """
    streams = sys.stderr, sys.stdout  # which are None where they are closed
    is_terminal = [bool(stream and stream.isatty()) for stream in streams] == [True, False]
    return _Bar() if is_terminal and os.environ.get("TERM") not in _NO_CURSOR else None
