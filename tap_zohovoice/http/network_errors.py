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
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.exceptions import LocationParseError

from tap_zohovoice.exceptions import RetryableError, ZohoVoiceError, iter_causes

_USE_PROXY = "use http://host:port; for a SOCKS proxy, install 'requests[socks]'"
_CHECK_PROXY = (
    "check HTTPS_PROXY (http://user:password@host:port) and NO_PROXY, and whether the proxy "
    "allows this address"
)
_CHECK_CERTIFICATE = (
    "if a proxy intercepts TLS, set the file with its certificate authority in "
    "REQUESTS_CA_BUNDLE, else check {} and the clock of this machine"
)
_TUNNEL_ERROR = re.compile(r"Tunnel connection failed: (\d{3})\b")
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
    for cause in causes:
        reason = getattr(cause, "reason", None)
        if reason in _NO_TLS:
            return f"the server does not support TLS; check {setting} and proxies", True
        # A bundle without certificates, or the server's certificate, in the words of OpenSSL.
        is_rejected = isinstance(cause, ssl.SSLCertVerificationError)
        if is_rejected or getattr(cause, "library", None) == "X509":
            reason = getattr(cause, "verify_message", reason)
            check = _CHECK_CERTIFICATE.format(setting)
            return f"the server's certificate is not trusted ({reason}); {check}", True
    match error:
        case requests.exceptions.ProxyError():
            matches = (_TUNNEL_ERROR.match(str(cause)) for cause in causes)
            status = next((int(match[1]) for match in matches if match), 0)
            reason = f"refused the connection (HTTP {status})" if status else "cannot be reached"
            return f"the proxy {reason}; {_CHECK_PROXY}", status in range(400, 500)
        case InvalidSchema() | InvalidURL() | LocationParseError():
            return f"HTTPS_PROXY is invalid; {_USE_PROXY}", True
        case requests.RequestException() | TimeoutError() | OSError(errno=int()):
            return _explain_network_error(error, causes, url) + advice, False
        case _:  # the one error that requests raises bare is that of a missing bundle
            return "the file or folder named by REQUESTS_CA_BUNDLE cannot be read", True


def _explain_network_error(error: OSError, causes: list[BaseException], url: str) -> str:
    parts = urlsplit(url)
    port = 443 if parts.scheme == "https" else 80
    server = parts.netloc if parts.port else f"{parts.netloc}:{port}"  # IPv6 keeps its brackets
    if isinstance(error, requests.exceptions.ReadTimeout):
        return f"timed out waiting for a response from {server}"
    kinds = (
        ((requests.exceptions.ConnectTimeout, TimeoutError), f"{server} timed out"),
        (socket.gaierror, f"the host name {parts.hostname} cannot be resolved"),
        (ConnectionRefusedError, f"{server} refused the connection"),
        ((*_CUT, requests.exceptions.ChunkedEncodingError), f"{server} closed the connection"),
        (requests.exceptions.ContentDecodingError, f"{server} sent an invalid body"),
    )
    texts = (text for kind, text in kinds if any(isinstance(cause, kind) for cause in causes))
    codes = [cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno]
    reason = os.strerror(codes[-1]) if codes else type(causes[-1]).__name__
    return f"connection failed: {next(texts, f'{server} ({reason})')}"
