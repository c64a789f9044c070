"""The calls of an account in virtual time, as a store of the sandbox, and the clocks of both."""

import datetime as dt
import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.config.settings import CALL_TYPES
from tap_zohovoice.extract.limits import DEFAULT_SIZE
from tests.support.cli import FakeClock
from zoho_voice_sandbox import Dialect
from zoho_voice_sandbox.audio_fixtures import duration, wav_size
from zoho_voice_sandbox.calls import COMPLETED, FILE_KEYS, has_wrong_start, reset_to_2000
from zoho_voice_sandbox.date_filter import TimeRange, midnight, today
from zoho_voice_sandbox.row_forms import encode
from zoho_voice_sandbox.store import CallRange, Store

SECOND, MINUTE, DAY = 1_000, 60_000, 86_400_000
NOW = 1_772_366_400_000
"""2026-03-01 12:00:00 UTC, when the first run or reading starts."""
_FILES = {"call_recording": ("recording", 3), "voicemail": ("voicemail", 7)}
"""Key of a file: its kind in the stream of transcripts, and the calls per call that has one."""

Row = tuple[int, str, str]
"""`start_time`, `logid`, `callType`."""
Files = Literal["none", "always", "filtered"]
"""Whether calls have files, and whether rows name them only where a filter asks for them."""


class KilledError(BaseException):
    """The process was killed."""


class RuleViolationError(BaseException):
    """The tap did what it must not do; no handler of the tap may catch this."""


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
    most_days: float = math.inf  # days of a request above which the server fails
    fails: bool = False  # whether the server fails at what it rejects

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
    names = ("size", "days", "end_minutes", "kinds", "most_days", "fails")
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


class MachineClock(Clock):
    """The clock of the machine that the tap runs on, which may differ from true time."""

    def __init__(self, true: FakeClock, ahead: float) -> None:
        self._true = true
        self.ahead = ahead  # seconds of the wall clock
        # Killed in a request: what happens at the end, which reads the time, does not happen.
        self.is_dead = False
        self.before_sleep: Callable[[], None] = lambda: None

    @override
    def now(self) -> float:
        self._check_alive()
        return self._true.time + self.ahead

    @override
    def monotonic(self) -> float:
        self._check_alive()
        return self._true.monotonic()

    @override
    def sleep(self, seconds: float) -> None:
        self._check_alive()
        self.before_sleep()
        self._true.time += seconds

    @override
    @contextmanager
    def every(self, seconds: float, func: Callable[[], None]) -> Generator[None]:
        yield  # nobody reads the reports

    def _check_alive(self) -> None:
        if self.is_dead:
            self.is_dead = False  # what Python tidies up after that does no harm
            raise KilledError


class SimulatedAccount(Store):
    """A store of few calls, whose rows do not change; a handle is the place of a call."""

    late_ms = 0

    def __init__(
        self,
        dialect: Dialect,
        calls: list[Row],
        changes: Iterable[Change] = (),
        clock: FakeClock | None = None,
        *,
        has_files: bool = True,
    ) -> None:
        self.clock = clock or FakeClock()  # true time; what the server waits, the tap waits too
        super().__init__(None, self.clock)
        self.dialect = dialect  # how the server responds
        self.calls = calls  # by start
        self.changes = list(changes)
        self.requests = 0
        self.max_requests = math.inf  # number after which a reading is considered endless
        self.deleted: set[str] = set()
        # When a call that was not there from the start could be seen, in milliseconds.
        self.appeared: dict[str, int] = {}
        self._has_files = has_files
        self._listed_at = 0  # time of the last request for call logs, in milliseconds

    def count_request(self) -> None:
        """Count a request for call logs, after the changes that are due before it."""
        for change in [change for change in self.changes if change.after <= self.requests]:
            self.changes.remove(change)
            self._apply(change)
        self.requests += 1
        if self.requests > self.max_requests:
            message = f"{self.requests} requests"
            raise RuleViolationError(message)
        self._listed_at = self.now_ms()

    def between(self, start: int, end: int) -> list[Row]:
        return self.calls[bisect_left(self.calls, (start,)) : bisect_left(self.calls, (end,))]

    def start_call(self, start: int) -> None:
        """Add a call now, with any start."""
        number = 1_000_000 + self.requests * 1000 + len(self.calls) + len(self.deleted)
        row, now = (start, _logid(number), CALL_TYPES[number % 5]), self.now_ms()
        insort(self.calls, row)
        self._version += 1
        # A call that is there now may as well have come right behind the last request.
        self.appeared[row[1]] = now if start > now else max(start, self._listed_at + 1)

    def sent_start(self, row: Row) -> int:
        """Return the start that is read from a row, in milliseconds since the epoch."""
        start, logid, _ = row
        if not has_wrong_start(logid, self.dialect):
            return start
        is_seconds = self.dialect.wrong_start == "seconds"
        return start // SECOND * SECOND if is_seconds else reset_to_2000(start)

    @override
    def select(self, selected: TimeRange | None = None) -> CallRange:
        first, last = (bisect_left(self.calls, (moment,)) for moment in selected or TimeRange())
        return CallRange(array("q"), (first, last), [], [])

    @override
    def row(self, handle: int) -> dict[str, Any]:
        return _build_log(self.calls[handle], self._has_files)

    @override
    def encoded_row(self, handle: int) -> bytes:
        return _encode_log(self.calls[handle], self._has_files)

    @override
    def start_ms(self, handle: int) -> int:
        return self.calls[handle][0]

    @override
    def logid(self, handle: int) -> str:
        return self.calls[handle][1]

    @override
    def find(self, logid: str) -> dict[str, Any]:
        del logid  # every call has transcripts
        return _build_log((0, "0", ""), True)

    @override
    def has_file(self, name: str) -> bool:
        logid, _, key = name.removesuffix(".wav").partition("_")
        return logid.isdecimal() and key in _FILES and _has_file(logid, key)

    def _apply(self, change: Change) -> None:
        if change.kind == "delete":
            self._version += 1
            for _ in range(min(change.count, len(self.calls))):
                self.deleted.add(self.calls.pop(-1 - change.place % len(self.calls))[1])
            return
        minutes = {"arrive": 0, "late": -change.place, "future": change.place}[change.kind]
        for _ in range(change.count):
            self.start_call(self.now_ms() + minutes * MINUTE)


def keys_of(logid: str, stream: str, files: Files) -> list[object]:
    """Return the keys of the records that a call makes in a stream."""
    if stream == "call_logs":
        return [logid]
    keys = [key for key in _FILES if _has_file(logid, key)]
    if stream == "recordings":
        return [] if files == "none" else [f"{logid}_{key}.wav" for key in keys]
    return [(logid, _FILES[key][0]) for key in keys] if int(logid) % 5 == 0 else []


def _has_file(logid: str, key: str) -> bool:
    return int(logid) % _FILES[key][1] == 0


@lru_cache(maxsize=100_000)
def _build_log(row: Row, has_files: bool) -> dict[str, Any]:
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
        log["call_recording_transcription_status"] = COMPLETED
    for key in FILE_KEYS.values():
        if _has_file(logid, key):
            name = f"{logid}_{key}.wav"
            size = wav_size(duration(name))
            file = {"recording_filename": name, "recording_size_in_bytes": size}
            log[key] = file if has_files else None
    return log


@lru_cache(maxsize=100_000)
def _encode_log(row: Row, has_files: bool) -> bytes:
    return encode(_build_log(row, has_files))
