"""Figures of a sync: records, windows of calls, and downloads of files and transcripts.

The figures of each log line are fields as well, for logs in JSON.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from tqdm import tqdm

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter, Wait


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a stream is."""

    name: str
    done: str  # such as `7,400 of about 24,000 calls`
    per_minute: float = 0.0
    share: float | None = None  # of the work that is done, 0 to 1; None if that is unknown
    seconds_left: float | None = None
    results: str = ""  # numbers of items by result
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
        return join(self.done + percent, self.results, self._pace, wait, self.time_left)

    def to_live_line(self, wait: str, elapsed: float) -> str:
        """Describe it for a terminal, which may cut off the end."""
        # A figure that changes each second, even if no response arrives for a minute.
        clock = f"{dt.timedelta(seconds=int(elapsed))} elapsed"
        return join(self.done, wait, self.time_left, clock, self._pace)

    @property
    def time_left(self) -> str:
        """The estimate as text; empty if there is none."""
        left = self.seconds_left
        return "" if left is None else f"about {format_duration(left)} left"

    @property
    def _pace(self) -> str:
        pace = f"{self.per_minute:,.0f}/min" if self.per_minute else ""
        received = self.figures.get("bytes_received")
        return join(pace, tqdm.format_sizeof(received, "B") if received else "")


@dataclass
class _Progress:
    """Log lines of one stream, with estimates by elapsed time and rate limit."""

    name: str
    _: KW_ONLY
    clock: Clock
    limiter: SlidingWindowLimiter

    def __post_init__(self) -> None:
        self._started_at = self.clock.monotonic()
        self._requests_before = self.limiter.requests
        self._delay_before = self.limiter.delay

    @property
    def _elapsed(self) -> float:
        return self.clock.monotonic() - self._started_at

    def _snapshot(
        self, done: str, count: int, share: float | None = None, results: str = "", **figures: int
    ) -> Snapshot:
        """Return the progress, with an estimate after a share of the work, if that is known."""
        left = None
        if share and share < 1:
            # The first requests are free; from then on the limit sets the pace.
            limited = self.limiter.seconds_for(self.limiter.requests - self._requests_before)
            own = self._elapsed - (self.limiter.delay - self._delay_before)
            left = max(own, limited) * (1 - share) / share
        per_minute = 60 * count / max(self._elapsed, 1.0)
        return Snapshot(self.name, done, per_minute, share, left, results, figures)

    def _log(self, text: str, **fields: object) -> None:
        logger = logging.getLogger(f"tap-zohovoice.{self.name}")
        logger.info("%s", text, extra={"stream_name": self.name, **fields})


@dataclass
class RecordProgress(_Progress):
    """Counts the records of a stream whose number is not known in advance."""

    records_written: Callable[[], int]  # of all streams

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self._written_before = self.records_written()

    def snapshot(self) -> Snapshot:
        """Return the progress of the stream."""
        rows = self.records_written() - self._written_before
        requests = self.limiter.requests - self._requests_before
        done = f"{plural(rows, 'record')} in {plural(requests, 'request')}"
        return self._snapshot(done, rows, rows=rows, requests=requests)


@dataclass
class WindowProgress(_Progress):
    """Counts calls page by page; logs each window that was read, and a summary."""

    share_done: Callable[[int, float], float]
    """Returns the share of the work that is done, given the rows read so far, and the share that
    was read of a window that is not complete."""
    tokens_fetched: Callable[[], int]
    _rows: int = field(default=0, init=False)
    _pending: set[str] = field(default_factory=set, init=False)
    _pending_share: float = field(default=0.0, init=False)

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self._requests = self.limiter.requests

    def add_page(self, logids: Iterable[str], total: int | None, share: float) -> None:
        """Count a page of a window that is not complete, and that is a share of the work.

        Calls of an earlier page do not count again.
        """
        self._pending.update(logids)
        if total:
            self._pending_share = share * min(len(self._pending) / total, 1.0)

    def snapshot(self) -> Snapshot:
        """Return the progress of the stream."""
        rows = self._rows + len(self._pending)
        share = self.share_done(rows, self._pending_share)
        done = plural(rows, "call")
        if rows and share:
            done = f"{rows:,} of about {plural(round(rows / share), 'call')}"
        return self._snapshot(done, rows, share, rows=rows)

    def update(self, window: object, rows: int) -> None:
        """Log a window that was read and written."""
        self._rows += rows
        self._pending, self._pending_share = set(), 0.0
        requests, self._requests = self.limiter.requests - self._requests, self.limiter.requests
        now = self.snapshot()
        text = f"{window}: {plural(rows, 'call')} in {plural(requests, 'request')}"
        text = join(text, f"{now.fields['percent']} % done", now.time_left, separator="; ")
        self._log(text, **{**now.fields, "window": str(window), "rows": rows, "requests": requests})

    def finish(self, written: int, item: str = "call") -> None:
        """Log a summary with the number of emitted records."""
        limiter, tokens = self.limiter, self.tokens_fetched()
        counts = {"requests": limiter.requests, "waits": limiter.waits, "tokens": tokens}
        listed = join(*(plural(count, name.rstrip("s")) for name, count in counts.items()))
        text = f"{plural(written, item)} in {format_duration(self._elapsed)}: {listed}"
        self._log(text, rows=written, seconds=round(self._elapsed, 1), **counts)


@dataclass
class DownloadProgress(_Progress):
    """Counts downloads by result; logs how many there are, and a summary."""

    item: str  # in the singular
    results: Mapping[str, int]
    bytes_received: Callable[[], int]
    _total: int = field(default=0, init=False)

    def add_total(self, count: int, requests: int) -> None:
        """Add to the number of items, and log how long the added ones take."""
        self._total += count
        left = self.limiter.seconds_for(requests)
        text = f"{plural(count, self.item)} to download, about {format_duration(left)}"
        self._log(f"{text} at the rate limit", named=count, seconds_left=round(left))

    def snapshot(self) -> Snapshot:
        """Return the progress of the downloads."""
        results = dict(self.results)  # at once: the timer reads them while downloads count
        count, received = sum(results.values()), self.bytes_received()
        done, share = plural(count, self.item), None
        if self._total:
            done = f"{count:,} of {plural(self._total, self.item)}"
            share = count / self._total
        texts = _format(results)
        return self._snapshot(done, count, share, texts, bytes_received=received, **results)

    def finish(self) -> None:
        """Log a summary of all results."""
        done = plural(sum(self.results.values()), self.item)
        text = f"{done} in {format_duration(self._elapsed)}: {_format(self.results) or 'none'}"
        self._log(text, seconds=round(self._elapsed, 1), **self.results)


def _format(results: Mapping[str, int]) -> str:
    return join(*(f"{count:,} {result}" for result, count in sorted(results.items())))


def join(*parts: str, separator: str = ", ") -> str:
    """Join the texts that are not empty."""
    return separator.join(filter(None, parts))


def format_wait(wait: Wait, monotonic: float, now: float) -> str:
    """Write how long a wait lasts, and until when."""
    seconds = max(wait.until - monotonic, 0.0)
    until = dt.datetime.fromtimestamp(now + seconds, dt.UTC)
    return f"{wait.status} for {format_duration(seconds)} until {until:%H:%M:%S} UTC"


def plural(count: int, noun: str) -> str:
    """Write a number of things."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_duration(seconds: float) -> str:
    """Write a duration in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
