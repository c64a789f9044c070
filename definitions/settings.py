"""The tap's settings as Meltano defines them, for meltano.yml and for the Hub."""

from typing import Any

from definitions.plugin import DefinitionError, Plugin, kinds

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
    """Return the definition of each setting, in the tap's order."""
    return [_setting(name, spec) for name, spec in plugin.settings.items()]


def told(what: str, spec: dict[str, Any], key: str) -> str:
    """Return a text that a schema must have."""
    if not spec.get(key):
        message = f"{what} has no {key}"
        raise DefinitionError(message)
    return str(spec[key])


def _setting(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    label, description = (told(f"setting {name}", spec, key) for key in ("title", "description"))
    definition: dict[str, Any] = {"name": name, "kind": _kind(name, spec)}
    if "default" in spec:
        definition["value"] = spec["default"]
    definition |= {"label": label, "description": description}
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
        message = f"setting {name} has types that Meltano does not support: {kinds(spec)}"
        raise DefinitionError(message)
    return _KINDS[kinds(spec)[0]]
