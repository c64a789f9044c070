"""The tap's definition in meltano.yml."""

from typing import Any

from definitions.documents import as_meltano
from definitions.errors import DefinitionError
from definitions.plugin import Plugin
from definitions.settings import settings

LABEL = "Zoho Voice"


def meltano_yml(text: str, document: dict[str, Any], plugin: Plugin) -> str:
    """Write the definition of the tap into meltano.yml.

    The rest of the file stays, comments and commands included. It is written in Meltano's own
    style, so that Meltano itself does not change it when it is used.

    Raises:
        DefinitionError: If it has no such extractor, or a comment would be lost.
    """
    extractor = extractor_of(document, plugin)
    for key, value in _definition(plugin).items():
        if extractor.get(key) != value:  # equal values keep their comments
            extractor[key] = value
    written = as_meltano(document)
    for line in text.splitlines():
        if line.lstrip().startswith("#") and line not in written:
            message = f"meltano.yml: this comment would be lost, put it elsewhere: {line.strip()}"
            raise DefinitionError(message)
    return written


def extractor_of(document: dict[str, Any], plugin: Plugin) -> dict[str, Any]:
    """Return the tap's entry of meltano.yml.

    Raises:
        DefinitionError: If there is none.
    """
    extractors: list[dict[str, Any]] = document["plugins"]["extractors"]
    for extractor in extractors:
        if extractor["name"] == plugin.name:
            return extractor
    message = f"meltano.yml has no extractor {plugin.name}"
    raise DefinitionError(message)


def _definition(plugin: Plugin) -> dict[str, Any]:
    return {
        "namespace": plugin.namespace,
        "label": LABEL,
        "executable": plugin.name,
        "description": plugin.about["description"],
        "capabilities": plugin.about["capabilities"],
        "settings_group_validation": [plugin.required],
        "settings": settings(plugin),
        "select": plugin.select,
    }
