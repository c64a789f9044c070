"""An account in virtual time behind the sandbox's query core: its clock, its calls, their rows."""

import datetime as dt
import math
from bisect import bisect_left, insort
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.config.filters import CALL_TYPES
from tap_zohovoice.extract.limits import DEFAULT_SIZE
from zoho_voice_sandbox import Dialect
from zoho_voice_sandbox.calls import has_wrong_start, reset_to_2000
from zoho_voice_sandbox.date_filter import TimeRange, midnight, today
from zoho_voice_sandbox.query import LogQuery, Page, run_query
from zoho_voice_sandbox.row_forms import encode

SECOND, MINUTE, DAY = 1_000, 60_000, 86_400_000
NOW = 1_772_366_400_000
"""2026-03-01 12:00:00 UTC, when the first run or reading starts."""
FILES = {"isRecording": ("call_recording", 3), "isVoiceMail": ("voicemail", 7)}
"""Key of a kind of file, and the number of calls per call that has it."""
AUDIO = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(64)

Row = tuple[int, str, str]
"""`start_time`, `logid`, `callType`."""
Files = Literal["none", "always", "filtered"]
"""Whether calls have files, and whether rows name them only where a filter asks for them."""


class KilledError(BaseException):
    """The process was killed."""


class EndlessError(AssertionError):
    """More requests came than anything can justify."""


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


def account_of(
    calls: Iterable[tuple[int, int, int]], changes: Iterable[tuple[Any, ...]] = (), **given: Any
) -> AccountSpec:
    """Return an account of an example: what is not said of the reading is a habit of the server."""
    names = ("size", "days", "end_minutes", "kinds")
    reading = {name: given.pop(name) for name in names if name in given}
    bursts = tuple(Burst(*call) for call in calls)
    made = tuple(Change(*change) for change in changes)
    return AccountSpec(bursts, Dialect(**given), changes=made, **reading)


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


def build_rows(account: AccountSpec) -> list[Row]:
    """Return the calls of an account, by start."""
    return list(_build_rows(account.bursts, account.kinds))


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


class SimulatedClock(Clock):
    """True time, and the wall clock of the machine that the tap runs on."""

    def __init__(self, time: float = NOW / 1000, ahead: float = 0.0) -> None:
        self.time = time
        self.ahead = ahead  # seconds of the wall clock
        # Killed in a request: what happens at the end, which reads the time, does not happen.
        self.is_dead = False
        self.before_sleep: Callable[[], None] = lambda: None

    @override
    def now(self) -> float:
        self._check_alive()
        return self.time + self.ahead

    @override
    def monotonic(self) -> float:
        self._check_alive()
        return self.time - NOW / 1000

    @override
    def sleep(self, seconds: float) -> None:
        self._check_alive()
        self.before_sleep()
        self.time += seconds

    @override
    @contextmanager
    def every(self, seconds: float, func: Callable[[], None]) -> Generator[None]:
        yield  # nobody reads the reports

    def _check_alive(self) -> None:
        if self.is_dead:
            self.is_dead = False  # what Python tidies up after that does no harm
            raise KilledError


class ServerClock(Clock):
    """True time."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock

    @override
    def now(self) -> float:
        return self._clock.time

    @override
    def monotonic(self) -> float:
        return self._clock.time


@dataclass
class SimulatedAccount:
    dialect: Dialect  # how the server responds
    rows: list[Row]  # the calls, by start
    changes: list[Change] = field(default_factory=list)
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    requests: int = 0
    max_requests: float = math.inf  # number after which a reading is considered endless
    deleted: set[str] = field(default_factory=set)
    # When a call that was not there from the start could be seen, in milliseconds.
    appeared: dict[str, int] = field(default_factory=dict)
    listed_at: int = 0  # time of the last request for call logs, in milliseconds
    _selected: dict[tuple[TimeRange, tuple[tuple[str, str], ...]], list[Row]] = field(
        default_factory=dict
    )

    @property
    def now(self) -> int:
        return round(self.clock.time * 1000)

    def run(self, query: LogQuery) -> Page[Row]:
        """Apply the changes that are due, and run a query."""
        self._apply_changes()
        self.requests += 1
        if self.requests > self.max_requests:
            message = f"{self.requests} requests, the last {query}"
            raise EndlessError(message)
        page = run_query(
            query, self.dialect, self.now, lambda times: self._select(times, query), self.requests
        )
        self.listed_at = self.now
        return page

    def between(self, start: int, end: int) -> list[Row]:
        return self.rows[bisect_left(self.rows, (start,)) : bisect_left(self.rows, (end,))]

    def add(self, start: int) -> None:
        """Add a call now, with any start."""
        number = 1_000_000 + self.requests * 1000 + len(self.rows) + len(self.deleted)
        row = (start, _logid(number), CALL_TYPES[number % 5])
        insort(self.rows, row)
        self._selected.clear()
        # A call that is there now may as well have come right behind the last request.
        self.appeared[row[1]] = self.now if start > self.now else max(start, self.listed_at + 1)

    def sent_start(self, row: Row) -> int:
        """Return the start that is read from a row, in milliseconds since the epoch."""
        start, logid, _ = row
        if not has_wrong_start(logid, self.dialect):
            return start
        is_seconds = self.dialect.wrong_start == "seconds"
        return start // SECOND * SECOND if is_seconds else reset_to_2000(start)

    def _select(self, times: TimeRange, query: LogQuery) -> list[Row]:
        key = (times, query.filters)
        if key not in self._selected:
            rows = self.between(*times)
            for name, value in query.filters:
                rows = [row for row in rows if _matches(row, name, value)]
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


def _matches(row: Row, name: str, value: str) -> bool:
    if name in FILES:
        return value != "true" or has_file(row[1], name)
    assert name == "callType", name
    return row[2] == value


def has_file(logid: str, media: str) -> bool:
    return int(logid) % FILES[media][1] == 0


def keys_of(logid: str, stream: str, files: Files) -> list[object]:
    """Return the keys of the records that a call makes in a stream."""
    if stream == "call_logs":
        return [logid]
    media = [name for name in FILES if has_file(logid, name)]
    if stream == "recordings":
        return [] if files == "none" else [_file_name(logid, name) for name in media]
    words = {"isRecording": "recording", "isVoiceMail": "voicemail"}
    return [(logid, words[name]) for name in media] if int(logid) % 5 == 0 else []


def _file_name(logid: str, media: str) -> str:
    return f"{logid}_{media}.wav"


@lru_cache(maxsize=100_000)
def build_log(row: Row, shown: tuple[str, ...]) -> dict[str, Any]:
    """Return a row as the API sends it, with these kinds of files."""
    start, logid, call_type = row
    log: dict[str, Any] = {
        "logid": logid,
        "start_time": str(start),
        "call_type": call_type,
        "duration": "01:05",
        "caller_id_number": "+15550100123",
        "contact_name": "Beeblebrox",
        "undocumented": {"since": start},
    }
    if int(logid) % 5 == 0:
        log["call_recording_transcription_status"] = "completed"
    for media in shown:
        if has_file(logid, media):
            log[FILES[media][0]] = {
                "recording_filename": _file_name(logid, media),
                "recording_size_in_bytes": len(AUDIO),
            }
    return log


@lru_cache(maxsize=100_000)
def encode_log(row: Row, shown: tuple[str, ...]) -> bytes:
    """Return a row as JSON; the arguments are those of `build_log`."""
    return encode(build_log(row, shown))
