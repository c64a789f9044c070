"""Redaction of texts of the server before they are logged."""

import re
from collections.abc import Collection
from html import unescape
from urllib.parse import unquote_plus

HIDDEN = "[hidden]"
_LONGEST = 200
_SHORTEST_VALUE = 3
_MARKUP = re.compile(r"<[^>]*>")
_EMAIL = re.compile(r"[^\s\"'<>]+@[^\s\"'<>]+")
_TOKEN = re.compile(r"\b(?=[\w.-]*\d)[\w.-]{20,}", re.ASCII)
_NUMBER = re.compile(r"\+?\d(?:[\s().-]*\d){4,}")
_QUOTED = re.compile(r"\"(?!\w{1,30}\")[^\"]*\"|'(?!\w{1,30}')[^']*'|`(?!\w{1,30}`)[^`]*`")
_FOREIGN = re.compile(r"\S*[^\x20-\x7e]+\S*")
# A sentence may begin with a name as well, so only words that begin errors are kept there.
_FIRST = (
    r"A|Access|Account|Agent|All|An|Api|Auth\w*|Bad|Blocked|Calls?|Cannot|Client|Conflict|Could"
    r"|Data|Database|Dates?|Denied|Duplicate|Error|Exceeded|Expired|Extra|Failed|File|Forbidden"
    r"|Gateway|Internal|Invalid|It|Limit|Locked|Logs?|Maximum|Missing|Must|No|Not|Number|Only"
    r"|Pages?|Parameter|Pattern|Permission|Please|Range|Rate|Requests?|Resource|Server"
    r"|Service|Session|Size|Something|Sorry|Suspended|Temporary|That|The|There|This|Threshold"
    r"|Throttl\w*|Time|To|Token|Too|Total|Try|Un\w+d|Unable|Unknown|Usage|User|Value|We|Wrong"
    r"|Your?"
)
_KEPT = rf"(?:^|(?<=[.!?] ))(?:{_FIRST})(?![a-z])|(?:OAuth|Zoho|Voice|Accounts)\b"
_NAME = re.compile(rf"\b(?!{_KEPT})[A-Z][a-z]+\w*")


def redact(text: str, hide: Collection[str] = ()) -> str:
    """Return about 200 characters of plain ASCII on one line, without personal data.

    Values to hide, long numbers, e-mail addresses, quoted values, names and tokens are replaced.
    """
    text = unescape(unquote_plus(text))  # a server may quote the query
    for value in sorted(hide, key=len, reverse=True):
        if len(value) >= _SHORTEST_VALUE:
            text = re.sub(re.escape(value), HIDDEN, text, flags=re.IGNORECASE)
    text = " ".join(text[: 10 * _LONGEST].split())
    for pattern in (_MARKUP, _EMAIL, _TOKEN, _NUMBER, _QUOTED, _FOREIGN, _NAME):
        text = pattern.sub(HIDDEN, text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
