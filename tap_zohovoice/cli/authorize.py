"""Command `tap-zohovoice-authorize`: exchanges a code of the API console for a refresh token."""

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource

from tap_zohovoice.auth import HINTS, OAuthTokens
from tap_zohovoice.cli.command import GracefulShutdown, TapCommand, drop_invalid_log_levels
from tap_zohovoice.cli.dotenv import is_storable, update_dotenv
from tap_zohovoice.config.data_centers import DATA_CENTERS, SCOPE, api_console_url
from tap_zohovoice.config.settings import CONFIG_SCHEMA, STREAM_NAMES
from tap_zohovoice.config.validation import ENV_PREFIX, clean_credential, parse_env
from tap_zohovoice.exceptions import InvalidInputError, StorageError, ZohoVoiceError
from tap_zohovoice.pagination import parse_total
from tap_zohovoice.tap import STREAMS, TapZohoVoice

_HELP = f"""Exchange a code of Zoho's API console for a refresh token.

Prompts for missing values if there is a terminal. The token is tested with one small request for
calls. Prompts and messages go to standard error. The lines for .env go to standard output, or only
to the file of --write.

The code comes from the API console of your data center, such as {api_console_url("us")}: Self
Client, Generate Code, with the scope {SCOPE}. It works once, within the minutes that you
choose there.

\b
Example:
  tap-zohovoice-authorize --data-center eu --write .env

Options are visible in the list of processes and in the history of the shell. Enter the secret and
the code at the prompts, or set environment variables.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""
CENTERS = click.Choice(list(DATA_CENTERS), case_sensitive=False)
_LABELS = {"client_id": "Client ID", "client_secret": "Client secret (not shown)"}
_LABELS |= {"code": "Code (not shown)"}
_SAVED = ("client_id", "client_secret", "refresh_token", "data_center", "accounts_url", "api_url")
_NAME = "tap-zohovoice-authorize"
_TERMINAL = "CONOUT$" if sys.platform == "win32" else "/dev/tty"
echo = partial(click.echo, err=True)


def text(value: str) -> str:
    """Return a client ID, a secret or a code, stripped; a click type, whose name the help shows."""
    cleaned = clean_credential(value)
    if not (cleaned and cleaned.isascii() and is_storable(cleaned)) or " " in cleaned:
        message = "must be plain text without spaces, quotes and backslashes"
        raise click.BadParameter(message)
    return cleaned


def _parse_streams(names: str) -> list[str]:
    """Return the names in a list separated by commas."""
    return [click.Choice(STREAM_NAMES)(name.strip()) for name in names.split(",") if name.strip()]


def _option(
    name: str, description: str, kind: click.ParamType[str] | Callable[[str], str] = click.STRING
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    variable = ENV_PREFIX + name.strip("-").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, help=description, type=kind)


# The SDK's `plugin_cli` would make the command a member of the tap, which is in a lower layer.
@click.command(_NAME, cls=TapCommand, logger=logging.getLogger(_NAME), help=_HELP)
@_option("--data-center", "Data center of the account: the domain of its sign-in address.", CENTERS)
@_option("--client-id", "Client ID of the self client.", text)
@_option("--client-secret", "Client secret of the self client.", text)
@_option("--code", "Code that the API console generated.", text)
@click.option(
    "--write",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Update this .env file and keep its other lines; only its owner can read it.",
)
@_option("--accounts-url", "URL of Zoho Accounts, instead of the data center's.")
@_option("--api-url", "URL of Zoho Voice, instead of the data center's.")
@click.option(
    "--streams",
    type=_parse_streams,
    default="",
    metavar="NAMES",
    help="Further streams that the token must be able to read, such as users,queues.",
)
@click.option("--all-streams", is_flag=True, help="Same as --streams with all streams.")
@click.version_option(package_name="tap-zohovoice")
@click.pass_context
def authorize(
    ctx: click.Context,
    /,
    *,
    path: Path | None,
    streams: list[str],
    all_streams: bool,
    **options: str | None,
) -> int:
    """Get a refresh token, as the help says."""
    streams = list(STREAM_NAMES) if all_streams else streams
    chosen = [stream for stream in STREAMS if stream.name in streams]
    scopes = [scope for stream in chosen for scope in (stream.scope, stream.owner_scope) if scope]
    scope = ",".join(dict.fromkeys([SCOPE, *scopes]))  # as the API console wants them
    values = {name: value or "" for name, value in options.items()}
    shutdown = GracefulShutdown(lambda name: echo(f"\nStopped by {name}"))
    shutdown.install()
    try:
        if path:  # before the code is used
            update_dotenv(path, {})
        if streams:
            echo(f"Scopes for the code: {scope}")
        _prompt_for_missing(ctx, values, scope)
        code = values.pop("code")
        settings = {**parse_env(CONFIG_SCHEMA), **values, "refresh_token": "unknown"}
        # Meltano's dates may be relative.
        for unused in ("start_date", "end_date", "stream_maps", "flattening_enabled"):
            settings.pop(unused, None)
        tap = ctx.obj(config=settings)
        shutdown.install()  # in place of the tap's own
        tokens = tap.services.tokens
        values["refresh_token"] = _exchange_code(tokens, values["data_center"], code, scope)
        tokens.refresh_token = values["refresh_token"]
        with shutdown.deferred():  # saved before it is tested, as a code works only once
            is_saved = _save_token(path, {name: values[name] for name in _SAVED if values[name]})
        works = _check_token(tap, streams)
    except (click.Abort, InvalidInputError) as error:
        raise click.UsageError(str(error) or "the input ended") from error
    return 0 if is_saved and works else 1


def _prompt_for_missing(ctx: click.Context, values: dict[str, str], scope: str) -> None:
    """Prompt for missing values: data center, client ID, client secret, code."""
    names = ("data_center", *_LABELS)
    missing = [f"--{name.replace('_', '-')}" for name in names if not values[name]]
    if not missing:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        message = f"there is no terminal for prompts; give {', '.join(missing)}"
        raise click.UsageError(message)
    # Meltano turns standard output and error into log lines, so prompts use the terminal itself.
    with Path(_TERMINAL).open("w", encoding="utf-8") as terminal, redirect_stdout(terminal):
        # Meltano sets the variable of each setting that has a default, whether it is right or not.
        if ctx.get_parameter_source("data_center") is not ParameterSource.COMMANDLINE:
            default = values["data_center"] or "us"
            values["data_center"] = click.prompt("Data center", default, type=CENTERS)
        url = api_console_url(values["data_center"])
        click.echo(f"Sign in to {url} as an administrator of Zoho Voice.")
        click.echo("Client ID and secret: Self Client, Client Secret.")
        click.echo(f"Code: Self Client, Generate Code, scope {scope}.")
        for name, label in _LABELS.items():
            if not values[name]:
                values[name] = click.prompt(label, value_proc=text, hide_input=name != "client_id")


def _exchange_code(tokens: OAuthTokens, data_center: str, code: str, scope: str) -> str:
    """Exchange a code for a refresh token, or raise an error that says what to do."""
    others = ", ".join(name for name in DATA_CENTERS if name != data_center)
    center = f"data center {data_center}; the others are {others}"
    console = api_console_url(data_center)
    new_code = f"create a new code at {console} (Self Client, Generate Code, scope {scope})"
    expired = f"the code has expired, was used before, or is not of {center}; {new_code}"
    no_scope = f"the code lacks a scope; {new_code}"
    hints = {  # sources: OAuth documentation of Zoho Accounts, and clients
        **HINTS,
        "": f"check all values, or {new_code}",
        "invalid_client": f"client ID not found in {center}",
        **dict.fromkeys(("invalid_code", "invalid_grant"), expired),
        **dict.fromkeys(("invalid_scope", "oauth_scope_mismatch"), no_scope),
    }
    response = tokens.request_token({"grant_type": "authorization_code", "code": code}, hints)
    if "refresh_token" not in response:
        reason = "no refresh token in the response; the code was created with access_type=online"
        message = f"Zoho Accounts: {reason}; {new_code}"
        raise ZohoVoiceError(message)
    return str(response["refresh_token"])


def _save_token(path: Path | None, settings: Mapping[str, str]) -> bool:
    """Write settings to a `.env` file, or print them; return whether it was done as requested."""
    # A plugin that inherits from another has variables of its own.
    plugin = os.environ.get("MELTANO_EXTRACTOR_NAME") or TapZohoVoice.name
    prefix = plugin.upper().replace("-", "_")
    values = {f"{prefix}_{name.upper()}": value for name, value in settings.items()}
    if path is None:
        echo("Zoho issued a refresh token. The lines for .env:")
    else:
        try:
            update_dotenv(path, values)
        except StorageError as error:
            echo(f"Error: {error}. Add these lines:")
        else:
            saved = f"Saved to {path}, readable only by its owner: {', '.join(values)}."
            echo(f"Zoho issued a refresh token. {saved}")
            return True
    # Even if no .env file can hold the token, sh can.
    escaped = {name: value.replace("'", "'\"'\"'") for name, value in values.items()}
    click.echo("\n".join(f"{name}='{value}'" for name, value in escaped.items()))
    return path is None


def _check_token(tap: TapZohoVoice, names: Sequence[str]) -> bool:
    """Request one call with the tap's own client; return whether streams can be read too."""
    streams = cast("dict[str, Any]", tap.streams)
    total = streams["call_logs"].api.get_json(
        {"from": "0", "size": "1"},
        lambda body: parse_total(body.get("meta"), has_rows=bool(body.get("logs"))),
    )
    echo("The token works." if total is None else f"The token works: {total:,} calls.")
    results = dict.fromkeys(names, "works")
    for name in names:
        try:
            streams[name].check_access()
        except ZohoVoiceError as error:
            results[name] = str(error)
        echo(f"{name}: {results[name]}")
    return {*results.values()} <= {"works"}


def main(arguments: Sequence[str] | None = None, *, tap: type[TapZohoVoice] = TapZohoVoice) -> None:
    """Run the command with the command line of the process, or other arguments."""
    # Errors are for a person at a terminal, without the level and time of log lines.
    errors = logging.StreamHandler(sys.stderr)
    errors.setFormatter(logging.Formatter("Error: %(message)s"))
    authorize.logger.addHandler(errors)
    # Log lines of the modules of the tap, such as waits, but not those of the SDK.
    logger = logging.getLogger(tap.name)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.name != logger.name)
    drop_invalid_log_levels(logger)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    authorize.main(arguments, obj=tap)


if __name__ == "__main__":
    main()
