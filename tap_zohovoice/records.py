"""A log as Zoho sends it becomes a record as the schema declares it."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from tap_zohovoice.fields import FIELDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Record = dict[str, Any]
_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DURATION = re.compile(r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9})(?:\.0+)?", re.ASCII)
_NAMES_TOLD = 60


class UnusableLogError(ValueError):
    """A log that cannot be keyed or placed in time."""


class _MisfitError(ValueError):
    """A value that its type cannot hold."""


def rfc3339(milliseconds: int) -> str:
    """Write a moment in the one form that bookmarks are compared in.

    Args:
        milliseconds: Milliseconds since the epoch.

    Returns:
        RFC 3339 in UTC with microseconds, such as `2025-12-04T06:54:58.000000+00:00`.

    Raises:
        OverflowError: If the calendar does not reach that far.
    """
    moment = _EPOCH + dt.timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="microseconds")


def text_of(moment: dt.datetime) -> str:
    """Write a moment as `rfc3339` does.

    Args:
        moment: A moment of any zone.

    Returns:
        RFC 3339 in UTC with microseconds.
    """
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise _MisfitError


def _id(value: object) -> str:
    # Some endpoints send the same id as a number and others as a string; 2^53 is exceeded.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _milliseconds(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,17}\s*", value, re.ASCII):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _MisfitError


def _moment(value: object) -> str | None:
    if value == "":
        return None
    milliseconds = _milliseconds(value)
    if milliseconds <= 0:
        # An answer at the epoch is a clock that was never set, not an answer in 1970.
        raise _MisfitError
    return rfc3339(milliseconds)


def _number(value: object) -> float | None:
    if value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", value, re.ASCII):
        return float(value)
    raise _MisfitError


def _integer(value: object) -> int | None:
    number = _number(value)
    if number is None or isinstance(number, int):
        return number
    if number.is_integer():
        return int(number)
    raise _MisfitError


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value == "":
            return None
        if value.lower() in {"true", "false"}:
            return value.lower() == "true"
    raise _MisfitError


def _duration(value: object) -> str | None:
    # Clients have seen plain seconds too, as a number.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _text(value)


_CASTS: dict[Kind, Callable[[object], object]] = {
    Kind.ID: _id,
    Kind.TEXT: _text,
    Kind.MOMENT: _moment,
    Kind.NUMBER: _number,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.DURATION: _duration,
}


def duration_seconds(text: str) -> int | None:
    """Read a duration.

    Args:
        text: `MM:SS`, `HH:MM:SS` or plain seconds (the first is documented, the others were seen
            or are likely).

    Returns:
        Seconds; None if the text is something else.
    """
    parts = _DURATION.fullmatch(text.strip())
    if not parts:
        return None
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return hours * 3600 + minutes * 60 + seconds


class Converter:
    """Makes records of logs, and counts what did not fit.

    Attributes:
        misfits: How often a field held what its type cannot hold, by the field's name.
    """

    def __init__(self) -> None:
        self.misfits: Counter[str] = Counter()
        self._undeclared: set[str] = set()
        self._plan = {
            field.name: (_CASTS.get(field.kind), {m.name: m for m in field.members})
            for field in FIELDS
        }
        self._names = [*self._plan, "duration_seconds", "additional_fields"]

    def convert(self, log: object) -> Record:
        """Make a record of a log.

        Args:
            log: One element of `logs`.

        Returns:
            The record, with every declared field.

        Raises:
            UnusableLogError: If the log has no key or no readable start: such a row can neither be
                upserted nor bookmarked, and to leave it out would lose it.
        """
        if not isinstance(log, dict):
            message = "no object"
            raise UnusableLogError(message)
        record: Record = dict.fromkeys(self._names)
        extra: dict[str, Any] = {}
        for name, value in log.items():
            if name not in self._plan:
                self._note_undeclared(name)
                extra[name] = value
            elif value is not None:
                cast, members = self._plan[name]
                record[name] = (
                    self._cast(name, cast, value, extra)
                    if cast
                    else self._nested(name, value, members, extra)
                )
        if not record["logid"] and log.get("uuid"):
            record["logid"] = self._cast("uuid", _id, log["uuid"], extra)
        for name in ("logid", "start_time"):
            if not record[name]:
                message = f"no usable {name}"
                raise UnusableLogError(message)
        if duration := record["duration"]:
            record["duration_seconds"] = self._seconds(duration)
        record["additional_fields"] = extra or None
        return record

    def _seconds(self, duration: str) -> int | None:
        seconds = duration_seconds(duration)
        if seconds is None:
            self._note_misfit("duration_seconds")
        return seconds

    def _cast(
        self, name: str, cast: Callable[[object], object], value: object, extra: dict[str, Any]
    ) -> object:
        try:
            return cast(value)
        except (_MisfitError, OverflowError):
            self._note_misfit(name)
            extra[name] = value
            return None

    def _nested(
        self, name: str, value: object, members: Mapping[str, Any], extra: dict[str, Any]
    ) -> Record | None:
        if not isinstance(value, dict):
            if value != "":
                self._note_misfit(name)
                extra[name] = value
            return None
        record: Record = dict.fromkeys(members)
        for inner, content in value.items():
            path = f"{name}.{inner}"
            if inner not in members:
                self._note_undeclared(path)
                extra[path] = content
            elif content is not None:
                record[inner] = self._cast(path, _CASTS[members[inner].kind], content, extra)
        return record

    def _note_misfit(self, name: str) -> None:
        if not self.misfits[name]:
            _LOGGER.warning(
                "Field %s holds what does not fit its type; it becomes null%s",
                name,
                "" if name == "duration_seconds" else " and is kept in additional_fields",
            )
        self.misfits[name] += 1

    def _note_undeclared(self, name: str) -> None:
        if name not in self._undeclared:
            self._undeclared.add(name)
            # A key is the server's text too: what does not look like a name is not repeated.
            told = name if re.fullmatch(r"[A-Za-z_][\w.]*", name, re.ASCII) else "[hidden]"
            _LOGGER.info("Field %s is not documented; see additional_fields", told[:_NAMES_TOLD])
