"""Clock, and timestamps in the format in which bookmarks are compared."""

import datetime as dt
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import lru_cache

_DATE = re.compile(r"\d{4}-|\d{8}[Tt ]", re.ASCII)
_EPOCH = dt.date(1970, 1, 1)
_DAY_MS, _MINUTE_MS = 86_400_000, 60_000
_MINUTES = [f"T{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)]
_SECONDS = [f"{second:02}." for second in range(60)]
_THOUSANDTHS = [f"{thousandth:03}000+00:00" for thousandth in range(1000)]


class Clock:
    """The real clock of this machine; code that waits takes one, so that tests do not wait."""

    def now(self) -> float:
        """Return seconds since the epoch, by the wall clock."""
        return time.time()

    def utcnow(self) -> dt.datetime:
        """Return the current time of the wall clock."""
        return dt.datetime.fromtimestamp(self.now(), dt.UTC)

    def monotonic(self) -> float:
        """Return seconds since some moment, never running backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    @contextmanager
    def every(self, seconds: float, func: Callable[[], None]) -> Generator[None]:
        """Call a function regularly, in a thread of its own, while a block runs."""
        stopped = threading.Event()

        def run() -> None:
            with suppress(OSError, ValueError):  # if it cannot write, it is not called again
                while not stopped.wait(seconds):
                    func()

        thread = threading.Thread(target=run, name="timer", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join(1.0)  # it may be blocked in a write


def format_epoch_ms(milliseconds: int) -> str:
    """Format a moment as `2025-12-04T06:54:58.000000+00:00`, in which bookmarks are compared.

    `OverflowError` is raised if the calendar does not reach that far.
    """
    # Each call has four timestamps; formatting them with `datetime` takes five times as long.
    days, rest = divmod(milliseconds, _DAY_MS)
    minute, rest = divmod(rest, _MINUTE_MS)
    second, thousandth = divmod(rest, 1000)
    return f"{_day(days)}{_MINUTES[minute]}{_SECONDS[second]}{_THOUSANDTHS[thousandth]}"


@lru_cache(maxsize=512)
def _day(days: int) -> str:
    return (_EPOCH + dt.timedelta(days)).isoformat()


def format_timestamp(moment: dt.datetime) -> str:
    """Format a moment of any zone as `format_epoch_ms` does."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def parse_date(value: str) -> dt.datetime:
    """Parse a date or a date-time, in UTC if it has no zone, or raise `ValueError`."""
    if not _DATE.match(value):  # Python parses the digits of an epoch as a date too
        raise ValueError(value)
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=dt.UTC)
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:  # the first and last day of the calendar
        raise ValueError(value) from error
