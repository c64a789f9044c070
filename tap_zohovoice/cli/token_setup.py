"""Set-up of a refresh token: exchanges a code of the API console, saves the token, tests it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from tap_zohovoice.auth import FEW_WAITS, TokenEndpoint
from tap_zohovoice.cli.command import silence_stdout
from tap_zohovoice.cli.dotenv import update_dotenv
from tap_zohovoice.cli.signals import GracefulShutdown
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.config.data_centers import DATA_CENTERS, SCOPE, api_console_url
from tap_zohovoice.config.environment import parse_env
from tap_zohovoice.config.settings import CONFIG_SCHEMA
from tap_zohovoice.config.validation import validation_errors
from tap_zohovoice.exceptions import (
    OAuthError,
    RetriesExhaustedError,
    StorageError,
    ZohoVoiceError,
)
from tap_zohovoice.pagination import parse_total
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.tap import STREAMS, TapZohoVoice

_MAX_ATTEMPTS = 3
_HINTS = {
    "invalid_code": "the code has expired, was used before, or is of another data center than "
    "{center} ({others}); {new_code}",
    "invalid_client": "client ID not found in data center {center}; {copy}, or choose the data "
    "center where you sign in ({others})",
    "invalid_client_secret": "the client secret is invalid; {copy}",
    "invalid_redirect_uri": "the client is not a self client; {new_code}",
    "invalid_scope": "the code lacks a scope; {new_code}",
    "access denied": "too many tokens were requested; wait ten minutes, then {new_code}",
    "": "check all values, or {new_code}",
}
_HINTS["invalid_grant"] = _HINTS["invalid_code"]  # OAuth's own code for it
_HINTS["oauth_scope_mismatch"] = _HINTS["invalid_scope"]
"""What to do about an error. Sources: OAuth documentation of Zoho Accounts, and clients."""
echo = partial(click.echo, err=True)


@dataclass
class TokenSetup:
    """Exchanges a code for a token, and saves it before it tests it, as a code works only once."""

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
                update_dotenv(self.path, {}, dry_run=True)
            except StorageError as error:
                message = f"{error}; {self.status}"
                raise ZohoVoiceError(message) from error
        settings, errors = parse_env(CONFIG_SCHEMA)
        settings |= {**self.urls, **dict.fromkeys(CONFIG_SCHEMA["required"], "unknown")}
        for unused in ("start_date", "end_date"):  # Meltano's may be relative
            settings.pop(unused, None)
        errors += validation_errors(settings, CONFIG_SCHEMA)
        if errors:
            raise click.UsageError("; ".join(errors))
        return settings

    def run(self, settings: dict[str, Any], shutdown: GracefulShutdown, **values: str) -> int:
        """Exchange a code, save the token and test it; return the exit code."""
        config = settings | values
        del config["code"]
        endpoint = self.tap(config=config).services.tokens.endpoint
        endpoint.waits = FEW_WAITS
        shutdown.install()  # in place of the tap's own
        self.status = "the code may be used up; create a new one"
        center, scope = values.pop("data_center"), scopes_of(self.streams)
        config["refresh_token"] = exchange_code(endpoint, center, scope, **values)
        names = ("client_id", "client_secret", "refresh_token", "data_center", *self.urls)
        with shutdown.deferred():
            is_saved = self._save({self.prefix + name.upper(): config[name] for name in names})
            self.status = "the token was not tested, but it is saved"
        works = self._test(self.tap(config=config))
        return 0 if is_saved and works else 1

    def _save(self, values: Mapping[str, str]) -> bool:
        """Write or print the variables; return whether they were saved as requested."""
        if self.path is None:
            echo("Zoho issued a refresh token. The lines for .env:")
        else:
            try:
                update_dotenv(self.path, values)
            except StorageError as error:
                echo(f"Error: {error}. Add these lines:")
            else:
                saved = f"Saved to {self.path}, readable only by its owner: {', '.join(values)}."
                echo(f"Zoho issued a refresh token. {saved}")
                return True
        # Even if no .env file can hold the token, sh can.
        escaped = {name: value.replace("'", "'\"'\"'") for name, value in values.items()}
        try:
            click.echo("\n".join(f"{name}='{value}'" for name, value in escaped.items()))
        except OSError as error:
            silence_stdout()
            message = f"standard output: {error.strerror}; the token is lost, create a new code"
            raise ZohoVoiceError(message) from error
        return self.path is None

    def _test(self, tap: TapZohoVoice) -> bool:
        """Request one call with the tap's own client, and one row of each chosen stream."""
        try:
            total = CallLogsStream(tap, tap.services).api.get_json(
                {"from": "0", "size": "1"},
                lambda body: parse_total(body.get("meta"), bool(body.get("logs"))),
                max_attempts=_MAX_ATTEMPTS,
            )
        except ZohoVoiceError as error:
            message = f"{error}. The refresh token is saved nevertheless"
            raise ZohoVoiceError(message) from error
        calls = "" if total is None else f": {total:,} calls"
        if total == 0:
            hint = "If there are calls, create the code as an administrator of Zoho Voice"
            calls = f", but Zoho counts no calls. {hint}"
        echo(f"The token works{calls}.")
        results = dict.fromkeys(self.streams, "works")
        for name in self.streams:
            stream = tap.streams[name]
            assert isinstance(stream, ZohoVoiceStream)  # noqa: S101 - the tap makes it
            try:
                stream.check_access()
            except ZohoVoiceError as error:
                results[name] = str(error)
            echo(f"{name}: {results[name]}")
        return {*results.values()} <= {"works"}


def exchange_code(endpoint: TokenEndpoint, data_center: str, scope: str, **form: str) -> str:
    """Exchange a code for a refresh token, or raise an error that says what to do."""
    console = api_console_url(data_center)
    new_code = f"create a new code at {console} (Self Client, Generate Code, scope {scope})"
    texts = {
        "center": data_center,
        "others": ", ".join(name for name in DATA_CENTERS if name != data_center),
        "copy": f"copy it from {console} (Self Client, Client Secret)",
        "new_code": new_code,
    }
    try:
        response = endpoint.request_token(
            {"grant_type": "authorization_code", **form},
            hints={error: hint.format_map(texts) for error, hint in _HINTS.items()},
        )
    except OAuthError as error:
        message = str(error)
        if endpoint.failed_attempts:
            message += "; an earlier response was lost; the code may already be used"
        raise ZohoVoiceError(message) from error
    except RetriesExhaustedError as error:
        message = f"{error}; try again at once; if the code is rejected then, {new_code}"
        raise ZohoVoiceError(message) from error
    if "refresh_token" not in response:
        reason = "no refresh token in the response; the code was created with access_type=online"
        message = f"Zoho Accounts: {reason}; {new_code}"
        raise ZohoVoiceError(message)
    return str(response["refresh_token"])


def scopes_of(streams: Sequence[str]) -> str:
    """Return the scopes that some streams need, as the API console wants them."""
    chosen = [stream for stream in STREAMS if stream.name in streams]
    scopes = [scope for stream in chosen for scope in (stream.scope, stream.owner_scope) if scope]
    return ",".join(dict.fromkeys([SCOPE, *scopes]))
