"""What stands between the tap and Zoho: proxies and certificates, and their errors in plain words.

Addresses of proxies can hold passwords, so no text of an error is repeated.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUNDLE = "REQUESTS_CA_BUNDLE"
_PROXY = "HTTPS_PROXY and NO_PROXY"
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64
"""What OpenSSL finds wrong with a certificate. Source: `X509_V_ERR_...` in its `x509_vfy.h`."""
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}


@dataclass(frozen=True, slots=True)
class TransportError:
    """Why a request did not get through.

    Attributes:
        text: One plain line that says what to do.
        is_final: Whether asking again is of no use.
    """

    text: str
    is_final: bool = True


def explain_transport_error(error: OSError, setting: str) -> TransportError | None:
    """Recognise a proxy or a certificate as the reason why a request failed.

    Args:
        error: What `requests` raised.
        setting: The setting that holds the server's address.

    Returns:
        The obstacle; None if it is something else, such as a server that does not answer.
    """
    causes = list(_causes(error))
    if tls_error := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
        return _tls_obstacle(tls_error, setting)
    if isinstance(error, requests.exceptions.ProxyError):
        return _proxy_obstacle(causes)
    if isinstance(error, requests.exceptions.InvalidSchema):
        return TransportError(
            "HTTPS_PROXY names a SOCKS proxy; for those, install 'requests[socks]'"
        )
    if isinstance(error, requests.exceptions.InvalidURL):
        return TransportError("HTTPS_PROXY is no usable address; write http://host:port")
    if not isinstance(error, requests.RequestException):
        # The one error that requests raises bare is that of a bundle that is not there.
        return TransportError(f"the file or folder named by {_BUNDLE} cannot be read")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Go from an error to what it wraps: by chaining, or as its `reason` or first argument."""
    seen: list[BaseException] = []
    following: object = error
    while isinstance(following, BaseException) and following not in seen:
        seen.append(following)
        yield following
        inner = (getattr(following, "reason", None), *following.args)
        wrapped = next((item for item in inner if isinstance(item, BaseException)), None)
        following = wrapped or following.__cause__ or following.__context__


def _proxy_obstacle(causes: list[BaseException]) -> TransportError:
    for cause in causes:
        refusal = _TUNNEL.match(str(cause)) if type(cause) is OSError else None
        if refusal is None:
            continue
        status = int(refusal[1])
        told = f"the proxy refuses (HTTP {status})"
        if status == 407:  # noqa: PLR2004
            advice = "it wants a user and a password: HTTPS_PROXY=http://user:password@host:port"
        else:
            advice = f"have it allow this address, or check {_PROXY}"
        return TransportError(f"{told}; {advice}", is_final=400 <= status < 500)  # noqa: PLR2004
    return TransportError(f"the proxy cannot be reached; check {_PROXY}", is_final=False)


def _certificate_trouble(code: int, setting: str) -> str:
    if code in {_OTHER_HOST, _OTHER_ADDRESS}:
        return f"the server's certificate is for another address; check {setting}"
    if code in {_EXPIRED, _NOT_YET_VALID}:
        which = "has expired" if code == _EXPIRED else "is not valid yet"
        return f"the server's certificate {which}; check the clock of this machine, and {setting}"
    return (
        "the server's certificate is not trusted; where a proxy signs certificates itself, name "
        f"the file with its certificate authority in {_BUNDLE}, else check {setting}"
    )


def _tls_obstacle(error: ssl.SSLError, setting: str) -> TransportError | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return TransportError(_certificate_trouble(error.verify_code, setting))
    if error.reason in _NO_TLS:
        return TransportError(
            f"the server speaks no TLS; check {setting}, and the proxy if there is one"
        )
    if error.library == "X509":
        return TransportError(f"the file named by {_BUNDLE} holds no certificate in PEM format")
    return None  # cut off, or refused: that may pass
