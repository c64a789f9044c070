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
    if dialect.retention_days is not None:
        from_date = _kept(from_date, to_date, current - timedelta(dialect.retention_days), dialect)
    if dialect.future_dates == "empty" and to_date is not None and to_date > current:
        return TimeRange(0, 0)
    end = None
    if to_date is not None:
        end = to_date + timedelta(days=1) if dialect.to_date_inclusive else to_date
    from_date, end = _answered(from_date, end, current + timedelta(days=1), dialect)
    return TimeRange(
        0 if from_date is None else midnight(from_date, dialect),
        END_OF_TIME if end is None else midnight(end, dialect),
    )


def _kept(from_date: date | None, to_date: date | None, oldest: date, dialect: Dialect) -> date:
    """Return the first day of a range that is kept."""
    if from_date is None or from_date >= oldest:
        return max(from_date or oldest, oldest)
    if dialect.retention_refused == "start" or (to_date is not None and to_date < oldest):
        _reject("fromDate", dialect)
    return oldest


def _answered(
    first: date | None, end: date | None, tomorrow: date, dialect: Dialect
) -> tuple[date | None, date | None]:
    """Return the first day of a range that is answered, and the day after the last."""
    begin, behind = first or _EPOCH, end or tomorrow
    days = dialect.answered_days
    if days is None or (behind - begin).days <= days:
        return first, end
    if dialect.answered_end == "first":
        return first, begin + timedelta(days)
    return behind - timedelta(days), end


def _reject(name: str, dialect: Dialect) -> None:
    reject_value(name if dialect.dates_named else "", dialect)
