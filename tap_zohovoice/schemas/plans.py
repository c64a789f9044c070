"""The forms that logs take: what depends on no value of a log is found out once for each."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any

from tap_zohovoice.schemas.call_logs import FieldType
from tap_zohovoice.schemas.types import CASTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_zohovoice.schemas.call_logs import Field

_FORMS = 1_000
"""Forms of logs that are remembered; one is a set of fields and the types of their values."""
_TEXTS = (str, NoneType)
_AS_THEY_ARE: dict[FieldType, tuple[type, ...]] = {
    FieldType.TEXT: _TEXTS,
    FieldType.ID: _TEXTS,
    FieldType.DURATION: _TEXTS,
    FieldType.BOOLEAN: (bool, NoneType),
    FieldType.NUMBER: (float, NoneType),
}
"""Types of which every value is a value of that kind; None is one of all kinds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about the values of a log, or of an object in it, of one form.

    Attributes:
        undeclared: Fields that the schema does not declare, and their paths.
        casts: Fields whose values must be cast or may not fit, their paths, and how to cast them.
        objects: Fields whose values are objects, and the shapes of these.
    """

    undeclared: list[tuple[str, str]]
    casts: list[tuple[str, str, Callable[[object], object]]]
    objects: list[tuple[str, ObjectShape]]


class ObjectShape:
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
        self.blank: dict[str, Any] = dict.fromkeys(field.name for field in fields)
        self._fields = {field.name: field for field in fields}
        self._inner = {
            field.name: ObjectShape(field.members, note, f"{prefix}{field.name}.")
            for field in fields
            if field.members
        }
        self._note = note
        self._prefix = prefix
        self._plans: dict[tuple[object, ...], Plan] = {}

    def plan_for(self, values: Mapping[str, Any]) -> Plan:
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

    def _plan(self, values: Mapping[str, Any]) -> Plan:
        plan = Plan([], [], [])
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
