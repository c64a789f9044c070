"""Writes everything that repeats the tap's schemas, or checks that it is up to date."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from definitions.documents import read
from definitions.environment import complaints
from definitions.errors import DefinitionError
from definitions.hub import hub_definition
from definitions.meltano import meltano_yml
from definitions.plugin import Plugin
from definitions.sections import replace
from definitions.tables import fields_table, filters_table, settings_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HUB = "hub/tap-zohovoice.yml"
STREAMS = "docs/streams.md"
MAKE = "make definitions"
_FIELDS = re.compile("<fields of (.+?)>")


def main(arguments: Sequence[str] | None = None, ask: Callable[[], Plugin] = Plugin.ask) -> int:
    """Write or check.

    Args:
        arguments: Those of the command line.
        ask: Asks the tap what it is.

    Returns:
        The exit code: 1 if something is out of date, or can only be mended by hand.
    """
    parser = ArgumentParser(prog="python -m definitions", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, complain instead")
    parser.add_argument("--root", type=Path, default=Path(), help="the checkout")
    options = parser.parse_args(arguments)
    try:
        lines = _bring_up_to_date(options.root, ask(), is_check=options.check)
    except DefinitionError as error:
        lines = [str(error)]
    sys.stderr.writelines(f"{line}\n" for line in lines)
    return 1 if lines else 0


def _bring_up_to_date(root: Path, plugin: Plugin, *, is_check: bool) -> list[str]:
    names = ("README.md", "meltano.yml", "pyproject.toml", ".env.example", HUB, STREAMS)
    files = {name: _read(root / name) for name in names}
    project = read(files["meltano.yml"])
    wanted = {
        "README.md": _readme(files["README.md"], plugin),
        "meltano.yml": meltano_yml(files["meltano.yml"], project, plugin),
        HUB: hub_definition(plugin, project, files["pyproject.toml"]),
        STREAMS: _streams_page(plugin),
    }
    lines = list(complaints(files[".env.example"], project, plugin))
    for name, text in wanted.items():
        if text == files[name]:
            continue
        if is_check:
            lines.append(f"{name} is out of date: run `{MAKE}`, and commit what it changes")
        else:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name} is written anew\n")
    return lines


def _readme(text: str, plugin: Plugin) -> str:
    tables = {"settings": settings_table(plugin), "filters": filters_table(plugin)}
    for stream, schema in plugin.streams.items():
        if "description" in schema:
            continue  # it is in the page of its own
        tables[f"fields of {stream}"] = fields_table(stream, schema)
    for name, table in tables.items():
        text = replace("README.md", text, name, f"\n{table}\n\n")
    for stream in set(_FIELDS.findall(text)) - set(plugin.streams):
        message = f"README.md has fields of {stream}, which is no stream"
        raise DefinitionError(message)
    return text


def _streams_page(plugin: Plugin) -> str:
    """Write the page of the streams beside calls, recordings and transcripts."""
    lines = [
        "# Streams beside the calls",
        f"Made by `{MAKE}` from `--discover`. How to select them is in the README.",
    ]
    for stream, schema in plugin.streams.items():
        if "description" in schema:
            table = fields_table(stream, schema)
            lines += [f"## `{stream}`", schema["description"], table]
    return "\n\n".join(lines) + "\n"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
