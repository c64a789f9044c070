"""Patterns of error texts, in lower case and without punctuation, as `ErrorBody.words` has them.

Zoho's products describe a throttle in many ways; that of Voice is not documented.
"""

import re

_PER = r"(?:second|sec|minute|min|hour)s?\b"
_REQUESTS = r"(?:requests|reqs?|hits|invocations|api calls|api hits)"
_A_REQUEST = r"(?<!\bper )(?<!\bone )(?<!\beach )(?<!\bsingle )\b(?:api|requests?|api calls?)"
_THROTTLED = re.compile(
    r"\bthrottl(?:e|es|ed|er|ing)\b|\b(?:api|requests?) rate\b|\brate ?limit|\block period\b"
    r"|\bcool ?(?:ing )?(?:down|off)\b"
    rf"|\btoo many (?:\w+ ){{0,2}}?(?:{_REQUESTS}|attempts)\b"
    rf"|\b(?:{_REQUESTS}|calls)\b (?:\w+ ){{0,4}}?(?:per|in|within|every|an?) (?:\d+ )?"
    rf"(?:s\b|{_PER})|\b(?:{_REQUESTS}|calls) {_PER}|\b\d+ ?r(?:eqs? ?)?p[sm]\b"
    rf"|{_A_REQUEST} (?:limits?|quota)"
    r"|\b(?:limit|quota) (?:\w+ ){0,3}?for (?:the |this |to)(?:day|month|hour)\b"
    r"|\b(?:requests|api calls) (?:\w+ ){0,4}?(?:per|a|within a) (?:day|month)\b"
)
_MAYBE_THROTTLED = re.compile(  # a lockout, unless about a token, or one of `_BOUNDS`
    r"limit ?(?:is |was |has been )?(?:exceeded|reached|hit)|\bover (?:\w+ )?limit"
    r"|\b(?:exceeded|crossed|exhaust\w*)\b"
    r"|\b(?:api|maximum) (?:\w+ )?limits?\b|\bthreshold|\bquota\b|\btoo (?:many calls|fast|often)"
    r"|frequen|\brate\b|\busage|\btraffic|\babus|\bexcess|\bthroughput|\bconcurren|\bapi credits?\b"
    r"|\bslow down|\bflood|\bback(?:ing)? ?off|\bspike|\bburst"
    rf"|\b(?:number|count|limit|max(?:imum)?) (?:of |for |on )?(?:\w+ )?{_REQUESTS}\b"
    r"|\brequest count\b|\b(?:locked|blocked|banned|suspended|frozen|blacklisted)\b"
    rf"|\b\d+ ?(?!hour){_PER}"
)
_LOCKED_FOR = re.compile(r"\b(?:locked|blocked|banned|suspended) (?:out )?(?:for|until|till)\b")
_LIMIT_OF_TOKEN = re.compile(r"\bthreshold|\blimit exceed")
_LATER = re.compile(r"\b(?:try again|retry) ?(?:after|later|in)\b|\btry (?:after|later)\b")
_GAP = r"(?:(?!\b(?:range|interval|window|span)\b)\D){0,30}?"
_WAIT = re.compile(
    r"(?:again|retry|wait|(?:allowed|back) in"
    rf"|(?:lock|block|suspend|restrict|throttl|bann|frozen)\w*){_GAP}(\d{{1,5}}) ?([smh]\b|{_PER})"
)
# Without such a word, hours are those of a range of days, which may have a limit.
_MAYBE_WAIT = re.compile(rf"(?:\bfor|next|back){_GAP}(\d{{1,5}}) ?(?!h)([sm]\b|{_PER})")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_TOO_LONG = r"(?:is |was )?(?:limit|exceed|too )"
_NEVER_THROTTLED = {404, 405, 410, 413, 415}
_REJECTED = {
    "size": re.compile(r"\b(?:page ?)?size\b|\bper ?page\b"),
    "dates": re.compile(
        r"\b(?:from|to|start|end)? ?dates?(?:range)?\b"
        r"|\b(?:days?|weeks?|months?|years?|range|period|span|time ?span|time ?frame)\b"
        rf"|\b(?:interval|duration|history) {_TOO_LONG}|\bmax(?:imum)? (?:interval|duration)\b"
        r"|\bfuture\b|\bretention\b|\bolder\b|\bpurged\b|\barchived?\b"
        r"|\b(?:before|prior to|since) (?:\d{4}|the (?:start|beginning|creation))\b"
    ),
}
_BOUNDS = re.compile(  # values that a server limits, other than the rate of requests
    r"\b(?:offsets?|pages?|paging|pagination|records?|rows?|results?|index|window)\b"
    r"|\b(?:entries|items|cursor|depth|skip|exports?|positions?|scroll|batch|parameter)\b"
    r"|\bnarrow\w*\b|\bper (?:request|call)\b|\b(?:number of|\d+) (?:\w+ )?logs\b"
    r"|\bfrom ?(?:value|cannot|must|should|limit|index)\b|\bfor from\b"
    rf"|\b(?:logs?|list|response|search) {_TOO_LONG}"
    rf"|{_REJECTED['size'].pattern}|{_REJECTED['dates'].pattern}"
)
_OWNER = re.compile(r"\binvalid (?:agent|group|queue|campaign)\b")  # source: documentation of users
_LIMIT = re.compile(r"limit|exceed|\bmax|\btoo\b|\bout of\b|\bbeyond\b")
TOKEN = re.compile(
    r"(?<!page )token|\b(?:jwt|bearer|oauth|ticket(?:id)?|session|grant|credentials?)\b"
    r"|authenticat|\b(?:unauthori[sz]ed|authori[sz]ation)\b|\bauth (?:fail|error|expired|denied)"
    r"|\b(?:log|sign)(?:ged|ed)? ?in\b|\bre ?log|\bno longer valid\b"
)
FAULT = re.compile(  # of the server, which may pass
    r"\binternal\b.{0,20}\berror\b|\b(?:server|service|system|backend) (?:error|failure|fault)\b"
    r"|\b(?:temporar(?:y|ily)|currently|service) unavailable\b|\b(?:is |too )busy\b|\bmaintenance\b"
    r"|\boverload(?:ed)?\b|\bwent wrong\b|\b(?:\w+) time(?:d )? ?out\b|\bin progress\b"
    r"|\btemporary (?:\w+ )?(?:error|failure|fault|problem|issue)\b"
)
_FAILURE = re.compile(
    r"(?<!\bno )(?<!\bwithout )\b(?:fail(?:s|ed|ing|ures?)?|errors?|exceptions?|denied|rejected)\b"
    r"|\b(?:could not|cannot|unable to) (?!find|locate)|\b(?:permissions?|privileges?|upgrade)\b"
    r"|\b(?:degraded|disabled|expired|forbidden|incomplete|invalid|partial(?:ly)?|restricted)\b"
    r"|\bnot (?:yet )?(?:allowed|authori[sz]ed|enabled|permitted|ready|supported)\b|\btry again\b"
)
WRONG_URL = re.compile(r"\burl rule not configured\b|\binvalid (?:request )?(?:url|uri|path)\b")


