"""What goes wrong at chosen requests."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING

from werkzeug import Response

from tap_zohovoice.sandbox.answers import SIGN_IN_PAGE, error, page, reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

    from tap_zohovoice.clock import Clock

KINDS = (
    "500",
    "502_html",
    "503_retry_after",
    "cut",
    "cut_body",
    "truncated",
    "html",
    "error_200",
    "lock",
    "token",
    "redirect",
    "array",
    "nan",
    "hollow",
    "renamed",
    "slow",
)
_MISSHAPEN = ("array", "nan", "hollow", "renamed")
_KIND = re.compile(rf"({'|'.join(KINDS)})|(?:slow|503_retry_after):\d+(?:\.\d+)?")
_SLOW_SECONDS = 5.0
_RETRY_SECONDS = "5"


def check(kind: str) -> str:
    """Check the name of a fault.

    Args:
        kind: One of `KINDS`; `slow` and `503_retry_after` may say for how long, as in `slow:3`,
            in seconds.

    Returns:
        The same name.

    Raises:
        ValueError: If there is no such fault.
    """
    if not _KIND.fullmatch(kind):
        msg = f"unknown fault {kind!r}; known are {', '.join(KINDS)}, and slow:SECONDS"
        raise ValueError(msg)
    return kind


def instead(kind: str, environ: WSGIEnvironment) -> Response | None:
    """Answer a request with a fault that does not need to know the right answer.

    Args:
        kind: The fault.
        environ: The request, whose connection may be cut.

    Returns:
        The faulty answer, None if the fault is of another sort.
    """
    kind, _, figure = kind.partition(":")
    if kind == "cut":
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response(b"", 0)
    plain: dict[str, Callable[[], Response]] = {
        "500": lambda: error("500", "failed", 500),
        "502_html": lambda: page("<html><body><h1>502 Bad Gateway</h1></body></html>", 502),
        "503_retry_after": lambda: page("<html><body>Service unavailable</body></html>", 503),
        "html": lambda: page(SIGN_IN_PAGE, 200),
        "error_200": lambda: error("500", "failed", 200),
        "redirect": lambda: Response(status=302, headers={"Location": "/accounts/signin"}),
    }
    if kind not in plain:
        return None
    answer = plain[kind]()
    if kind == "503_retry_after":
        answer.headers["Retry-After"] = figure or _RETRY_SECONDS
    return answer


def spoil(kind: str, answer: Response, clock: Clock) -> Response:
    """Spoil or delay the right answer.

    Args:
        kind: The fault.
        answer: What would have been answered.
        clock: Where waiting is done.

    Returns:
        What is answered.
    """
    kind, _, figure = kind.partition(":")
    data = answer.get_data()
    if kind == "slow":
        clock.sleep(float(figure or _SLOW_SECONDS))
    elif kind == "truncated":
        answer.set_data(data[: len(data) // 2])
    elif kind == "cut_body":
        answer.set_data(data[: len(data) // 2])
        answer.headers["Content-Length"] = str(len(data))
    elif kind in _MISSHAPEN and data:
        return reply(_misshapen(json.loads(data), kind), answer.status_code)
    return answer


def _misshapen(body: object, kind: str) -> object:
    rows = body.get("logs") if isinstance(body, dict) else body
    if kind == "array":
        return rows if isinstance(rows, list) else [body]
    if kind == "nan" and isinstance(body, dict) and "expires_in" in body:
        return {**body, "expires_in": float("nan")}
    if not isinstance(body, dict) or not isinstance(rows, list) or not rows:
        return body
    if kind == "hollow":
        return {**body, "logs": []}
    if kind == "renamed":
        return {"meta": body.get("meta"), "call_logs": rows, "status": body.get("status")}
    rows[0] = {**rows[0], "voice_credits": {"total": float("nan")}}
    return body
