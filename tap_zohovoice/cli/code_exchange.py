"""Exchange of a code of the API console for a refresh token: OAuth's authorization code grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_zohovoice.config.data_centers import DATA_CENTERS, api_console_url, data_center_of
from tap_zohovoice.exceptions import OAuthError, RetriesExhaustedError, ZohoVoiceError

if TYPE_CHECKING:
    from tap_zohovoice.auth import TokenEndpoint


def exchange_code(
    endpoint: TokenEndpoint, data_center: str, scope: str, **form: str
) -> dict[str, Any]:
    """Exchange a code for a refresh token, and return the response with it.

    Raises:
        ZohoVoiceError: If there is none; the text says what to do.
    """
    console = api_console_url(data_center)
    new_code = f"create a new code at {console} (Self Client, Generate Code, scope {scope})"
    try:
        response = endpoint.request_token(
            {"grant_type": "authorization_code", **form},
            hints=_hints(data_center, console, new_code),
            required_tokens=("refresh_token", "access_token"),
        )
    except OAuthError as error:
        message = str(error)
        if (named := data_center_of(error.response)) not in {"", data_center}:
            message += f"; Zoho reports data center {named}"
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
    return response


def _hints(data_center: str, console: str, new_code: str) -> dict[str, str]:
    """Return what to do about an OAuth error, by its code in lower case.

    Sources: the documentation of OAuth at Zoho, and clients; `invalid_grant` is OAuth's own code
    for `invalid_code`.
    """
    others = ", ".join(name for name in DATA_CENTERS if name != data_center)
    copy = f"copy it from {console} (Self Client, Client Secret)"
    center = f"data center than {data_center} ({others})"
    code = f"the code has expired, was used before, or is of another {center}; {new_code}"
    unknown = f"client ID not found in data center {data_center}"
    scope = f"the code lacks a scope; {new_code}"
    return {
        "invalid_code": code,
        "invalid_grant": code,
        "invalid_client": f"{unknown}; {copy}, or choose the data center where you sign in "
        f"({others})",
        "invalid_client_secret": f"the client secret is invalid; {copy}",
        "invalid_redirect_uri": f"the client is not a self client; {new_code}",
        "invalid_scope": scope,
        "oauth_scope_mismatch": scope,
        "access denied": f"too many tokens were requested; wait ten minutes, then {new_code}",
        "": f"check all values, or {new_code}",
    }
