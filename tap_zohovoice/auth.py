"""OAuth 2.0 of Zoho Accounts: token endpoint, access token, authenticator of requests."""

import re
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import requests
from requests.auth import AuthBase

from tap_zohovoice._compat import override
from tap_zohovoice.config.data_centers import SCOPE
from tap_zohovoice.exceptions import (
    RequestError,
    RetriesExhaustedError,
    RetryableError,
    ZohoVoiceError,
)
from tap_zohovoice.http.error_body import ErrorBody
from tap_zohovoice.http.network_errors import network_errors
from tap_zohovoice.http.redaction import redact
from tap_zohovoice.http.response import retry_after
from tap_zohovoice.http.retry import RetryLimits, RetryPolicy
from tap_zohovoice.http.session import ACCEPT_ENCODING, PlainSession, read_whole
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tap_zohovoice.singer.json import loads

_Texts = Mapping[str, str]
# Zoho issues ten tokens in this time. Source: OAuth documentation of Zoho Accounts.
MAX_INVALIDATIONS, INVALIDATION_SECONDS = 5, 600.0
EXPIRY_LEEWAY, DEFAULT_LIFETIME = 60.0, 3600.0  # seconds
MAX_LIFETIME = 86_400  # seconds; a larger `expires_in` is in milliseconds
_SECRETS = ("client_secret", "code", "refresh_token")
# OAuth errors that are final. Sources: RFC 6749, OAuth documentation of Zoho Accounts.
_FINAL = re.compile(
    r"(?!.*(?:again|later|temporar|unavailable|busy|time|server|backend|too.many|limit|response"
    r"|retry|moment))"
    r".*(?:(?:invalid|unsupported|unauthorized)[_ ]|mismatch$|access.denied|scope|revoked|expired)"
)
HINTS = {
    "invalid_code": (
        "the refresh token is invalid, revoked or of another data center; check refresh_token and "
        f"data_center, or create a new token with the scope {SCOPE}"
    ),
    "invalid_client": "client not found in this data center; check client_id and data_center",
    "invalid_client_secret": "the client secret is invalid; check client_secret",
    "access denied": "too many tokens were requested; wait ten minutes, then start again",
    "": "check client_id, client_secret and refresh_token",
}
HINTS["invalid_grant"] = HINTS["invalid_code"]  # OAuth's own code for it
_CHECK_NETWORK = "; check accounts_url if it is set, else the network"
_HTML_PAGE = "an HTML page; check proxies, firewalls and accounts_url"
_UNUSABLE = "no token in the response; check data_center, or accounts_url if it is set"


