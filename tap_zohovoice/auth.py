"""Who we are: the access token, fetched once, renewed in time, dropped when refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase

from tap_zohovoice._compat import override
from tap_zohovoice.accounts import Accounts
from tap_zohovoice.http.response import SCOPE

if TYPE_CHECKING:
    from collections.abc import Collection

    import requests

    from tap_zohovoice._time import Clock
    from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter

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
_OTHERWISE = "check client_id, client_secret and refresh_token"


class OAuthTokens:
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
        self._accounts = Accounts(
            accounts_url=accounts_url, clock=clock, timeout=timeout, user_agent=user_agent
        )
        self._form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client_id,
            "client_secret": client_secret,
        }
        self._clock = clock
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
        answer = self._accounts.ask(self._form, _ADVICE, _OTHERWISE)
        self._token = answer["access_token"]
        lifetime = _lifetime(answer)
        self._renew_at = self._accounts.asked_at + lifetime - min(_LEEWAY, lifetime / 2)
        self.fetched += 1


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

    def __init__(self, tokens: OAuthTokens, throttle: SlidingWindowLimiter) -> None:
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
            self._throttle.cancel()
            raise
        return r
