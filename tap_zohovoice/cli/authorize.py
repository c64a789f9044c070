"""Command `tap-zohovoice-authorize`: exchanges a code of the API console for a refresh token."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from dotenv import dotenv_values

from tap_zohovoice._compat import override
from tap_zohovoice.auth import TokenEndpoint
from tap_zohovoice.cli.code_exchange import exchange_code
from tap_zohovoice.cli.command import TapCommand, silence_stdout, use_valid_log_level
from tap_zohovoice.cli.dotenv import check_writable, update_dotenv
from tap_zohovoice.cli.prompts import CENTERS, PREFIX, TEXT, prompt_for_missing
from tap_zohovoice.cli.signals import GracefulShutdown
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.config.data_centers import SCOPE, api_console_url, data_center_of
from tap_zohovoice.config.environment import parse_env
from tap_zohovoice.config.settings import CONFIG_SCHEMA, STREAM_NAMES, Settings
from tap_zohovoice.config.validation import validation_errors
from tap_zohovoice.exceptions import ShutdownRequested, UnexpectedResponseError, ZohoVoiceError
from tap_zohovoice.pagination import parse_total
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.tap import STREAMS, TapZohoVoice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_URLS = ("accounts_url", "api_url")
_LIMITS = ("rate_limit_calls", "rate_limit_seconds", "lock_seconds")
_ENV_SETTINGS = (*_LIMITS, "rate_limit_store", "request_timeout", "user_agent")
"""Settings that this command reads from the environment too."""
_MAX_ATTEMPTS = 3
_HELP = f"""Get a refresh token for a code of Zoho's API console.

Prompts for what is not given, where there is a terminal. The token is tested with one small request
for calls. Prompts and messages go to standard error; the lines for .env go to standard output, or
into the file that --write names, and there alone.

The code comes from the API console of your data center, such as {api_console_url("us")}: Self
Client, Generate Code, with the scope {SCOPE}. It works once, within the minutes that you
choose there.

\b
Example:
  tap-zohovoice-authorize --data-center eu --write .env

Options show in the list of processes and in the history of the shell, so rather type the secret
and the code at the prompts, or use the environment.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""
_echo = partial(click.echo, err=True)


# The SDK's `plugin_cli` would make the command a member of the tap, which is below this module.
class AuthorizeCommand(TapCommand):
    """The SDK's command, with errors for a person at a terminal instead of log lines."""

    @override
    def report_error(self, line: str) -> None:
        _echo(f"Error: {line}")

    @override
    def report_usage_error(self, error: click.ClickException) -> None:
        self.report_error(error.format_message())


