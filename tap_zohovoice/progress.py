"""Progress of a run: in a live line at a terminal, elsewhere in log lines.

The figures of each log line are fields as well, for logs in JSON.
"""

import datetime as dt
import logging
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter, Wait
from tap_zohovoice.singer.writer import MessageWriter

_TIMER_INTERVAL = 0.5  # seconds
_LOG_INTERVAL = 29.0  # seconds after which a log line is due: with the delay of the timer, 30


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a stream is."""

    name: str
    done: str  # such as `7,400 of about 24,000 calls`
    share: float | None = None  # of the work that is done, 0 to 1; None if that is unknown
    seconds_left: float | None = None
    details: str = ""  # numbers of items by result, and the pace
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, object]:
        """All figures, for structured logs."""
        percent = None if self.share is None else int(self.share * 100)
        left = None if self.seconds_left is None else round(self.seconds_left)
        return {**self.figures, "percent": percent, "seconds_left": left}

    def to_log_line(self, wait: str) -> str:
        """Describe it in a log line."""
        percent = f" ({self.share * 100:.0f} %)" if self.share else ""
        return _join(self.done + percent, self.details, wait, self.time_left)

    def to_live_line(self, wait: str, elapsed: float) -> str:
        """Describe it for a terminal, which may cut off the end."""
        # A figure that changes each second, even in a wait or on a narrow terminal.
        clock = f"{dt.timedelta(seconds=int(elapsed))} elapsed"
        return _join(clock, self.done, wait, self.time_left, self.details)

    @property
    def time_left(self) -> str:
        """The estimate as text; empty if there is none."""
        left = self.seconds_left
        return "" if left is None else f"about {_format_duration(left)} left"


@dataclass
class Progress:
    """Counts the records of a stream whose number is not known in advance."""

    name: str
    limiter: SlidingWindowLimiter
    writer: MessageWriter  # of all streams

    def __post_init__(self) -> None:
        """Start to count."""
        self._started_at = self.limiter.clock.monotonic()
        self._interruption_before = self.limiter.interruption_seconds
        self._requests_before = self._requests_logged = self.limiter.requests
        self._written_before = self.writer.records_written

    def snapshot(self) -> Snapshot:
        """Return the progress of the stream."""
        rows, requests = self._written, self.limiter.requests - self._requests_before
        done = f"{_plural(rows, 'record')} in {_plural(requests, 'request')}"
        return self._snapshot(done, rows, rows=rows, requests=requests)

    @property
    def _written(self) -> int:
        return self.writer.records_written - self._written_before

    @property
    def _elapsed(self) -> float:
        return self.limiter.clock.monotonic() - self._started_at

    def _snapshot(
        self, done: str, count: int, share: float | None = None, results: str = "", **figures: int
    ) -> Snapshot:
        """Return the progress, with an estimate after a share of the work, if that is known."""
        left = None
        if share and share < 1:
            # The first requests are free; from then on the limit sets the pace.
            limited = self.limiter.seconds_for(self.limiter.requests - self._requests_before)
            own = self._elapsed - (self.limiter.interruption_seconds - self._interruption_before)
            left = max(own, limited) * (1 - share) / share
        pace = f"{60 * count / max(self._elapsed, 1.0):,.0f}/min" if count else ""
        if received := figures.get("bytes_received"):
            pace = _join(pace, tqdm.format_sizeof(received, "B"))
        return Snapshot(self.name, done, share, left, _join(results, pace), figures)

    def _log_summary(self, count: int, item: str, details: str, **figures: int) -> None:
        text = f"{_plural(count, item)} in {_format_duration(self._elapsed)}: {details}"
        _log(self.name, text, {**figures, "seconds": round(self._elapsed, 1)})


@dataclass
class WindowProgress(Progress):
    """Counts calls page by page; logs each window that was read, and a summary."""

    share_done: Callable[[int, float], float]  # by rows and the share of an incomplete window
    _pending: set[str] = field(default_factory=set, init=False)
    _pending_share = 0.0
    _rows = 0

    def add_page(self, logids: Iterable[str], total: int | None, share: float) -> None:
        """Count the new calls of a page, of a window that is a share of the work."""
        self._pending.update(logids)
        if total:
            self._pending_share = share * min(len(self._pending) / total, 1.0)

    @override
    def snapshot(self) -> Snapshot:
        rows = self._rows + len(self._pending)
        share = self.share_done(rows, self._pending_share)
        done = _plural(rows, "call")
        if rows and share:
            done = f"{rows:,} of about {_plural(round(rows / share), 'call')}"
        return self._snapshot(done, rows, share, rows=rows)

    def finish_window(self, window: object, rows: int) -> None:
        """Log a window that was read and written."""
        self._rows += rows
        self._pending, self._pending_share = set(), 0.0
        requests = self.limiter.requests - self._requests_logged
        self._requests_logged += requests
        now = self.snapshot()
        text = f"{window}: {_plural(rows, 'call')} in {_plural(requests, 'request')}"
        text = _join(text, f"{now.fields['percent']} % done", now.time_left, separator="; ")
        own = {"window": str(window), "rows": rows, "requests": requests}
        _log(self.name, text, {**now.fields, **own})

    def finish(self, item: str, tokens: int) -> None:
        """Log a summary with the number of emitted records, and of all access tokens so far."""
        limiter, rows = self.limiter, self._written
        counts = {"requests": limiter.requests, "waits": limiter.waits, "tokens": tokens}
        listed = _join(*(_plural(count, name.rstrip("s")) for name, count in counts.items()))
        self._log_summary(rows, item, listed, rows=rows, **counts)


@dataclass
class DownloadProgress(Progress):
    """Counts downloads by result; logs how many there are, and a summary."""

    item: str  # in the singular
    results: Mapping[str, int]
    bytes_received: Callable[[], int]
    _total = 0

    def add_total(self, count: int, requests: int) -> None:
        """Add to the number of items, and log how long the added ones take, if they do."""
        self._total += count
        if left := self.limiter.seconds_for(requests):
            text = f"{_plural(count, self.item)} to download, about {_format_duration(left)}"
            fields = {"named": count, "seconds_left": round(left)}
            _log(self.name, f"{text} at the rate limit", fields)

    @override
    def snapshot(self) -> Snapshot:
        results = dict(self.results)  # at once: the timer reads them while downloads count
        count, figures = sum(results.values()), {"bytes_received": self.bytes_received()}
        done = f"{count:,} of {_plural(self._total, self.item)}"
        share = count / self._total
        return self._snapshot(done, count, share, _format(results), **figures, **results)

    def finish(self) -> None:
        """Log a summary of all results."""
        count, details = sum(self.results.values()), _format(self.results) or "none"
        self._log_summary(count, self.item, details, **self.results)


class Reporter:
    """Reports the progress of a run, with the current wait.

    A timer reports, so that reports continue in waits, and while a target does not read.
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
                timer = self._clock.every(_TIMER_INTERVAL, lambda: self._report(line))
                stack.enter_context(timer)
            yield

    def _report(self, line: "_Line | None") -> None:
        now, take_snapshot = self._clock.monotonic(), self._snapshot
        is_due = line or now - self._logged_at >= _LOG_INTERVAL
        if not take_snapshot or not is_due:
            return
        snapshot, wait, waiting = take_snapshot(), self._find_wait(), ""
        if wait:
            seconds = max((wait.until - self._clock.utcnow()).total_seconds(), 0.0)
            until = f"until {wait.until:%H:%M:%S} UTC"
            waiting = f"{wait.status} for {_format_duration(seconds)} {until}"
            if snapshot.seconds_left is not None:  # by the pace so far; the wait may last longer
                snapshot = replace(snapshot, seconds_left=max(snapshot.seconds_left, seconds))
        if line:
            line.draw(snapshot, snapshot.to_live_line(waiting, now - self._started_at))
        else:
            self._logged_at = now
            _log(snapshot.name, snapshot.to_log_line(waiting), snapshot.fields)


