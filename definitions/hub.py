"""The definition for the Hub, as `_data/meltano/extractors/<name>/<variant>.yml` there."""

import tomllib
from typing import Any

from definitions.documents import as_hub
from definitions.meltano import LABEL, extractor_of
from definitions.plugin import Plugin
from definitions.settings import settings

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

    Raises:
        DefinitionError: If a setting cannot be defined.
    """
    definition: dict[str, Any] = {
        **_PAGE,
        **_source(plugin, pyproject),
        "name": plugin.name,
        "namespace": plugin.namespace,
        "label": LABEL,
        "executable": plugin.name,
        "capabilities": sorted(plugin.about["capabilities"]),
        "select": plugin.select,
        "settings": sorted(settings(plugin), key=lambda setting: str(setting["name"])),
        "settings_group_validation": [sorted(plugin.required)],
        "supported_python_versions": plugin.about["supported_python_versions"],
    }
    if commands := extractor_of(project, plugin).get("commands"):
        definition["commands"] = commands
    made = f"# Made by `make definitions` from `{plugin.name} --about --format=json`.\n"
    return made + as_hub(_in_order(definition))


def _source(plugin: Plugin, pyproject: str) -> dict[str, str]:
    urls = tomllib.loads(pyproject)["project"].get("urls", {})
    url = urls.get("Repository")
    if url is None:
        return {"pip_url": plugin.name, "variant": plugin.name}
    owner = url.rstrip("/").split("/")[-2].lower()
    docs = urls.get("Documentation", f"{url.rstrip('/')}/blob/main/docs/index.md")
    return {"docs": docs, "pip_url": plugin.name, "repo": url, "variant": owner}


def _in_order(value: Any) -> Any:  # noqa: ANN401 - of any shape
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value
