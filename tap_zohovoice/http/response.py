"""What an answer means: one function from an HTTP answer to what to do next."""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from tap_zohovoice.config.data_centers import SCOPE
from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RateLimitedError,
    RetryableError,
    TokenRejectedError,
    ZohoVoiceError,
)
from tap_zohovoice.http.error_body import ErrorBody
from tap_zohovoice.singer.json import loads

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class ResponseAction(Enum):
    """What a response means for the request."""

    SUCCESS = "success"
    RATE_LIMITED = "rate limited"
    REFRESH_TOKEN = "access token rejected"  # noqa: S105 - not a password
    RETRY = "no usable response"
    REJECTED = "a value is rejected"
    FAIL = "failed"


@dataclass(frozen=True, slots=True)
class ErrorResolution:
    """What an answer means.

    Attributes:
        action: What to do next.
        message: Plain text without personal data; empty if all is well.
        body: The JSON object of a good answer.
        wait: Seconds that the server asks to wait, if it says.
        rejected_param: See `InvalidParameterError`.
        is_invalid_value: See `InvalidParameterError`.
        is_ambiguous: Whether it says so little that it may be a fault as well.
        is_unreachable: Whether no service answered, or none whole.
        short: The message without advice, where the two differ.
    """

    action: ResponseAction
    message: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    wait: float | None = None
    rejected_param: str = ""
    is_invalid_value: bool = False
    is_ambiguous: bool = False
    is_unreachable: bool = False
    short: str = ""

    @property
    def summary(self) -> str:
        """What happened, without what to do about it."""
        return self.short or self.message

    def raise_for_action(self) -> None:
        """Raise what the action asks for, unless it is a success.

        Raises:
            RetryableError: If another attempt may help.
            InvalidParameterError: If a value is rejected.
            ZohoVoiceError: If nothing helps.
        """
        text = f"Zoho Voice: {self.message}"
        match self.action:
            case ResponseAction.SUCCESS:
                return
            case ResponseAction.RATE_LIMITED:
                raise RateLimitedError(text, summary=self.summary, wait=self.wait)
            case ResponseAction.REFRESH_TOKEN:
                raise TokenRejectedError(text, summary=self.summary)
            case ResponseAction.RETRY:
                raise RetryableError(
                    text, summary=self.summary, wait=self.wait, is_unreachable=self.is_unreachable
                )
            case ResponseAction.REJECTED:
                raise InvalidParameterError(
                    text,
                    rejected_param=self.rejected_param,
                    is_invalid_value=self.is_invalid_value,
                    summary=self.summary,
                )
            case ResponseAction.FAIL:
                raise ZohoVoiceError(text, summary=self.summary)


# Zoho's products word a throttle in a dozen ways; nobody has published the one of Voice.
_THROTTLED = re.compile(
    r"throttl|threshold|rate.?limit|(?<!size.)limit.?exceeded|too.?many|access.?blocked"
    r"|lock.?period|\b(?:locked|blocked)\b",
    re.IGNORECASE,
)
_LATER = re.compile(r"try.?again.?(?:after|later|in)\b", re.IGNORECASE)
_NEVER_THROTTLED = {404, 405, 410, 413, 415}
_TOKEN = re.compile(
    r"oauth.?token|invalid.{0,10}token|expired.{0,20}token|token.{0,20}(?:expired|invalid)",
    re.IGNORECASE,
)
_UNITS = {"s": 1, "m": 60, "h": 3600}
_RETRY_HINT = re.compile(
    r"(?:again|retry|lock\w*|block\w*|wait)\D{0,30}?(\d{1,5})\s*"
    r"(s(?:ec|ecs|econd|econds)?|m(?:in|ins|inute|inutes)?|h(?:our|ours)?)\b",
    re.IGNORECASE,
)
_REJECTED_PARAM = (
    ("size", re.compile(r"\bsize\b|page.?size|\bper.?page\b", re.IGNORECASE)),
    ("dates", re.compile(r"date|\bdays?\b|\brange\b|\bperiod\b|future", re.IGNORECASE)),
)
_SUCCESS = {"success", "ok"}
_DATA_KEYS = {"logs", "transcribeObj"}
_SUCCESS_KEYS = _DATA_KEYS | {"meta"}
_GATEWAY_ERRORS = {502, 503, 504}


