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
# Zoho capitalises words too, so the start of a sentence and a few names are kept.
_NAME = re.compile(r"(?<!^)(?<![.!?] )\b(?!(?:OAuth|Zoho|Voice|Accounts)\b)[A-Z][a-z]+\w*")


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
