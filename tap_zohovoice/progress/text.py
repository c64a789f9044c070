"""Progress, waits and durations as text, for log lines and the live line."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_zohovoice.rate_limit.limiter import Wait

_HOUR = 3600
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a stream is."""

    name: str
    done: str  # such as `7,400 of about 24,000 calls`
    per_minute: float
    share: float | None = None  # of the work that is done, 0 to 1; None if that is unknown
    seconds_left: float | None = None
    results: str = ""  # numbers of items by result
    received: int = 0  # bytes; 0 if they are not counted
    fields: dict[str, object] = field(default_factory=dict)  # figures for structured logs

    def during_wait(self, seconds: float) -> Snapshot:
        """Return the snapshot while a wait lasts that many more seconds, which are left at least.

        The estimate is by the pace so far, and the wait may last longer.
        """
        if self.seconds_left is None or self.seconds_left >= seconds:
            return self
        fields = {**self.fields, "seconds_left": round(seconds)}
        return replace(self, seconds_left=seconds, fields=fields)

    def to_log_line(self, wait: str) -> str:
        """Describe it in a log line."""
        percent = "" if self.share is None else f" ({self.share * 100:.0f} %)"
        parts = (self.done + percent, self.results, self._pace, self._size, wait, self._left)
        return ", ".join(filter(None, parts))

    def to_live_line(self, wait: str, elapsed: float) -> str:
        """Describe it for a terminal, which cuts off what is least important.

        A figure moves each second, although nothing may come for a minute: the seconds of a wait,
        else those of the run.
        """
        clock = "" if wait else f"{dt.timedelta(seconds=int(elapsed))} elapsed"
        parts = (self.done, wait, self._left, clock, self._pace, self._size)
        return ", ".join(filter(None, parts))

    @property
    def _pace(self) -> str:
        return f"{self.per_minute:,.0f}/min" if self.per_minute else ""

    @property
    def _size(self) -> str:
        return format_size(self.received) if self.received else ""

    @property
    def _left(self) -> str:
        return format_time_left(self.seconds_left)


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


def format_size(size: float) -> str:
    """Write a number of bytes in the largest unit of which there is one."""
    units = iter(_UNITS)
    unit = next(units)
    for larger in units:
        if size < 999.5:  # noqa: PLR2004 - more rounds to a thousand
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == _UNITS[0] else f"{size:.1f} {unit}"
