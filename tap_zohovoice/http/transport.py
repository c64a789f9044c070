"""Errors of network, proxies and certificates in plain lines, with host and port of the server.

The text of an error is never quoted: addresses of proxies can contain passwords.
"""

import http.client
import os
import re
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import LocationParseError

from tap_zohovoice.exceptions import RetryableError, ZohoVoiceError, iter_causes

_CA_ENV = "REQUESTS_CA_BUNDLE"
_PROXY_ENV = "HTTPS_PROXY and NO_PROXY"
_TUNNEL_ERROR = re.compile(r"Tunnel connection failed: (\d{3})\b")
_CHECK_CLOCK = "check the clock of this machine, and {setting}"
_OTHER_HOST = "the server's certificate is for another address; check {setting}"
_CERTIFICATE_ERRORS = {
    9: f"the server's certificate is not valid yet; {_CHECK_CLOCK}",
    10: f"the server's certificate has expired; {_CHECK_CLOCK}",
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}
"""By the code of OpenSSL. Source: `X509_V_ERR_...` in its `x509_vfy.h`."""
_NOT_TRUSTED = (
    "the server's certificate is not trusted; if a proxy intercepts TLS, set "
    f"the file with its certificate authority in {_CA_ENV}, else check {{setting}}"
)
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}
_CUT = (ConnectionError, ssl.SSLError, http.client.IncompleteRead)


@contextmanager
def network_errors(service: str, setting: str, url: str, advice: str = "") -> Generator[None]:
    """Explain why a request in a block got no response, or an incomplete one.

    The setting is that of the server's address; the advice is for errors of the network.

    Raises:
        RetryableError: If another attempt may help.
        ZohoVoiceError: If no attempt can help.
    """
    try:
        yield
    # Exceptions of requests, and of a host name that only the connection rejects.
    except (OSError, LocationParseError) as error:
        text, is_final = _explain(error, setting, url, advice)
        message = f"{service}: {text}"
        if is_final:
            raise ZohoVoiceError(message) from error
        raise RetryableError(message, summary=text, is_unreachable=True) from error


def _explain(error: Exception, setting: str, url: str, advice: str) -> tuple[str, bool]:
    """Return why a request failed, what to do, and whether retries are useless."""
    causes = list(iter_causes(error))
    if text := _explain_tls_error(causes):
        return text.format(setting=setting), True
    match error:
        case requests.exceptions.ProxyError():
            return _explain_proxy_error(causes)
        case requests.exceptions.InvalidSchema():
            return "HTTPS_PROXY names a SOCKS proxy; for those, install 'requests[socks]'", True
        case requests.exceptions.InvalidURL() | LocationParseError():
            return "HTTPS_PROXY is invalid; use http://host:port", True
        case requests.RequestException() | TimeoutError() | OSError(errno=int()):
            return _explain_network_error(error, causes, url) + advice, False
        case _:  # the one error that requests raises bare is that of a missing bundle
            return f"the file or folder named by {_CA_ENV} cannot be read", True


def _explain_network_error(error: OSError, causes: list[BaseException], url: str) -> str:
    parts = urlsplit(url)
    server = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    response = getattr(error, "response", None)
    if response is not None and response.status_code >= HTTPStatus.OK:
        status, kind = response.status_code, type(error).__name__
        return f"HTTP {status}, incomplete response from {server} ({kind})"
    if isinstance(error, requests.exceptions.ReadTimeout):
        return f"timed out waiting for a response from {server}"
    kinds = (
        ((requests.exceptions.ConnectTimeout, TimeoutError), f"{server} timed out"),
        (socket.gaierror, f"the host name {parts.hostname} cannot be resolved"),
        (ConnectionRefusedError, f"{server} refused the connection"),
        ((*_CUT, requests.exceptions.ChunkedEncodingError), f"{server} closed the connection"),
        (http.client.HTTPException, f"{server} sent an invalid HTTP response"),
    )
    texts = (text for kind, text in kinds if any(isinstance(cause, kind) for cause in causes))
    codes = [cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno]
    reason = os.strerror(codes[-1]) if codes else type(error).__name__
    return f"connection failed: {next(texts, f'{server} ({reason})')}"


def _explain_proxy_error(causes: list[BaseException]) -> tuple[str, bool]:
    matches = [_TUNNEL_ERROR.match(str(cause)) for cause in causes if type(cause) is OSError]
    status = next((int(match[1]) for match in matches if match), 0)
    if not status:
        return f"the proxy cannot be reached; check {_PROXY_ENV}", False
    advice = f"allow this address in the proxy, or check {_PROXY_ENV}"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        advice = "it requires a user and a password: HTTPS_PROXY=http://user:password@host:port"
    is_final = status in range(400, 500)
    return f"the proxy refused the connection (HTTP {status}); {advice}", is_final


def _explain_tls_error(causes: list[BaseException]) -> str:
    """Return a line with a placeholder for the setting; empty if a retry may help."""
    for error in causes:
        if isinstance(error, ssl.SSLCertVerificationError):
            return _CERTIFICATE_ERRORS.get(error.verify_code, _NOT_TRUSTED)
        if getattr(error, "reason", None) in _NO_TLS:
            return "the server does not support TLS; check {setting}, and the proxy if there is one"
        if getattr(error, "library", None) == "X509":
            return f"the file named by {_CA_ENV} contains no certificate in PEM format"
    return ""
