"""Checks names and defaults in .env.example, which is written by hand."""

import re
from collections.abc import Iterator
from typing import Any

from definitions.plugin import Plugin

_LINE = re.compile(r"^#?([A-Z][A-Z0-9_]*)='(.*)'$", re.MULTILINE)


def complaints(example: str, project: dict[str, Any], plugin: Plugin) -> Iterator[str]:
    """Yield each difference of .env.example from the settings of the tap and of the loaders."""
    given = dict(_LINE.findall(example))
    own = {plugin.env_prefix + name.upper(): spec for name, spec in plugin.own_settings.items()}
    yield from (f".env.example lacks {name}" for name in own if name not in given)
    known = {plugin.env_prefix + name.upper() for name in plugin.settings} | _loaders(project)
    for name, value in given.items():
        if name not in known:
            yield f".env.example has {name}, which is not a setting"
        spec = own.get(name, {})
        if "default" in spec and value != str(spec["default"]):
            yield f".env.example has {name}='{value}', but the default is {spec['default']}"
        if spec.get("secret") and value:
            yield f".env.example has a value for {name}"


def _loaders(project: dict[str, Any]) -> set[str]:
    return {
        f"{loader['name']}_{setting['name']}".upper().replace("-", "_")
        for loader in project["plugins"]["loaders"]
        for setting in loader.get("settings", [])
    }
