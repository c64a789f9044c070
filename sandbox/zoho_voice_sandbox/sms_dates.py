"""The filter by `fromDate` and `toDate` of text messages: wall times in the server's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from zoho_voice_sandbox.date_filter import END_OF_TIME, midnight
from zoho_voice_sandbox.filters import Parameter
from zoho_voice_sandbox.params import reject_value

if TYPE_CHECKING:
    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.filters import Predicate

# Format, and how long the last unit of it lasts.
_FORMS = {
    "compact_minutes": ("%Y%m%d %H:%M", timedelta(minutes=1)),
    "compact_seconds": ("%Y%m%d %H:%M:%S", timedelta(seconds=1)),
    "dashed_minutes": ("%Y-%m-%d %H:%M", timedelta(minutes=1)),
    "dashed_seconds": ("%Y-%m-%d %H:%M:%S", timedelta(seconds=1)),
    "day": ("%Y-%m-%d", timedelta(days=1)),
    "offset": ("%Y-%m-%dT%H:%M:%S%z", timedelta(seconds=1)),
}
_MILLISECOND = timedelta(milliseconds=1)
_NEVER = END_OF_TIME


def date_parameters(key: str) -> dict[str, Parameter]:
    """Return the parameters that filter by the time under a key, in epoch milliseconds."""

    def parameter(name: Literal["fromDate", "toDate"]) -> Parameter:
        def build(value: str, dialect: Dialect) -> Predicate:
            bound = _parse(name, value, dialect)
            if bound is None:
                return lambda _row: True
            if name == "fromDate":
                return lambda row: _time(row, key) >= bound
            return lambda row: _time(row, key) < bound

        return Parameter(r"[\dT:+ -]{8,30}", build)

    return {"fromDate": parameter("fromDate"), "toDate": parameter("toDate")}


def _time(row: Row, key: str) -> int:
    value = row.get(key)
    return value if isinstance(value, int) else 0


def _parse(name: Literal["fromDate", "toDate"], value: str, dialect: Dialect) -> int | None:
    """Return the bound of times that a date means, None for none.

    Raises:
        InvalidParameterError: If its form is refused.
    """
    for form, (text, unit) in _FORMS.items():
        moment = _match(value, text)
        if moment is not None and dialect.sms_dates in {form, "any"}:
            is_end = name == "toDate" and dialect.to_date_inclusive
            return _to_ms(moment + unit if is_end else moment, dialect)
    if dialect.sms_other_dates == "refuse":
        reject_value(name if dialect.dates_named else "", dialect)
    if dialect.sms_other_dates == "ignore":
        return None
    return _NEVER if name == "fromDate" else -_NEVER


def _match(value: str, form: str) -> datetime | None:
    try:
        moment = datetime.strptime(value, form)  # noqa: DTZ007 - the form may lack a zone
    except ValueError:
        return None
    # Python accepts fewer digits than the form has.
    return moment if "%z" in form or moment.strftime(form) == value else None


def _to_ms(moment: datetime, dialect: Dialect) -> int:
    if moment.tzinfo is not None:
        return int(moment.astimezone(UTC).timestamp() * 1000)
    start = datetime.combine(moment.date(), datetime.min.time())
    return midnight(moment.date(), dialect) + (moment - start) // _MILLISECOND
