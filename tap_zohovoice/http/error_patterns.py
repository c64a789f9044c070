"""Patterns of error texts, in lower case and without punctuation, as `ErrorBody.words` has them.

Zoho's products describe a throttle in many ways; that of Voice is not documented.
"""

from __future__ import annotations

import re

_PER = r"(?:second|sec|minute|min|hour)s?\b"
_REQUESTS = r"(?:requests|reqs?|hits|invocations|api calls|api hits)"
_A_REQUEST = r"(?<!\bper )(?<!\bone )(?<!\beach )(?<!\bsingle )\b(?:api|requests?|api calls?)"
_THROTTLED = re.compile(
    r"\bthrottl(?:e|es|ed|er|ing)\b|\brate ?limit|\block period\b|\bslow down\b|\bflood"
    r"|\bcool ?(?:ing )?(?:down|off)\b|\bback(?:ing)? ?off\b|\bspike arrest\b|\bthroughput\b"
    rf"|\btoo many (?:\w+ ){{0,2}}?(?:{_REQUESTS}|attempts)\b|\btoo frequent(?:ly)?\b"
    rf"|\b(?:{_REQUESTS}|calls)\b (?:\w+ ){{0,4}}?(?:per|in|within|every|an?) (?:\d+ )?"
    rf"(?:s\b|{_PER})|\b(?:{_REQUESTS}|calls) {_PER}|\b\d+ ?r(?:eqs? ?)?p[sm]\b"
    rf"|\b(?:excessive|heavy) (?:\w+ )?(?:{_REQUESTS}|calls|usage|use|load)\b"
    rf"|\b(?:number|count|limit|quota) (?:of|for|on) (?:\w+ )?{_REQUESTS}\b|\brequest count\b"
    rf"|\bmax(?:imum)? (?:\w+ )?{_REQUESTS}\b|{_A_REQUEST} (?:limits?|quota)\b"
    r"|\b(?:limit|quota) (?:\w+ ){0,3}?for (?:the |this |to)(?:day|month|hour)\b"
    r"|\b(?:requests?|api) rate\b|\brate (?:is |was |has been )?exceeded\b"
    r"|\b(?:requests|api calls) (?:\w+ ){0,4}?(?:per|a|within a) (?:day|month)\b"
)
_MAYBE_THROTTLED = re.compile(
    r"limit ?(?:is |was |has been )?(?:exceeded|reached)|threshold|\bquota\b|\btoo many calls\b"
    r"|\b(?:locked|blocked|banned|suspended)\b|\bapi credits?\b"
    r"|\bexceeded (?:\w+ ){0,3}(?:requests?|api|calls?|urls?) (?:\w+ )?limits?\b"
)
"""Words of a lockout, unless they are about one of `_BOUNDS`."""
_LOCKED_FOR = re.compile(r"\b(?:locked|blocked|banned|suspended) (?:out )?(?:for|until|till)\b")
_LATER = re.compile(r"\b(?:try again|retry) ?(?:after|later|in)\b")
_RETRY_HINT = re.compile(
    rf"(?:again|retry|lock\w*|block\w*|wait)\D{{0,30}}?(\d{{1,5}}) ?((?:[smh]\b)|{_PER})"
)
_UNITS = {"s": 1, "m": 60, "h": 3600}
_TOO_LONG = r"(?:is |was )?(?:limit|exceed|too )"
_NEVER_THROTTLED = {404, 405, 410, 413, 415}
_REJECTED_PARAM = {
    "size": re.compile(r"\b(?:page ?)?size\b|\bper ?page\b"),
    "dates": re.compile(
        r"\b(?:from|to|start|end)? ?dates?(?:range)?\b"
        r"|\b(?:days?|weeks?|months?|years?|range|period|span|time ?span|time ?frame)\b"
        rf"|\b(?:interval|duration|history) {_TOO_LONG}|\bmax(?:imum)? (?:interval|duration)\b"
        r"|\bfuture\b|\bretention\b|\bolder\b|\bpurged\b|\barchived?\b"
        r"|\b(?:before|prior to|since) (?:\d{4}|the (?:start|beginning|creation))\b"
    ),
}
_BOUNDS = re.compile(
    r"\b(?:offsets?|pages?|paging|pagination|records?|rows?|results?|index|window)\b"
    r"|\b(?:entries|items|cursor|depth|skip|exports?|positions?|scroll|batch|query|parameter)\b"
    r"|\bnarrow\w*\b|\bper (?:request|call)\b|\b(?:number of|\d+) (?:\w+ )?logs\b"
    r"|\bfrom ?(?:value|cannot|must|should|limit|index)\b|\bfor from\b"
    rf"|\b(?:logs?|list|response|search) {_TOO_LONG}"
    rf"|{_REJECTED_PARAM['size'].pattern}|{_REJECTED_PARAM['dates'].pattern}"
)
"""Values that a server limits, other than the rate of requests."""
_LIMIT = re.compile(r"limit|exceed|\bmax|\btoo\b|\bout of\b|\bbeyond\b")
_STATES = (
    r"(?:expired?|invalid|revoked|inactive|rejected|unknown|malformed|wrong|missing|not valid"
    r"|blacklisted|disabled|deleted|withdrawn|lapsed|mismatch|bad|no more valid|does not exist"
    r"|not (?:active|accepted|found|recogni[sz]ed)|cannot be verified|ended|failure|timed out"
    r"|(?:verification|validation) failed)"
)
_KEY = r"(?:token|\b(?:jwt|bearer|oauth|ticket(?:id)?|session|grant|credentials?)\b)"
TOKEN = re.compile(
    rf"oauth ?token|\b{_STATES}\b.{{0,30}}{_KEY}|{_KEY}\b.{{0,30}}\b{_STATES}\b|\bno longer valid\b"
    r"|\b(?:not |un)?authenticat(?:e|ed|ion)\b|\bunauthori[sz]ed\b|\binvalid grant\b"
    r"|\bauth(?:ori[sz]ation)? (?:fail|error|expired|denied)"
    r"|\bnot (?:logged|signed) in\b|\b(?:log|sign) ?in (?:again|required|to continue)\b"
    r"|\bauthorization header\b"
)
FAULT = re.compile(
    r"\binternal\b.{0,20}\berror\b|\b(?:server|service|system|backend) (?:error|failure|fault)\b"
    r"|\b(?:temporar(?:y|ily)|currently|service) unavailable\b|\b(?:is |too )busy\b|\bmaintenance\b"
    r"|\boverload(?:ed)?\b|\bwent wrong\b|\b(?:\w+) time(?:d )? ?out\b|\bin progress\b"
    r"|\btemporary (?:\w+ )?(?:error|failure|fault|problem|issue)\b"
)
"""A fault of the server that may pass."""
WRONG_URL = re.compile(r"\burl rule not configured\b|\binvalid (?:request )?(?:url|uri|path)\b")


