"""The output of the tap's `--about` and `--discover`."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from singer_sdk.helpers.capabilities import FLATTENING_CONFIG, STREAM_MAPS_CONFIG

NAME, NAMESPACE = "tap-zohovoice", "tap_zohovoice"
SDK_SETTINGS = frozenset(
    name for config in (STREAM_MAPS_CONFIG, FLATTENING_CONFIG) for name in config["properties"]
)
"""Settings that every tap of the SDK has, described there."""
_PATIENCE_SECONDS = 60


class DefinitionError(Exception):
    """A part cannot be generated; the text names the part and the file."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """The description of the tap."""

    about: dict[str, Any]  # what `--about --format=json` prints
    catalog: dict[str, Any]  # what `--discover` prints

    @classmethod
    def ask(cls) -> Plugin:
        """Run the installed tap."""
        return cls(about=_run("--about", "--format=json"), catalog=_run("--discover"))

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """JSON schema of each setting, by its name."""
        return dict(self.about["settings"]["properties"])

    @property
    def own_settings(self) -> dict[str, dict[str, Any]]:
        """Settings that the tap itself defines."""
        return {name: spec for name, spec in self.settings.items() if name not in SDK_SETTINGS}

    @property
    def required(self) -> list[str]:
        """Names of the required settings."""
        return list(self.about["settings"]["required"])

    @property
    def streams(self) -> dict[str, dict[str, Any]]:
        """JSON schema of each stream, by its name."""
        return {stream["tap_stream_id"]: stream["schema"] for stream in self.catalog["streams"]}

    @property
    def select(self) -> list[str]:
        """Meltano's rules for the streams that are selected by default."""
        return [
            f"{stream['tap_stream_id']}.*"
            for stream in self.catalog["streams"]
            for entry in stream["metadata"]
            if not entry["breadcrumb"] and entry["metadata"]["selected-by-default"]
        ]


def kinds(spec: dict[str, Any]) -> list[str]:
    """Return the types that a JSON schema allows, except null."""
    given = spec["type"]
    return [kind for kind in ([given] if isinstance(given, str) else given) if kind != "null"]


def _run(*options: str) -> dict[str, Any]:
    tap = Path(sysconfig.get_path("scripts")) / NAME
    done = subprocess.run(
        [tap, *options], capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
    )
    if done.returncode:
        message = f"{tap.name} {' '.join(options)} failed:\n{done.stderr.rstrip()}"
        raise DefinitionError(message)
    return dict(json.loads(done.stdout))
