"""The answers that are not rows: errors, refusals of a token, and throttling."""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING

from werkzeug import Response

if TYPE_CHECKING:
    from tap_zohovoice.sandbox.dialect import Dialect

SIGN_IN_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>"


class NoAnswer(Response):
    """An answer that is not what was asked for, whatever its status."""


def reply(body: object, status: int = 200, form: type[Response] = Response) -> Response:
    """Answer in JSON.

    Args:
        body: What to send.
        status: HTTP status.
        form: What sort of answer it is.

    Returns:
        The answer.
    """
    # The web framework of the real service writes UTF-8, not escapes; but half a pair of
    # surrogates exists as an escape only.
    try:
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        data = json.dumps(body, separators=(",", ":")).encode()
    return form(data, status, content_type="application/json;charset=UTF-8")


def page(text: str, status: int) -> Response:
    """Answer with something for people to read.

    Args:
        text: HTML or plain text.
        status: HTTP status.

    Returns:
        The answer.
    """
    return NoAnswer(text, status, content_type="text/html;charset=UTF-8")


def error(code: str, message: str, status: int = 400) -> Response:
    """Answer with an error in the form of Zoho Voice.

    Args:
        code: `ZVT…` or a number like that of HTTP.
        message: Text for people.
        status: HTTP status.

    Returns:
        The answer.
    """
    return reply({"code": code, "message": message, "status": "ERROR"}, status, NoAnswer)


def token_refused(dialect: Dialect) -> Response:
    """Refuse a token in one of the forms that Zoho's products use.

    Args:
        dialect: Which form.

    Returns:
        The answer.
    """
    crm = {"code": "INVALID_TOKEN", "message": "invalid oauth token", "status": "error"}
    title = {"title": "INVALID_OAUTHTOKEN", "status_code": 401}
    details = {"message": "The access token is invalid or has expired."}
    return {
        "401_plain": lambda: error("401", "Unauthorized", 401),
        "401_projects": lambda: reply({"error": {**title, "details": details}}, 401),
        "401_crm": lambda: reply(crm, 401),
        "400_zvt": lambda: error("ZVT021", "Invalid OAuth token"),
        "200_crm": lambda: reply(crm),
    }[dialect.token_refused]()


def throttled(dialect: Dialect, seconds: float) -> Response:
    """Refuse a request over the limit in one of the forms that Zoho's products use.

    Args:
        dialect: Which form.
        seconds: How long the address is locked.

    Returns:
        The answer.
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
    answer = {
        "429": lambda: error("429", "Too many requests", 429),
        "400_url_rolling": lambda: reply(rolling, 400),
        "200_url_rolling": lambda: reply(rolling),
        "400_cliq": lambda: reply({"code": "request_limit_exceeded", "message": cliq}, 400),
        "200_people": lambda: reply({"code": 7209, "message": people}),
        "503_text": lambda: page("Too many requests", 503),
        "429_empty": lambda: Response(b"", 429),
        "400_minutes": lambda: error("400", locked),
    }[dialect.throttle]()
    if dialect.retry_after:
        answer.headers["Retry-After"] = str(ceil(seconds))
    return answer
