"""Reporter of a run: logs or draws the progress and the waits of the current stream."""

import logging
import os
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tap_zohovoice._time import Clock
from tap_zohovoice.progress.figures import Snapshot, format_wait
from tap_zohovoice.rate_limit.limiter import Wait

_CHECK_INTERVAL = 1.0  # seconds
_LOG_INTERVAL = 28.5
"""Seconds after which a log line is due: never more than 30, including the delay of the timer."""
_DRAW_INTERVAL = 0.5  # seconds


class _Line(tqdm):  # type: ignore[type-arg] # at run time it has no parameters
    monitor_interval = 0  # no thread of its own


class Reporter:
    """Reports the progress of a run: in a live line at a terminal, elsewhere in log lines.

    A timer reports, so that reports continue while the tap waits for the limit, a slow response
    or a target that does not read.
    """

    def __init__(self, clock: Clock, find_wait: Callable[[], Wait | None]) -> None:
        self._clock = clock
        self._find_wait = find_wait
        self._snapshot: Callable[[], Snapshot] | None = None
        self._started_at = self._logged_at = clock.monotonic()

    @contextmanager
    def task(self, snapshot: Callable[[], Snapshot]) -> Generator[None]:
        """Report what a function returns while a block runs; an inner task has priority."""
        outer, self._snapshot = self._snapshot, snapshot
        with ExitStack() as stack:
            stack.callback(setattr, self, "_snapshot", outer)
            if not outer:
                line = stack.enter_context(_live_line()) if _can_redraw() else None
                interval = _DRAW_INTERVAL if line else _CHECK_INTERVAL
                stack.enter_context(self._clock.every(interval, lambda: self._report(line)))
            yield

    def _report(self, line: _Line | None) -> None:
        now, take_snapshot = self._clock.monotonic(), self._snapshot
        is_due = line or now - self._logged_at >= _LOG_INTERVAL
        if not take_snapshot or not is_due:
            return
        snapshot, wait, waiting = take_snapshot(), self._find_wait(), ""
        if wait:
            waiting = format_wait(wait, now, self._clock.now())
            if snapshot.seconds_left is not None:  # by the pace so far; the wait may last longer
                left = max(snapshot.seconds_left, wait.until - now)
                snapshot = replace(snapshot, seconds_left=left)
        if line:
            _draw(line, snapshot, snapshot.to_live_line(waiting, now - self._started_at))
            return
        self._logged_at = now
        logger = logging.getLogger(f"tap-zohovoice.{snapshot.name}")
        fields = {"stream_name": snapshot.name, **snapshot.fields}
        logger.info("%s", snapshot.to_log_line(waiting), extra=fields)


@contextmanager
def _live_line() -> Generator[_Line]:
    """Show a live line on standard error, without colours; log records are written above it."""
    line = _Line(total=1, bar_format="{desc}", file=sys.stderr, dynamic_ncols=True, leave=False)
    try:
        with logging_redirect_tqdm([logging.root], _Line):
            yield line
    finally:
        with suppress(OSError, ValueError):  # the terminal was closed
            line.close()


def _draw(line: _Line, snapshot: Snapshot, text: str) -> None:
    line.bar_format = f"{snapshot.name}: {{desc}}"
    if snapshot.share:
        line.bar_format = f"{snapshot.name} {{percentage:.0f}} %|{{bar}}| {{desc}}"
        line.n = snapshot.share
    line.set_description_str(text, refresh=False)
    line.refresh()


def _can_redraw() -> bool:
    """Return whether standard error is a terminal, on which no records would mix with the line."""
    streams = sys.stderr, sys.stdout  # which are None where they are closed
    is_terminal = [bool(stream and stream.isatty()) for stream in streams] == [True, False]
    # These terminals cannot go back to the start of a line.
    return is_terminal and os.environ.get("TERM") not in {"dumb", "unknown"}
