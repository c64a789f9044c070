"""Generates files from the tap's schemas, or checks that they are up to date."""

import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path

from definitions.documents import read, replace
from definitions.meltano import complaints, hub_definition, meltano_yml
from definitions.plugin import DefinitionError, Plugin
from definitions.tables import fields_table, filters_table, main_settings_table, settings_table

HUB = "hub/tap-zohovoice.yml"
README = "README.md"
SETTINGS = "docs/settings.md"
STREAMS = "docs/streams.md"
MAKE = "make definitions"
_FIELDS = re.compile("<fields of (.+?)>")


def main(arguments: Sequence[str] | None = None, ask: Callable[[], Plugin] = Plugin.ask) -> int:
    """Write or check; return 1 if something is out of date, or must be fixed by hand."""
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
    names = (README, SETTINGS, STREAMS, "meltano.yml", "pyproject.toml", ".env.example", HUB)
    files = {name: _read(root / name) for name in names}
    project = read(files["meltano.yml"])
    wanted = {
        name: _with_tables(name, files[name], tables) for name, tables in _tables(plugin).items()
    }
    _check_streams(files[STREAMS], plugin)
    wanted |= {
        "meltano.yml": meltano_yml(files["meltano.yml"], project, plugin),
        HUB: hub_definition(plugin, project, files["pyproject.toml"]),
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
            sys.stdout.write(f"{name} was updated\n")
    return lines


def _tables(plugin: Plugin) -> dict[str, dict[str, str]]:
    """Return the tables of each page of the documentation, by their names."""
    fields, more = {}, []
    for stream, schema in plugin.streams.items():
        table = fields_table(stream, schema)
        if "description" in schema:
            more.append(f"## `{stream}`\n\n{schema['description']}\n\n{table}")
        else:  # described by hand
            fields[f"fields of {stream}"] = table
    return {
        README: {"main settings": main_settings_table(plugin)},
        SETTINGS: {"settings": settings_table(plugin), "filters": filters_table(plugin)},
        STREAMS: {**fields, "more streams": "\n\n".join(more)},
    }


def _with_tables(file: str, text: str, tables: dict[str, str]) -> str:
    for name, table in tables.items():
        text = replace(file, text, name, f"\n{table}\n\n")
    return text


def _check_streams(text: str, plugin: Plugin) -> None:
    for stream in sorted(set(_FIELDS.findall(text)) - set(plugin.streams)):
        message = f"{STREAMS} has fields of {stream}, which is not a stream"
        raise DefinitionError(message)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
