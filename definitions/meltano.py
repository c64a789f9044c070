"""The tap's definition in meltano.yml and for the Hub, and the check of .env.example."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from definitions.documents import as_hub, as_meltano
from definitions.plugin import NAME, NAMESPACE, DefinitionError, Plugin
from definitions.settings import settings

LABEL = "Zoho Voice"
_PREFIX = f"{NAMESPACE.upper()}_"


def meltano_yml(text: str, document: dict[str, Any], plugin: Plugin) -> str:
    """Write the definition of the tap into meltano.yml.

    The rest of the file stays, comments and commands included. It is written in Meltano's own
    style, so that Meltano itself does not change it when it is used.
    """
    extractor = extractor_of(document)
    for key, value in (_common(plugin) | {"description": plugin.about["description"]}).items():
        if extractor.get(key) != value:  # equal values keep their comments
            extractor[key] = value
    written = as_meltano(document)
    for line in text.splitlines():
        if line.lstrip().startswith("#") and line not in written:
            message = f"meltano.yml: this comment would be lost, put it elsewhere: {line.strip()}"
            raise DefinitionError(message)
    return written


def extractor_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the tap's entry of meltano.yml."""
    extractors: list[dict[str, Any]] = document["plugins"]["extractors"]
    for extractor in extractors:
        if extractor["name"] == NAME:
            return extractor
    message = f"meltano.yml has no extractor {NAME}"
    raise DefinitionError(message)


def _common(plugin: Plugin) -> dict[str, Any]:
    """Return what both definitions have."""
    return {
        "namespace": NAMESPACE,
        "label": LABEL,
        "executable": NAME,
        "capabilities": plugin.about["capabilities"],
        "settings_group_validation": [plugin.required],
        "settings": settings(plugin),
        "select": plugin.select,
    }


_PAGE = {
    "description": "Cloud telephony for sales and support teams",
    "domain_url": "https://www.zoho.com/voice/",
    "keywords": ["api", "meltano_sdk", "telephony", "zoho"],
    "maintenance_status": "beta",
    # Values of the Hub for a tap of the community that uses the SDK.
    "quality": "silver",
}
"""Values that people write. Source of the keys: schemas/plugin_definitions of meltano/hub."""


def hub_definition(plugin: Plugin, project: dict[str, Any], pyproject: str) -> str:
    """Write the definition.

    Its format is that of the Hub: keys, capabilities and settings in the order of the alphabet.
    The repository is that of `project.urls`, whose owner is the variant; the documentation is that
    of `project.urls`, or docs/ in the repository. Commands are those of meltano.yml.
    """
    definition: dict[str, Any] = {
        **_common(plugin),
        **_PAGE,
        **_source(pyproject),
        "name": NAME,
        "capabilities": sorted(plugin.about["capabilities"]),
        "settings": sorted(settings(plugin), key=lambda setting: str(setting["name"])),
        "settings_group_validation": [sorted(plugin.required)],
        "supported_python_versions": plugin.about["supported_python_versions"],
    }
    if commands := extractor_of(project).get("commands"):
        definition["commands"] = commands
    made = f"# Made by `make definitions` from `{NAME} --about --format=json`.\n"
    return made + as_hub(_in_order(definition))


def _source(pyproject: str) -> dict[str, str]:
    urls = tomllib.loads(pyproject)["project"].get("urls", {})
    url = urls.get("Repository")
    if url is None:
        return {"pip_url": NAME, "variant": NAME}
    owner = url.rstrip("/").split("/")[-2].lower()
    docs = urls.get("Documentation", f"{url.rstrip('/')}/blob/main/docs/index.md")
    return {"docs": docs, "pip_url": NAME, "repo": url, "variant": owner}


def _in_order(value: Any) -> Any:  # noqa: ANN401 - of any shape
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value


_LINE = re.compile(r"^#?([A-Z][A-Z0-9_]*)='(.*)'$", re.MULTILINE)


def complaints(example: str, project: dict[str, Any], plugin: Plugin) -> Iterator[str]:
    """Yield each difference of .env.example from the settings of the tap and of the loaders."""
    given = dict(_LINE.findall(example))
    own = {_PREFIX + name.upper(): spec for name, spec in plugin.own_settings.items()}
    yield from (f".env.example lacks {name}" for name in own if name not in given)
    known = {_PREFIX + name.upper() for name in plugin.settings} | _loaders(project)
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
