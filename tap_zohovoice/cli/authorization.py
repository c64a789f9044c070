"""What `tap-zohovoice-authorize` does: exchanges the code, keeps the token, and tries it."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Any

import click

from tap_zohovoice.accounts import Accounts
from tap_zohovoice.cli.asking import InputError
from tap_zohovoice.cli.command import silence_stdout
from tap_zohovoice.cli.dotenv import DotenvFile, lines
from tap_zohovoice.cli.grant import exchange
from tap_zohovoice.config.settings import CONFIG_SCHEMA, Settings
from tap_zohovoice.config.validation import parse_env, validation_errors
from tap_zohovoice.exceptions import UnexpectedResponseError, ZohoVoiceError
from tap_zohovoice.streams.call_logs import CallLogsStream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tap_zohovoice.cli.grant import Client
    from tap_zohovoice.cli.signals import GracefulShutdown
    from tap_zohovoice.tap import TapZohoVoice

PREFIX = "TAP_ZOHOVOICE_"
_FROM_ENVIRONMENT = (
    "rate_limit_calls",
    "rate_limit_seconds",
    "lock_seconds",
    "request_timeout",
    "user_agent",
)
_URLS = ("accounts_url", "api_url")
_TRIES = 3


def say(line: str) -> None:
    """Tell the user something."""
    click.echo(line, err=True)


class Authorization:
    """The way from a code to a token that is kept and tried.

    The token is kept before it is tried, since a code works only once.

    Args:
        tap: The tap that the token is for.
        stopper: Keeps signals off while the token is kept.

    Attributes:
        stage: How far it got, in words that follow the news that it was stopped.
    """

    def __init__(self, tap: type[TapZohoVoice], stopper: GracefulShutdown) -> None:
        self.stage = "Zoho was asked nothing"
        self._tap = tap
        self._stopper = stopper
        self._path: Path | None = None
        self._prefix = PREFIX
        self._settings: dict[str, Any] = {}

    def will_write(self, path: Path | None, plugin: str) -> None:
        """Choose where the token goes.

        Args:
            path: A `.env` file; None: standard output.
            plugin: Name of the Meltano plugin, or of the tap. A plugin that inherits from another
                is configured by variables of its own.

        Raises:
            InputError: If no variable can be named like this.
            ZohoVoiceError: If it could not be written there.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", plugin, re.IGNORECASE | re.ASCII):
            message = "--plugin must be a name such as tap-zohovoice"
            raise InputError(message)
        self._prefix = plugin.upper().replace("-", "_") + "_"
        self._path = path
        if path is None:
            return
        try:
            DotenvFile(path).check()
        except (OSError, ValueError) as error:
            message = f"{path} cannot be written: {_reason(error)}; Zoho was asked nothing"
            raise ZohoVoiceError(message) from error

    def check_settings(self, urls: Mapping[str, str]) -> None:
        """Check the addresses, and the tap's settings in the environment that matter here.

        Args:
            urls: The addresses that are set, by setting.

        Raises:
            InputError: If something is wrong with them.
        """
        properties = CONFIG_SCHEMA["properties"]
        schema = {"properties": {name: properties[name] for name in _FROM_ENVIRONMENT}}
        found, complaints = parse_env(os.environ, schema, PREFIX)
        self._settings = {name: value for name, value in found.items() if value != ""}
        secrets = dict.fromkeys(CONFIG_SCHEMA["required"], "not known yet")
        complaints += validation_errors({**self._settings, **urls, **secrets}, CONFIG_SCHEMA)
        if complaints:
            raise InputError("; ".join(complaints))

    def run(self, client: Client, code: str, urls: Mapping[str, str]) -> int:
        """Exchange a code, keep the token and try it.

        Args:
            client: The client that the code is of.
            code: The code.
            urls: The addresses that are set, by setting.

        Returns:
            The exit code: 0, or 1 if the token was not kept where it should be.

        Raises:
            ZohoVoiceError: If there is no token, or it does not work; the text says what to do.
        """
        config = {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "data_center": client.center,
            **urls,
            **self._settings,
        }
        self.stage = "the code may be used up; make a new one"
        grant = exchange(self._accounts(config), client, code)
        config["refresh_token"] = grant.refresh_token
        with self._stopper:
            is_kept = self._keep(config, urls)
            self.stage = "the token was not tried, but it is kept"
        if grant.center not in {"", client.center}:
            say(
                f"Note: Zoho says that this account is of data center {grant.center}; if the token "
                f"does not work, set {self._prefix}DATA_CENTER='{grant.center}'."
            )
        try:
            say(_told(self._count(config)))
        except ZohoVoiceError as error:
            message = f"{error}. The refresh token is kept all the same"
            raise ZohoVoiceError(message) from error
        return 0 if is_kept else 1

    def _accounts(self, config: Mapping[str, Any]) -> Accounts:
        settings = Settings.from_config(config)
        name = f"{self._tap.name}/{self._tap.plugin_version}"
        return Accounts(
            accounts_url=settings.accounts_url,
            clock=self._tap.clock,
            timeout=settings.request_timeout,
            user_agent=config.get("user_agent") or name,
        )

    def _keep(self, config: Mapping[str, Any], urls: Mapping[str, str]) -> bool:
        """Write or print what the tap needs; tell whether it went where it should."""
        names = ("client_id", "client_secret", "refresh_token", "data_center", *urls)
        values = {self._prefix + name.upper(): str(config[name]) for name in names}
        if self._path is None:
            say("Zoho gave a refresh token. The lines for .env:")
        else:
            try:
                self._write(self._path, values)
            except (OSError, ValueError) as error:
                say(f"Error: {self._path} cannot be written: {_reason(error)}. Its lines instead:")
            else:
                return True
        try:
            text = lines(values)
        except ValueError:  # better a token for sh alone than none
            text = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
        try:
            click.echo("\n".join(text))
        except OSError as error:
            silence_stdout()
            message = f"standard output: {_reason(error)}; the token is lost, make a new code"
            raise ZohoVoiceError(message) from error
        return self._path is None

    def _write(self, path: Path, values: Mapping[str, str]) -> None:
        file = DotenvFile(path)
        strays = file.names() & {self._prefix + name.upper() for name in _URLS} - set(values)
        file.update(values)  # nothing that can fail comes after it
        say(f"Zoho gave a refresh token. {path}, readable by you alone, has {', '.join(values)}.")
        for name in sorted(strays):
            say(f"Note: {path} also has {name}; remove it if the account is not there.")

    def _count(self, config: Mapping[str, Any]) -> int | None:
        """Ask for one call; return how many Zoho counts, or None if it does not."""
        tap = self._tap(config=dict(config))
        return CallLogsStream(tap, tap.services).api.get_json(
            {"from": "0", "size": "1"}, _total, max_attempts=_TRIES
        )


def _total(body: dict[str, Any]) -> int | None:
    if not isinstance(body.get("logs", []), list | None):
        message = "logs is no list"
        raise UnexpectedResponseError(message)
    meta = body.get("meta")
    total = meta.get("total") if isinstance(meta, dict) else None
    return total if isinstance(total, int) and total >= 0 else None


def _told(total: int | None) -> str:
    if total == 0:
        return (
            "The token works, but Zoho counts no calls. If there are some, make the code as an "
            "administrator of Zoho Voice."
        )
    return "The token works." if total is None else f"The token works: {total:,} calls."


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
