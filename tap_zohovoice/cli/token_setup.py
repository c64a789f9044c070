"""Steps of `tap-zohovoice-authorize`: exchange a code for a refresh token, save it, test it."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from tap_zohovoice.auth import OAuthTokens
from tap_zohovoice.cli.command import silence_stdout
from tap_zohovoice.cli.dotenv import update_dotenv
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.config.data_centers import DATA_CENTERS, SCOPE, api_console_url
from tap_zohovoice.config.settings import CONFIG_SCHEMA
from tap_zohovoice.config.validation import parse_env, validation_errors
from tap_zohovoice.exceptions import RetriesExhaustedError, StorageError, ZohoVoiceError
from tap_zohovoice.pagination import parse_total
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.tap import STREAMS, TapZohoVoice

MAX_ATTEMPTS = 3
echo = partial(click.echo, err=True)


def read_settings(urls: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the environment and these URLs, all valid."""
    known = {**urls, **dict.fromkeys(CONFIG_SCHEMA["required"], "unknown")}
    settings = {**parse_env(CONFIG_SCHEMA), **known}
    for unused in ("start_date", "end_date"):  # Meltano's may be relative
        settings.pop(unused, None)
    if errors := validation_errors(settings, CONFIG_SCHEMA):
        raise click.UsageError("; ".join(errors))
    return settings


def scopes_of(streams: Sequence[str]) -> str:
    """Return the scopes that some streams need, as the API console wants them."""
    chosen = [stream for stream in STREAMS if stream.name in streams]
    scopes = [scope for stream in chosen for scope in (stream.scope, stream.owner_scope) if scope]
    return ",".join(dict.fromkeys([SCOPE, *scopes]))


def exchange_code(tokens: OAuthTokens, client: Mapping[str, str], code: str, scope: str) -> str:
    """Exchange a code for a refresh token, or raise an error that says what to do."""
    data_center = client["data_center"]
    console = api_console_url(data_center)
    new_code = f"create a new code at {console} (Self Client, Generate Code, scope {scope})"
    copy = f"copy it from {console} (Self Client, Client Secret)"
    others = ", ".join(name for name in DATA_CENTERS if name != data_center)
    expired = (
        "the code has expired, was used before, or is of another data center than "
        f"{data_center} ({others}); {new_code}"
    )
    unknown = (
        f"client ID not found in data center {data_center}; {copy}, or choose the data center "
        f"where you sign in ({others})"
    )
    hints = {  # sources: OAuth documentation of Zoho Accounts, and clients
        "invalid_code": expired,
        "invalid_grant": expired,  # OAuth's own code for it
        "invalid_client": unknown,
        "invalid_client_secret": f"the client secret is invalid; {copy}",
        "invalid_redirect_uri": f"the client is not a self client; {new_code}",
        "invalid_scope": f"the code lacks a scope; {new_code}",
        "oauth_scope_mismatch": f"the code lacks a scope; {new_code}",
        "access denied": f"too many tokens were requested; wait ten minutes, then {new_code}",
        "": f"check all values, or {new_code}",
    }
    form = {name: client[name] for name in ("client_id", "client_secret")}
    try:
        response = tokens.request_token(
            {"grant_type": "authorization_code", "code": code, **form}, hints
        )
    except RetriesExhaustedError as error:
        message = f"{error}; try again at once; if the code is rejected then, {new_code}"
        raise ZohoVoiceError(message) from error
    if "refresh_token" not in response:
        reason = "no refresh token in the response; the code was created with access_type=online"
        message = f"Zoho Accounts: {reason}; {new_code}"
        raise ZohoVoiceError(message)
    return str(response["refresh_token"])


def save_token(path: Path | None, settings: Mapping[str, str]) -> bool:
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
    try:
        click.echo("\n".join(f"{name}='{value}'" for name, value in escaped.items()))
    except OSError as error:
        silence_stdout()
        message = f"standard output: {error.strerror}; the token is lost, create a new code"
        raise ZohoVoiceError(message) from error
    return path is None


def check_token(tap: TapZohoVoice, streams: Sequence[str]) -> bool:
    """Request one call with the tap's own client; return whether streams can be read too."""
    try:
        total = CallLogsStream(tap, tap.services).api.get_json(
            {"from": "0", "size": "1"},
            lambda body: parse_total(body.get("meta"), bool(body.get("logs"))),
            max_attempts=MAX_ATTEMPTS,
        )
    except ZohoVoiceError as error:
        message = f"{error}. The refresh token is saved nevertheless"
        raise ZohoVoiceError(message) from error
    calls = "" if total is None else f": {total:,} calls"
    if total == 0:
        hint = "If there are calls, create the code as an administrator of Zoho Voice"
        calls = f", but Zoho counts no calls. {hint}"
    echo(f"The token works{calls}.")
    results = dict.fromkeys(streams, "works")
    for name in streams:
        stream = tap.streams[name]
        assert isinstance(stream, ZohoVoiceStream)  # noqa: S101 - the tap makes it
        try:
            stream.check_access()
        except ZohoVoiceError as error:
            results[name] = str(error)
        echo(f"{name}: {results[name]}")
    return {*results.values()} <= {"works"}
