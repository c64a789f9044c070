"""What an answer means: one function from an HTTP answer to what to do next."""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from tap_zohovoice.config.data_centers import SCOPE
from tap_zohovoice.http.error_body import ErrorBody
from tap_zohovoice.singer.json import parse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class ResponseAction(Enum):
    """What to do after an answer."""

    OK = "go on"
    WAIT = "throttled: wait"
    RENEW = "token refused: renew"
    RETRY = "no usable answer: ask again"
    REFUSED = "a value was refused"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class ErrorResolution:
    """What an answer means.

    Attributes:
        outcome: What to do next.
        reason: Plain text without personal data; empty if all is well.
        body: The JSON object of a good answer.
        wait: Seconds that the server asks to wait, if it says.
        blames: See `InvalidParameterError`.
        is_value: See `InvalidParameterError`.
        is_vague: Whether it says so little that it may be a fault as well.
        is_outage: Whether no service answered, or none whole.
        short: The reason without advice, where the two differ.
    """

    outcome: ResponseAction
    reason: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    wait: float | None = None
    blames: str = ""
    is_value: bool = False
    is_vague: bool = False
    is_outage: bool = False
    short: str = ""

    @property
    def brief(self) -> str:
        """What happened, without what to do about it."""
        return self.short or self.reason


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
_NAMED_WAIT = re.compile(
    r"(?:again|retry|lock\w*|block\w*|wait)\D{0,30}?(\d{1,5})\s*"
    r"(s(?:ec|ecs|econd|econds)?|m(?:in|ins|inute|inutes)?|h(?:our|ours)?)\b",
    re.IGNORECASE,
)
_BLAMES = (
    ("size", re.compile(r"\bsize\b|page.?size|\bper.?page\b", re.IGNORECASE)),
    ("dates", re.compile(r"date|\bdays?\b|\brange\b|\bperiod\b|future", re.IGNORECASE)),
)
_SUCCESS = {"success", "ok"}
_PAYLOADS = {"logs", "transcribeObj"}
_KNOWN = _PAYLOADS | {"meta"}
_GATEWAY = {502, 503, 504}


def judge(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    hide: Collection[str] = (),
) -> ErrorResolution:
    """Tell what an answer of the API means.

    Args:
        status: HTTP status.
        headers: HTTP headers, with names in any case.
        body: The whole body.
        now: Seconds since the epoch, for a `Retry-After` that is a date.
        hide: Texts that must not stand in the reason, such as tokens and filters.

    Returns:
        The verdict. Sources of the forms: the documentation of `zv/logs`, and answers of Zoho's
        other products where Voice's own is not known.
    """
    is_2xx = 200 <= status < 300  # noqa: PLR2004
    if is_2xx and not body.strip():
        return ErrorResolution(ResponseAction.OK, is_vague=status != 204)  # noqa: PLR2004
    try:
        content = parse(body)
    except (ValueError, RecursionError):
        content = None
    if is_2xx and content == []:
        return ErrorResolution(ResponseAction.OK, is_vague=True)
    if is_2xx and isinstance(content, dict) and _is_success(content):
        return ErrorResolution(ResponseAction.OK, body=content, is_vague=not _KNOWN & set(content))
    complaint = ErrorBody.of(status, content, body)
    verdict = _judge_complaint(complaint, status, _retry_after(headers, now), hide)
    return replace(verdict, short=complaint.reason(status, hide), is_outage=status in _GATEWAY)


def _is_success(content: dict[str, Any]) -> bool:
    if content.get("error"):
        return False
    status = content.get("status")
    if status is None:
        return bool(_PAYLOADS & set(content)) or set(content) <= {"meta"}
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


def _judge_complaint(
    complaint: ErrorBody, status: int, retry_after: float | None, hide: Collection[str]
) -> ErrorResolution:
    reason = complaint.reason(status, hide)
    code, text = complaint.code.upper(), complaint.text
    if code == "ZVT022" or (complaint.understood and re.search(r"scope", text, re.IGNORECASE)):
        advice = f"the refresh token lacks a scope; make a new one with {SCOPE}"
        return ErrorResolution(ResponseAction.STOP, f"{reason}: {advice}")
    if code in _ADVICE:
        return ErrorResolution(ResponseAction.STOP, f"{reason}: {_ADVICE[code]}")
    if code == "ZVT015":
        advice = "Zoho refuses a value; check filters"
        blames = _blames(text)
        return ErrorResolution(
            ResponseAction.REFUSED, f"{reason}: {advice}", blames=blames, is_value=True
        )
    if _is_throttled(status, text):
        wait = retry_after if retry_after is not None else _named_wait(text)
        return ErrorResolution(ResponseAction.WAIT, reason, wait=wait)
    if status == 401 or (complaint.understood and _TOKEN.search(text)):  # noqa: PLR2004
        return ErrorResolution(ResponseAction.RENEW, reason)
    return _judge_status(complaint, status, reason, retry_after)


def _is_throttled(status: int, text: str) -> bool:
    if status in {423, 429} or status in _NEVER_THROTTLED:
        return status not in _NEVER_THROTTLED
    if _THROTTLED.search(text):
        return True
    # A failing server says "later" as well, but not when.
    return bool(_LATER.search(text)) and (status < 500 or _named_wait(text) is not None)  # noqa: PLR2004


def _judge_status(
    complaint: ErrorBody, status: int, reason: str, retry_after: float | None
) -> ErrorResolution:
    # Zoho says 500 of bad values too, and then names them.
    is_5xx_inside = re.fullmatch(r"5\d\d", complaint.code) and not _blames(complaint.text)
    if status in {408, 425} or status >= 500 or is_5xx_inside:  # noqa: PLR2004
        return ErrorResolution(ResponseAction.RETRY, reason, wait=retry_after)
    if 300 <= status < 400:  # noqa: PLR2004
        advice = "the server redirects; check data_center, or api_url if it is set"
        return ErrorResolution(ResponseAction.STOP, f"{reason}: {advice}")
    if status in {404, 405}:
        advice = "nothing answers at this address; check data_center, or api_url if it is set"
        return ErrorResolution(ResponseAction.STOP, f"{reason}: {advice}")
    if status == 403:  # noqa: PLR2004
        advice = "access denied; the token must be made by an administrator of Zoho Voice"
        return ErrorResolution(ResponseAction.STOP, f"{reason}: {advice}")
    if status < 400 and not complaint.understood:  # noqa: PLR2004
        return ErrorResolution(ResponseAction.RETRY, f"{reason}, not the JSON that was asked for")
    advice = "Zoho refuses the request; check filters and the other settings"
    blames = _blames(complaint.text)
    return ErrorResolution(
        ResponseAction.REFUSED, f"{reason}: {advice}", blames=blames, is_value=bool(blames)
    )


_ADVICE = {
    "ZVT010": "Zoho does not know a parameter; check filters",
    "ZVT011": "Zoho does not know this address; check data_center, or api_url if it is set",
}


def _named_wait(text: str) -> float | None:
    found = _NAMED_WAIT.search(text)
    return int(found[1]) * float(_UNITS[found[2][0].lower()]) if found else None


def _blames(text: str) -> str:
    return next((name for name, pattern in _BLAMES if pattern.search(text)), "")
