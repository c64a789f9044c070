"""The tap's settings as Meltano defines them, for meltano.yml and for the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from definitions.errors import DefinitionError
from definitions.plugin import kinds

if TYPE_CHECKING:
    from definitions.plugin import Plugin

_KINDS = {
    "string": "string",
    "integer": "integer",
    "number": "decimal",
    "boolean": "boolean",
    "object": "object",
    "array": "array",
}
"""Meltano's kind for each type of JSON schema. Source: meltano.schema.json of Meltano 4.4."""


def settings(plugin: Plugin) -> list[dict[str, Any]]:
    """Return the definition of each setting, in the tap's order.

    Args:
        plugin: The tap.

    Raises:
        DefinitionError: If a setting has no label, no description, or more than one type.
    """
    return [_setting(name, spec) for name, spec in plugin.settings.items()]


def _setting(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    for needed in ("title", "description"):
        if not spec.get(needed):
            message = f"setting {name} has no {needed}"
            raise DefinitionError(message)
    definition: dict[str, Any] = {"name": name, "kind": _kind(name, spec)}
    if "default" in spec:
        definition["value"] = spec["default"]
    definition |= {"label": spec["title"], "description": spec["description"]}
    if "enum" in spec:
        labels = spec.get("enumNames", spec["enum"])
        pairs = zip(labels, spec["enum"], strict=True)
        definition["options"] = [{"label": label, "value": value} for label, value in pairs]
    if spec.get("secret"):
        definition["sensitive"] = True
    return definition


def _kind(name: str, spec: dict[str, Any]) -> str:
    if "enum" in spec:
        return "options"
    if spec.get("format") in {"date", "date-time"}:
        return "date_iso8601"
    if len(kinds(spec)) != 1:
        message = f"setting {name} has types that Meltano has no kind for: {kinds(spec)}"
        raise DefinitionError(message)
    return _KINDS[kinds(spec)[0]]
