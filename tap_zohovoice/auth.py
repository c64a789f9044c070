"""Who we are: the access token, fetched once, renewed in time, dropped when refused."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import requests
from requests.auth import AuthBase

from tap_zohovoice.compat import override
from tap_zohovoice.errors import SCOPE
from tap_zohovoice.exceptions import UnavailableError, ZohoVoiceError
from tap_zohovoice.redaction import redact
from tap_zohovoice.sessions import StraightSession

if TYPE_CHECKING:
    from collections.abc import Collection

    from tap_zohovoice.clock import Clock
    from tap_zohovoice.throttle import Throttle

_LOGGER = logging.getLogger("tap-zohovoice.auth")
_TRIES = 3
_DROPS, _DROPS_SECONDS = 5, 600.0
"""Refused tokens that are replaced in so many seconds; Zoho gives out ten."""
_LEEWAY = 60.0  # seconds
_DEFAULT_LIFETIME = 3600.0  # seconds
_LONGEST_LIFETIME = 86_400  # seconds; a larger `expires_in` is in milliseconds

_ADVICE = {
    "invalid_code": (
        "the refresh token is wrong, revoked or of another data center; check refresh_token and "
        f"data_center, or make a new token with the scope {SCOPE}"
    ),
    "invalid_client": "this data center does not know the client; check client_id and data_center",
    "invalid_client_secret": "the secret is not the client's; check client_secret",
    "access denied": (
        "too many tokens were fetched with this refresh token; wait ten minutes, then start again"
    ),
}


class AccessTokens:
    """The access token of a refresh token.

    Zoho hands out ten access tokens in ten minutes and no more, so a run uses one as long as it
    lasts. Source: OAuth documentation of Zoho Accounts.

    Args:
        accounts_url: Address of Zoho Accounts.
        client_id: Client id.
        client_secret: Client secret.
        refresh_token: Refresh token.
        clock: Tells the time and sleeps.
        timeout: Patience with an answer, in seconds.
        user_agent: How the tap names itself.
    """

    def __init__(  # noqa: PLR0913 - the parts of a grant, each by its name
        self,
        *,
        accounts_url: str,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        clock: Clock,
        timeout: float,
        user_agent: str,
    ) -> None:
        self.fetched = 0
        self._url = f"{accounts_url}/oauth/v2/token"
        self._form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client_id,
            "client_secret": client_secret,
        }
        self._headers = {"Accept": "application/json", "User-Agent": user_agent}
        self._clock = clock
        self._timeout = timeout
        self._token = ""
        self._renew_at = float("-inf")
        self._dropped: list[float] = []

    @property
    def secrets(self) -> Collection[str]:
        """What must never be logged."""
        texts = (self._token, self._form["refresh_token"], self._form["client_secret"])
        return [text for text in texts if text]

    def get(self) -> str:
        """Return a token that will be good for a while.

        Raises:
            ZohoVoiceError: If Zoho Accounts gives none; the text says what to do.
        """
        if not self._token or self._clock.monotonic() >= self._renew_at:
            self._fetch()
        return self._token

    def drop(self) -> bool:
        """Forget a token that was refused.

        Returns:
            Whether a new one may be fetched: not if that was tried again and again of late, so
            that many refusals do not use up what Zoho gives out.
        """
        now = self._clock.monotonic()
        self._dropped = [moment for moment in self._dropped if moment > now - _DROPS_SECONDS]
        if len(self._dropped) >= _DROPS:
            return False
        self._dropped.append(now)
        self._token = ""
        return True

    def _fetch(self) -> None:
        for attempt in range(1, _TRIES + 1):
            asked_at = self._clock.monotonic()
            try:
                answer = self._ask()
            except UnavailableError as error:
                if attempt == _TRIES:
                    raise
                _LOGGER.warning("%s; asking again in %d s", error, attempt)
                self._clock.sleep(attempt)
                continue
            self._token = answer["access_token"]
            lifetime = _lifetime(answer)
            self._renew_at = asked_at + lifetime - min(_LEEWAY, lifetime / 2)
            self.fetched += 1
            return

    def _ask(self) -> dict[str, Any]:
        try:
            with StraightSession() as session:
                response = session.post(
                    self._url,
                    data=self._form,
                    headers=self._headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                    auth=_unsigned,
                )
        except requests.exceptions.SSLError as error:
            message = "Zoho Accounts: the server's certificate is not trusted"
            raise ZohoVoiceError(message) from error
        except requests.RequestException as error:
            message = f"Zoho Accounts: no answer ({type(error).__name__}); check accounts_url"
            raise UnavailableError(message) from error
        return self._read(response)

    def _read(self, response: requests.Response) -> dict[str, Any]:
        where = f"Zoho Accounts: HTTP {response.status_code}"
        try:
            content = json.loads(response.content)
        except (ValueError, RecursionError):
            content = None
        answer: dict[str, Any] = content if isinstance(content, dict) else {}
        token = answer.get("access_token")
        if isinstance(token, str) and token.isascii() and token.isprintable() and token.strip():
            return {**answer, "access_token": token.strip()}
        error = str(answer.get("error") or "")
        if error and response.status_code < 500:  # noqa: PLR2004
            advice = _ADVICE.get(error.lower(), "check client_id, client_secret and refresh_token")
            word = error if error.lower() in _ADVICE else redact(error, self.secrets)
            message = f"{where}, {word}: {advice}"
            raise ZohoVoiceError(message)
        if 300 <= response.status_code < 500 and response.status_code not in {408, 429}:  # noqa: PLR2004
            message = f"{where}, no token; check data_center, or accounts_url if it is set"
            raise ZohoVoiceError(message)
        message = f"{where}, no token in the answer"
        raise UnavailableError(message)


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep `requests` from signing with what stands in a .netrc file."""
    return request


def _lifetime(answer: dict[str, Any]) -> float:
    """Read the seconds that a token lives.

    Zoho sends `expires_in` in seconds; some of its servers send `expires_in_sec` beside an
    `expires_in` in milliseconds (seen in clients).
    """
    for name in ("expires_in_sec", "expires_in"):
        try:
            seconds = float(answer[name])
        except (KeyError, TypeError, ValueError):
            continue
        if 0 < seconds < float("inf"):
            return seconds / 1000 if seconds > _LONGEST_LIFETIME else seconds
    return _DEFAULT_LIFETIME


class ThrottledAuthenticator(AuthBase):
    """Signs each request, after the throttle has let it pass: what is not counted is not signed.

    Args:
        tokens: Where the access token comes from.
        throttle: The throttle of the URL that is asked.
    """

    def __init__(self, tokens: AccessTokens, throttle: Throttle) -> None:
        self._tokens = tokens
        self._throttle = throttle

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Wait for leave, then sign.

        Args:
            r: The request.

        Returns:
            The same request with its `Authorization` header; its sender releases the slot.

        Raises:
            ZohoVoiceError: If there is no token.
        """
        self._tokens.get()  # fetching one can take long and must not hold a slot meanwhile
        self._throttle.acquire()
        try:
            r.headers["Authorization"] = f"Zoho-oauthtoken {self._tokens.get()}"
        except BaseException:
            self._throttle.withdraw()
            raise
        return r
