"""Reporter of a run: logs or draws the progress and the waits of the current stream."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from tap_zohovoice.progress.bar import open_bar
from tap_zohovoice.progress.text import format_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tap_zohovoice._time import Clock
    from tap_zohovoice.progress.bar import Bar
    from tap_zohovoice.progress.text import Snapshot
    from tap_zohovoice.rate_limit.limiter import Wait

_CHECK_INTERVAL = 1.0  # seconds
_LOG_INTERVAL = 28.5
"""Seconds after which a log line is due: never more than 30, including the delay of the timer."""
_DRAW_INTERVAL = 0.5  # seconds


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
        self._bar: Bar | None = None
        self._logged_at = clock.monotonic()

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
        self._bar = open_bar()
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
        waiting = format_wait(wait, self._clock.monotonic(), self._clock.now()) if wait else ""
        snapshot = task.snapshot()
        if bar:
            bar.draw(snapshot, waiting)
            return
        self._logged_at = self._clock.monotonic()
        logger = logging.getLogger(f"tap-zohovoice.{snapshot.name}")
        fields = {"stream_name": snapshot.name, **snapshot.fields}
        logger.info("%s", snapshot.to_log_line(waiting), extra=fields)
