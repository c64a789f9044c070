"""The calls that the account holds at this moment."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from tap_zohovoice.sandbox.added import Added, logid_of
from tap_zohovoice.sandbox.calls import Row, files_of, write
from tap_zohovoice.sandbox.facts import LOGID_LENGTH, Sequence
from tap_zohovoice.sandbox.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_zohovoice._time import Clock
    from tap_zohovoice.sandbox.history import History

_END_OF_TIME = 1 << 62


class Store:
    """A history that is never written out, and the few rows that came or went since.

    A call is known by its handle: its number in the seed's sequence, or a negative number if it
    was added from outside.
    """

    def __init__(
        self, history: History | None, clock: Clock, *, grow_per_hour: float = 0.0
    ) -> None:
        """Lay out the history.

        Args:
            history: The calls there are from the start, None for an empty account.
            clock: Where the time comes from.
            grow_per_hour: How many new calls end, and so appear, in an hour from now on.

        Raises:
            ValueError: If it is less than none.
        """
        if grow_per_hour < 0:
            msg = "an account cannot grow by fewer than no calls"
            raise ValueError(msg)
        self._clock = clock
        self._born = clock.now()
        self._sequence = Sequence(history.seed if history else 0)
        self._starts = history.starts(self._born) if history else array("q")
        self._rate = grow_per_hour / 3600
        self._grown = 0
        self._gaps: list[int] = []
        self._extras: list[tuple[int, int]] = []
        self._added = Added()
        self._version = 0
        self._guard = threading.RLock()

    def __len__(self) -> int:
        """Return how many calls there are now."""
        with self._guard:
            self._grow()
            return len(self._starts) - len(self._gaps) + len(self._extras)

    @property
    def version(self) -> int:
        """A number that changes whenever calls come or go."""
        with self._guard:
            self._grow()
            return self._version

    def now_ms(self) -> int:
        """Return the present in milliseconds since the epoch."""
        return int(self._clock.now() * 1000)

    def add(self, row: Row, *, at_ms: int | None = None) -> None:
        """Let a row arrive; one with the same logid is replaced.

        Args:
            row: Any row, sent as it is.
            at_ms: The moment under which the server files it, in milliseconds since the epoch;
                by default its `start_time`, or now if that cannot be read.
        """
        with self._guard:
            self._grow()
            logid = logid_of(row)
            if logid and self._find(logid) is not None:
                self.remove(logid)
            moment = self._moment(row) if at_ms is None else at_ms
            insort(self._extras, (moment, self._added.add(row, moment)))
            self._version += 1

    def remove(self, logid: str) -> None:
        """Let a row vanish.

        Args:
            logid: Its logid.

        Raises:
            KeyError: If there is no such row.
        """
        with self._guard:
            self._grow()
            handle = self._find(logid)
            if handle is None:
                raise KeyError(logid)
            if 0 <= handle < len(self._starts):
                insort(self._gaps, handle)
            else:
                self._extras.remove((self.start_ms(handle), handle))
            if handle < 0:
                self._added.remove(handle)
            self._version += 1

    def find(self, logid: str) -> Row | None:
        """Find a call.

        Args:
            logid: Its logid.

        Returns:
            The row as the server holds it now, None if there is none.
        """
        with self._guard:
            self._grow()
            handle = self._find(logid)
            return None if handle is None else self.row(handle)

    def carries(self, name: str) -> bool:
        """Tell whether a call names a file.

        Args:
            name: Name of the file.

        Returns:
            Whether one does now.
        """
        with self._guard:
            if self._added.carries(name):
                return True
            # Names of made-up files begin with the logid, so there is no need to search.
            row = self.find(name[:LOGID_LENGTH])
            return row is not None and name in files_of(row)

    def rows(self) -> Iterator[Row]:
        """Go through all calls as the server holds them now, in order of time.

        Yields:
            Each row, whole.
        """
        window = self.window()
        for place in range(len(window)):
            row = self.row(window[place])
            if row is not None:
                yield row

    def window(self, low_ms: int = 0, high_ms: int = _END_OF_TIME) -> Window:
        """Look at the calls that began in a stretch of time.

        Args:
            low_ms: Its first moment, in milliseconds since the epoch.
            high_ms: The first moment after it.

        Returns:
            The calls as they are now; what comes or goes later does not show.
        """
        with self._guard:
            self._grow()
            first, last = bisect_left(self._starts, low_ms), bisect_left(self._starts, high_ms)
            gaps = self._gaps[bisect_left(self._gaps, first) : bisect_left(self._gaps, last)]
            low, high = (low_ms, -_END_OF_TIME), (high_ms, -_END_OF_TIME)
            extras = self._extras[bisect_left(self._extras, low) : bisect_left(self._extras, high)]
            return Window(self._starts, (first, max(first, last)), gaps, extras)

    def row(self, handle: int) -> Row | None:
        """Write a call down.

        Args:
            handle: Its handle.

        Returns:
            The row as the server holds it now, None if it has vanished.
        """
        if handle < 0:
            return self._added.row(handle)
        return write(self._sequence.facts(handle), self.start_ms(handle), self.now_ms())

    def start_ms(self, handle: int) -> int:
        """Return when a call began.

        Args:
            handle: Its handle.

        Returns:
            Milliseconds since the epoch.
        """
        if handle < 0:
            return self._added.moment(handle)
        if handle < len(self._starts):
            return self._starts[handle]
        # A grown call appears when it ends, so it is its end that is evenly spaced.
        end = self._born + (handle - len(self._starts) + 1) / self._rate
        return int(end) * 1000 - self._sequence.span_ms(handle)

    def logid(self, handle: int) -> str:
        """Return a call's logid.

        Args:
            handle: Its handle.

        Returns:
            The logid, empty if the row has none.
        """
        if handle < 0:
            return logid_of(self._added.row(handle) or {})
        return self._sequence.logid(handle)

    def _grow(self) -> None:
        due = int((self._clock.now() - self._born) * self._rate)
        for number in range(self._grown, due):
            handle = len(self._starts) + number
            insort(self._extras, (self.start_ms(handle), handle))
            self._version += 1
        self._grown = max(self._grown, due)

    def _find(self, logid: str) -> int | None:
        handle = self._added.find(logid)
        if handle is None:
            handle = self._sequence.number_of(logid)
        if handle is None or handle < 0:
            return handle
        if handle < len(self._starts):
            place = bisect_right(self._gaps, handle) - 1
            return None if place >= 0 and self._gaps[place] == handle else handle
        grown = handle < len(self._starts) + self._grown
        if not grown:
            return None
        entry = (self.start_ms(handle), handle)
        place = bisect_left(self._extras, entry)
        return handle if self._extras[place : place + 1] == [entry] else None

    def _moment(self, row: Row) -> int:
        try:
            return int(row["start_time"])
        except (KeyError, TypeError, ValueError):
            return self.now_ms()
