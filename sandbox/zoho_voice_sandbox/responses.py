"""JSON and error responses: invalid tokens, rate limits, missing resources."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Literal

from werkzeug import Response
from werkzeug.http import http_date

from zoho_voice_sandbox.row_forms import encode

if TYPE_CHECKING:
    from zoho_voice_sandbox.dialect import Dialect, EmptyForm

_JSON = "application/json;charset=UTF-8"
SIGN_IN_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>"


class ErrorResponse(Response):
    """A response without the requested content, whatever its status."""


class BrokenResponse(ErrorResponse):
    """A response that is cut off.

    Attributes:
        failure: Whether the connection is closed after a long time, or in the middle of the body.
    """

    failure: Literal["timeout", "cut"] = "cut"


def json_response(body: object, status: int = 200, form: type[Response] = Response) -> Response:
    """Return a JSON response of a class; a body of bytes is JSON already."""
    data = body if isinstance(body, bytes) else encode(body)
    return form(data, status, content_type=_JSON)


def empty_response(form: EmptyForm) -> Response:
    """Return a list without rows and without an envelope."""
    if form == "no_content":
        return Response(status=204)
    if form == "error":
        return error_response("ZVT404", "No records found", 404)
    return Response(b"", content_type=_JSON) if form == "body" else json_response([])


def html_response(text: str, status: int) -> Response:
    """Return a page for people, be it HTML or plain text."""
    return ErrorResponse(text, status, content_type="text/html;charset=UTF-8")


def error_response(code: str, message: str, status: int = 400) -> Response:
    """Return an error in the form of Zoho Voice.

    Args:
        code: `ZVT…` or a number like that of HTTP.
        message: Text for people.
        status: HTTP status.
    """
    body = {"code": code, "message": message, "status": "ERROR"}
    return json_response(body, status, ErrorResponse)


def set_date(response: Response, dialect: Dialect, now: float) -> None:
    """Set the `Date` header of a response, empty where the dialect has none.

    Args:
        response: The response.
        dialect: Whether there is a header, and its error.
        now: The server's time, in seconds since the epoch.
    """
    is_sent = dialect.date_header == "sent"
    response.headers["Date"] = http_date(now + dialect.date_ahead_seconds) if is_sent else ""


def invalid_token_response(dialect: Dialect) -> Response:
    """Reject a token in one of the forms that Zoho's products use."""
    crm = {"code": "INVALID_TOKEN", "message": "invalid oauth token", "status": "error"}
    title = {"title": "INVALID_OAUTHTOKEN", "status_code": 401}
    details = {"message": "The access token is invalid or has expired."}
    return {
        "401_plain": lambda: error_response("401", "Unauthorized", 401),
        "401_projects": lambda: json_response({"error": {**title, "details": details}}, 401),
        "401_crm": lambda: json_response(crm, 401),
        "400_zvt": lambda: error_response("ZVT021", "Invalid OAuth token"),
        "200_crm": lambda: json_response(crm),
    }[dialect.token_refused]()


def rate_limit_response(dialect: Dialect, seconds: float) -> Response:
    """Reject a request over the limit in one of the forms that Zoho's products use.

    Args:
        dialect: Which form.
        seconds: How long the endpoint is locked.
    """
    minutes = max(1, ceil(seconds / 60))
    rolling = {
        "error": {
            "status_code": 400,
            "title": "URL_ROLLING_THROTTLES_LIMIT_EXCEEDED",
            "details": {
                "message": f"Cannot execute more than {dialect.limit_calls} requests per API in "
                f"{max(1, round(dialect.limit_seconds / 60))} minutes. "
                f"Try again after {minutes} minutes."
            },
        }
    }
    cliq = "You have exceeded the URL throttle limits."
    people = "API access blocked since threshold limit exceeded. Please try after some time."
    locked = f"This URL is locked. Try again after {minutes} minute(s)."
    response = {
        "429": lambda: error_response("429", "Too many requests", 429),
        "400_url_rolling": lambda: json_response(rolling, 400),
        "200_url_rolling": lambda: json_response(rolling),
        "400_cliq": lambda: json_response({"code": "request_limit_exceeded", "message": cliq}, 400),
        "200_people": lambda: json_response({"code": 7209, "message": people}),
        "503_text": lambda: html_response("Too many requests", 503),
        "429_empty": lambda: Response(b"", 429),
        "400_minutes": lambda: error_response("400", locked),
    }[dialect.throttle]()
    if dialect.retry_after:
        response.headers["Retry-After"] = str(ceil(seconds))
    return response
