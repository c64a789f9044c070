"""Validation of responses: a JSON object, or an exception that says what to do next."""

import email.utils
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import requests

from tap_zohovoice.config.data_centers import SCOPE
from tap_zohovoice.exceptions import (
    InvalidParameterError,
    MissingScopeError,
    RateLimitedError,
    RequestError,
    RetryableError,
    TokenRejectedError,
    UnsupportedRequestError,
    ZohoVoiceError,
)
from tap_zohovoice.http.error_body import ErrorBody, fold, states_failure, states_no_rows
from tap_zohovoice.http.error_patterns import (
    FAULT,
    TOKEN,
    WRONG_URL,
    has_failure,
    is_surely_throttled,
    is_throttled,
    rejected_value,
    wait_from_words,
)
from tap_zohovoice.singer.json import loads

_Decision = tuple[type[RequestError], str]
_KNOWN_CODES = {"ZVT010", "ZVT011", "ZVT015", "ZVT022", "ZVTST005"}
_WITHOUT_ROWS = {200, 400, 404}  # of errors that say so; source: clients of Zoho People and Recruit
_RETRIED = {408, 409, 421, 425, 499}
_TOKEN_REJECTED = {401, 419, 440, 498}  # the others: an expired session of other servers
_OF_PROXIES = {407, 511}  # that want a sign-in of their own
_SUCCESS, _REDIRECT, _CLIENT_ERROR, _SERVER_ERROR = range(2, 6)  # classes of HTTP statuses
_DATA_KEYS = {  # members that hold the rows of a response, of all endpoints
    *("logs", "transcribeObj", "users", "queues", "numberslist", "contacts", "contact_status"),
    *("smsLogQuery", "schedule", "records", "list"),
}
_MAX_RETRY_AFTER = 86_400.0  # seconds; a larger value is a point in time, or wrong
_CHECK_URL = "check data_center, or api_url if it is set"
_NO_SCOPE = "the refresh token lacks a scope; create a new one with {scope}"
_DENIED = "access denied; the token must be created by an administrator of Zoho Voice"
_REFUSED = "the request was rejected; check filters and the other settings"
_FOREIGN = "check proxies and firewalls, and api_url if it is set"


def validate_response(
    response: requests.Response,
    body: bytes,
    *,
    now: float,
    redact: Collection[str] = (),
    scope: str = SCOPE,
) -> dict[str, Any]:
    """Return the JSON object of a successful response, or raise the exception of a failed one.

    Sources of the forms: the documentation of `zv/logs`, and responses of other Zoho products.

    `now` (seconds since the epoch) is for responses without `Date`. No error has text of `redact`.

    Raises:
        RetryableError: If another attempt may help.
        ZohoVoiceError: If no attempt can help.
    """
    status = response.status_code
    try:
        content = loads(body)
    except (ValueError, RecursionError):
        content = None
    if status // 100 == _SUCCESS:
        if content == [] or not body.strip():
            content = {}
        if isinstance(content, dict) and _is_success(content):
            return content
    if status in _WITHOUT_ROWS and not _has_rows(content) and states_no_rows(content):
        return {}
    error = ErrorBody.from_response(status, content, body)
    wait = retry_after(response.headers, now)
    code, rejected = error.code.upper(), rejected_value(error.words)
    # Zoho also returns a status as the code of an error.
    named = int(code) if code in {"401", "429"} and status != 429 else status  # noqa: PLR2004
    kind, advice = _classify_error(error, named, wait, rejected)
    wait = wait or wait_from_words(error.words)
    summary = error.summary(status, redact)
    if advice == _FOREIGN or error.is_html:
        page = ", an HTML page" if error.is_html else ""
        summary += f"{page}, not the requested JSON"
        if days := re.findall(r"(?:from|to)Date=([^&]+)", str(response.request.url)):
            summary += f" ({' to '.join(days)})"
    is_gateway = status in {502, 503, 504}
    is_clear = is_gateway or rejected or code in _KNOWN_CODES or kind is TokenRejectedError
    if kind is RateLimitedError:
        is_clear = wait is not None or is_surely_throttled(named, error.words)
    raise kind(
        "Zoho Voice: " + ": ".join(filter(None, (summary, advice.format(scope=scope)))),
        summary=summary,
        is_unreachable=kind is RetryableError and (is_gateway or advice == _FOREIGN),
        wait=wait,
        is_uncertain=not is_clear,
        rejected=rejected or ("other" if code == "ZVT015" else ""),
        scope=scope,
    )


