"""The command `tap-zohovoice-authorize`: from a code of the API console to a token in `.env`."""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import click
from click.core import ParameterSource

from tap_zohovoice.cli.asking import InputError, ask, ask_center, is_terminal, show, trouble_with
from tap_zohovoice.cli.authorization import PREFIX, Authorization, say
from tap_zohovoice.cli.command import format_crash
from tap_zohovoice.cli.grant import Client
from tap_zohovoice.cli.signals import GracefulShutdown, restore_signals
from tap_zohovoice.config.data_centers import DATA_CENTERS, SCOPE, api_console_url
from tap_zohovoice.exceptions import ShutdownRequested, ZohoVoiceError
from tap_zohovoice.tap import TapZohoVoice

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    _Decorator: TypeAlias = Callable[[Callable[..., int]], Callable[..., int]]

_HELP = f"""Get a refresh token for a code of Zoho's API console.

What is not given is asked for, where there is a terminal. The token is tried with one small
request for calls. Questions and messages go to standard error; the lines for .env go to standard
output, or into the file that --write names, and there alone.

The code comes from the API console of your data center, such as {api_console_url("us")}: Self
Client, Generate Code, with the scope {SCOPE}. It works once, within the minutes that you
choose there.

\b
Example:
  tap-zohovoice-authorize --data-center eu --write .env

Options show in the list of processes and in the history of the shell, so rather type the secret
and the code when you are asked, or use the environment.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""


def _option(name: str, help_text: str, kind: click.Choice[str] | None = None) -> _Decorator:
    variable = PREFIX + name.strip("-").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, help=help_text, type=kind)


@click.command("tap-zohovoice-authorize", help=_HELP)
@_option(
    "--data-center",
    "Where the account was made: the end of the address at which you sign in.",
    click.Choice(list(DATA_CENTERS), case_sensitive=False),
)
@_option("--client-id", "Client ID of the self client.")
@_option("--client-secret", "Client secret of the self client.")
@_option("--code", "Code that the API console generated.")
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write into this file, and keep its other lines; only you can read it then.",
)
@_option("--accounts-url", "Address of Zoho Accounts, instead of the data center's.")
@_option("--api-url", "Address of Zoho Voice, instead of the data center's.")
@click.option(
    "--plugin",
    envvar="MELTANO_EXTRACTOR_NAME",
    default=TapZohoVoice.name,
    metavar="NAME",
    help="Name of the Meltano plugin, which the names of the lines begin with.",
    show_default=True,
)
@click.version_option(package_name="tap-zohovoice")
@click.pass_context
def command(  # noqa: PLR0913 - the options, each by its name
    ctx: click.Context,
    *,
    data_center: str | None,
    client_id: str | None,
    client_secret: str | None,
    code: str | None,
    write: Path | None,
    plugin: str,
    accounts_url: str | None,
    api_url: str | None,
) -> int:
    """Get a refresh token, as the help says."""
    authorization: Authorization = ctx.obj
    authorization.will_write(write, plugin)
    values = {
        "data_center": data_center or "",
        "client_id": (client_id or "").strip(),
        "client_secret": (client_secret or "").strip(),
        "code": (code or "").strip(),
    }
    for name, value in values.items():
        if trouble := trouble_with(value):
            message = f"--{name.replace('_', '-')} {trouble}"
            raise InputError(message)
    given = {"accounts_url": accounts_url, "api_url": api_url}
    urls = {name: url for name, url in given.items() if url}
    authorization.check_settings(urls)
    _ask_for_missing(values, ctx)
    client = Client(values["data_center"], values["client_id"], values["client_secret"])
    return authorization.run(client, values["code"], urls)


def _ask_for_missing(values: dict[str, str], ctx: click.Context) -> None:
    missing = [name for name, value in values.items() if not value]
    if not missing:
        return
    if not is_terminal():
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        variables = ", ".join(PREFIX + name.upper() for name in missing)
        message = f"there is no terminal to ask at; give {options}, or set {variables}"
        raise InputError(message)
    environment = ParameterSource.ENVIRONMENT
    taken = [name for name in values if ctx.get_parameter_source(name) is environment]
    # Meltano sets the variable of each setting that has a default, whether it is right or not.
    if not values["data_center"] or "data_center" in taken:
        values["data_center"] = ask_center(values["data_center"] or "us")
    if missing != ["data_center"]:
        show(
            f"Sign in to {api_console_url(values['data_center'])} as an administrator of Zoho Voice.\n"  # noqa: E501
        )
    for name in taken:
        if name != "data_center":
            show(f"{PREFIX}{name.upper()} is taken from the environment.\n")
    if "client_id" in missing or "client_secret" in missing:
        show("Client ID and secret: Self Client, Client Secret.\n")
    values["client_id"] = values["client_id"] or ask("Client ID")
    values["client_secret"] = values["client_secret"] or ask("Client secret", is_secret=True)
    if not values["code"]:
        show(f"Code: Self Client, Generate Code, scope {SCOPE}.\n")
        values["code"] = ask("Code", is_secret=True)


def main(
    arguments: Sequence[str] | None = None, *, tap: type[TapZohoVoice] = TapZohoVoice
) -> NoReturn:
    """Run the command and end the process.

    Args:
        arguments: The command line, by default that of the process.
        tap: The tap that the token is for.
    """
    with _log_plainly(), restore_signals():
        stopper = GracefulShutdown(lambda: None)
        stopper.listen()
        code = _exit_code(Authorization(tap, stopper), arguments)
    sys.exit(code)


def _exit_code(authorization: Authorization, arguments: Sequence[str] | None) -> int:
    """Run, tell what went wrong, and return the exit code."""
    try:
        code = command.main(arguments, standalone_mode=False, obj=authorization)
    except ShutdownRequested as stop:
        name = signal.Signals(stop.signum).name
        say(f"\nStopped by {name}: {authorization.stage}")
        return 128 + stop.signum
    except click.Abort:
        say("There is no more input; Zoho was asked nothing")
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ZohoVoiceError as error:
        say(f"Error: {error}")
    except OSError as error:
        say(f"Error: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback for users
        say(f"Error: {format_crash(error)}")
    else:
        return int(code or 0)
    return 1


@contextmanager
def _log_plainly() -> Generator[None]:
    """Show what the tap's parts log, such as a wait, without what the SDK says of itself."""
    logger = logging.getLogger(TapZohoVoice.name)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.name != logger.name)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