def is_surely_throttled(status: int, words: str) -> bool:
    """Return whether an error says that there were too many requests."""
    may_be = status not in _NEVER_THROTTLED
    return status in {420, 423, 429} or bool(may_be and _THROTTLED.search(words))


def is_throttled(status: int, words: str, wait: float | None, *, is_html: bool) -> bool:
    """Return whether an error says that the API is locked, or may say so."""
    if is_surely_throttled(status, words) or status in _NEVER_THROTTLED:
        return status not in _NEVER_THROTTLED
    if is_html:
        return False
    if wait_from_words(words) or _LOCKED_FOR.search(words):
        return True
    if _BOUNDS.search(words):
        return False
    # A failing server says "later" as well, but not when.
    is_later = _LATER.search(words) and not (status >= 500 or FAULT.search(words))  # noqa: PLR2004
    is_named = wait and status in {400, 403} and not TOKEN.search(words)
    return bool(is_later or is_named or _MAYBE_THROTTLED.search(words))


def wait_from_words(words: str) -> float | None:
    """Return the wait that an error names, in seconds; None if it names none."""
    found = _RETRY_HINT.search(words)
    return int(found[1]) * float(_UNITS[found[2][0]]) or None if found else None


def rejected_param(words: str) -> str:
    """Return `size` or `dates` where an error names one of them, else an empty text."""
    return next((name for name, pattern in _REJECTED_PARAM.items() if pattern.search(words)), "")


def is_limit(words: str) -> bool:
    """Return whether an error is about the limit of a value, not of the rate of requests."""
    return bool(_BOUNDS.search(words) and _LIMIT.search(words))
