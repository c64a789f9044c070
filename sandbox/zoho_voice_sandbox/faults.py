"""Fault injection at chosen requests."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING

from werkzeug import Response

from zoho_voice_sandbox.responses import SIGN_IN_PAGE, error_response, html_response, json_response
from zoho_voice_sandbox.streaming import FileResponse, iter_slowly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from wsgiref.types import WSGIEnvironment

    from zoho_voice_sandbox.clock import Clock

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
    "drip",
)
_MALFORMED = ("array", "nan", "hollow", "renamed")
_KIND = re.compile(rf"({'|'.join(KINDS)})|(?:slow|drip|503_retry_after):\d+(?:\.\d+)?")
_DELAYS = ("slow", "drip")
_SECONDS = 5.0
_RETRY_SECONDS = "5"


def validate(kind: str) -> str:
    """Validate the name of a fault.

    Args:
        kind: One of `KINDS`; `slow`, `drip` and `503_retry_after` may have a duration in seconds,
            as in `slow:3`.

    Returns:
        The same name.

    Raises:
        ValueError: If the fault is unknown.
    """
    if not _KIND.fullmatch(kind):
        msg = f"unknown fault {kind!r}; known are {', '.join(KINDS)}; slow:SECONDS, drip:SECONDS"
        raise ValueError(msg)
    return kind


def fault_at(faults: Mapping[int, str], number: int) -> str:
    """Return the fault of a request by its number, empty for none.

    Raises:
        ValueError: If the fault is unknown.
    """
    kind = faults.get(number)
    return validate(kind) if kind else ""


def is_delay(kind: str) -> bool:
    """Return whether the response is correct in the end, despite the fault."""
    return not kind or kind.startswith(_DELAYS)


def apply_fault(
    kind: str, environ: WSGIEnvironment, clock: Clock, respond: Callable[[], Response]
) -> Response:
    """Return a response with its fault.

    Args:
        kind: The fault, empty for none.
        environ: The request, whose connection may be cut.
        clock: Waits for slow responses.
        respond: Returns the correct response.
    """
    if not kind:
        return respond()
    response = _replacement(kind, environ)
    return _damaged(kind, respond(), clock) if response is None else response


def _replacement(kind: str, environ: WSGIEnvironment) -> Response | None:
    """Return the response of a fault that does not need the correct one."""
    kind, _, figure = kind.partition(":")
    if kind == "cut":
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response(b"", 0)
    unavailable = "<html><body>Service unavailable</body></html>"
    bad_gateway = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    plain: dict[str, Callable[[], Response]] = {
        "500": lambda: error_response("500", "failed", 500),
        "502_html": lambda: html_response(bad_gateway, 502),
        "503_retry_after": lambda: html_response(unavailable, 503),
        "html": lambda: html_response(SIGN_IN_PAGE, 200),
        "error_200": lambda: error_response("500", "failed", 200),
        "redirect": lambda: Response(status=302, headers={"Location": "/accounts/signin"}),
    }
    if kind not in plain:
        return None
    response = plain[kind]()
    if kind == "503_retry_after":
        response.headers["Retry-After"] = figure or _RETRY_SECONDS
    return response


def _damaged(kind: str, response: Response, clock: Clock) -> Response:
    kind, _, figure = kind.partition(":")
    seconds = float(figure or _SECONDS)
    if kind == "slow":
        clock.sleep(seconds)
    elif kind in _MALFORMED:
        return _malformed(kind, response)
    elif kind == "drip":
        response.response = iter_slowly(memoryview(response.get_data()), seconds, clock)
    elif kind in {"truncated", "cut_body"}:
        data = response.get_data()
        response.set_data(data[: len(data) // 2])
        if kind == "cut_body":
            response.headers["Content-Length"] = str(len(data))
            if isinstance(response, FileResponse):
                response.is_cut = True
    return response


def _malformed(kind: str, response: Response) -> Response:
    data = response.get_data()
    if not data:
        return response
    body = _malformed_body(json.loads(data), kind) if response.is_json else {"status": "SUCCESS"}
    return json_response(body, response.status_code)


def _rows_key(body: object) -> str:
    """Return the key of the list in a response, empty if there is none."""
    items = body.items() if isinstance(body, dict) else ()
    return next((name for name, value in items if isinstance(value, list)), "")


def _malformed_body(body: object, kind: str) -> object:
    if kind != "array" and isinstance(body, dict) and isinstance(body.get("list"), dict):
        return {**body, "list": _malformed_body(body["list"], kind)}
    key = _rows_key(body)
    rows = body.get(key) if isinstance(body, dict) else body
    if kind == "array":
        return rows if isinstance(rows, list) else [body]
    if isinstance(body, dict) and "transcribeObj" in body:
        rest = {name: value for name, value in body.items() if name != "transcribeObj"}
        return {
            "hollow": {**body, "transcribeObj": "{}"},
            "renamed": {**rest, "transcript": body["transcribeObj"]},
            "nan": {**body, "credits": float("nan")},
        }[kind]
    if kind == "nan" and isinstance(body, dict) and "expires_in" in body:
        return {**body, "expires_in": float("nan")}
    if not isinstance(body, dict) or not isinstance(rows, list) or not rows:
        return body
    first = {**rows[0], "voice_credits": {"total": float("nan")}}
    rest = {name: value for name, value in body.items() if name != key}
    return {
        "hollow": {**body, key: []},
        "renamed": {**rest, "call_logs": rows},
        "nan": {**body, key: [first, *rows[1:]]},
    }[kind]
