"""Set-up of a refresh token: exchanges a code for it, saves it and tests it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from dotenv import dotenv_values

from tap_zohovoice.auth import TokenEndpoint
from tap_zohovoice.cli.code_exchange import exchange_code
from tap_zohovoice.cli.command import silence_stdout
from tap_zohovoice.cli.dotenv import check_writable, update_dotenv
from tap_zohovoice.cli.prompts import PREFIX
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.config.data_centers import SCOPE, data_center_of
from tap_zohovoice.config.environment import parse_env
from tap_zohovoice.config.settings import CONFIG_SCHEMA, Settings
from tap_zohovoice.config.validation import validation_errors
from tap_zohovoice.exceptions import ZohoVoiceError
from tap_zohovoice.pagination import parse_total
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.tap import STREAMS, TapZohoVoice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tap_zohovoice.cli.signals import GracefulShutdown

URL_SETTINGS = ("accounts_url", "api_url")
_ENV_SETTINGS = (
    *("rate_limit_calls", "rate_limit_seconds", "rate_limit_store", "lock_seconds"),
    *("request_timeout", "user_agent"),
)
"""Settings that are read from the environment too."""
_MAX_ATTEMPTS = 3
echo = partial(click.echo, err=True)


@dataclass
class TokenSetup:
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
        self.status = "the code may be used up; create a new one"
        response = exchange_code(endpoint, scope=scopes_of(self.streams), **values)
        config["refresh_token"] = response["refresh_token"]
        names = ("client_id", "client_secret", "refresh_token", "data_center", *self.urls)
        with shutdown.deferred():
            is_saved = self._save({self.prefix + name.upper(): config[name] for name in names})
            self.status = "the token was not tested, but it is saved"
        if (named := data_center_of(response)) not in {"", values["data_center"]}:
            echo(
                f"Note: Zoho reports data center {named} for this account; if the token does "
                f"not work, set {self.prefix}DATA_CENTER='{named}'."
            )
        tap = self.tap(config=config)
        try:
            total = _count_calls(tap)
        except ZohoVoiceError as error:
            message = f"{error}. The refresh token is saved nevertheless"
            raise ZohoVoiceError(message) from error
        echo(f"The token works{_describe_total(total)}.")
        works = True
        for name in self.streams:
            stream = tap.streams[name]
            assert isinstance(stream, ZohoVoiceStream)  # noqa: S101 - the tap makes it
            try:
                stream.check_access()
            except ZohoVoiceError as error:
                works = False
                echo(f"{name}: {error}")
            else:
                echo(f"{name}: works")
        return 0 if is_saved and works else 1

    def _save(self, values: Mapping[str, str]) -> bool:
        """Write or print the variables; return whether they are where they should be."""
        if self.path is None:
            echo("Zoho issued a refresh token. The lines for .env:")
        else:
            try:
                self._update(self.path, values)
            except (OSError, ValueError) as error:
                echo(f"Error: {self.path} cannot be written: {_reason(error)}. Add these lines:")
            else:
                return True
        # A token that no .env file can hold is still good for sh.
        escaped = {name: value.replace("'", "'\"'\"'") for name, value in values.items()}
        try:
            click.echo("\n".join(f"{name}='{value}'" for name, value in escaped.items()))
        except OSError as error:
            silence_stdout()
            message = f"standard output: {_reason(error)}; the token is lost, create a new code"
            raise ZohoVoiceError(message) from error
        return self.path is None

    def _update(self, path: Path, values: Mapping[str, str]) -> None:
        present = {name for name, value in dotenv_values(path).items() if value}
        update_dotenv(path, values)
        names = ", ".join(values)
        echo(f"Zoho issued a refresh token. Saved to {path}, readable only by its owner: {names}.")
        others = {self.prefix + name.upper() for name in URL_SETTINGS} - set(values)
        for name in sorted(present & others):
            echo(f"Note: {path} also sets {name}; remove it if the account does not use that URL.")


def scopes_of(streams: Sequence[str]) -> str:
    """Return the scopes that some streams need, as the API console wants them."""
    chosen = [stream for stream in STREAMS if stream.name in streams]
    scopes = [scope for stream in chosen for scope in (stream.scope, stream.owner_scope) if scope]
    return ",".join(dict.fromkeys([SCOPE, *scopes]))


def _count_calls(tap: TapZohoVoice) -> int | None:
    """Request one call with the tap's own client; return the total, if the response has one."""
    return CallLogsStream(tap, tap.services).api.get_json(
        {"from": "0", "size": "1"},
        lambda body: parse_total(body.get("meta"), bool(body.get("logs"))),
        max_attempts=_MAX_ATTEMPTS,
    )


def _describe_total(total: int | None) -> str:
    if total == 0:
        hint = "If there are calls, create the code as an administrator of Zoho Voice"
        return f", but Zoho counts no calls. {hint}"
    return "" if total is None else f": {total:,} calls"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