def is_ambiguous(status: int, content: Mapping[str, Any]) -> bool:
    """Return whether a successful response has no content, and may also be a fault."""
    has_list = content.keys() & _DATA_KEYS or content.get("meta")
    return status != HTTPStatus.NO_CONTENT and not has_list


def _is_success(content: dict[str, Any]) -> bool:
    if content.get("error") or content.get("errors"):
        return False
    stated = [content.get("status")]
    if not _has_rows(content):
        meta = content.get("meta")
        members = fold((meta if isinstance(meta, dict) else {}) | content)
        words = ErrorBody.from_response(HTTPStatus.OK, content, b"").words
        if has_failure(words) or states_failure(members):
            return False
        stated = [members.get("status"), members.get("code")]  # a reason for no rows
    words = " ".join(str(word).strip().lower() for word in stated if word not in (None, ""))
    if not words:
        return bool(_DATA_KEYS & content.keys()) or content.keys() <= {"meta"}
    return bool(re.fullmatch(r"(?:success|ok|2..)(?: (?:success|ok|2..|0))?", words))


def _has_rows(content: object) -> bool:
    members = [content.get(name) for name in _DATA_KEYS] if isinstance(content, dict) else []
    return any(any(value.values()) if isinstance(value, dict) else value for value in members)


def _classify_error(error: ErrorBody, status: int, wait: float | None, rejected: str) -> _Decision:
    """Return the error to raise, and advice: those of the first rule that applies."""
    code, words, is_json = error.code.upper(), error.words, error.is_structured
    status_class = status // 100
    is_wrong_url = code == "ZVT011" or (is_json and not rejected and WRONG_URL.search(words))
    # Zoho also returns 500 for invalid values, and then names them.
    has_failed = is_json and FAULT.search(words)
    names_value = is_json and rejected and not (has_failed and status_class == _SERVER_ERROR)
    is_fault = (
        status_class == _SERVER_ERROR or re.fullmatch(r"5\d\d", code) or has_failed
    ) and not names_value
    is_plain = error.is_foreign and not error.is_html and status_class > _REDIRECT
    is_token = status in _TOKEN_REJECTED or ((is_json or is_plain) and TOKEN.search(words))
    is_foreign = not is_json and (status_class < _CLIENT_ERROR or error.is_foreign)
    rules: tuple[tuple[object, *_Decision], ...] = (
        (code == "ZVT022" or (is_json and "scope" in words), MissingScopeError, _NO_SCOPE),
        (code == "ZVT010", UnsupportedRequestError, "unsupported parameter; check filters"),
        (is_wrong_url, UnsupportedRequestError, f"unsupported URL; {_CHECK_URL}"),
        (code == "ZVT015", InvalidParameterError, "invalid value; check filters"),
        (is_throttled(status, words, wait, is_html=error.is_html), RateLimitedError, ""),
        (is_token, TokenRejectedError, ""),
        (status in _OF_PROXIES, RetryableError, _FOREIGN),
        (status_class < _SUCCESS or status in _RETRIED or is_fault, RetryableError, ""),
        (status_class == _REDIRECT, ZohoVoiceError, f"the server redirects; {_CHECK_URL}"),
        (is_foreign, RetryableError, _FOREIGN),
        (status in {404, 405}, InvalidParameterError, f"URL not found; {_CHECK_URL}"),
        (status == HTTPStatus.FORBIDDEN and not rejected, InvalidParameterError, _DENIED),
        (True, InvalidParameterError, _REFUSED),
    )
    return next((exception, advice) for applies, exception, advice in rules if applies)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the wait in seconds; None if it is missing, in the past, or too long."""
    text, seconds = headers.get("Retry-After", "").strip(), 0.0
    if number := re.match(r"\d+(?:\.\d+)?(?=,|$)", text, re.ASCII):  # a proxy may repeat it
        seconds = float(number[0])
    elif at := parse_http_date(text):
        sent = parse_http_date(headers.get("Date", ""))  # the clock that `text` was made by
        seconds = at.timestamp() - (sent.timestamp() if sent else now)
    return seconds if 0 < seconds <= _MAX_RETRY_AFTER else None


def parse_http_date(text: str) -> datetime | None:
    """Parse a date of HTTP or ISO 8601, in GMT if it has no zone."""
    for parse in (email.utils.parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError, TypeError, OverflowError):
            value = parse(text)
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return None
