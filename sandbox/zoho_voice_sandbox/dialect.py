"""Server behaviour that Zoho does not document."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from types import NoneType
from typing import Literal, TypeAlias, get_args, get_origin, get_type_hints

from zoho_voice_sandbox.directory_dialect import DirectoryDialect
from zoho_voice_sandbox.sms_dialect import SmsDialect
from zoho_voice_sandbox.status_dialect import StatusDialect

Order: TypeAlias = Literal[
    "newest", "oldest", "logid", "shifting", "swapping", "replicas", "rotating"
]
OffsetOver: TypeAlias = Literal[
    "refuse", "empty", "empty_uncounted", "error500", "cut", "first_page", "last_page"
]
Total: TypeAlias = Literal[
    "exact",
    "absent",
    "minus_one",
    "text",
    "words",
    "stale_high",
    "stale_low",
    "capped",
    "page",
    "page_end",
]
EmptyForm: TypeAlias = Literal["no_content", "body", "bare_list", "error"]
SizeOver: TypeAlias = Literal["cap", "refuse", "error500", "timeout", "cut", "empty", "nothing"]
SeveralFiles: TypeAlias = Literal[
    "zip",
    "zip_folders",
    "zip_missing",
    "zip_doubled",
    "zip_broken",
    "zip_bomb",
    "zip_lying",
    "zip_encrypted",
    "zip_cut",
    "first",
    "refuse",
    "html",
]
WrongStart: TypeAlias = Literal["none", "seconds", "year_2000", "epoch"]
Throttle: TypeAlias = Literal[
    "429",
    "400_url_rolling",
    "200_url_rolling",
    "400_cliq",
    "200_people",
    "503_text",
    "429_empty",
    "400_minutes",
]
TokenRefused: TypeAlias = Literal["401_plain", "401_projects", "401_crm", "400_zvt", "200_crm"]
FileLength: TypeAlias = Literal["content_length", "chunked", "close"]

# All time zones lie between these, daylight saving included.
_MIN_UTC_OFFSET, _MAX_UTC_OFFSET = -12 * 60, 14 * 60

_POSITIVE = (
    "answered_days",
    "audit_max_agents",
    "bomb_mb",
    "campaign_rows",
    "list_max_size",
    "number_assignments",
    "order_reach",
    "replicas",
    "retention_days",
    "wrong_start_every",
)


@dataclass(frozen=True)
class Dialect(DirectoryDialect, SmsDialect, StatusDialect):
    """Behaviour for everything that is not documented; the defaults are the most likely.

    Attributes:
        order: Order of the rows. `logid` is unrelated to time. With the last four, the order
            changes from request to request: any rows change places (`shifting`), only adjacent
            rows do (`swapping`), each request gets one of `replicas` fixed orders, or begins at
            another row (`rotating`).
        order_seed: The same seed gives the same changes of order.
        order_reach: How many places a row moves where any do, or a replica differs; None for any.
        replicas: Number of fixed orders.
        utc_offset_minutes: Time zone of `fromDate` and `toDate`, in minutes east of UTC.
        daylight_saving: Whether that zone is an hour further east from April to October.
        to_date_inclusive: Whether `toDate` itself is included.
        future_dates: Whether dates after the current day of the server are accepted; `empty`: a
            range that ends after it has no rows.
        dates_named: Whether the rejection of a date names its parameter.
        max_range_days: Longest range of days accepted, None for any.
        answered_days: Days of a longer range that are answered, without an error; None for all.
        answered_end: Whether the last or the first days of the range are answered.
        retention_days: Days before the current day that the server keeps, None for all.
        retention_refused: Whether a range is refused that starts, or only one that ends, before
            the oldest day kept.
        wrong_start: Form of wrong times of some calls, which are still filed under the right day:
            in seconds instead of milliseconds, of a clock that was reset to 2000-01-01, or 0.
        wrong_start_every: About one of this number of calls has wrong times.
        min_size: Smallest `size` that is not refused.
        max_size: Most rows in a page, None for any number.
        size_over: Response to a larger `size`: it is capped or refused; the server fails, closes
            the connection after `give_up_seconds` or in the body, or sends only the total, or no
            row and a total of 0 (`nothing`).
        give_up_seconds: Time after which the connection is closed without a response.
        size_named: Whether the rejection of a size names its parameter.
        max_offset: Highest `from` + `size`, None for any.
        offset_over: Response to a higher one; `cut` ends the rows there, `empty_uncounted` sends no
            row and a total of 0, `first_page` and `last_page` send a page again.
        offset_counts_size: Whether `from` + `size` is limited, or `from` alone.
        offset_named: The parameter that the rejection of an offset names.
        from_ignored: Whether all pages start at the first row.
        from_behind: Response to a `from` behind the last row: no row, an error, or the last page.
        total: Value of `meta.total`; `page` counts only the rows of the page, `page_end` those up
            to its end.
        total_error: Error of a stale total, or the highest capped total, in rows.
        rows_form: Form of a response without rows; `error` is an HTTP 404 that says so.
        status_value: `status` of a success.
        throttle: Response to a request over the limit or during a lock.
        retry_after: Whether that response has a `Retry-After` header.
        token_refused: Response to an invalid or expired token.
        scope_missing: Whether tokens have no scope at all.
        date_header: Whether responses have a `Date` header.
        date_ahead_seconds: How far that header is ahead of the server's clock, in seconds.
        latency_seconds: Response time of lists, in seconds.
        file_length: How the length of a file is sent: in a header, by chunks, or by closing the
            connection.
        file_size: Size of a file in its row; `wrong` is 7 bytes too large.
        file_mode: Accepted values of `mode`: lower case only, also capitalised, or none.
        file_missing: Response to a request for a file that does not exist.
        several_files: Response to a request for several files: an archive, whose last entry may be
            missing, doubled, broken, or inflate to `bomb_mb` megabytes, which `zip_lying` declares
            as a few bytes; whose entries may be in folders or encrypted; which may itself be cut
            off. Or only the first file, an error, or an HTML page.
        bomb_mb: Size of the entry that is much larger than its file, in megabytes.
        file_keys: Whether rows name their files always, or only where `isRecording` and
            `isVoiceMail` ask for them.
        transcript_form: JSON in a string, an object, an object in a string with its segments as a
            string inside, or a string that is not JSON.
        bad_value_message: Whether the rejection of a value may name the parameter.
        limit_calls: Requests allowed per `limit_seconds`.
        limit_seconds: Window of the rate limit, in seconds.
        lock_seconds: Duration of the lock after a request over the limit, in seconds.
        token_ttl_seconds: Lifetime of a token, in seconds.
        token_field: Whether the lifetime is sent only as `expires_in` (seconds), or as
            `expires_in_sec` beside an `expires_in` in milliseconds.
        code_access: Access type of codes; only `offline` includes a refresh token.
        tokens_limit: Tokens issued in ten minutes.
    """

    order: Order = "newest"
    order_seed: int = 1
    order_reach: int | None = None
    replicas: int = 3
    utc_offset_minutes: int = 0
    daylight_saving: bool = False
    to_date_inclusive: bool = True
    future_dates: Literal["accepted", "refused", "empty"] = "accepted"
    dates_named: bool = True
    max_range_days: int | None = None
    answered_days: int | None = None
    answered_end: Literal["last", "first"] = "last"
    retention_days: int | None = None
    retention_refused: Literal["start", "end"] = "start"
    wrong_start: WrongStart = "none"
    wrong_start_every: int = 50
    min_size: int = 0
    max_size: int | None = None
    size_over: SizeOver = "cap"
    give_up_seconds: float = 300.0
    size_named: bool = True
    max_offset: int | None = None
    offset_over: OffsetOver = "refuse"
    offset_counts_size: bool = True
    offset_named: Literal["from", "size", "none"] = "from"
    from_ignored: bool = False
    from_behind: Literal["empty", "refuse", "error500", "last_page"] = "empty"
    total: Total = "exact"
    total_error: int = 1
    rows_form: Literal["list", "missing", "null", EmptyForm] = "list"
    status_value: Literal["200", "SUCCESS", "success"] = "200"
    throttle: Throttle = "400_url_rolling"
    retry_after: bool = False
    token_refused: TokenRefused = "401_plain"  # noqa: S105 - the name of a form
    scope_missing: bool = False
    date_header: Literal["sent", "absent"] = "sent"
    date_ahead_seconds: float = 0.0
    latency_seconds: float = 0.0
    file_length: FileLength = "content_length"
    file_size: Literal["exact", "absent", "text", "wrong"] = "exact"
    file_mode: Literal["lower", "any", "none"] = "lower"
    file_missing: Literal[
        "404", "400", "500", "200_error", "200_html", "200_object", "204", "200_empty"
    ] = "404"
    several_files: SeveralFiles = "zip"
    bomb_mb: int = 256
    file_keys: Literal["always", "filtered"] = "always"
    transcript_form: Literal["string", "object", "segments_string", "broken"] = "string"
    bad_value_message: Literal["named", "neutral"] = "named"
    limit_calls: int = 30
    limit_seconds: float = 60.0
    lock_seconds: float = 600.0
    token_ttl_seconds: float = 3600.0
    token_field: Literal["expires_in", "expires_in_sec"] = "expires_in"  # noqa: S105 - a field's name
    code_access: Literal["offline", "online"] = "offline"
    tokens_limit: int = 10

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            ValueError: If a value is invalid.
        """
        for name, (kind, known) in field_values().items():
            value = getattr(self, name)
            if known and value not in known:
                msg = f"{name} must be one of {', '.join(map(str, known))}, not {value!r}"
                raise ValueError(msg)
            if not known and value is not None and kind in {int, float} and kind(value) != value:
                msg = f"{name} must be a number, not {value!r}"
                raise ValueError(msg)
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"{name} must be positive, not {value}"
                raise ValueError(msg)
        easternmost = self.utc_offset_minutes + (60 if self.daylight_saving else 0)
        if not _MIN_UTC_OFFSET <= self.utc_offset_minutes <= easternmost <= _MAX_UTC_OFFSET:
            msg = "utc_offset_minutes must be between -12:00 and +14:00, daylight saving included"
            raise ValueError(msg)


@cache
def field_values() -> dict[str, tuple[type, tuple[object, ...]]]:
    """Return the type of each field and, where there are few, its values."""
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
