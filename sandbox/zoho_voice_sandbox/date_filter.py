"""The filter by `fromDate` and `toDate`: days in the server's time zone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from zoho_voice_sandbox.history import DAY_MS
from zoho_voice_sandbox.params import reject_value

if TYPE_CHECKING:
    from zoho_voice_sandbox.dialect import Dialect

END_OF_TIME = 1 << 62
_MINUTE_MS = 60_000
_EPOCH = date(1970, 1, 1)
_SUMMER = range(4, 11)


class TimeRange(NamedTuple):
    """A half-open range of start times, in milliseconds since the epoch."""

    start_ms: int = 0
    end_ms: int = END_OF_TIME


def midnight(day: date, dialect: Dialect) -> int:
    """Return when a day begins on the server, in milliseconds since the epoch."""
    is_summer = dialect.daylight_saving and day.month in _SUMMER
    minutes = dialect.utc_offset_minutes + (60 if is_summer else 0)
    return (day - _EPOCH).days * DAY_MS - minutes * _MINUTE_MS


def today(now_ms: int, dialect: Dialect) -> date:
    """Return the server's date."""
    day = _EPOCH + timedelta(days=(now_ms + dialect.utc_offset_minutes * _MINUTE_MS) // DAY_MS)
    tomorrow = day + timedelta(days=1)
    return tomorrow if midnight(tomorrow, dialect) <= now_ms else day


def time_range(
    from_date: date | None, to_date: date | None, dialect: Dialect, now_ms: int
) -> TimeRange:
    """Return the range of start times that two dates select.

    Raises:
        InvalidParameterError: If the dialect rejects the dates.
    """
    current = today(now_ms, dialect)
    if dialect.future_dates == "refused":
        for name, day in (("fromDate", from_date), ("toDate", to_date)):
            if day is not None and day > current:
                _reject(name, dialect)
    if from_date is not None:
        if to_date is not None and to_date < from_date:
            _reject("toDate", dialect)
        days = ((to_date or current) - from_date).days + 1
        if dialect.max_range_days is not None and days > dialect.max_range_days:
            _reject("toDate" if to_date else "fromDate", dialect)
    start_ms = 0 if from_date is None else midnight(from_date, dialect)
    if to_date is None:
        return TimeRange(start_ms)
    last = to_date + timedelta(days=1) if dialect.to_date_inclusive else to_date
    return TimeRange(start_ms, midnight(last, dialect))


def _reject(name: str, dialect: Dialect) -> None:
    reject_value(name if dialect.dates_named else "", dialect)
