"""Calls in memory behind the sandbox's query core, and a reading of them without HTTP or waits."""

import datetime as dt
import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from tap_zohovoice._time import format_epoch_ms
from tap_zohovoice.config.filters import CALL_TYPES
from tap_zohovoice.exceptions import InvalidParameterError, RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.extract.limits import DEFAULT_SIZE
from tap_zohovoice.extract.reader import CallLogReader
from tap_zohovoice.extract.results import WindowResult
from tap_zohovoice.pagination import Page, PageRequest
from tap_zohovoice.singer.records import SerializedRecord
from tests.support.flows import drive
from zoho_voice_sandbox import Dialect
from zoho_voice_sandbox.calls import has_wrong_start, reset_to_2000
from zoho_voice_sandbox.date_filter import TimeRange, midnight, today
from zoho_voice_sandbox.params import InvalidParameterError as RejectedError
from zoho_voice_sandbox.query import LogQuery, QueryFailedError, run_query
from zoho_voice_sandbox.query import Page as QueryPage

SECOND, MINUTE, DAY = 1_000, 60_000, 86_400_000
NOW = 1_772_366_400_000
"""2026-03-01 12:00:00 UTC, when every reading starts."""
_REQUEST_MS = 2 * SECOND
"""Time between two requests."""
_REJECTED = {"size": "size", "fromDate": "dates", "toDate": "dates"}

Row = tuple[int, str, str]
"""`start_time`, `logid`, `callType`."""


class EndlessError(AssertionError):
    """The reading makes more requests than anything can justify."""


@dataclass(frozen=True)
class Burst:
    """Calls at equal distances."""

    minutes_ago: int  # start of the last one, before the reading
    count: int
    gap: int  # milliseconds between two of them


@dataclass(frozen=True)
class Change:
    """Calls that are added or deleted during the reading."""

    after: int  # number of requests before
    # Calls that start now, that started earlier and end now, whose phone's clock is ahead, or that
    # are deleted.
    kind: Literal["arrive", "late", "future", "delete"]
    # Minutes before now of a late call, or after now of a future one; rank from the newest of a
    # deleted one.
    place: int
    count: int


def build_rows(bursts: tuple[Burst, ...], kinds: int) -> list[Row]:
    """Return the rows of bursts, by start, with this many call types."""
    return list(_build_rows(bursts, kinds))


@lru_cache(maxsize=16)  # the same account is read from many servers
def _build_rows(bursts: tuple[Burst, ...], kinds: int) -> tuple[Row, ...]:
    starts = sorted(
        NOW - burst.minutes_ago * MINUTE - index * burst.gap
        for burst in bursts
        for index in range(burst.count)
    )
    return tuple(
        (start, _logid(index), CALL_TYPES[index % kinds]) for index, start in enumerate(starts)
    )


def _logid(number: int) -> str:
    return f"{number * 2_654_435_761 % 2**32:010}"


@lru_cache(maxsize=200_000)
def _record(start: int, logid: str) -> SerializedRecord:
    return SerializedRecord(format_epoch_ms(start), logid, b"")


@dataclass
class FakeServer:
    dialect: Dialect  # how the server responds
    rows: list[Row]  # the calls, by start
    changes: list[Change] = field(default_factory=list)
    requests: int = 0
    deleted: set[str] = field(default_factory=set)
    max_requests: float = math.inf  # number after which a reading is considered endless
    _selected: dict[tuple[TimeRange, tuple[tuple[str, str], ...]], list[Row]] = field(
        default_factory=dict
    )

    @property
    def now(self) -> int:
        return NOW + self.requests * _REQUEST_MS

    def respond(self, request: PageRequest) -> Page:
        """Respond to the tap's request as its reader of responses would."""
        params = dict(request.params)
        first, last = (dt.date.fromisoformat(params.pop(name)) for name in ("fromDate", "toDate"))
        query = LogQuery(request.offset, request.size, first, last, tuple(params.items()))
        try:
            page = self.run(query)
        except RejectedError as error:
            rejected_param = _REJECTED.get(error.parameter, "")
            message = "refused"
            raise InvalidParameterError(
                message, rejected_param=rejected_param, is_invalid_value=True
            ) from error
        except QueryFailedError as error:
            message = "no answer"
            raise RetriesExhaustedError(message) from error
        assert page.total is None or isinstance(page.total, int)
        if not page.rows and not query.offset and page.total:
            message = f"no rows although there are {page.total}"
            raise RetriesExhaustedError(message)
        total = None if page.rows and not page.total else page.total
        if self.dialect.wrong_start == "none":
            records = [_record(row[0], row[1]) for row in page.rows]
        else:
            records = [_record(self.sent_start(row), row[1]) for row in page.rows]
        return Page(records, total, query.size)

    def run(self, query: LogQuery) -> QueryPage[Row]:
        """Apply the changes that are due, and run a query."""
        self._apply_changes()
        self.requests += 1
        if self.requests > self.max_requests:
            message = f"{self.requests} requests, the last {query}"
            raise EndlessError(message)
        return run_query(
            query,
            self.dialect,
            self.now,
            lambda selected: self._select(selected, query),
            self.requests,
        )

    def between(self, start: int, end: int) -> list[Row]:
        return self.rows[bisect_left(self.rows, (start,)) : bisect_left(self.rows, (end,))]

    def add(self, start: int, logid: str = "") -> Row:
        """Add a call now, with any start; or another leg of a call, whose type differs."""
        number = 1_000_000 + self.requests * 1000 + len(self.rows) + len(self.deleted)
        call_type = CALL_TYPES[number % 5]
        if logid:
            call_type = next(kind for kind in CALL_TYPES if (start, logid, kind) not in self.rows)
        row = (start, logid or _logid(number), call_type)
        insort(self.rows, row)
        self._selected.clear()
        return row

    def sent_start(self, row: Row) -> int:
        """Return the start that is read from a row, in milliseconds since the epoch."""
        start, logid, _ = row
        if not has_wrong_start(logid, self.dialect):
            return start
        is_seconds = self.dialect.wrong_start == "seconds"
        return start // SECOND * SECOND if is_seconds else reset_to_2000(start)

    def matches(self, row: Row, name: str, value: str) -> bool:
        assert name == "callType", name
        return row[2] == value

    def _select(self, selected: TimeRange, query: LogQuery) -> list[Row]:
        key = (selected, query.filters)
        if key not in self._selected:
            rows = self.between(*selected)
            for name, value in query.filters:
                rows = [row for row in rows if self.matches(row, name, value)]
            if self.dialect.order == "logid":
                rows.sort(key=lambda row: row[1])
            self._selected[key] = rows
        return self._selected[key]

    def _apply_changes(self) -> None:
        for change in [change for change in self.changes if change.after <= self.requests]:
            self.changes.remove(change)
            self._selected.clear()
            if change.kind == "delete":
                for _ in range(min(change.count, len(self.rows))):
                    self.deleted.add(self.rows.pop(-1 - change.place % len(self.rows))[1])
                continue
            minutes = {"arrive": 0, "late": -change.place, "future": change.place}[change.kind]
            for _ in range(change.count):
                self.add(self.now + minutes * MINUTE)


