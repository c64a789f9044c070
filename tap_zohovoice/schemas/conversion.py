"""Conversion of a row, as the API sends it, to a record of exact types."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from tap_zohovoice.exceptions import CastError, InvalidRecordError
from tap_zohovoice.schemas.types import Field
from tap_zohovoice.singer.json import MAX_DEPTH, sanitize

Record = dict[str, Any]
_NULLS = ("", "--")  # instead of null where the type is not text; dashes come in Zoho's metrics
_MAX_LOGGED_NAMES = 30
_MAX_UNDECLARED_NAMES = 1_000
_MAX_PLANS = 1_000
_Names = list[tuple[str, str]]
_Plan = tuple[_Names, list[tuple[str, Callable[[object], object]]], _Names]
"""How to convert objects with the same fields and types of values: names and paths of undeclared
fields, names and casts, names and prefixes of objects with properties."""


class RecordConverter:
    """Converts rows to records, which have the required fields."""

    def __init__(
        self, fields: Sequence[Field], required: Iterable[str], logger: logging.Logger
    ) -> None:
        self.cast_failures: Counter[str] = Counter()  # by path
        self._required = tuple(required)
        self._aliased = [field for field in fields if field.alias]
        self._logger = logger
        self._undeclared: dict[str, None] = {}  # paths, by any row so far
        self._logged = 0  # of those, the first ones
        declared = {"": fields}  # by prefix of their paths
        declared |= {f"{field.name}.": field.properties for field in fields}
        self._fields = {at: {field.name: field for field in of} for at, of in declared.items()}
        self._defaults = {at: dict.fromkeys(of) for at, of in self._fields.items()}
        self._plan_for = lru_cache(_MAX_PLANS)(self._make_plan)

    def convert(self, row: object) -> Record:
        """Convert a row to a record with every declared field, or raise `InvalidRecordError`."""
        if not isinstance(row, dict):
            message = "is not an object"
            raise InvalidRecordError(message)
        extra: dict[str, Any] = {}
        record = self._convert_object(row, "", extra)
        for field in self._aliased:
            name, alias = field.name, field.alias
            if record[name] in (None, "") and (value := record.get(alias, row.get(alias))):
                record[name] = field.type.cast_or_none(value)
                if record[name] is None:
                    self.count_cast_failure(name, f"raw value kept in {alias}")
        for name in self._required:
            if not record[name]:
                message = f"has no valid {name}"
                raise InvalidRecordError(message)
        record["additional_fields"] = extra or None
        return record

    def _convert_object(self, values: Record, prefix: str, extra: Record) -> Record:
        # Rows come in few combinations of fields and types of values, so that looking a plan up is
        # much cheaper than looking at every field.
        key = (prefix, *values, *map(type, values.values()))
        undeclared, casts, objects = self._plan_for(key)
        record = self._defaults[prefix].copy()  # faster than one display of both
        record.update(values)
        for name, path in undeclared:
            _add_extra(extra, path, record.pop(name))
        for name, cast in casts:
            try:
                record[name] = cast(values[name])
            except (CastError, OverflowError):
                record[name] = None
                if values[name] not in _NULLS:
                    self.count_cast_failure(prefix + name, "raw value kept in additional_fields")
                    _add_extra(extra, prefix + name, values[name])
        for name, inner in objects:
            record[name] = self._convert_object(values[name], inner, extra)
        return record

    def _make_plan(self, key: tuple[Any, ...]) -> _Plan:
        prefix, half = key[0], len(key) // 2 + 1
        plan: _Plan = ([], [], [])
        undeclared, casts, objects = plan
        for name, kind in zip(key[1:half], key[half:], strict=True):
            field = self._fields[prefix].get(name)
            if field is None:
                undeclared.append((name, prefix + name))
                if len(self._undeclared) < _MAX_UNDECLARED_NAMES:
                    self._undeclared[prefix + name] = None
            elif kind is dict and field.properties:
                objects.append((name, f"{name}."))
            elif not issubclass(kind, field.type.exact_types):
                casts.append((name, field.type.cast))
        return plan

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
            listed = ", ".join(dict.fromkeys(map(_loggable, fresh[:_MAX_LOGGED_NAMES])))
            more = ", ..." if len(fresh) > _MAX_LOGGED_NAMES else ""
            message = "%d fields are not documented; kept in additional_fields: %s%s"
            self._logger.info(message, len(fresh), listed, more)
        self._logged = len(self._undeclared)


def _loggable(name: str) -> str:
    # A key is the server's text too, so one that does not look like a name is hidden.
    return name if re.fullmatch(r"[A-Za-z_][\w.]{,59}", name, re.ASCII) else "[hidden]"


def _add_extra(extra: Record, name: str, value: object) -> None:
    """Add a value, also where another one has the path of a property as its name."""
    while name in extra:
        name += "_"
    try:
        extra[name] = sanitize(value, MAX_DEPTH)
    except RecursionError as error:
        message = "has a field that is nested too deeply"
        raise InvalidRecordError(message) from error
