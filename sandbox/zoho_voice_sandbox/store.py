"""The calls of the account: generated ones, and changes since."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from zoho_voice_sandbox.calls import Row, build_row, encode_row, file_names
from zoho_voice_sandbox.date_filter import END_OF_TIME, TimeRange
from zoho_voice_sandbox.generator import LOGID_LENGTH, CallGenerator
from zoho_voice_sandbox.history import LONGEST_MS
from zoho_voice_sandbox.overrides import AddedRows, get_logid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoho_voice_sandbox.clock import Clock
    from zoho_voice_sandbox.history import History


class Store:
    """Calls that are generated on access, and the few rows that were added or removed.

    A call is identified by its handle: its number in the generator, or a negative number if it
    was added.

    Attributes:
        late_ms: Time after the start of a call in which its row may change, in milliseconds.
            Recordings appear within five minutes of a call's end.
    """

    late_ms = LONGEST_MS + 5 * 60_000

    def __init__(
        self, history: History | None, clock: Clock, *, grow_per_hour: float = 0.0
    ) -> None:
        """Create the store.

        Args:
            history: The calls at the start, None for an empty account.
            clock: Source of time.
            grow_per_hour: New calls per hour from now on; a call appears when it ends.

        Raises:
            ValueError: If `grow_per_hour` is negative.
        """
        if grow_per_hour < 0:
            msg = "grow_per_hour must not be negative"
            raise ValueError(msg)
        self._clock = clock
        self._created = clock.now()
        self._generator = CallGenerator(history.seed if history else 0)
        self._starts = history.starts(self._created) if history else array("q")
        self._rate = grow_per_hour / 3600
        self._grown = 0
        self._removed: list[int] = []
        self._extras: list[tuple[int, int]] = []
        self._added = AddedRows()
        self._version = 0
        self._mutex = threading.RLock()

    def __len__(self) -> int:
        """Return the current number of calls."""
        with self._mutex:
            self._grow()
            return len(self._starts) - len(self._removed) + len(self._extras)

    @property
    def version(self) -> int:
        """A number that changes whenever calls are added or removed."""
        with self._mutex:
            self._grow()
            return self._version

    def now_ms(self) -> int:
        """Return the time, in milliseconds since the epoch."""
        return int(self._clock.now() * 1000)

    def add(self, row: Row, *, at_ms: int | None = None, is_leg: bool = False) -> None:
        """Add a row; it replaces those with the same logid.

        Args:
            row: Any row, sent as it is.
            at_ms: The start time that the date filter uses, in milliseconds since the epoch; by
                default its `start_time`, or now if that is not a number.
            is_leg: Whether rows with the same logid are kept, as other legs of the call.
        """
        with self._mutex:
            self._grow()
            logid = get_logid(row)
            if logid and not is_leg and self._find(logid) is not None:
                self.remove(logid)
            start_ms = self._parse_start(row) if at_ms is None else at_ms
            insort(self._extras, (start_ms, self._added.add(row, start_ms)))
            self._version += 1

    def remove(self, logid: str) -> None:
        """Remove a row, with all legs of its call.

        Raises:
            KeyError: If it is not found.
        """
        with self._mutex:
            self._grow()
            handle = self._find(logid)
            if handle is None:
                raise KeyError(logid)
            while handle is not None:
                self._remove(handle)
                handle = self._find(logid)
            self._version += 1

    def find(self, logid: str) -> Row | None:
        """Return the current row of a call, of its last added leg, None if it is not found."""
        with self._mutex:
            self._grow()
            handle = self._find(logid)
            return None if handle is None else self.row(handle)

    def has_file(self, name: str) -> bool:
        """Return whether a call refers to a file now."""
        with self._mutex:
            if self._added.has_file(name):
                return True
            # Names of generated files begin with the logid, so there is no need to search.
            row = self.find(name[:LOGID_LENGTH])
            return row is not None and name in file_names(row)

    def rows(self) -> Iterator[Row]:
        """Yield all calls as they are now, by start time."""
        calls = self.select()
        for place in range(len(calls)):
            row = self.row(calls[place])
            if row is not None:
                yield row

    def select(self, selected: TimeRange | None = None) -> CallRange:
        """Return the current calls of a time range, by default all."""
        start_ms, end_ms = selected or TimeRange()
        with self._mutex:
            self._grow()
            first, last = bisect_left(self._starts, start_ms), bisect_left(self._starts, end_ms)
            removed = self._removed[
                bisect_left(self._removed, first) : bisect_left(self._removed, last)
            ]
            low, high = (start_ms, -END_OF_TIME), (end_ms, -END_OF_TIME)
            extras = self._extras[bisect_left(self._extras, low) : bisect_left(self._extras, high)]
            return CallRange(self._starts, (first, max(first, last)), removed, extras)

    def row(self, handle: int) -> Row | None:
        """Return the current row of a call, None if it was removed."""
        if handle < 0:
            return self._added.row(handle)
        return build_row(self._generator.outline(handle), self.start_ms(handle), self.now_ms())

    def encoded_row(self, handle: int) -> bytes:
        """Return the current row of a generated call as JSON."""
        return encode_row(self._generator.outline(handle), self.start_ms(handle), self.now_ms())

    def start_ms(self, handle: int) -> int:
        """Return the start of a call, in milliseconds since the epoch."""
        if handle < 0:
            return self._added.start_ms(handle)
        if handle < len(self._starts):
            return self._starts[handle]
        # A new call appears when it ends, so its end is evenly spaced.
        end = self._created + (handle - len(self._starts) + 1) / self._rate
        return int(end) * 1000 - self._generator.duration_ms(handle)

    def logid(self, handle: int) -> str:
        """Return the logid of a call, empty if it has none."""
        if handle < 0:
            return get_logid(self._added.row(handle) or {})
        return self._generator.logid(handle)

    def _grow(self) -> None:
        due = int((self._clock.now() - self._created) * self._rate)
        for number in range(self._grown, due):
            handle = len(self._starts) + number
            insort(self._extras, (self.start_ms(handle), handle))
            self._version += 1
        self._grown = max(self._grown, due)

    def _remove(self, handle: int) -> None:
        if 0 <= handle < len(self._starts):
            insort(self._removed, handle)
        else:
            self._extras.remove((self.start_ms(handle), handle))
        if handle < 0:
            self._added.remove(handle)

    def _find(self, logid: str) -> int | None:
        handle = self._added.find(logid)
        if handle is None:
            handle = self._generator.find(logid)
        if handle is None or handle < 0:
            return handle
        if handle < len(self._starts):
            place = bisect_right(self._removed, handle) - 1
            return None if place >= 0 and self._removed[place] == handle else handle
        if handle >= len(self._starts) + self._grown:
            return None
        entry = (self.start_ms(handle), handle)
        place = bisect_left(self._extras, entry)
        return handle if self._extras[place : place + 1] == [entry] else None

    def _parse_start(self, row: Row) -> int:
        try:
            return int(row["start_time"])
        except (KeyError, TypeError, ValueError):
            return self.now_ms()


class CallRange:
    """The handles of a time range, by start time: generated calls, less removed, plus extra ones.

    There may be a million generated calls and few others, so a place is computed from the few.
    """

    def __init__(
        self,
        starts: array[int],
        generated: tuple[int, int],
        removed: Sequence[int],
        extras: Sequence[tuple[int, int]],
    ) -> None:
        """Compute the places of the extra calls.

        Args:
            starts: Start of each generated call.
            generated: The first generated call of the range, and the first behind it.
            removed: Removed calls of the range, sorted.
            extras: Start and handle of each extra call, sorted.
        """
        self._first, last = generated
        self._removed = [handle - self._first - rank for rank, handle in enumerate(removed)]
        self._extras = [handle for _, handle in extras]
        self._places = []
        for rank, (start_ms, _) in enumerate(extras):
            follower = bisect_right(starts, start_ms, self._first, last)
            place = follower - self._first - bisect_left(removed, follower) + rank
            self._places.append(place)
        self._count = last - self._first - len(removed) + len(extras)

    def __len__(self) -> int:
        """Return the number of calls."""
        return self._count

    def __getitem__(self, place: int, /) -> int:
        """Return the handle at a place, 0 being the earliest call.

        Raises:
            IndexError: If there is none.
        """
        if not 0 <= place < self._count:
            raise IndexError(place)
        rank = bisect_left(self._places, place)
        if rank < len(self._places) and self._places[rank] == place:
            return self._extras[rank]
        generated = place - rank
        return self._first + generated + bisect_right(self._removed, generated)
