"""Command `tap-zohovoice-authorize`: exchanges a code of the API console for a refresh token."""

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout, suppress
from pathlib import Path
from typing import TextIO

import click
from click.core import ParameterSource

from tap_zohovoice._compat import override
from tap_zohovoice.cli import token_setup
from tap_zohovoice.cli.command import GracefulShutdown, TapCommand, drop_invalid_log_levels
from tap_zohovoice.cli.dotenv import is_storable, update_dotenv
from tap_zohovoice.cli.token_setup import echo
from tap_zohovoice.config.data_centers import DATA_CENTERS, SCOPE, api_console_url
from tap_zohovoice.config.settings import STREAM_NAMES
from tap_zohovoice.config.validation import PREFIX, clean_credential
from tap_zohovoice.exceptions import ShutdownRequested, StorageError, ZohoVoiceError
from tap_zohovoice.tap import TapZohoVoice

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
_LABELS = {
    "client_id": "Client ID",
    "client_secret": "Client secret (not shown)",
    "code": "Code (not shown)",
}


# The SDK's `plugin_cli` would make the command a member of the tap, which is in a lower layer.
class AuthorizeCommand(TapCommand):
    """The SDK's command, with errors for a person at a terminal instead of log lines."""

    @override
    def report_error(self, line: str) -> None:
        echo(f"Error: {line}")


def text(value: str) -> str:
    """Return a client ID, a secret or a code, stripped; a click type, whose name the help shows."""
    cleaned = clean_credential(value)
    if not cleaned.isascii() or " " in cleaned or not is_storable(cleaned):
        message = "must be plain text without spaces, quotes and backslashes"
        raise click.BadParameter(message)
    return cleaned


def _parse_streams(names: str) -> list[str]:
    """Return the names in a list separated by commas."""
    return [click.Choice(STREAM_NAMES)(name.strip()) for name in names.split(",") if name.strip()]


def _option(
    name: str, description: str, kind: click.ParamType[str] | Callable[[str], str] = click.STRING
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    variable = PREFIX + name.strip("-").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, help=description, type=kind)


@click.command(
    "tap-zohovoice-authorize", cls=AuthorizeCommand, logger=TapZohoVoice.logger, help=_HELP
)
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
    scope = token_setup.scopes_of(streams)
    values = {name: value or "" for name, value in options.items()}
    urls = {name: url for name in ("accounts_url", "api_url") if (url := values.pop(name))}
    status = "nothing was sent to Zoho"  # for a user who stops the command
    shutdown = GracefulShutdown(lambda: None)
    shutdown.install()
    try:
        if path:
            update_dotenv(path, {}, dry_run=True)
        config = token_setup.read_settings(urls)
        if streams:
            echo(f"Scopes for the code: {scope}")
        _prompt_for_missing(ctx, values, scope)
        code = values.pop("code")
        config |= values
        tokens = ctx.obj(config=config).services.tokens
        tokens.max_attempts = token_setup.MAX_ATTEMPTS
        shutdown.install()  # in place of the tap's own
        status = "the code may be used up; create a new one"
        config["refresh_token"] = token_setup.exchange_code(tokens, values, code, scope)
        names = ("client_id", "client_secret", "refresh_token", "data_center", *urls)
        with shutdown.deferred():  # saved before it is tested, as a code works only once
            is_saved = token_setup.save_token(path, {name: config[name] for name in names})
            status = "the token was not tested, but it is saved"
        works = token_setup.check_token(ctx.obj(config=config), streams)
    except StorageError as error:
        message = f"{error}; {status}"
        raise ZohoVoiceError(message) from error
    except ShutdownRequested as stop:
        echo(f"\nStopped by {signal.Signals(stop.signum).name}: {status}")
        return 128 + stop.signum
    except click.Abort:
        echo(f"\nThe input ended; {status}")
        return 2
    return 0 if is_saved and works else 1


def _prompt_for_missing(ctx: click.Context, values: dict[str, str], scope: str) -> None:
    """Prompt for missing values: data center, client ID, client secret, code."""
    missing = [name for name, value in values.items() if not value]
    if not missing:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        variables = ", ".join(PREFIX + name.upper() for name in missing)
        message = f"there is no terminal for prompts; give {options}, or set {variables}"
        raise click.UsageError(message)
    environment = ParameterSource.ENVIRONMENT
    from_env = [name for name in values if ctx.get_parameter_source(name) is environment]
    with ExitStack() as stack:
        # Meltano turns standard error into log lines, so prompts use the terminal itself. Windows
        # has no such file.
        stream: TextIO = sys.stderr
        with suppress(OSError):
            stream = stack.enter_context(Path("/dev/tty").open("w", encoding="utf-8"))
        stack.enter_context(redirect_stdout(stream))
        # Meltano sets the variable of each setting that has a default, whether it is right or not.
        if "data_center" in {*missing, *from_env}:
            click.echo(f"The account's data center: {', '.join(DATA_CENTERS)}.")
            values["data_center"] = click.prompt(
                "Data center", values["data_center"] or "us", type=CENTERS, show_choices=False
            )
        url = api_console_url(values["data_center"])
        click.echo(f"Sign in to {url} as an administrator of Zoho Voice.")
        click.echo("Client ID and secret: Self Client, Client Secret.")
        click.echo(f"Code: Self Client, Generate Code, scope {scope}.")
        for name, label in _LABELS.items():
            if name in from_env:
                click.echo(f"{PREFIX}{name.upper()} is taken from the environment.")
            while not values[name]:  # the type strips spaces
                is_hidden = name != "client_id"
                values[name] = click.prompt(label, value_proc=text, hide_input=is_hidden)


def main(arguments: Sequence[str] | None = None, *, tap: type[TapZohoVoice] = TapZohoVoice) -> None:
    """Run the command with the command line of the process, or other arguments."""
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