def is_surely_throttled(status: int, words: str) -> bool:
    """Return whether an error says that there were too many requests."""
    may_be = status not in _NEVER_THROTTLED
    return status in {420, 423, 429} or bool(may_be and _THROTTLED.search(words))


def is_throttled(status: int, words: str, wait: float | None, *, is_html: bool) -> bool:
    """Return whether an error says that the API is locked, or may say so."""
    if is_surely_throttled(status, words):
        return True
    if is_html or status in _NEVER_THROTTLED:
        return False
    is_token = TOKEN.search(words) and not _LIMIT_OF_TOKEN.search(words)
    may_wait = _MAYBE_WAIT.search(words) and not is_token  # a token is valid for some time
    if _WAIT.search(words) or _LOCKED_FOR.search(words) or may_wait:
        return True
    if _BOUNDS.search(words) or is_token:
        return False
    # A failing server says "later" as well, but not when.
    is_fault = status >= 500 or FAULT.search(words)  # noqa: PLR2004
    is_hinted = (wait and status in {400, 403}) or (_LATER.search(words) and not is_fault)
    return bool(is_hinted or _MAYBE_THROTTLED.search(words))


def wait_from_words(words: str) -> float | None:
    """Return the wait that an error names, in seconds; None if it names none."""
    found = [*_WAIT.finditer(words)] or _MAYBE_WAIT.finditer(words)
    return max((float(int(each[1]) * _UNITS[each[2][0]]) for each in found), default=0.0) or None


def rejected_value(words: str) -> str:
    """Return the value that an error may reject: `size`, `dates`, `other`, or an empty text."""
    other = "other" if is_limit(words) or _OWNER.search(words) else ""
    return next((name for name, pattern in _REJECTED.items() if pattern.search(words)), other)


def is_limit(words: str) -> bool:
    """Return whether an error is about the limit of a value, not of the rate of requests."""
    return bool(_BOUNDS.search(words) and _LIMIT.search(words))


def has_failure(words: str) -> bool:
    """Return whether words beside an empty list say that the request failed."""
    is_error = any(pattern.search(words) for pattern in (TOKEN, FAULT, _FAILURE))
    return is_error or is_limit(words) or is_throttled(200, words, None, is_html=False)
