"""A log as Zoho sends it becomes a record as the schema declares it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any

from tap_zohovoice.casts import CASTS, MisfitError, duration_seconds
from tap_zohovoice.fields import FIELDS, Kind
from tap_zohovoice.json_text import is_shallow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_zohovoice.fields import Field

Record = dict[str, Any]
_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
_NAMES_TOLD = 60
_FORMS = 1_000
"""Forms of logs that are remembered; one is a set of fields and the types of their values."""
_CONTAINERS = {dict, list}
_TEXTS = (str, NoneType)
_AS_THEY_ARE: dict[Kind, tuple[type, ...]] = {
    Kind.TEXT: _TEXTS,
    Kind.ID: _TEXTS,
    Kind.DURATION: _TEXTS,
    Kind.BOOLEAN: (bool, NoneType),
    Kind.NUMBER: (float, NoneType),
}
"""Types of which every value is a value of that kind; None is one of all kinds."""


class UnusableLogError(ValueError):
    """A log that cannot be keyed or placed in time."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done about the values of a log, or of an object in it, of one form.

    Attributes:
        undeclared: Fields that the schema does not declare, and their paths.
        casts: Fields whose values must be cast or may not fit, their paths, and how to cast them.
        objects: Fields whose values are objects, and the shapes of these.
    """

    undeclared: list[tuple[str, str]]
    casts: list[tuple[str, str, Callable[[object], object]]]
    objects: list[tuple[str, _Shape]]


class _Shape:
    """The fields of a log, or of an object in it.

    What is to be done depends on which fields there are and on the types of their values. Logs take
    few such forms, so it is found out once for each.

    Args:
        fields: The fields.
        note: Called with the path of each field that is sent and not declared.
        prefix: The path of the object, with a dot.
    """

    def __init__(
        self, fields: Iterable[Field], note: Callable[[str], None], prefix: str = ""
    ) -> None:
        self.blank: Record = dict.fromkeys(field.name for field in fields)
        self._fields = {field.name: field for field in fields}
        self._inner = {
            field.name: _Shape(field.members, note, f"{prefix}{field.name}.")
            for field in fields
            if field.members
        }
        self._note = note
        self._prefix = prefix
        self._plans: dict[tuple[object, ...], _Plan] = {}

    def plan_for(self, values: Mapping[str, Any]) -> _Plan:
        """Tell what is to be done about some values.

        Args:
            values: The log, or the object in it.
        """
        form = (*values, *map(type, values.values()))
        plan = self._plans.get(form)
        if plan is None:
            if len(self._plans) == _FORMS:
                self._plans.clear()
            plan = self._plans[form] = self._plan(values)
        return plan

    def _plan(self, values: Mapping[str, Any]) -> _Plan:
        plan = _Plan([], [], [])
        for name, value in values.items():
            path = self._prefix + name
            field = self._fields.get(name)
            if field is None:
                plan.undeclared.append((name, path))
                self._note(path)
            elif isinstance(value, dict) and name in self._inner:
                plan.objects.append((name, self._inner[name]))
            elif not isinstance(value, _AS_THEY_ARE.get(field.kind, NoneType)):
                plan.casts.append((name, path, CASTS[field.kind]))
        return plan


class Converter:
    """Makes records of logs, and counts what did not fit.

    Attributes:
        misfits: How often a field held what its type cannot hold, by the field's name.
    """

    def __init__(self) -> None:
        self.misfits: Counter[str] = Counter()
        self._undeclared: set[str] = set()
        self._shape = _Shape(FIELDS, self._note_undeclared)

    def convert(self, log: object) -> Record:
        """Make a record of a log.

        Args:
            log: One element of `logs`.

        Returns:
            The record, with every declared field.

        Raises:
            UnusableLogError: If the log has no key or no readable start, or a field that nobody can
                read: such a row can neither be upserted nor bookmarked, and to leave it out would
                lose it.
        """
        if not isinstance(log, dict):
            message = "no object"
            raise UnusableLogError(message)
        extra: dict[str, Any] = {}
        record = self._fill(self._shape, log, extra)
        if not record["logid"] and log.get("uuid"):
            record["logid"] = _id_of(log["uuid"])
        for name in ("logid", "start_time"):
            if not record[name]:
                message = f"no usable {name}"
                raise UnusableLogError(message)
        duration = record["duration"]
        record["duration_seconds"] = self._seconds(duration) if duration else None
        record["additional_fields"] = extra or None
        return record

    def _fill(self, shape: _Shape, values: Mapping[str, Any], extra: dict[str, Any]) -> Record:
        """Make a record, or an object in it, of what was sent."""
        plan = shape.plan_for(values)
        record = {**shape.blank, **values}
        for name, path in plan.undeclared:
            _put(extra, path, record.pop(name))
        for name, path, cast in plan.casts:
            try:
                record[name] = cast(values[name])
            except (MisfitError, OverflowError):
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
        return CASTS[Kind.ID](value)
    except MisfitError:
        return None


def _put(extra: dict[str, Any], name: str, value: object) -> None:
    """Keep a value, also where another one has the path of a member as its name.

    Raises:
        UnusableLogError: If no target could read the value.
    """
    if type(value) in _CONTAINERS and not is_shallow(value):
        message = "a field of too many levels"
        raise UnusableLogError(message)
    while name in extra:
        name += "_"
    extra[name] = value
