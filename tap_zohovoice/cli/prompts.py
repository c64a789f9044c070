"""Prompts for missing options on the terminal."""

from __future__ import annotations

import sys
from contextlib import ExitStack, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from tap_zohovoice.cli.dotenv import validate_value
from tap_zohovoice.config.data_centers import DATA_CENTERS, api_console_url
from tap_zohovoice.config.validation import clean_credential

if TYPE_CHECKING:
    from typing import TextIO

PREFIX = "TAP_ZOHOVOICE_"
"""Prefix of the environment variables of all options."""
CENTERS = click.Choice(list(DATA_CENTERS), case_sensitive=False)
_LABELS = {
    "client_id": "Client ID",
    "client_secret": "Client secret (not shown)",
    "code": "Code (not shown)",
}


def text(value: str) -> str:
    """Return a client ID, a secret or a code, stripped; a click type, whose name the help shows."""
    cleaned = clean_credential(value)
    if not cleaned.isascii() or not cleaned.isprintable() or " " in cleaned:
        message = "must be plain text without spaces"
        raise click.BadParameter(message)
    try:
        validate_value(cleaned)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return cleaned


def prompt_for_missing(ctx: click.Context, values: dict[str, str], scope: str) -> None:
    """Fill in the empty ones of data center, client ID, client secret and code.

    Raises:
        click.Abort: If the input ends.
        click.UsageError: If there is no terminal.
    """
    missing = [name for name, value in values.items() if not value]
    if not missing:
        return
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        variables = ", ".join(PREFIX + name.upper() for name in missing)
        message = f"there is no terminal for prompts; give {options}, or set {variables}"
        raise click.UsageError(message)
    environment = ParameterSource.ENVIRONMENT
    from_env = [name for name in values if ctx.get_parameter_source(name) is environment]
    with ExitStack() as stack:
        # Meltano turns standard error into log lines. Where there is no such file, as on Windows,
        # Meltano is not in between either.
        stream: TextIO = sys.stderr
        with suppress(OSError):
            stream = stack.enter_context(Path("/dev/tty").open("w", encoding="utf-8"))
        stack.enter_context(redirect_stdout(stream))
        # Meltano sets the variable of each setting that has a default, whether it is right or not.
        if "data_center" in {*missing, *from_env}:
            click.echo(f"The account's data center: {', '.join(DATA_CENTERS)}.")
            values["data_center"] = click.prompt(
                "Data center",
                default=values["data_center"] or "us",
                type=CENTERS,
                show_choices=False,
            )
        if missing != ["data_center"]:
            url = api_console_url(values["data_center"])
            click.echo(f"Sign in to {url} as an administrator of Zoho Voice.")
            click.echo("Client ID and secret: Self Client, Client Secret.")
            click.echo(f"Code: Self Client, Generate Code, scope {scope}.")
        for name in from_env:
            if name != "data_center":
                click.echo(f"{PREFIX}{name.upper()} is taken from the environment.")
        for name, label in _LABELS.items():
            while not values[name]:  # the type strips spaces
                is_hidden = name != "client_id"
                values[name] = click.prompt(label, value_proc=text, hide_input=is_hidden)
