"""How the server behaves where Zoho's documentation is silent."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import NoneType
from typing import Literal, TypeAlias, get_args, get_origin, get_type_hints

FileLength: TypeAlias = Literal["content_length", "chunked", "close"]


@dataclass(frozen=True)
class Dialect:
    """One guess at everything that is not documented; the defaults are the likeliest.

    Attributes:
        order: Order of the rows.
        utc_offset_minutes: Zone in which `fromDate` and `toDate` are days, in minutes east of UTC.
        to_date_inclusive: Whether the day `toDate` itself is included.
        future_dates: Whether dates after the server's own today are accepted.
        max_range_days: Longest range of days accepted, None for any.
        max_size: Most rows in an answer, None for any number.
        size_over: Whether a `size` beyond that is cut down or refused.
        max_offset: How far `from` + `size` may reach, None for any distance.
        offset_over: What answers a request that reaches further.
        total: What `meta.total` says.
        total_error: How far the stale totals are off, in rows.
        rows_form: What the answer is when there are no rows.
        status_value: The `status` of a success.
        throttle: What a request over the limit or during a lock is answered with.
        retry_after: Whether that answer carries `Retry-After`.
        token_refused: What a request with a wrong or expired token is answered with.
        scope_missing: Whether the token lacks the scope to read calls.
        latency_seconds: How long every answer of `zv/logs` takes, in seconds.
        file_latency_seconds: How long every answer takes that is or should be a file, in seconds.
        file_length: How the length of a file is told: beforehand, chunk by chunk, or by the end
            of the connection alone.
        file_type: What a file is said to be: bytes, audio, or a page of HTML.
        file_size: What the rows say of the size of a file; a wrong one is 7 bytes too big.
        file_mode: Which values of `mode` are accepted: those in lower case, those with a capital
            letter too, or none at all.
        file_missing: What a request for a file that does not exist is answered with.
        file_keys: Whether rows name their recording and their voicemail always, or only if
            `isRecording` and `isVoiceMail` ask for it.
        transcript_form: Whether a transcript is JSON in a string, an object, an object with its
            segments in a string (all of it in a string), or a string that is no JSON.
        bad_value_message: Whether the refusal of a value names the parameter.
        limit_calls: How many requests are allowed in `limit_seconds`.
        limit_seconds: Length of the window of the limit, in seconds.
        lock_seconds: Length of the lock that follows a request over the limit, in seconds.
        token_ttl_seconds: How long a token lives, in seconds.
        token_field: Whether a token's life is told in `expires_in` (seconds) alone, or in
            `expires_in_sec` beside an `expires_in` in milliseconds.
        code_seconds: How long a code can be exchanged, in seconds.
        code_access: Whether a code is made for access offline, with a refresh token, or online.
        api_domain: What a token's answer says of the address of other products. The default is
            one that cannot exist: Voice is not served from there, and a client that thinks so
            must fail rather than send a token to the real one.
        token_error_status: HTTP status of the token endpoint's errors.
        tokens_limit: How many tokens are given out in `tokens_window`.
        tokens_window: Length of the window of that limit, in seconds.
        tokens_denied_status: HTTP status of the refusal of more.
        live_tokens: How many tokens live at a time; one more and the oldest dies.
    """

    order: Literal["newest", "oldest", "logid"] = "newest"
    utc_offset_minutes: int = 0
    to_date_inclusive: bool = True
    future_dates: Literal["accepted", "refused"] = "accepted"
    max_range_days: int | None = None
    max_size: int | None = None
    size_over: Literal["cap", "refuse"] = "cap"
    max_offset: int | None = None
    offset_over: Literal["refuse", "empty", "error500"] = "refuse"
    total: Literal["exact", "absent", "minus_one", "text", "words", "stale_high", "stale_low"] = (
        "exact"
    )
    total_error: int = 1
    rows_form: Literal["list", "missing", "null", "body", "no_content", "bare_list"] = "list"
    status_value: Literal["200", "SUCCESS", "success"] = "200"
    throttle: Literal[
        "429",
        "400_url_rolling",
        "200_url_rolling",
        "400_cliq",
        "200_people",
        "503_text",
        "429_empty",
        "400_minutes",
    ] = "400_url_rolling"
    retry_after: bool = False
    token_refused: Literal["401_plain", "401_projects", "401_crm", "400_zvt", "200_crm"] = (
        "401_plain"  # noqa: S105 - the name of a form
    )
    scope_missing: bool = False
    latency_seconds: float = 0.0
    file_latency_seconds: float = 0.0
    file_length: FileLength = "content_length"
    file_type: Literal["octet", "audio", "html"] = "octet"
    file_size: Literal["exact", "absent", "text", "wrong"] = "exact"
    file_mode: Literal["lower", "any", "none"] = "lower"
    file_missing: Literal[
        "404", "400", "500", "200_error", "200_html", "200_object", "204", "200_empty"
    ] = "404"
    file_keys: Literal["always", "filtered"] = "always"
    transcript_form: Literal["string", "object", "segments_string", "broken"] = "string"
    bad_value_message: Literal["named", "neutral"] = "named"
    limit_calls: int = 30
    limit_seconds: float = 60.0
    lock_seconds: float = 600.0
    token_ttl_seconds: float = 3600.0
    token_field: Literal["expires_in", "expires_in_sec"] = "expires_in"  # noqa: S105 - a field's name
    code_seconds: float = 600.0
    code_access: Literal["offline", "online"] = "offline"
    api_domain: str = "https://www.zohoapis.invalid"
    token_error_status: Literal[200, 400, 401] = 200
    tokens_limit: int = 10
    tokens_window: float = 600.0
    tokens_denied_status: Literal[200, 400] = 400
    live_tokens: int = 15

    def __post_init__(self) -> None:
        """Check the values, so that a slip of the pen does not pass for a behaviour.

        Raises:
            ValueError: If a field has a value that it does not know.
        """
        for name, (kind, known) in choices().items():
            value = getattr(self, name)
            if known and value not in known:
                msg = f"{name} must be one of {', '.join(map(str, known))}, not {value!r}"
                raise ValueError(msg)
            if not known and value is not None and kind in {int, float} and kind(value) != value:
                msg = f"{name} must be a number, not {value!r}"
                raise ValueError(msg)


def choices() -> dict[str, tuple[type, tuple[object, ...]]]:
    """Tell what values each field of a dialect takes.

    Returns:
        By field, the type of its values, and the values themselves where they are few.
    """
    hints = get_type_hints(Dialect)
    found: dict[str, tuple[type, tuple[object, ...]]] = {}
    for field in fields(Dialect):
        hint = hints[field.name]
        if get_origin(hint) is Literal:
            known = get_args(hint)
            found[field.name] = (type(known[0]), known)
        else:
            kinds = [kind for kind in get_args(hint) if kind is not NoneType] or [hint]
            found[field.name] = (kinds[0], ())
    return found
