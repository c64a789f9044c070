"""SQLite store of slots and lockouts, shared by processes side by side and one after another."""

import hashlib
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from platformdirs import user_state_path

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.rate_limit.limiter import SHARED_LOCKOUT, Grant, SlotStore

_T = TypeVar("_T")
_LOGGER = logging.getLogger("tap-zohovoice.rate_limit")
BUSY_TIMEOUT = 30.0  # seconds to wait for another process that holds the file
MAX_LOCKOUT = 7 * 3600.0  # seconds; no run waits longer, so a longer lockout is damage
# Every version of the tap shares these files, so the names of the columns stay.
_BEGIN = """
    PRAGMA synchronous = OFF;
    PRAGMA journal_mode = TRUNCATE; -- a new file each time takes long
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS slot (id INTEGER PRIMARY KEY, taken REAL NOT NULL, answered REAL);
    CREATE TABLE IF NOT EXISTS lock (
        id INTEGER PRIMARY KEY CHECK (id = 1), since REAL NOT NULL, seconds REAL NOT NULL);
"""


def digest(text: str) -> str:
    """Return a short name that does not reveal a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def store_path(client_id: str, url: str) -> Path:
    """Return the file for one OAuth client and one rate-limited URL; its name reveals neither."""
    name = digest(f"{client_id}\n{url}")
    folder = user_state_path("tap-zohovoice", appauthor=False).expanduser()
    if not folder.is_absolute():  # XDG ignores such a path; each working folder would have a count
        folder = Path.home() / ".local" / "state" / "tap-zohovoice"
    return folder / f"{name}.sqlite3"


@dataclass(eq=False, repr=False)
class SQLiteSlotStore(SlotStore):
    """Slots of a URL in a file, safe for several processes and for a kill at any moment.

    While the file is unusable, the limiter's window in memory counts; one warning is logged.
    """

    client_id: str
    url: str
    timeout: float  # seconds that a request of a killed process may still be in flight
    clock: Clock  # its wall clock is the only one that processes share
    _retry_at = float("-inf")  # when an unusable file is tried again, by the monotonic clock
    _path: Path | None = field(default=None, init=False)

    @override
    def try_acquire(self, slots: int, seconds: float) -> Grant:
        return self._transaction(lambda file: self._acquire(slots, seconds, file)) or Grant()

    @override
    def release(self, slot: int | str) -> None:
        sql = "UPDATE slot SET answered = ? WHERE id = ?"
        self._transaction(lambda file: file.execute(sql, [self.clock.now(), slot]))

    @override
    def lock_for(self, seconds: float) -> None:
        # A shorter lockout must not end a longer one.
        sql = """
            INSERT INTO lock VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET since = excluded.since,
            seconds = MAX(
                excluded.seconds, MIN(lock.since, excluded.since) + lock.seconds - excluded.since)
        """
        self._transaction(lambda file: file.execute(sql, [self.clock.now(), seconds]))

    def _acquire(self, slots: int, seconds: float, file: sqlite3.Connection) -> Grant:
        now = self.clock.now()
        # Times in the future were written before the clock was set back: count them from now on.
        sql = "UPDATE slot SET taken = MIN(taken, :now), answered = MIN(answered, :now)"
        file.execute(sql + " WHERE taken > :now OR answered > :now", {"now": now})
        file.execute("UPDATE lock SET since = :now WHERE since > :now", {"now": now})
        for (locked_until,) in file.execute("SELECT since + seconds FROM lock"):
            left = locked_until - now
            if left > MAX_LOCKOUT:
                message = "the lockout is too long"
                raise sqlite3.DataError(message)
            if left > 0:
                return Grant(None, left, SHARED_LOCKOUT)
        # A slot that was never released belongs to a request in flight, or to a killed process.
        ends = "COALESCE(answered, taken + ?)"
        file.execute(f"DELETE FROM slot WHERE {ends} <= ?", [self.timeout, now - seconds])  # noqa: S608 - no input
        sql = f"SELECT {ends} FROM slot ORDER BY 1 DESC LIMIT 1 OFFSET ?"  # noqa: S608 - no input
        for (end,) in file.execute(sql, [self.timeout, slots - 1]):  # all slots are taken
            return Grant(None, end + seconds - now)
        return Grant(file.execute("INSERT INTO slot (taken) VALUES (?)", [now]).lastrowid)

    def _transaction(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Run one transaction; return None where the file is not usable."""
        if self.clock.monotonic() < self._retry_at:
            return None
        try:
            path = self._path = self._path or store_path(self.client_id, self.url)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The file is opened anew each time, so that damage, deletion and forks do no harm.
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
            with closing(connection) as file, file:
                file.executescript(_BEGIN)
                return work(file)
        # A column is null in another version of the tap.
        except (sqlite3.Error, OSError, RuntimeError, TypeError) as error:
            if self._retry_at < 0:  # it did not fail before
                text = "Cannot open the shared rate-limit file (%s, %s); limiting this process only"
                _LOGGER.warning(text, type(error).__name__, self._path or "no home folder")
            self._retry_at = self.clock.monotonic() + 10 * BUSY_TIMEOUT
            return None