class _Line(tqdm):  # type: ignore[type-arg] # at run time it has no parameters
    monitor_interval = 0  # no thread of its own

    def draw(self, snapshot: Snapshot, text: str) -> None:
        self.bar_format = f"{snapshot.name}: {{desc}}"
        if snapshot.share:
            self.bar_format = f"{snapshot.name} {{percentage:.0f}} %|{{bar}}| {{desc}}"
            self.n = snapshot.share
        self.set_description_str(text)


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


def _can_redraw() -> bool:
    """Return whether standard error is a terminal, on which no records would mix with the line."""
    streams = sys.stderr, sys.stdout  # which are None where they are closed
    is_terminal = [bool(stream and stream.isatty()) for stream in streams] == [True, False]
    # These terminals cannot go back to the start of a line.
    return is_terminal and os.environ.get("TERM") not in {"dumb", "unknown"}


def _log(name: str, text: str, fields: Mapping[str, object]) -> None:
    logger = logging.getLogger(f"tap-zohovoice.{name}")
    logger.info("%s", text, extra={"stream_name": name, **fields})


def _format(results: Mapping[str, int]) -> str:
    return _join(*(f"{count:,} {result}" for result, count in sorted(results.items())))


def _join(*parts: str, separator: str = ", ") -> str:
    return separator.join(filter(None, parts))


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _format_duration(seconds: float) -> str:
    """Write a duration in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
