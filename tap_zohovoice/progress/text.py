"""Progress, waits and durations as text, for log lines and the live line."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_zohovoice.rate_limit.limiter import Wait

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a stream is."""

    name: str
    done: str  # such as `7,400 of about 24,000 calls`
    per_minute: float = 0.0
    share: float | None = None  # of the work that is done, 0 to 1; None if that is unknown
    seconds_left: float | None = None
    results: str = ""  # numbers of items by result
    received: int = 0  # bytes; 0 if they are not counted
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, object]:
        """All figures, for structured logs."""
        percent = None if self.share is None else int(self.share * 100)
        left = None if self.seconds_left is None else round(self.seconds_left)
        return {**self.figures, "percent": percent, "seconds_left": left}

    def to_log_line(self, wait: str) -> str:
        """Describe it in a log line."""
        percent = f" ({self.share * 100:.0f} %)" if self.share else ""
        left = format_time_left(self.seconds_left)
        return join(self.done + percent, self.results, self._pace, wait, left)

    def to_live_line(self, wait: str, elapsed: float) -> str:
        """Describe it for a terminal, which cuts off what is least important.

        A figure moves each second, although nothing may come for a minute: the seconds of a wait,
        else those of the run.
        """
        clock = "" if wait else f"{dt.timedelta(seconds=int(elapsed))} elapsed"
        return join(self.done, wait, format_time_left(self.seconds_left), clock, self._pace)

    @property
    def _pace(self) -> str:
        pace = f"{self.per_minute:,.0f}/min" if self.per_minute else ""
        return join(pace, tqdm.format_sizeof(self.received, "B") if self.received else "")


def join(*parts: str, separator: str = ", ") -> str:
    """Join the texts that are not empty."""
    return separator.join(filter(None, parts))


def format_wait(wait: Wait, monotonic: float, now: float) -> str:
    """Write how long a wait lasts, and until when."""
    seconds = max(wait.until - monotonic, 0.0)
    until = dt.datetime.fromtimestamp(now + seconds, dt.UTC)
    duration = format_duration(seconds)
    if round(seconds) >= _HOUR:
        duration += f" {round(seconds) % 60} s"  # for a live line
    return f"{wait.status} for {duration} until {until:%H:%M:%S} UTC"


def format_time_left(seconds: float | None) -> str:
    """Write an estimate; an empty text if there is none."""
    return "" if seconds is None else f"about {format_duration(seconds)} left"


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
