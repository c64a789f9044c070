"""Token endpoint of Zoho Accounts: access tokens, and refresh tokens for a code."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoho_voice_sandbox.responses import json_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug import Response

    from zoho_voice_sandbox.clock import Clock
    from zoho_voice_sandbox.dialect import Dialect

CODE_SECONDS = 600.0
_LIMIT_SECONDS = 600.0
_MAX_LIVE_TOKENS = 15  # a further token invalidates the oldest
# The URL cannot exist: a client that requests Voice from there must not send a token to a server.
_FIXED = {"api_domain": "https://www.zohoapis.invalid", "token_type": "Bearer"}


@dataclass(frozen=True)
class OAuthClient:
    """The one self client that the server knows; its values are valid nowhere else."""

    client_id: str = "1000.SANDBOXCLIENT"
    client_secret: str = field(default="sandbox-client-secret", repr=False)
    refresh_token: str = field(default="1000.sandbox.refresh", repr=False)
    code: str = field(default="1000.sandbox.code", repr=False)


class TokenEndpoint:
    """Issues and checks tokens.

    Attributes:
        client: The credentials that are accepted.
        issued: Number of tokens issued.
    """

    def __init__(self, clock: Clock) -> None:
        self.client = OAuthClient()
        self.issued = 0
        self._clock = clock
        self._expiry: dict[str, float] = {}
        self._issue_times: deque[float] = deque()
        self._codes: dict[str, float] = {}
        self._mutex = threading.Lock()
        self.add_code(self.client.code)

    def add_code(self, code: str) -> None:
        """Issue an authorization code, which is valid once and for a limited time."""
        with self._mutex:
            self._codes[code] = self._clock.monotonic()

    def token(self, form: Mapping[str, str], dialect: Dialect) -> Response:
        """Respond to a token request with these parameters."""
        with self._mutex:
            now = self._clock.monotonic()
            error = self._validate(form, now - CODE_SECONDS)
            if error:
                return json_response({"error": error})
            while self._issue_times and self._issue_times[0] <= now - _LIMIT_SECONDS:
                self._issue_times.popleft()
            if len(self._issue_times) >= dialect.tokens_limit:
                return too_many_tokens_response()
            self._issue_times.append(now)
            body = self._issue(now, dialect)
            if form["grant_type"] == "authorization_code":
                del self._codes[form["code"]]
                if dialect.code_access == "offline":
                    body["refresh_token"] = self.client.refresh_token
            return json_response(body)

    def accepts(self, authorization: str) -> bool:
        """Return whether the value of an `Authorization` header holds a valid token."""
        scheme, _, token = authorization.partition(" ")
        with self._mutex:
            expiry = self._expiry.get(token, 0.0) if scheme == "Zoho-oauthtoken" else 0.0
            return token in self._expiry and self._clock.monotonic() < expiry

    def expire_tokens(self) -> None:
        """Invalidate all tokens."""
        with self._mutex:
            self._expiry.clear()

    def _validate(self, form: Mapping[str, str], oldest: float) -> str | None:
        grant = form.get("grant_type")
        if form.get("client_id") != self.client.client_id:
            return "invalid_client"
        if form.get("client_secret") != self.client.client_secret:
            return "invalid_client_secret"
        if grant == "refresh_token":
            is_known = form.get("refresh_token") == self.client.refresh_token
        elif grant == "authorization_code":
            is_known = self._codes.get(form.get("code", ""), float("-inf")) > oldest
        else:
            return "unsupported_grant_type"
        return None if is_known else "invalid_code"

    def _issue(self, now: float, dialect: Dialect) -> dict[str, object]:
        self.issued += 1
        digest = hashlib.blake2b(str(self.issued).encode(), digest_size=16).hexdigest()
        token = f"1000.{digest}"
        self._expiry[token] = now + dialect.token_ttl_seconds
        while len(self._expiry) > _MAX_LIVE_TOKENS:
            self._expiry.pop(next(iter(self._expiry)))
        seconds = int(dialect.token_ttl_seconds)
        body: dict[str, object] = {"access_token": token, "expires_in": seconds}
        if dialect.token_field == "expires_in_sec":  # noqa: S105 - a field's name
            body |= {"expires_in": seconds * 1000, "expires_in_sec": seconds}
        return body | _FIXED


def too_many_tokens_response() -> Response:
    """Reject a token request over the limit."""
    return json_response(
        {
            "error": "Access Denied",
            "error_description": "You have made too many requests continuously. "
            "Please try again after some time.",
            "status": "failure",
        },
        400,
    )
