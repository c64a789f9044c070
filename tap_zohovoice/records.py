"""A log as Zoho sends it becomes a record as the schema declares it."""

from __future__ import annotations

import logging
import marshal
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from tap_zohovoice.casts import CASTS, MisfitError, duration_seconds
from tap_zohovoice.fields import FIELDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Record = dict[str, Any]
_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_NAMES_TOLD = 60


_NAMES = (*(field.name for field in FIELDS), "duration_seconds", "additional_fields")


def pack(record: Record) -> Record:
    """Make a record small, for the time until its window is complete.

    Args:
        record: A record of a `Converter`.

    Returns:
        Its `logid` and `start_time`, and all of it as bytes: a quarter of the memory.
    """
    values = marshal.dumps(tuple(record.values()))
    return {"logid": record["logid"], "start_time": record["start_time"], "values": values}


def unpack(row: Record) -> Record:
    """Undo `pack`."""
    values = marshal.loads(row["values"])  # noqa: S302 - never leaves this process
    return dict(zip(_NAMES, values, strict=True))


class UnusableLogError(ValueError):
    """A log that cannot be keyed or placed in time."""


class Converter:
    """Makes records of logs, and counts what did not fit.

    Attributes:
        misfits: How often a field held what its type cannot hold, by the field's name.
    """

    def __init__(self) -> None:
        self.misfits: Counter[str] = Counter()
        self._undeclared: set[str] = set()
        self._plan = {
            field.name: (CASTS.get(field.kind), {m.name: m for m in field.members})
            for field in FIELDS
        }

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
        record: Record = dict.fromkeys(_NAMES)
        extra: dict[str, Any] = {}
        for name, value in log.items():
            if name not in self._plan:
                self._note_undeclared(name)
                _put(extra, name, value)
            elif value is not None:
                cast, members = self._plan[name]
                record[name] = (
                    self._cast(name, cast, value, extra)
                    if cast
                    else self._nested(name, value, members, extra)
                )
        if not record["logid"] and log.get("uuid"):
            record["logid"] = self._cast("uuid", CASTS[Kind.ID], log["uuid"], extra)
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
        except (MisfitError, OverflowError):
            self._note_misfit(name)
            _put(extra, name, value)
            return None

    def _nested(
        self, name: str, value: object, members: Mapping[str, Any], extra: dict[str, Any]
    ) -> Record | None:
        if not isinstance(value, dict):
            if value != "":
                self._note_misfit(name)
                _put(extra, name, value)
            return None
        record: Record = dict.fromkeys(members)
        for inner, content in value.items():
            path = f"{name}.{inner}"
            if inner not in members:
                self._note_undeclared(path)
                _put(extra, path, content)
            elif content is not None:
                record[inner] = self._cast(path, CASTS[members[inner].kind], content, extra)
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


def _put(extra: dict[str, Any], name: str, value: object) -> None:
    """Keep a value, also where another one has the path of a member as its name."""
    while name in extra:
        name += "_"
    extra[name] = value