@dataclass(eq=False, repr=False, kw_only=True)
class OAuthTokens:
    """Client of the token endpoint, and the access token of a refresh token until it expires."""

    accounts_url: str
    session: PlainSession
    policy: RetryPolicy
    user_agent: str
    client_id: str
    client_secret: str
    refresh_token: str
    retry_limits = RetryLimits(attempts=7)  # in two minutes; an outage may last that long
    fetched = 0  # tokens so far
    _token = ""
    _renew_at = float("-inf")
    _invalidated: list[float] = field(default_factory=list, init=False)

    @property
    def secrets(self) -> Collection[str]:
        """Values that must not be logged."""
        return [*filter(None, (self._token, self.refresh_token, self.client_secret))]

    def access_token(self) -> str:
        """Return a token that is valid for a while; fetch one if necessary."""
        if self._token and self.session.clock.monotonic() < self._renew_at:
            return self._token
        grant = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        response = self.request_token(grant, HINTS)
        self._token = str(response["access_token"])
        lifetime = _expires_in(response)
        self._renew_at = self.session.sent_at + lifetime - min(EXPIRY_LEEWAY, lifetime / 2)
        self.fetched += 1
        return self._token

    def request_token(self, grant: _Texts, hints: _Texts) -> dict[str, Any]:
        """Return the response to a grant, which has an access token.

        The hints say what to do about an OAuth error, by its code in lower case; "" is any other.

        Raises:
            ZohoVoiceError: If Zoho rejects the request, or no response is usable.
        """
        url = f"{self.accounts_url}/oauth/v2/token"
        form = {**grant, "client_id": self.client_id, "client_secret": self.client_secret}
        headers = {"Accept-Encoding": ACCEPT_ENCODING, "User-Agent": self.user_agent}
        request = requests.Request("POST", url, headers, data=form).prepare()

        @network_errors("Zoho Accounts", "accounts_url", url, _CHECK_NETWORK)
        def attempt() -> dict[str, Any]:
            with closing(self.session.send(request)) as response:
                body = read_whole(self.session.iter_body(response))
            content = _parse(body)
            if "access_token" in content:
                return content
            raise self._error_of(response, body, form, hints)

        try:
            return self.policy.call(attempt, self.retry_limits)
        except RetriesExhaustedError as error:  # no smaller request helps, so it concerns all
            raise ZohoVoiceError(str(error)) from error

    def _error_of(
        self, response: requests.Response, body: bytes, form: _Texts, hints: _Texts
    ) -> RequestError:
        """Return the error of a response without a token."""
        wait = retry_after(response.headers, self.session.clock.now())
        status, content = response.status_code, _parse(body)
        prefix = f"Zoho Accounts: HTTP {status}"
        found, named = ErrorBody.from_response(status, content or None, body), content.get("error")
        text = named if isinstance(named, str) else found.code or (found.message if named else "")
        if found.is_foreign and not found.is_html:  # plain text or XML
            plain = "_".join(found.words.split())
            text = plain if plain in hints else ""
        error = text.lower()
        if not text:
            reason = _HTML_PAGE if found.is_html else _UNUSABLE
            return RetryableError(f"{prefix}, {reason}", wait=wait)
        hidden = [form.get(name, "") for name in _SECRETS]
        prefix += f", {text if error in hints else redact(text, hidden)}: "
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and _FINAL.match(error):
            return ZohoVoiceError(prefix + hints.get(error, hints[""]))
        message = prefix + "temporary error of Zoho Accounts; run again later"
        return RetryableError(message, wait=wait)

    def invalidate(self) -> bool:
        """Discard a token that the API rejected; return whether a new one may be fetched."""
        # Several within ten minutes would use up the tokens that Zoho issues.
        now = self.session.clock.monotonic()
        self._invalidated = [at for at in self._invalidated if at > now - INVALIDATION_SECONDS]
        if len(self._invalidated) >= MAX_INVALIDATIONS:
            return False
        self._invalidated.append(now)
        self._token = ""
        return True


def _parse(body: bytes) -> dict[str, Any]:
    """Parse a JSON object, and drop tokens that are not valid in a header."""
    try:
        content = loads(body)
    except (ValueError, RecursionError):
        return {}
    response: dict[str, Any] = content if isinstance(content, dict) else {}
    for name in ("access_token", "refresh_token"):
        token = response.pop(name, None)
        if isinstance(token, str) and token.isascii() and token.isprintable() and token.strip():
            response[name] = token.strip()
    return response


def _expires_in(response: Mapping[str, Any]) -> float:
    """Return seconds; `expires_in` may be in milliseconds beside `expires_in_sec`."""
    texts = (str(response.get(name)) for name in ("expires_in_sec", "expires_in"))
    seconds = next((int(text) for text in texts if text.isdecimal() and int(text)), 0)
    return seconds / 1000 if seconds > MAX_LIFETIME else seconds or DEFAULT_LIFETIME


@dataclass(eq=False, repr=False, kw_only=True)
class ThrottledAuthenticator(AuthBase):
    """Waits for a slot and until a lockout ends, then signs; `ApiClient` releases the slot."""

    tokens: OAuthTokens
    limiter: SlidingWindowLimiter

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        self.tokens.access_token()  # fetching one can take long and must not hold a slot meanwhile
        self.limiter.acquire()  # also waits for the end of a lockout
        r.headers["Authorization"] = f"Zoho-oauthtoken {self.tokens.access_token()}"
        return r
