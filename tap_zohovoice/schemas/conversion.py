"""Conversion of a row, as the API sends it, to a record of exact types."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from tap_zohovoice.exceptions import CastError, InvalidRecordError
from tap_zohovoice.schemas.types import Field, FieldType
from tap_zohovoice.singer.json import MAX_DEPTH, sanitize

Record = dict[str, Any]
_NULLS = ("", "--")  # instead of null where the type is not text; dashes come in Zoho's metrics
MAX_NAME_LENGTH = 60  # characters of an undocumented field's name that are logged
MAX_LOGGED_NAMES = 30
MAX_UNDECLARED_NAMES = 1_000
MAX_CACHED_PLANS = 1_000


class ConversionPlan(NamedTuple):
    """Steps that convert objects with the same fields and types of values."""

    undeclared: list[tuple[str, str]]  # name and path of a field, as in the next
    casts: list[tuple[str, str, Callable[[object], object]]]
    objects: "list[tuple[str, ObjectShape]]"


class ObjectShape:
    """Declared fields of a row, or of an object in it, with a cache of conversion plans."""

    # Rows come in few combinations of fields and types of values, so that looking a plan up is
    # much cheaper than looking at every field.

    def __init__(
        self, fields: Iterable[Field], undeclared: dict[str, None], prefix: str = ""
    ) -> None:
        self.defaults: dict[str, Any] = dict.fromkeys(field.name for field in fields)
        self._fields = {field.name: field for field in fields}
        self._objects = {
            field.name: ObjectShape(field.properties, undeclared, f"{prefix}{field.name}.")
            for field in fields
            if field.properties
        }
        self._undeclared = undeclared  # paths, by any row so far
        self._prefix = prefix
        self._plans: dict[tuple[object, ...], ConversionPlan] = {}

    def get_plan(self, values: Mapping[str, Any]) -> ConversionPlan:
        """Return the plan for an object, from the cache if it is there."""
        key = (*values, *map(type, values.values()))
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) == MAX_CACHED_PLANS:
                self._plans.clear()
            plan = self._plans[key] = ConversionPlan([], [], [])
            self._build(plan, values)
        return plan

    def _build(self, plan: ConversionPlan, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            path = self._prefix + name
            field = self._fields.get(name)
            if field is None:
                plan.undeclared.append((name, path))
                if len(self._undeclared) < MAX_UNDECLARED_NAMES:
                    self._undeclared[path] = None
            elif isinstance(value, dict) and name in self._objects:
                plan.objects.append((name, self._objects[name]))
            elif not isinstance(value, field.type.exact_types):
                plan.casts.append((name, path, field.type.cast))


class RecordConverter:
    """Converts rows to records, which have the required fields, under an alias if need be."""

    def __init__(
        self,
        fields: Iterable[Field],
        required: Iterable[str],
        aliases: Mapping[str, str],
        logger: logging.Logger,
    ) -> None:
        self.cast_failures: Counter[str] = Counter()  # by path
        self._required = tuple(required)
        self._aliases = aliases
        self._logger = logger
        self._undeclared: dict[str, None] = {}
        self._logged = 0  # of those, the first ones
        self._shape = ObjectShape(tuple(fields), self._undeclared)

    def convert(self, row: object) -> Record:
        """Convert a row to a record with every declared field, or raise `InvalidRecordError`."""
        if not isinstance(row, dict):
            message = "is not an object"
            raise InvalidRecordError(message)
        extra: dict[str, Any] = {}
        record = self._convert_object(self._shape, row, extra)
        for name, alias in self._aliases.items():
            if not record[name] and row.get(alias):
                with suppress(CastError):
                    record[name] = FieldType.ID.cast(row[alias])
        for name in self._required:
            if not record[name]:
                message = f"has no valid {name}"
                raise InvalidRecordError(message)
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
                record[name] = None
                if values[name] not in _NULLS:
                    self.count_cast_failure(path, "raw value kept in additional_fields")
                    _add_extra(extra, path, values[name])
        for name, inner in plan.objects:
            record[name] = self._convert_object(inner, values[name], extra)
        return record

    def count_cast_failure(self, path: str, remedy: str) -> None:
        """Count a value that does not match its type, and warn of the first one of a field."""
        if not self.cast_failures[path]:
            message = "%s: value does not match its type; emitting null, %s"
            self._logger.warning(message, path, remedy)
        self.cast_failures[path] += 1

    def log_undeclared(self) -> None:
        """Log, in one line, which undocumented fields came since the last such line."""
        fresh = list(self._undeclared)[self._logged :]
        if fresh:
            listed = ", ".join(dict.fromkeys(map(_loggable, fresh[:MAX_LOGGED_NAMES])))
            more = ", ..." if len(fresh) > MAX_LOGGED_NAMES else ""
            message = "%d fields are not documented; kept in additional_fields: %s%s"
            self._logger.info(message, len(fresh), listed, more)
        self._logged = len(self._undeclared)


def _loggable(name: str) -> str:
    # A key is the server's text too, so one that does not look like a name is hidden.
    is_name = re.fullmatch(r"[A-Za-z_][\w.]*", name, re.ASCII)
    return name[:MAX_NAME_LENGTH] if is_name else "[hidden]"


def _add_extra(extra: dict[str, Any], name: str, value: object) -> None:
    """Add a value, also where another one has the path of a property as its name."""
    while name in extra:
        name += "_"
    try:
        extra[name] = sanitize(value, MAX_DEPTH)
    except RecursionError as error:
        message = "has a field that is nested too deeply"
        raise InvalidRecordError(message) from error