def _parse_plugin(name: str) -> str:
    """Return the prefix of a plugin's variables; one that inherits from another has its own."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name, re.IGNORECASE | re.ASCII):
        message = "must be a name such as tap-zohovoice"
        raise ValueError(message)
    return name.upper().replace("-", "_") + "_"


def _parse_streams(names: str) -> list[str]:
    """Return the names in a list with commas."""
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in STREAM_NAMES]:
        message = f"unknown stream {unknown[0]}; known are {', '.join(STREAM_NAMES)}"
        raise ValueError(message)
    return chosen


def _option(
    name: str, description: str, kind: click.ParamType[str, str] = click.STRING
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    variable = PREFIX + name.strip("-").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, help=description, type=kind)


@click.command(
    "tap-zohovoice-authorize", cls=AuthorizeCommand, logger=TapZohoVoice.logger, help=_HELP
)
@_option("--data-center", "Where the account was made: the end of its sign-in address.", CENTERS)
@_option("--client-id", "Client ID of the self client.", TEXT)
@_option("--client-secret", "Client secret of the self client.", TEXT)
@_option("--code", "Code that the API console generated.", TEXT)
@click.option(
    "--write",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write into this file, and keep its other lines; only you can read it then.",
)
@_option("--accounts-url", "URL of Zoho Accounts, instead of the data center's.")
@_option("--api-url", "URL of Zoho Voice, instead of the data center's.")
@click.option(
    "--streams",
    "chosen",
    type=_parse_streams,
    default="",
    metavar="NAMES",
    help="Streams beside the calls that the token shall read too, such as users,queues.",
)
@click.option("--all-streams", is_flag=True, help="The same as --streams with all of them.")
@click.option(
    "--plugin",
    "prefix",
    type=_parse_plugin,
    envvar="MELTANO_EXTRACTOR_NAME",
    default=TapZohoVoice.name,
    metavar="NAME",
    help="Name of the Meltano plugin, which the names of the lines begin with.",
    show_default=True,
)
@click.version_option(package_name="tap-zohovoice")
@click.pass_context
def authorize(
    ctx: click.Context,
    /,
    *,
    path: Path | None,
    prefix: str,
    chosen: list[str],
    all_streams: bool,
    **options: str | None,
) -> int:
    """Get a refresh token, as the help says."""
    chosen = list(STREAM_NAMES) if all_streams else chosen
    values = {name: value or "" for name, value in options.items()}
    urls = {name: url for name in _URLS if (url := values.pop(name))}
    authorization = Authorization(ctx.obj, path, prefix, urls, chosen)
    shutdown = GracefulShutdown(lambda: None)
    shutdown.install()
    try:
        settings = authorization.validate()
        if chosen:
            _echo(f"Scopes for the code: {scopes_of(chosen)}")
        prompt_for_missing(ctx, values, scopes_of(chosen))
        return authorization.run(settings, shutdown, **values)
    except ShutdownRequested as stop:
        _echo(f"\nStopped by {signal.Signals(stop.signum).name}: {authorization.status}")
        return 128 + stop.signum
    except click.Abort:
        _echo(f"\nThere is no more input; {authorization.status}")
        return 2


@dataclass
class Authorization:
    """Exchange of a code for a token, which is saved before it is tested: a code works once."""

    tap: type[TapZohoVoice]
    path: Path | None  # the `.env` file; None for standard output
    prefix: str
    urls: Mapping[str, str]
    streams: Sequence[str]  # those that are tested beside the calls
    status: str = "nothing was sent to Zoho"  # for a user who stops the command

    def validate(self) -> dict[str, Any]:
        """Check what can be checked before the code is used; return settings of the environment."""
        if self.path:
            try:
                check_writable(self.path)
            except (OSError, ValueError) as error:
                message = f"{self.path} cannot be written: {_reason(error)}; {self.status}"
                raise ZohoVoiceError(message) from error
        schema = {"properties": {name: CONFIG_SCHEMA["properties"][name] for name in _ENV_SETTINGS}}
        settings, errors = parse_env(os.environ, schema, PREFIX)
        secrets = dict.fromkeys(CONFIG_SCHEMA["required"], "unknown")
        errors += validation_errors({**settings, **self.urls, **secrets}, CONFIG_SCHEMA)
        if errors:
            raise click.UsageError("; ".join(errors))
        return settings

    def run(self, settings: Mapping[str, Any], shutdown: GracefulShutdown, **values: str) -> int:
        """Exchange a code, save the token and test it; return the exit code."""
        config = {**values, **self.urls, **settings}
        del config["code"]
        parsed = Settings.from_config(config)
        endpoint = TokenEndpoint(
            accounts_url=parsed.accounts_url,
            clock=self.tap.clock,
            timeout=parsed.request_timeout,
            user_agent=settings.get("user_agent", f"{self.tap.name}/{self.tap.plugin_version}"),
        )
        self.status = "the code may be used up; make a new one"
        response = exchange_code(endpoint, scope=scopes_of(self.streams), **values)
        config["refresh_token"] = response["refresh_token"]
        names = ("client_id", "client_secret", "refresh_token", "data_center", *self.urls)
        with shutdown.deferred():
            is_saved = self._save({self.prefix + name.upper(): config[name] for name in names})
            self.status = "the token was not tested, but it is saved"
        if (named := data_center_of(response)) not in {"", values["data_center"]}:
            _echo(
                f"Note: Zoho says that this account is of data center {named}; if the token does "
                f"not work, set {self.prefix}DATA_CENTER='{named}'."
            )
        tap = self.tap(config=config)
        try:
            total = _count_calls(tap)
        except ZohoVoiceError as error:
            message = f"{error}. The refresh token is saved all the same"
            raise ZohoVoiceError(message) from error
        _echo(f"The token works{_describe_total(total)}.")
        works = [self._test_stream(tap, name) for name in self.streams]
        return 0 if is_saved and all(works) else 1

    @staticmethod
    def _test_stream(tap: TapZohoVoice, name: str) -> bool:
        """Send one small request for a stream, say what came of it, and return whether it works."""
        stream = tap.streams[name]
        assert isinstance(stream, ZohoVoiceStream)  # noqa: S101 - the tap makes it
        try:
            stream.check_access()
        except ZohoVoiceError as error:
            _echo(f"{name}: {error}")
            return False
        _echo(f"{name}: works")
        return True

    def _save(self, values: Mapping[str, str]) -> bool:
        """Write or print the variables; return whether they are where they should be."""
        if self.path is None:
            _echo("Zoho issued a refresh token. The lines for .env:")
        else:
            try:
                self._update(self.path, values)
            except (OSError, ValueError) as error:
                _echo(f"Error: {self.path} cannot be written: {_reason(error)}. Its lines instead:")
            else:
                return True
        # A token that no .env file can hold is still good for sh.
        escaped = {name: value.replace("'", "'\"'\"'") for name, value in values.items()}
        try:
            click.echo("\n".join(f"{name}='{value}'" for name, value in escaped.items()))
        except OSError as error:
            silence_stdout()
            message = f"standard output: {_reason(error)}; the token is lost, make a new code"
            raise ZohoVoiceError(message) from error
        return self.path is None

    def _update(self, path: Path, values: Mapping[str, str]) -> None:
        present = {name for name, value in dotenv_values(path).items() if value}
        update_dotenv(path, values)
        names = ", ".join(values)
        _echo(f"Zoho issued a refresh token. {path}, readable by you alone, has {names}.")
        for name in sorted(present & {self.prefix + name.upper() for name in _URLS} - set(values)):
            _echo(f"Note: {path} also has {name}; remove it if the account is not there.")


def scopes_of(streams: Sequence[str]) -> str:
    """Return the scopes that some streams need, as the API console wants them.

    Args:
        streams: Names of the streams.
    """
    chosen = [stream for stream in STREAMS if stream.name in streams]
    scopes = [scope for stream in chosen for scope in (stream.scope, stream.owner_scope) if scope]
    return ",".join(dict.fromkeys([SCOPE, *scopes]))


def _count_calls(tap: TapZohoVoice) -> int | None:
    """Request one call with the tap's own client; return the total, if the response has one."""

    def parse(body: dict[str, Any]) -> int | None:
        logs = body.get("logs", [])
        if not isinstance(logs, list | None):
            message = "logs is not a list"
            raise UnexpectedResponseError(message)
        return parse_total(body.get("meta"), len(logs or ()))

    api = CallLogsStream(tap, tap.services).api
    return api.get_json({"from": "0", "size": "1"}, parse, max_attempts=_MAX_ATTEMPTS)


def _describe_total(total: int | None) -> str:
    if total == 0:
        hint = "If there are some, make the code as an administrator of Zoho Voice"
        return f", but Zoho counts no calls. {hint}"
    return "" if total is None else f": {total:,} calls"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def main(arguments: Sequence[str] | None = None, *, tap: type[TapZohoVoice] = TapZohoVoice) -> None:
    """Run the command with the command line of the process, or other arguments."""
    # Lines of the tap's parts, such as a wait, but not what the SDK logs of itself.
    logger = logging.getLogger(tap.name)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.name != logger.name)
    level = logger.level
    use_valid_log_level(logger)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        authorize.main(arguments, obj=tap)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


if __name__ == "__main__":
    main()
