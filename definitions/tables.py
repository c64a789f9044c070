"""Tables of the documentation: settings, filters, and the fields of a stream."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from definitions.plugin import SDK_SETTINGS, Plugin, kinds
from definitions.settings import told

MAIN_SETTINGS = (
    *("client_id", "client_secret", "refresh_token", "data_center", "start_date", "lookback_days"),
    *("streams", "filters", "recordings_path", "page_size"),
)
"""Most common settings, for the README."""
_UNBOUNDED = 1_000_000_000
"""Larger upper bounds are omitted: they only prevent overflows of clocks and sockets."""
_DEFAULT = " Default: "
_ADDED = "The SDK adds [stream maps](https://sdk.meltano.com/en/latest/stream_maps.html) and more:"
_WORDS = {"string": "text"}
_FORMATS = {"date-time": "date-time", "id": "id", "digits": "digits"}


def settings_table(plugin: Plugin) -> str:
    """Write the table of the tap's own settings, and name those of the SDK."""
    others = ", ".join(f"`{name}`" for name in plugin.settings if name in SDK_SETTINGS)
    added = textwrap.fill(f"{_ADDED} {others}.", width=100, break_on_hyphens=False)
    return f"{_settings(plugin, plugin.own_settings)}\n\n{added}"


def main_settings_table(plugin: Plugin) -> str:
    """Write the table of the most common settings."""
    return _settings(plugin, MAIN_SETTINGS)


def _settings(plugin: Plugin, names: Iterable[str]) -> str:
    rows = []
    for name in names:
        spec = plugin.own_settings[name]
        meaning, _, default = told(f"setting {name}", spec, "description").partition(_DEFAULT)
        if "default" in spec:
            default = (
                f"`{spec['default']}`" if isinstance(spec["default"], str) else spec["default"]
            )
        kind = _setting_type(spec)
        kind += ", required" if name in plugin.required else ""
        kind += ", secret" if spec.get("secret") else ""
        rows.append((f"`{name}`", kind, str(default).removesuffix("."), meaning))
    return _table(("setting", "type", "default", "meaning"), rows)


def filters_table(plugin: Plugin) -> str:
    """Write the table of the members of the setting `filters`."""
    members = plugin.settings["filters"]["properties"]
    rows = [
        (f"`{name}`", _setting_type(spec), told(f"filter {name}", spec, "description"))
        for name, spec in members.items()
    ]
    return _table(("filter", "type", "meaning"), rows)


def fields_table(stream: str, schema: dict[str, Any]) -> str:
    """Write the table of a stream's fields."""
    return _table(("field", "type", "meaning"), _fields(stream, schema))


def _fields(stream: str, schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, ...]]:
    for name, spec in schema["properties"].items():
        meaning = told(f"field {prefix}{name} of {stream}", spec, "description")
        items = spec.get("items")
        kind = " or ".join(
            _FORMATS.get(spec.get("format", ""), _WORDS.get(k, k)) for k in kinds(spec)
        )
        kind += f" of {kinds(items)[0]}s" if items else ""
        yield f"`{prefix}{name}`", kind, meaning
        inner = items or spec
        if inner.get("properties"):
            yield from _fields(stream, inner, f"{prefix}{name}[]." if items else f"{prefix}{name}.")


def _setting_type(spec: dict[str, Any]) -> str:
    kind = kinds(spec)[0]
    if spec.get("format") == "date-time":
        return "date or date-time"
    if named := _FORMATS.get(spec.get("format", "")):
        return f"{named} or list of {named}s" if "array" in kinds(spec) else named
    if "enum" in spec:
        choices = [f"`{choice}`" for choice in spec["enum"]]
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    if "minimum" not in spec:
        return kind
    if spec["maximum"] < _UNBOUNDED:
        return f"{kind}, {spec['minimum']} to {spec['maximum']}"
    return f"{kind}, from {spec['minimum']}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [_line(head), "|---" * len(head) + "|", *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return "|" + "".join(f" {cell} |".replace("  ", " ") for cell in map(_escaped, cells))


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
