"""Zoho Accounts: access tokens for a refresh token, and refresh tokens for a code."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tap_zohovoice.sandbox.answers import reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug import Response

    from tap_zohovoice._time import Clock
    from tap_zohovoice.sandbox.dialect import Dialect


@dataclass(frozen=True)
class Client:
    """The one self client that the server knows; the values fit nowhere else.

    Attributes:
        client_id: Id of the client.
        client_secret: Its secret, not shown when printed.
        refresh_token: Its refresh token, not shown when printed.
        code: A code that is given out at the start, not shown when printed.
    """

    client_id: str = "1000.SANDBOXCLIENT"
    client_secret: str = field(default="sandbox-client-secret", repr=False)
    refresh_token: str = field(default="1000.sandbox.refresh", repr=False)
    code: str = field(default="1000.sandbox.code", repr=False)


class Accounts:
    """Gives out tokens and knows which of them live.

    Attributes:
        client: The credentials that are accepted.
        issued: How many tokens were given out.
    """

    def __init__(self, clock: Clock) -> None:
        """Start with no tokens.

        Args:
            clock: Where the time comes from.
        """
        self.client = Client()
        self.issued = 0
        self._clock = clock
        self._expiry: dict[str, float] = {}
        self._recent: deque[float] = deque()
        self._codes: dict[str, float] = {}
        self._guard = threading.Lock()
        self.add_code(self.client.code)

    def add_code(self, code: str) -> None:
        """Give out a code that can be exchanged for the refresh token, once and not for long.

        Args:
            code: The code.
        """
        with self._guard:
            self._codes[code] = self._clock.monotonic()

    def token(self, form: Mapping[str, str], dialect: Dialect) -> Response:
        """Answer a request for a token.

        Args:
            form: The parameters of the request.
            dialect: Form of the answer and figures of the limits.

        Returns:
            A token or an error.
        """
        with self._guard:
            now = self._clock.monotonic()
            problem = self._problem(form, now - dialect.code_seconds)
            if problem:
                return reply({"error": problem}, dialect.token_error_status)
            while self._recent and self._recent[0] <= now - dialect.tokens_window:
                self._recent.popleft()
            if len(self._recent) >= dialect.tokens_limit:
                return denied(dialect)
            self._recent.append(now)
            answer = self._issue(now, dialect)
            if form["grant_type"] == "authorization_code":
                del self._codes[form["code"]]
                if dialect.code_access == "offline":
                    answer["refresh_token"] = self.client.refresh_token
            return reply(answer)

    def accepts(self, authorization: str) -> bool:
        """Tell whether a request is signed with a token that lives.

        Args:
            authorization: Value of the header `Authorization`.

        Returns:
            Whether it is.
        """
        scheme, _, token = authorization.partition(" ")
        with self._guard:
            expiry = self._expiry.get(token, 0.0) if scheme == "Zoho-oauthtoken" else 0.0
            return token in self._expiry and self._clock.monotonic() < expiry

    def expire_tokens(self) -> None:
        """Let all tokens die."""
        with self._guard:
            self._expiry.clear()

    def _problem(self, form: Mapping[str, str], oldest: float) -> str | None:
        grant = form.get("grant_type")
        if form.get("client_id") != self.client.client_id:
            return "invalid_client"
        if form.get("client_secret") != self.client.client_secret:
            return "invalid_client_secret"
        if grant == "refresh_token":
            known = form.get("refresh_token") == self.client.refresh_token
        elif grant == "authorization_code":
            known = self._codes.get(form.get("code", ""), float("-inf")) > oldest
        else:
            return "unsupported_grant_type"
        return None if known else "invalid_code"

    def _issue(self, now: float, dialect: Dialect) -> dict[str, object]:
        self.issued += 1
        digest = hashlib.blake2b(str(self.issued).encode(), digest_size=16).hexdigest()
        token = f"1000.{digest}"
        self._expiry[token] = now + dialect.token_ttl_seconds
        while len(self._expiry) > dialect.live_tokens:
            self._expiry.pop(next(iter(self._expiry)))
        life = int(dialect.token_ttl_seconds)
        answer: dict[str, object] = {"access_token": token, "expires_in": life}
        if dialect.token_field == "expires_in_sec":  # noqa: S105 - a field's name
            answer |= {"expires_in": life * 1000, "expires_in_sec": life}
        return answer | {"api_domain": dialect.api_domain, "token_type": "Bearer"}


def denied(dialect: Dialect) -> Response:
    """Refuse to give out more tokens for now.

    Args:
        dialect: HTTP status of the refusal.

    Returns:
        The answer.
    """
    return reply(
        {
            "error": "Access Denied",
            "error_description": "You have made too many requests continuously. "
            "Please try again after some time.",
            "status": "failure",
        },
        dialect.tokens_denied_status,
    )
