"""The clock, and timestamps in the one form that bookmarks are compared in."""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

_DATE = re.compile(r"\d{4}-|\d{8}[Tt ]", re.ASCII)
_EPOCH = dt.date(1970, 1, 1)
_DAY_MS = 86_400_000
_MINUTES = [f"{hour:02}:{minute:02}" for hour in range(24) for minute in range(60)]
_SECONDS = [f"{second:02}" for second in range(60)]
_THOUSANDTHS = [f"{thousandth:03}000" for thousandth in range(1000)]


class Clock:
    """The real clock of this machine.

    Whatever waits or stamps takes a clock, so that a test of a ten-minute lock takes no time.
    """

    def now(self) -> float:
        """Return seconds since the epoch, by the wall clock."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some moment, never running backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""
        time.sleep(seconds)

    def every(self, seconds: float, func: Callable[[], None]) -> AbstractContextManager[None]:
        """Call a function regularly, in a thread of its own, while a block runs.

        If it cannot write, it is not called again.
        """
        return _timer(seconds, func)


@contextmanager
def _timer(seconds: float, func: Callable[[], None]) -> Generator[None]:
    stopped = threading.Event()

    def run() -> None:
        with suppress(OSError, ValueError):
            while not stopped.wait(seconds):
                func()

    thread = threading.Thread(target=run, name="timer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(1.0)  # it may be writing to somebody who does not read


def format_epoch_ms(milliseconds: int) -> str:
    """Write a moment as RFC 3339 in UTC, such as `2025-12-04T06:54:58.000000+00:00`.

    This is the one form that bookmarks are compared in.

    Raises:
        OverflowError: If the calendar does not reach that far.
    """
    # A call has four moments, its dearest part; by `datetime` they would take five times as long.
    day = _day(milliseconds // _DAY_MS)
    minute = _MINUTES[milliseconds // 60_000 % 1440]
    second = _SECONDS[milliseconds // 1000 % 60]
    return f"{day}T{minute}:{second}.{_THOUSANDTHS[milliseconds % 1000]}+00:00"


@lru_cache(maxsize=512)
def _day(days: int) -> str:
    return (_EPOCH + dt.timedelta(days)).isoformat()


def format_timestamp(moment: dt.datetime) -> str:
    """Write a moment of any zone as `format_epoch_ms` does."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def parse_date(value: str) -> dt.datetime:
    """Read a date or a date-time, in UTC where it names no zone.

    Raises:
        ValueError: If the text is neither.
    """
    if not _DATE.match(value):  # Python takes the digits of an epoch for a date as well
        raise ValueError(value)
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=dt.UTC)
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:  # the first and last day of the calendar
        raise ValueError(value) from error