@dataclass(frozen=True)
class AccountSpec:
    """An account, its server, and what is read of it."""

    bursts: tuple[Burst, ...] = ()
    dialect: Dialect = field(default_factory=Dialect)  # how the server responds
    size: int | None = 100  # page size; None: the largest that the server grants
    days: int = 30  # days before now at which the reading starts
    end_minutes: int | None = None  # minutes before now at which it ends, None for no end
    kinds: int = 5
    changes: tuple[Change, ...] = ()  # what happens during the reading

    @property
    def page(self) -> int:
        """The longest page that is certain."""
        size = self.size or DEFAULT_SIZE
        return min(size, self.dialect.max_size or size, self.dialect.max_offset or size)

    @property
    def start(self) -> int:
        """The first moment to read, in milliseconds."""
        return NOW - self.days * DAY

    @property
    def end(self) -> int:
        """The first moment not to read, in milliseconds."""
        return NOW if self.end_minutes is None else NOW - self.end_minutes * MINUTE

    @property
    def readable_end(self) -> int:
        """The end of what the server answers: not today, if it excludes and limits `toDate`."""
        return min(self.end, readable_until(self.dialect, NOW))


def readable_until(dialect: Dialect, now: int) -> int:
    """Return until when a server answers: today is out of reach behind an exclusive `toDate`."""
    if dialect.future_dates == "accepted" or dialect.to_date_inclusive:
        return now
    return min(now, midnight(today(now, dialect), dialect))


def kept_since(dialect: Dialect, now: int) -> int:
    """Return from when on a server answers, in milliseconds."""
    if dialect.retention_days is None:
        return 0
    return midnight(today(now, dialect) - dt.timedelta(dialect.retention_days), dialect)


@dataclass
class Reading:
    """The result of a reading."""

    account: AccountSpec
    chunks: list[WindowResult]
    error: ZohoVoiceError | None  # what ended it early
    server: FakeServer  # the server afterwards
    expected: list[Row]  # the calls that existed throughout, by start

    @property
    def ids(self) -> list[str]:
        return [row.logid for chunk in self.chunks for row in chunk.rows]

    @property
    def requests(self) -> int:
        return self.server.requests

    @property
    def missing(self) -> list[Row]:
        ids = set(self.ids)
        return [row for row in self.expected if row[1] not in ids]


def read(account: AccountSpec) -> Reading:
    """Read an account to its end, or until an error."""
    rows = build_rows(account.bursts, account.kinds)
    server = FakeServer(account.dialect, rows, list(account.changes))
    held = server.between(account.start, account.readable_end)
    dialect = account.dialect
    days = math.ceil(account.days / min(dialect.max_range_days or 30, 30))
    server.max_requests = 50 * (len(rows) / max(account.page - 1, 1) + days + 20)
    reader = CallLogReader(
        start=_moment(account.start),
        end=None if account.end_minutes is None else _moment(account.end),
        now=_moment(NOW),
        page_size=account.size,
        filters={},
    )
    chunks, error = [], None
    try:
        for chunk in drive(reader.read_windows(), server.respond):
            chunks.append(chunk)  # noqa: PERF402 - what came before an error counts too
    except ZohoVoiceError as problem:
        error = problem
    expected = [row for row in held if row[1] not in server.deleted]
    return Reading(account, chunks, error, server, expected)


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
