"""Conversion of a call log, as the API sends it, to a record of exact types."""

from __future__ import annotations

import logging
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_zohovoice.exceptions import CastError, InvalidRecordError
from tap_zohovoice.schemas.call_logs import FIELDS
from tap_zohovoice.schemas.types import FieldType, parse_duration
from tap_zohovoice.singer.json import MAX_DEPTH, sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_zohovoice.schemas.types import Field

Record = dict[str, Any]
_LOGGER = logging.getLogger("tap-zohovoice.call_logs")
MAX_NAME_LENGTH = 60  # characters of an undocumented field's name that are logged
MAX_CACHED_PLANS = 1_000


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """Steps that convert objects with the same fields and types of values."""

    undeclared: list[tuple[str, str]]
    casts: list[tuple[str, str, Callable[[object], object]]]
    objects: list[tuple[str, ObjectShape]]


class ObjectShape:
    """Declared fields of a log, or of an object in it, with a cache of conversion plans.

    Logs come in few combinations of fields and types of values, so that looking a plan up is much
    cheaper than looking at every field.
    """

    def __init__(
        self, fields: Iterable[Field], on_undeclared: Callable[[str], None], prefix: str = ""
    ) -> None:
        self.defaults: dict[str, Any] = dict.fromkeys(field.name for field in fields)
        self._fields = {field.name: field for field in fields}
        self._objects = {
            field.name: ObjectShape(field.properties, on_undeclared, f"{prefix}{field.name}.")
            for field in fields
            if field.properties
        }
        self._on_undeclared = on_undeclared
        self._prefix = prefix
        self._plans: dict[tuple[object, ...], ConversionPlan] = {}

    def get_plan(self, values: Mapping[str, Any]) -> ConversionPlan:
        """Return the plan for an object, from the cache if there is one."""
        key = (*values, *map(type, values.values()))
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) == MAX_CACHED_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._build_plan(values)
        return plan

    def _build_plan(self, values: Mapping[str, Any]) -> ConversionPlan:
        plan = ConversionPlan([], [], [])
        for name, value in values.items():
            path = self._prefix + name
            field = self._fields.get(name)
            if field is None:
                plan.undeclared.append((name, path))
                self._on_undeclared(path)
            elif isinstance(value, dict) and name in self._objects:
                plan.objects.append((name, self._objects[name]))
            elif not isinstance(value, field.type.exact_types):
                plan.casts.append((name, path, field.type.cast))
        return plan


class RecordConverter:
    """Converts logs to records, and counts values that do not match their type, by path."""

    def __init__(self) -> None:
        self.cast_failures: Counter[str] = Counter()
        self._undeclared: set[str] = set()
        self._shape = ObjectShape(FIELDS, self._log_undeclared)

    def convert(self, log: object) -> Record:
        """Convert one element of `logs` to a record with every declared field.

        Raises:
            InvalidRecordError: If the log has no id or start time, or a field too deep to read.
        """
        if not isinstance(log, dict):
            message = "no object"
            raise InvalidRecordError(message)
        extra: dict[str, Any] = {}
        record = self._convert_object(self._shape, log, extra)
        if not record["logid"] and log.get("uuid"):
            with suppress(CastError):
                record["logid"] = FieldType.ID.cast(log["uuid"])
        for name in ("logid", "start_time"):
            if not record[name]:
                message = f"no usable {name}"
                raise InvalidRecordError(message)
        duration = record["duration"]
        record["duration_seconds"] = self._duration_seconds(duration) if duration else None
        record["additional_fields"] = extra or None
        return record

    def _convert_object(
        self, shape: ObjectShape, values: Mapping[str, Any], extra: dict[str, Any]
    ) -> Record:
        plan = shape.get_plan(values)
        record = {**shape.defaults, **values}
        for name, path in plan.undeclared:
            _add_extra(extra, path, record.pop(name))
        for name, path, cast in plan.casts:
            try:
                record[name] = cast(values[name])
            except (CastError, OverflowError):
                self._count_cast_failure(path, "raw value kept in additional_fields")
                record[name] = None
                _add_extra(extra, path, values[name])
        for name, inner in plan.objects:
            record[name] = self._convert_object(inner, values[name], extra)
        return record

    def _duration_seconds(self, duration: str) -> int | None:
        seconds = parse_duration(duration)
        if seconds is None:
            self._count_cast_failure("duration_seconds", "raw value kept in duration")
        return seconds

    def _count_cast_failure(self, path: str, remedy: str) -> None:
        if not self.cast_failures[path]:
            _LOGGER.warning("%s: value does not match its type; emitting null, %s", path, remedy)
        self.cast_failures[path] += 1

    def _log_undeclared(self, path: str) -> None:
        if path not in self._undeclared:
            self._undeclared.add(path)
            # A key is the server's text too, so one that does not look like a name is hidden.
            is_name = re.fullmatch(r"[A-Za-z_][\w.]*", path, re.ASCII)
            name = path[:MAX_NAME_LENGTH] if is_name else "[hidden]"
            _LOGGER.info("%s: field is not documented; kept in additional_fields", name)


def _add_extra(extra: dict[str, Any], name: str, value: object) -> None:
    """Add a value, also where another one has the path of a property as its name."""
    while name in extra:
        name += "_"
    try:
        extra[name] = sanitize(value, MAX_DEPTH)
    except RecursionError as error:
        message = "a field of too many levels"
        raise InvalidRecordError(message) from error
