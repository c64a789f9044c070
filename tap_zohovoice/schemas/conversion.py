"""A log as Zoho sends it becomes a record as the schema declares it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from tap_zohovoice.exceptions import CastError, InvalidRecordError
from tap_zohovoice.schemas.call_logs import FIELDS, FieldType
from tap_zohovoice.schemas.plans import ObjectShape
from tap_zohovoice.schemas.types import CASTS, duration_seconds
from tap_zohovoice.singer.json import within_depth

if TYPE_CHECKING:
    from collections.abc import Mapping

Record = dict[str, Any]
_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_NAMES_TOLD = 60
_CONTAINERS = {dict, list}


class RecordConverter:
    """Makes records of logs, and counts what did not fit.

    Attributes:
        misfits: How often a field held what its type cannot hold, by the field's name.
    """

    def __init__(self) -> None:
        self.misfits: Counter[str] = Counter()
        self._undeclared: set[str] = set()
        self._shape = ObjectShape(FIELDS, self._note_undeclared)

    def convert(self, log: object) -> Record:
        """Make a record of a log.

        Args:
            log: One element of `logs`.

        Returns:
            The record, with every declared field.

        Raises:
            InvalidRecordError: If the log has no key or no readable start, or a field that nobody can
                read: such a row can neither be upserted nor bookmarked, and to leave it out would
                lose it.
        """  # noqa: E501
        if not isinstance(log, dict):
            message = "no object"
            raise InvalidRecordError(message)
        extra: dict[str, Any] = {}
        record = self._fill(self._shape, log, extra)
        if not record["logid"] and log.get("uuid"):
            record["logid"] = _id_of(log["uuid"])
        for name in ("logid", "start_time"):
            if not record[name]:
                message = f"no usable {name}"
                raise InvalidRecordError(message)
        duration = record["duration"]
        record["duration_seconds"] = self._seconds(duration) if duration else None
        record["additional_fields"] = extra or None
        return record

    def _fill(self, shape: ObjectShape, values: Mapping[str, Any], extra: dict[str, Any]) -> Record:
        """Make a record, or an object in it, of what was sent."""
        plan = shape.plan_for(values)
        record = {**shape.blank, **values}
        for name, path in plan.undeclared:
            _put(extra, path, record.pop(name))
        for name, path, cast in plan.casts:
            try:
                record[name] = cast(values[name])
            except (CastError, OverflowError):
                self._note_misfit(path)
                record[name] = None
                _put(extra, path, values[name])
        for name, inner in plan.objects:
            record[name] = self._fill(inner, values[name], extra)
        return record

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


def _id_of(value: object) -> object:
    try:
        return CASTS[FieldType.ID](value)
    except CastError:
        return None


def _put(extra: dict[str, Any], name: str, value: object) -> None:
    """Keep a value, also where another one has the path of a member as its name.

    Raises:
        InvalidRecordError: If no target could read the value.
    """
    if type(value) in _CONTAINERS and not within_depth(value):
        message = "a field of too many levels"
        raise InvalidRecordError(message)
    while name in extra:
        name += "_"
    extra[name] = value
