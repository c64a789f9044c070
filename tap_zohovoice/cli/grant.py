"""The exchange of a code for a refresh token, and what to do where Zoho refuses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_zohovoice.config.data_centers import (
    DATA_CENTERS,
    SCOPE,
    api_console_url,
    data_center_of,
)
from tap_zohovoice.exceptions import OAuthError, RetriesExhaustedError, ZohoVoiceError

if TYPE_CHECKING:
    from tap_zohovoice.auth import TokenEndpoint


@dataclass(frozen=True, slots=True)
class Client:
    """A self client of Zoho's API console.

    Attributes:
        center: Its data center.
        client_id: Its id.
        client_secret: Its secret.
    """

    center: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What Zoho gives for a code.

    Attributes:
        refresh_token: The refresh token.
        center: Data center that the answer names; empty if it names none.
    """

    refresh_token: str
    center: str


def exchange(accounts: TokenEndpoint, client: Client, code: str) -> Grant:
    """Exchange a code, which works once and not for long.

    Args:
        accounts: Zoho Accounts of the client's data center.
        client: The client that the code is of.
        code: The code.

    Returns:
        The refresh token.

    Raises:
        ZohoVoiceError: If there is none; the text says what to do.
    """
    form = {
        "grant_type": "authorization_code",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "code": code,
    }
    again = _again(client.center)
    needs = ("refresh_token", "access_token")
    try:
        answer = accounts.request_token(
            form,
            hints=_advice(client.center),
            default_hint=f"check all values, or {again}",
            required_tokens=needs,
        )
    except OAuthError as error:
        named = data_center_of(error.response)
        message = str(error)
        if named not in {"", client.center}:
            message += f"; Zoho names data center {named}"
        if accounts.failed_attempts:
            message += "; an answer before was lost, and may have used up the code"
        raise ZohoVoiceError(message) from error
    except RetriesExhaustedError as error:
        message = f"{error}; try again at once, and if the code is refused then, {again}"
        raise ZohoVoiceError(message) from error
    if "refresh_token" not in answer:
        message = (
            "Zoho Accounts: an access token, but no refresh token: the code is of access type "
            f"online; {again}"
        )
        raise ZohoVoiceError(message)
    return Grant(answer["refresh_token"], data_center_of(answer))


def _again(center: str) -> str:
    return (
        f"make a new code at {api_console_url(center)} (Self Client, Generate Code, scope {SCOPE})"
    )


def _advice(center: str) -> dict[str, str]:
    """Tell what to do, by Zoho's error in lower case.

    Sources: the documentation of OAuth at Zoho, and clients, for the words; `invalid_grant` is
    OAuth's own word for `invalid_code`.
    """
    others = ", ".join(name for name in DATA_CENTERS if name != center)
    copy = f"copy it from {api_console_url(center)} (Self Client, Client Secret)"
    code = (
        f"the code is too old, was used before, or is of another data center than {center} "
        f"({others}); {_again(center)}"
    )
    scope = f"the code lacks a scope; {_again(center)}"
    return {
        "invalid_code": code,
        "invalid_grant": code,
        "invalid_client": (
            f"data center {center} does not know this client ID; {copy}, or choose the data "
            f"center where you sign in ({others})"
        ),
        "invalid_client_secret": f"the secret is not this client's; {copy}",
        "invalid_redirect_uri": f"this is no self client; {_again(center)}",
        "invalid_scope": scope,
        "oauth_scope_mismatch": scope,
        "access denied": (
            f"too many tokens were asked for; wait ten minutes, then {_again(center)}"
        ),
    }
