"""What goes wrong at chosen requests."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING

from werkzeug import Response

from tap_zohovoice.sandbox.answers import SIGN_IN_PAGE, error, page, reply
from tap_zohovoice.sandbox.bodies import FileBody, drip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from wsgiref.types import WSGIEnvironment

    from tap_zohovoice._time import Clock

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
_MISSHAPEN = ("array", "nan", "hollow", "renamed")
_KIND = re.compile(rf"({'|'.join(KINDS)})|(?:slow|drip|503_retry_after):\d+(?:\.\d+)?")
_LATE = ("slow", "drip")
_SECONDS = 5.0
_RETRY_SECONDS = "5"


def check(kind: str) -> str:
    """Check the name of a fault.

    Args:
        kind: One of `KINDS`; `slow`, `drip` and `503_retry_after` may say for how long, as in
            `slow:3`, in seconds.

    Returns:
        The same name.

    Raises:
        ValueError: If there is no such fault.
    """
    if not _KIND.fullmatch(kind):
        msg = f"unknown fault {kind!r}; known are {', '.join(KINDS)}; slow:SECONDS, drip:SECONDS"
        raise ValueError(msg)
    return kind


def planned(faults: Mapping[int, str], number: int) -> str:
    """Return the fault of a request.

    Args:
        faults: Fault by number of the request.
        number: The request's number.

    Returns:
        Its fault, empty if there is none.

    Raises:
        ValueError: If there is no such fault.
    """
    kind = faults.get(number)
    return check(kind) if kind else ""


def is_harmless(kind: str) -> bool:
    """Tell whether a request with a fault still gets the right answer.

    Args:
        kind: The fault, empty for none.

    Returns:
        Whether it does, if late.
    """
    return not kind or kind.startswith(_LATE)


def faulty(
    kind: str, environ: WSGIEnvironment, clock: Clock, right: Callable[[], Response]
) -> Response:
    """Answer a request as its fault says.

    Args:
        kind: The fault, empty for none.
        environ: The request, whose connection may be cut.
        clock: Where waiting is done.
        right: Makes the right answer.

    Returns:
        The answer.
    """
    if not kind:
        return right()
    answer = _instead(kind, environ)
    return _spoil(kind, right(), clock) if answer is None else answer


def _instead(kind: str, environ: WSGIEnvironment) -> Response | None:
    """Answer with a fault that does not need to know the right answer; None if it does."""
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


def _spoil(kind: str, answer: Response, clock: Clock) -> Response:
    kind, _, figure = kind.partition(":")
    seconds = float(figure or _SECONDS)
    if kind == "slow":
        clock.sleep(seconds)
    elif kind in _MISSHAPEN:
        return _misshape(kind, answer)
    elif kind == "drip":
        answer.response = drip(memoryview(answer.get_data()), seconds, clock)
    elif kind in {"truncated", "cut_body"}:
        data = answer.get_data()
        answer.set_data(data[: len(data) // 2])
        if kind == "cut_body":
            answer.headers["Content-Length"] = str(len(data))
            if isinstance(answer, FileBody):
                answer.is_cut = True
    return answer


def _misshape(kind: str, answer: Response) -> Response:
    data = answer.get_data()
    if not data:
        return answer
    body = _misshapen(json.loads(data), kind) if answer.is_json else {"status": "SUCCESS"}
    return reply(body, answer.status_code)


def _misshapen(body: object, kind: str) -> object:
    rows = body.get("logs") if isinstance(body, dict) else body
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
    return {
        "hollow": {**body, "logs": []},
        "renamed": {"meta": body.get("meta"), "call_logs": rows, "status": body.get("status")},
        "nan": {**body, "logs": [first, *rows[1:]]},
    }[kind]
