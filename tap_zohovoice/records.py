"""A log as Zoho sends it becomes a record as the schema declares it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from tap_zohovoice.casts import CASTS, MisfitError, duration_seconds
from tap_zohovoice.fields import FIELDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_zohovoice.fields import Field

Record = dict[str, Any]
_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_NAMES_TOLD = 60
_TEXTS = {Kind.TEXT, Kind.ID, Kind.DURATION}
"""Kinds of which every text is a value as it is."""


class UnusableLogError(ValueError):
    """A log that cannot be keyed or placed in time."""


class _Shape:
    """The fields of a log or of an object in it, and how each becomes part of a record.

    Args:
        fields: The fields.
        beside: Names that records have beside those of the fields.
    """

    def __init__(self, fields: Iterable[Field], *beside: str) -> None:
        self.blank: Record = dict.fromkeys([*(field.name for field in fields), *beside])
        self.texts = {field.name for field in fields if field.kind in _TEXTS}
        self.casts = {field.name: CASTS.get(field.kind) for field in fields}
        self.inner = {field.name: _Shape(field.members) for field in fields if field.members}


class Converter:
    """Makes records of logs, and counts what did not fit.

    Attributes:
        misfits: How often a field held what its type cannot hold, by the field's name.
    """

    def __init__(self) -> None:
        self.misfits: Counter[str] = Counter()
        self._undeclared: set[str] = set()
        self._shape = _Shape(FIELDS, "duration_seconds", "additional_fields")

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
        extra: dict[str, Any] = {}
        record = self._fill(self._shape, log, "", extra)
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

    def _fill(
        self, shape: _Shape, values: Mapping[str, Any], prefix: str, extra: dict[str, Any]
    ) -> Record:
        """Make a record, or an object in it, of what was sent; `prefix` is its path with a dot."""
        record = shape.blank.copy()
        for name, value in values.items():
            if name in shape.texts and isinstance(value, str):
                record[name] = value  # most values are what they should be
            elif name not in shape.casts:
                self._note_undeclared(prefix + name)
                _put(extra, prefix + name, value)
            elif value is not None:
                cast = shape.casts[name]
                record[name] = (
                    self._cast(prefix + name, cast, value, extra)
                    if cast
                    else self._object(name, shape.inner[name], value, extra)
                )
        return record

    def _object(
        self, name: str, shape: _Shape, value: object, extra: dict[str, Any]
    ) -> Record | None:
        if isinstance(value, dict):
            return self._fill(shape, value, f"{name}.", extra)
        if value != "":
            self._note_misfit(name)
            _put(extra, name, value)
        return None

    def _cast(
        self, name: str, cast: Callable[[object], object], value: object, extra: dict[str, Any]
    ) -> object:
        try:
            return cast(value)
        except (MisfitError, OverflowError):
            self._note_misfit(name)
            _put(extra, name, value)
            return None

    def _seconds(self, duration: str) -> int | None:
        seconds = duration_seconds(duration)
        if seconds is None:
            self._note_misfit("duration_seconds")
        return seconds

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