def classify_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    redact: Collection[str] = (),
) -> ErrorResolution:
    """Tell what an answer of the API means.

    Args:
        status: HTTP status.
        headers: HTTP headers, with names in any case.
        body: The whole body.
        now: Seconds since the epoch, for a `Retry-After` that is a date.
        redact: Texts that must not stand in the message, such as tokens and filters.

    Returns:
        The resolution. Sources of the forms: the documentation of `zv/logs`, and answers of Zoho's
        other products where Voice's own is not known.
    """
    is_2xx = 200 <= status < 300  # noqa: PLR2004
    if is_2xx and not body.strip():
        return ErrorResolution(ResponseAction.SUCCESS, is_ambiguous=status != 204)  # noqa: PLR2004
    try:
        content = loads(body)
    except (ValueError, RecursionError):
        content = None
    if is_2xx and content == []:
        return ErrorResolution(ResponseAction.SUCCESS, is_ambiguous=True)
    if is_2xx and isinstance(content, dict) and _is_success(content):
        return ErrorResolution(
            ResponseAction.SUCCESS, body=content, is_ambiguous=not _SUCCESS_KEYS & set(content)
        )
    error = ErrorBody.from_response(status, content, body)
    resolution = _classify_error(error, status, _retry_after(headers, now), redact)
    return replace(
        resolution, short=error.summary(status, redact), is_unreachable=status in _GATEWAY_ERRORS
    )


def _is_success(content: dict[str, Any]) -> bool:
    if content.get("error"):
        return False
    status = content.get("status")
    if status is None:
        return bool(_DATA_KEYS & set(content)) or set(content) <= {"meta"}
    word = str(status).strip().lower()
    return word in _SUCCESS or (len(word) == 3 and word.startswith("2"))  # noqa: PLR2004


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "")
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def _classify_error(
    error: ErrorBody, status: int, retry_after: float | None, redact: Collection[str]
) -> ErrorResolution:
    message = error.summary(status, redact)
    code, text = error.code.upper(), error.text
    if code == "ZVT022" or (error.is_structured and re.search(r"scope", text, re.IGNORECASE)):
        advice = f"the refresh token lacks a scope; make a new one with {SCOPE}"
        return ErrorResolution(ResponseAction.FAIL, f"{message}: {advice}")
    if code in _ADVICE:
        return ErrorResolution(ResponseAction.FAIL, f"{message}: {_ADVICE[code]}")
    if code == "ZVT015":
        advice = "Zoho refuses a value; check filters"
        rejected_param = _rejected_param(text)
        return ErrorResolution(
            ResponseAction.REJECTED,
            f"{message}: {advice}",
            rejected_param=rejected_param,
            is_invalid_value=True,
        )
    if _is_throttled(status, text):
        wait = retry_after if retry_after is not None else _wait_from_text(text)
        return ErrorResolution(ResponseAction.RATE_LIMITED, message, wait=wait)
    if status == 401 or (error.is_structured and _TOKEN.search(text)):  # noqa: PLR2004
        return ErrorResolution(ResponseAction.REFRESH_TOKEN, message)
    return _classify_status(error, status, message, retry_after)


def _is_throttled(status: int, text: str) -> bool:
    if status in {423, 429} or status in _NEVER_THROTTLED:
        return status not in _NEVER_THROTTLED
    if _THROTTLED.search(text):
        return True
    # A failing server says "later" as well, but not when.
    return bool(_LATER.search(text)) and (status < 500 or _wait_from_text(text) is not None)  # noqa: PLR2004


def _classify_status(
    error: ErrorBody, status: int, message: str, retry_after: float | None
) -> ErrorResolution:
    # Zoho says 500 of bad values too, and then names them.
    is_5xx_inside = re.fullmatch(r"5\d\d", error.code) and not _rejected_param(error.text)
    if status in {408, 425} or status >= 500 or is_5xx_inside:  # noqa: PLR2004
        return ErrorResolution(ResponseAction.RETRY, message, wait=retry_after)
    if 300 <= status < 400:  # noqa: PLR2004
        advice = "the server redirects; check data_center, or api_url if it is set"
        return ErrorResolution(ResponseAction.FAIL, f"{message}: {advice}")
    if status in {404, 405}:
        advice = "nothing answers at this address; check data_center, or api_url if it is set"
        return ErrorResolution(ResponseAction.FAIL, f"{message}: {advice}")
    if status == 403:  # noqa: PLR2004
        advice = "access denied; the token must be made by an administrator of Zoho Voice"
        return ErrorResolution(ResponseAction.FAIL, f"{message}: {advice}")
    if status < 400 and not error.is_structured:  # noqa: PLR2004
        return ErrorResolution(ResponseAction.RETRY, f"{message}, not the JSON that was asked for")
    advice = "Zoho refuses the request; check filters and the other settings"
    rejected_param = _rejected_param(error.text)
    return ErrorResolution(
        ResponseAction.REJECTED,
        f"{message}: {advice}",
        rejected_param=rejected_param,
        is_invalid_value=bool(rejected_param),
    )


_ADVICE = {
    "ZVT010": "Zoho does not know a parameter; check filters",
    "ZVT011": "Zoho does not know this address; check data_center, or api_url if it is set",
}


def _wait_from_text(text: str) -> float | None:
    found = _RETRY_HINT.search(text)
    return int(found[1]) * float(_UNITS[found[2][0].lower()]) if found else None


def _rejected_param(text: str) -> str:
    return next((name for name, pattern in _REJECTED_PARAM if pattern.search(text)), "")
