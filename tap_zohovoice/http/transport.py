"""Network errors in plain lines, with host and port of the server."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

import requests

from tap_zohovoice.http.tls import TransportError, explain_transport_error, iter_causes

_CUT = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLError)
_CUT_BODY = (http.client.IncompleteRead, requests.exceptions.ChunkedEncodingError)
_UNROUTABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}


def explain_request_error(
    error: OSError, setting: str, url: str, *, advice: str = ""
) -> TransportError:
    """Explain why a request got no response, or an incomplete one.

    The setting is that of the server's address; the advice is for errors of the network. A proxy
    is never named: its address can hold a password.
    """
    return explain_transport_error(error, setting) or TransportError(
        _explain_network_error(error, url) + advice, is_final=False
    )


def _explain_network_error(error: OSError, url: str) -> str:
    parts = urlsplit(url)
    server = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    response = getattr(error, "response", None)
    if response is not None and response.status_code >= HTTPStatus.OK:
        status, kind = response.status_code, type(error).__name__
        return f"HTTP {status}, incomplete response from {server} ({kind})"
    if isinstance(error, requests.exceptions.ReadTimeout):
        return f"timed out waiting for a response from {server}"
    causes = list(iter_causes(error))
    kinds = (
        ((requests.exceptions.ConnectTimeout, TimeoutError), f"{server} timed out"),
        (socket.gaierror, f"the host name {parts.hostname} cannot be resolved"),
        (ConnectionRefusedError, f"{server} refused the connection"),
        ((*_CUT, *_CUT_BODY), f"{server} closed the connection"),
        (http.client.HTTPException, f"{server} sent an invalid HTTP response"),
    )
    texts = (text for kind, text in kinds if any(isinstance(cause, kind) for cause in causes))
    is_unroutable = any(getattr(cause, "errno", None) in _UNROUTABLE for cause in causes)
    codes = [cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno]
    reason = os.strerror(codes[-1]) if codes else type(error).__name__
    default = f"no route to {server}" if is_unroutable else f"{server} ({reason})"
    return f"connection failed: {next(texts, default)}"
