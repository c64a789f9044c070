"""A model of the server's list of calls: no HTTP, no waiting, any behaviour that is thinkable.

It answers questions as `zv/logs` may do, and tells what a complete reading of it has to bring out.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from hypothesis import settings
from hypothesis import strategies as st

from tap_zohovoice._time import format_epoch_ms
from tap_zohovoice.config.filters import CALL_TYPES
from tap_zohovoice.exceptions import InvalidParameterError, RetriesExhaustedError, ZohoVoiceError
from tap_zohovoice.extract.reader import CallLogReader, WindowResult
from tap_zohovoice.extract.windows import DateWindow
from tap_zohovoice.pagination import Page
from tap_zohovoice.singer.records import SerializedRecord
from tests.support.flows import drive

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_zohovoice.pagination import PageRequest

# The default is the same every time, so that CI fails for changes alone.
settings.register_profile("default", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=20_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

SECOND, MINUTE, DAY = 1_000, 60_000, 86_400_000
NOW = 1_772_366_400_000
"""2026-03-01 12:00:00 UTC, when every reading starts."""
_EPOCH = dt.date(1970, 1, 1)
_PACE = 2 * SECOND
"""What passes between two requests."""

Order = Literal["newest", "oldest", "id"]
Over = Literal["refuse", "empty", "fail", "cut"]
Blames = Literal["", "size", "dates"]
Totals = Literal["exact", "none", "high", "low", "capped"]


@dataclass(frozen=True, slots=True)
class Query:
    """What one request asks for."""

    window: DateWindow
    offset: int
    size: int
    call_type: str | None = None


class EndlessError(AssertionError):
    """The reading asks for more pages than anything can justify."""


@dataclass(frozen=True)
class Dialect:
    """How the server behaves where its documentation is silent.

    Attributes:
        order: Order of the rows; `id` has nothing to do with time.
        zone: Minutes east of UTC in which the dates are days.
        summer: Whether that zone is an hour further east from April to October.
        inclusive: Whether the day `toDate` is included.
        future: Whether days after the server's own today are answered.
        max_days: Longest range of days, None for any.
        max_size: Most rows in a page, None for any number.
        size_refused: Whether a larger size is refused, not cut down.
        size_blamed: Whether the refusal of a size names it.
        dates_blamed: Whether the refusal of dates names them.
        max_offset: How far offsets reach, None for any distance.
        offset_over: What answers a request that reaches further.
        offset_blames: What the refusal of an offset seems to name.
        counts_size: Whether `from` + `size` counts as the offset, not `from` alone.
        totals: What `meta.total` says.
        off: How far stale totals are off, or where capped ones end.
        knows_from: Whether it starts where it is told to.
    """

    order: Order = "newest"
    zone: int = 0
    summer: bool = False
    inclusive: bool = True
    future: bool = True
    max_days: int | None = None
    max_size: int | None = None
    size_refused: bool = False
    size_blamed: bool = True
    dates_blamed: bool = True
    max_offset: int | None = None
    offset_over: Over = "refuse"
    offset_blames: Blames = ""
    counts_size: bool = True
    totals: Totals = "exact"
    off: int = 1
    knows_from: bool = True

    def midnight(self, day: dt.date) -> int:
        """Return when a day begins."""
        minutes = self.zone + (60 if self.summer and 4 <= day.month <= 10 else 0)
        return (day - _EPOCH).days * DAY - minutes * MINUTE

    def today(self, now: int) -> dt.date:
        """Return the day that it is where the server is."""
        day = _EPOCH + dt.timedelta(days=(now + self.zone * MINUTE) // DAY)
        tomorrow = day + dt.timedelta(days=1)
        return tomorrow if self.midnight(tomorrow) <= now else day


@dataclass(frozen=True)
class Burst:
    """Calls one after the other.

    Attributes:
        minutes_ago: When the last one started, before the reading.
        count: How many there are.
        gap: Milliseconds between two of them.
    """

    minutes_ago: int
    count: int
    gap: int


@dataclass(frozen=True)
class Change:
    """Something that happens while the account is read.

    Attributes:
        after: How many requests were answered before.
        kind: Calls that start now, or that started earlier and end now, or whose phone's clock is
            ahead, or that are deleted.
        place: Minutes before now of a late call, or after now; rank from the newest of a deleted
            one.
        count: How many.
    """

    after: int
    kind: Literal["arrive", "late", "future", "delete"]
    place: int
    count: int


Row = tuple[int, str, str]
"""`start_time`, `logid`, `callType`."""


@lru_cache(maxsize=200_000)
def _text(milliseconds: int) -> str:
    return format_epoch_ms(milliseconds)


def rows_of(bursts: Iterable[Burst], kinds: int) -> list[Row]:
    starts = sorted(
        NOW - burst.minutes_ago * MINUTE - index * burst.gap
        for burst in bursts
        for index in range(burst.count)
    )
    return [(start, _id(index), CALL_TYPES[index % kinds]) for index, start in enumerate(starts)]


def _id(number: int) -> str:
    return f"{number * 2_654_435_761 % 2**32:010}"


@dataclass
class Server:
    """An account's calls, and the answers about them.

    Attributes:
        dialect: How they are given.
        rows: The calls, by start.
        changes: What happens while they are read.
        requests: How many were answered or refused.
        gone: Ids of the deleted ones.
        limit: Requests after which a reading is taken to be endless.
    """

    dialect: Dialect
    rows: list[Row]
    changes: list[Change] = field(default_factory=list)
    requests: int = 0
    gone: set[str] = field(default_factory=set)
    limit: float = math.inf
    queries: list[Query] = field(default_factory=list)
    _kept: dict[tuple[int, int, str | None, str], Sequence[Row]] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """The server's clock."""
        return NOW + self.requests * _PACE

    def respond(self, request: PageRequest) -> Page:
        """Answer a request, as the reader of answers would understand it.

        Raises:
            InvalidParameterError: If the dialect refuses it.
            RetriesExhaustedError: If the dialect has no answer to it.
            EndlessError: If there were too many.
        """
        first, last = request.params["fromDate"], request.params["toDate"]
        window = DateWindow(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
        query = Query(window, request.offset, request.size, request.params.get("callType"))
        chosen, total = self.answer(query)
        if not chosen and not query.offset and total:
            message = f"no rows although there are {total}"
            raise RetriesExhaustedError(message)
        total = None if chosen and not total else total
        records = [SerializedRecord(_text(start), name, b"") for start, name, _ in chosen]
        return Page(records, total, query.size)

    def answer(self, query: Query, media: str = "") -> tuple[Sequence[Row], int | None]:
        """Answer a request.

        Args:
            query: What is asked for.
            media: The filter by files, `isRecording` or `isVoiceMail`, if any.

        Returns:
            Rows, and `meta.total`.

        Raises:
            InvalidParameterError: If the dialect refuses it.
            RetriesExhaustedError: If the dialect has no answer to it.
            EndlessError: If there were too many.
        """
        self._change()
        self.requests += 1
        self.queries.append(query)
        if self.requests > self.limit:
            message = f"{self.requests} requests, lately {self.queries[-6:]}"
            raise EndlessError(message)
        dialect, size = self.dialect, query.size
        self._check_dates(query.window)
        if dialect.max_size is not None and size > dialect.max_size:
            if dialect.size_refused:
                raise _refusal("size" if dialect.size_blamed else "")
            size = dialect.max_size
        rows = self._selection(query.window, query.call_type, media)
        total = self._total(len(rows))
        reach = query.offset + (size if dialect.counts_size else 0)
        first = query.offset if dialect.knows_from else 0
        chosen = rows[first : first + size]
        if dialect.offset_over == "cut":
            chosen = chosen[: max((dialect.max_offset or len(rows)) - first, 0)]
        elif dialect.max_offset is not None and reach > dialect.max_offset:
            if dialect.offset_over == "refuse":
                raise _refusal(dialect.offset_blames)
            if dialect.offset_over == "fail":
                message = "no answer"
                raise RetriesExhaustedError(message)
            chosen = []
        return chosen, total

    def held(self, start: int, end: int) -> list[Row]:
        """Return the calls of a time."""
        return self.rows[bisect_left(self.rows, (start,)) : bisect_left(self.rows, (end,))]

    def _check_dates(self, window: DateWindow) -> None:
        dialect = self.dialect
        blames: Blames = "dates" if dialect.dates_blamed else ""
        if not dialect.future and window.last > dialect.today(self.now):
            raise _refusal(blames)
        # A server that excludes `toDate` and takes one day only would never tell anything.
        least = 1 if dialect.inclusive else 2
        if dialect.max_days is not None and window.days > max(dialect.max_days, least):
            raise _refusal(blames)

    def names(self, row: Row, media: str) -> bool:
        """Tell whether a row has a file of a kind."""
        del row, media
        return False

    def _selection(self, window: DateWindow, call_type: str | None, media: str) -> Sequence[Row]:
        dialect = self.dialect
        end = window.last + dt.timedelta(days=dialect.inclusive)
        key = (dialect.midnight(window.first), dialect.midnight(end), call_type, media)
        if key not in self._kept:
            rows = [row for row in self.held(*key[:2]) if call_type in {None, row[2]}]
            if media:
                rows = [row for row in rows if self.names(row, media)]
            if dialect.order == "id":
                rows.sort(key=lambda row: row[1])
            self._kept[key] = rows[::-1] if dialect.order == "newest" else rows
        return self._kept[key]

    def _total(self, count: int) -> int | None:
        off = self.dialect.off
        totals = {
            "exact": count,
            "none": None,
            "high": count + off if count else 0,
            "low": max(count - off, min(count, 1)),
            "capped": min(count, off),
        }
        return totals[self.dialect.totals]

    def _change(self) -> None:
        for change in [change for change in self.changes if change.after <= self.requests]:
            self.changes.remove(change)
            self._kept.clear()
            if change.kind == "delete":
                for _ in range(min(change.count, len(self.rows))):
                    self.gone.add(self.rows.pop(-1 - change.place % len(self.rows))[1])
                continue
            away = {"arrive": 0, "late": -change.place, "future": change.place}[change.kind]
            for _ in range(change.count):
                self.add(self.now + away * MINUTE)

    def add(self, start: int) -> Row:
        """Let a call appear now.

        Args:
            start: When it started, or claims to have.
        """
        number = 1_000_000 + len(self.queries) * 1000 + len(self.rows) + len(self.gone)
        row = (start, _id(number), CALL_TYPES[number % 5])
        insort(self.rows, row)
        self._kept.clear()
        return row


def _refusal(blames: Blames) -> InvalidParameterError:
    return InvalidParameterError("refused", blames=blames, is_value=True)


@dataclass(frozen=True)
class Scene:
    """An account, a server, and a reading.

    Attributes:
        bursts: The account's calls.
        dialect: The server.
        size: Rows to ask for in a page.
        days: How many days before now the reading starts.
        end_minutes: How many minutes before now it ends; None: no end.
        kinds: How many types of calls there are.
        changes: What happens meanwhile.
    """

    bursts: tuple[Burst, ...] = ()
    dialect: Dialect = Dialect()
    size: int = 100
    days: int = 30
    end_minutes: int | None = None
    kinds: int = 5
    changes: tuple[Change, ...] = ()

    @property
    def start(self) -> int:
        """First moment of interest."""
        return NOW - self.days * DAY

    @property
    def end(self) -> int:
        """First moment that is of no interest, or that has not come."""
        return NOW if self.end_minutes is None else NOW - self.end_minutes * MINUTE

    @property
    def readable_end(self) -> int:
        """Until when a server like this tells about calls: not today, if it excludes `toDate`."""
        dialect = self.dialect
        if dialect.future or dialect.inclusive:
            return self.end
        return min(self.end, dialect.midnight(dialect.today(NOW)))


@dataclass
class Reading:
    """What came of a reading.

    Attributes:
        scene: What was read.
        chunks: What came out.
        error: What ended it, if not its end.
        server: The server afterwards.
        expected: The calls that were there throughout, by start.
    """

    scene: Scene
    chunks: list[WindowResult]
    error: ZohoVoiceError | None
    server: Server
    expected: list[Row]

    @property
    def ids(self) -> list[str]:
        """What came out."""
        return [row.logid for chunk in self.chunks for row in chunk.rows]

    @property
    def requests(self) -> int:
        """How many requests it took."""
        return self.server.requests

    @property
    def missing(self) -> list[Row]:
        """What should have come out and did not."""
        ids = set(self.ids)
        return [row for row in self.expected if row[1] not in ids]


def read(scene: Scene) -> Reading:
    """Read an account to its end, or until an error."""
    rows = rows_of(scene.bursts, scene.kinds)
    server = Server(scene.dialect, rows, list(scene.changes))
    held = server.held(scene.start, scene.readable_end)
    dialect = scene.dialect
    page = min(scene.size, dialect.max_size or scene.size, dialect.max_offset or scene.size)
    days = math.ceil(scene.days / min(dialect.max_days or 30, 30))
    server.limit = 50 * (len(rows) / max(page - 1, 1) + days + 20)
    reader = CallLogReader(
        start=_moment(scene.start),
        end=None if scene.end_minutes is None else _moment(scene.end),
        now=_moment(NOW),
        page_size=scene.size,
        filters={},
    )
    chunks, error = [], None
    try:
        for chunk in drive(reader.read_windows(), server.respond):
            chunks.append(chunk)  # noqa: PERF402 - what came before an error counts too
    except ZohoVoiceError as problem:
        error = problem
    expected = [row for row in held if row[1] not in server.gone]
    return Reading(scene, chunks, error, server, expected)


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


# What follows makes up scenes.

_YEAR = 365 * 1440


def bursts(most: int, span: int = 9 * _YEAR) -> st.SearchStrategy[tuple[Burst, ...]]:
    """Make up accounts: bursts, silences of years, many calls in one millisecond."""
    ages = st.one_of(
        st.integers(0, 3 * 1440), st.integers(0, min(60 * 1440, span)), st.integers(0, span)
    )
    gaps = st.sampled_from((0, 1, SECOND, MINUTE, 17 * MINUTE, 3 * 60 * MINUTE, DAY, 11 * DAY))
    few, some = st.integers(0, min(12, most)), st.integers(0, min(120, most))
    counts = st.one_of(few, some, st.integers(0, most))
    return st.lists(st.builds(Burst, ages, counts, gaps), max_size=6).map(tuple)


ZONES = st.one_of(
    st.just(0), st.sampled_from((-720, -480, 330, 345, 840)), st.integers(-48, 56).map((15).__mul__)
)
ORDERS: st.SearchStrategy[Order] = st.sampled_from(("newest", "oldest", "id"))
OVERS: st.SearchStrategy[Over] = st.sampled_from(("refuse", "empty", "fail", "cut"))
BLAMES: st.SearchStrategy[Blames] = st.sampled_from(("", "size"))


def dialects(
    *,
    totals: st.SearchStrategy[Totals],
    max_days: st.SearchStrategy[int | None],
    max_size: st.SearchStrategy[int | None],
    max_offset: st.SearchStrategy[int | None],
    future: st.SearchStrategy[bool],
    off: st.SearchStrategy[int],
    orders: st.SearchStrategy[Order] = ORDERS,
) -> st.SearchStrategy[Dialect]:
    """Make up servers."""
    return st.builds(
        Dialect,
        order=orders,
        zone=ZONES,
        summer=st.booleans(),
        inclusive=st.booleans(),
        future=future,
        max_days=max_days,
        max_size=max_size,
        size_refused=st.booleans(),
        size_blamed=st.booleans(),
        dates_blamed=st.booleans(),
        max_offset=max_offset,
        offset_over=OVERS,
        offset_blames=BLAMES,
        counts_size=st.booleans(),
        totals=totals,
        off=off,
    )


ANY_TOTALS: st.SearchStrategy[Totals] = st.sampled_from(("exact", "none", "high", "low", "capped"))
EXACT: st.SearchStrategy[Totals] = st.just("exact")
NONE: st.SearchStrategy[None] = st.none()


def changes() -> st.SearchStrategy[tuple[Change, ...]]:
    """Make up what happens between two requests."""
    change = st.builds(
        Change,
        after=st.integers(0, 30),
        kind=st.sampled_from(("arrive", "late", "delete")),
        place=st.one_of(st.integers(0, 20), st.integers(0, 5000)),
        count=st.integers(1, 5),
    )
    return st.lists(change, max_size=5).map(tuple)
