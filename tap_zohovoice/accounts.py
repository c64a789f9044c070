"""Zoho Accounts, which gives tokens: asked, judged, and asked again where that helps."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tap_zohovoice.config.settings import DATA_CENTERS
from tap_zohovoice.exceptions import OAuthError, RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.http.body import ACCEPT_ENCODING, read_body
from tap_zohovoice.http.redaction import redact
from tap_zohovoice.http.session import NoRedirectSession
from tap_zohovoice.http.tls import explain_transport_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import requests

    from tap_zohovoice._time import Clock

_LOGGER = logging.getLogger("tap-zohovoice.auth")
_TRIES = 3
_SECRETS = ("client_secret", "code", "refresh_token")
_TOKENS = ("access_token", "refresh_token")
_PLACES = ("api_domain", "accounts-server", "accounts_server", "location")


class Accounts:
    """The token endpoint of Zoho Accounts.

    Args:
        accounts_url: Address of Zoho Accounts.
        clock: Tells the time and sleeps.
        timeout: Patience with an answer, in seconds.
        user_agent: How the tap names itself.
    """

    def __init__(self, *, accounts_url: str, clock: Clock, timeout: float, user_agent: str) -> None:
        self.asked_at = 0.0
        """When the last request was sent, in seconds of the clock."""
        self.unanswered = 0
        """Requests without a usable answer."""
        self._url = f"{accounts_url}/oauth/v2/token"
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
            "User-Agent": user_agent,
        }
        self._clock = clock
        self._timeout = timeout

    def ask(
        self,
        form: Mapping[str, str],
        advice: Mapping[str, str],
        otherwise: str,
        needs: Iterable[str] = ("access_token",),
    ) -> dict[str, Any]:
        """Ask for tokens, and again where there is no usable answer.

        Args:
            form: The parameters of the grant.
            advice: What to do, by Zoho's error in lower case.
            otherwise: What to do about other errors.
            needs: Tokens of which a good answer has one at least.

        Returns:
            The answer, with tokens only that can be sent in a header.

        Raises:
            OAuthError: If Zoho says no; the text says what to do.
            RetriesExhaustedError: If no answer is usable.
            ZohoVoiceError: If this is no address of Zoho Accounts.
        """
        for attempt in range(1, _TRIES):
            try:
                return self._ask(form, advice, otherwise, needs)
            except RetriesExhaustedError as error:
                self.unanswered += 1
                _LOGGER.warning("%s; asking again in %d s", error, attempt)
                self._clock.sleep(attempt)
        return self._ask(form, advice, otherwise, needs)

    def _ask(
        self,
        form: Mapping[str, str],
        advice: Mapping[str, str],
        otherwise: str,
        needs: Iterable[str],
    ) -> dict[str, Any]:
        status, body = self._send(form)
        where = f"Zoho Accounts: HTTP {status}"
        answer = _read(body)
        if any(name in answer for name in needs):
            return answer
        error = str(answer.get("error") or "")
        if error and status < 500:  # noqa: PLR2004
            word = error.lower()
            secrets = [form[name] for name in _SECRETS if form.get(name)]
            told = error if word in advice else redact(error, secrets)
            message = f"{where}, {told}: {advice.get(word, otherwise)}"
            raise OAuthError(message, word, answer)
        if 300 <= status < 500 and status not in {408, 429}:  # noqa: PLR2004
            message = f"{where}, no token; check data_center, or accounts_url if it is set"
            raise ZohoVoiceError(message)
        message = f"{where}, no token in the answer"
        raise RetriesExhaustedError(message)

    def _send(self, form: Mapping[str, str]) -> tuple[int, bytes]:
        """Return HTTP status and body of the answer."""
        self.asked_at = self._clock.monotonic()
        try:
            with (
                NoRedirectSession() as session,
                session.post(
                    self._url,
                    data=form,
                    headers=self._headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                    auth=_unsigned,
                ) as answer,
            ):
                return answer.status_code, read_body(answer, self._clock, self._timeout)
        except OSError as error:  # which those of requests are too
            if obstacle := explain_transport_error(error, "accounts_url"):
                message = f"Zoho Accounts: {obstacle.text}"
                kind = ZohoVoiceError if obstacle.is_final else RetriesExhaustedError
                raise kind(message) from error
            message = (
                f"Zoho Accounts: no answer ({type(error).__name__}); check accounts_url if it is "
                "set, else the network"
            )
            raise RetriesExhaustedError(message) from error


def data_center_of(answer: Mapping[str, Any]) -> str:
    """Tell which data center an answer of Zoho Accounts speaks of.

    Args:
        answer: A JSON object.

    Returns:
        The data center of its `api_domain`, such as `https://www.zohoapis.eu`, or of what else
        says where the account lives; empty if nothing does. Sources: the documentation of OAuth
        for several data centers, and of the CRM's API for the domains.
    """
    for place in (str(answer[name]) for name in _PLACES if answer.get(name)):
        if place in DATA_CENTERS:
            return place
        for center, (accounts_url, _) in DATA_CENTERS.items():
            domain = accounts_url.partition("accounts.zoho")[2].removeprefix("cloud")
            if _host(place) in {_host(accounts_url), f"www.zohoapis{domain}"}:
                return center
    return ""


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _read(body: bytes) -> dict[str, Any]:
    """Read a JSON object, without tokens that no header can hold."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    answer: dict[str, Any] = content if isinstance(content, dict) else {}
    for name in _TOKENS:
        token = answer.pop(name, None)
        if isinstance(token, str) and token.isascii() and token.isprintable() and token.strip():
            answer[name] = token.strip()
    return answer


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep `requests` from signing with what stands in a .netrc file."""
    return request
