"""Slots and lock in a small file, so that runs side by side and one after another share them."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_zohovoice._time import Clock

_T = TypeVar("_T")
_LOGGER = logging.getLogger("tap-zohovoice.throttle")
_PATIENCE = 30.0  # seconds that another process may hold the file
_LONGEST_LOCK = 7 * 3600.0
"""Seconds; no run waits for a longer one, so a file that tells of one is damaged."""
_TABLES = """
CREATE TABLE IF NOT EXISTS slot (id INTEGER PRIMARY KEY, taken REAL NOT NULL, answered REAL);
CREATE TABLE IF NOT EXISTS lock (
    id INTEGER PRIMARY KEY CHECK (id = 1), since REAL NOT NULL, seconds REAL NOT NULL
);
"""


def store_path(client_id: str, url: str) -> Path:
    """Tell where the slots of one client and one URL are kept.

    Args:
        client_id: Client id of the OAuth client.
        url: URL that the server's limit counts.

    Returns:
        A file in the user's state folder; its name tells neither.

    Raises:
        OSError: If there is no such folder.
    """
    folder = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        state = Path(folder) if folder else Path.home() / ".local" / "state"
    except RuntimeError as error:
        message = "there is no home folder"
        raise OSError(message) from error
    name = hashlib.sha256(f"{client_id}\n{url}".encode()).hexdigest()[:24]
    return state / "tap-zohovoice" / f"{name}.sqlite3"


class SQLiteSlotStore:
    """The slots of one URL in one file, safe for several processes and for a kill at any moment.

    Where the file cannot be used, or holds what no run can have written, one warning is logged and
    every slot is free, so that only the throttle's own window in memory counts.

    Args:
        client_id: Client id of the OAuth client.
        url: URL that the server's limit counts.
        timeout: Longest time that a request of a process that died may still be under way, in s.
        clock: Tells the time by the wall clock, the only one that processes share.
    """

    def __init__(self, client_id: str, url: str, timeout: float, clock: Clock) -> None:
        self._client_id = client_id
        self._url = url
        self._timeout = timeout
        self._clock = clock
        self._usable = True

    def take(self, slots: int, seconds: float) -> tuple[int | None, float, bool]:
        """Take a slot if one is free and there is no lock.

        Args:
            slots: How many there are.
            seconds: How long after its answer a slot is freed.

        Returns:
            The slot's number (None: the file is of no use), else how many seconds to wait, and
            whether a lock is the reason.
        """
        nothing: tuple[int | None, float, bool] = (None, 0.0, False)
        return self._run(lambda file: self._take(file, slots, seconds), nothing)

    def answered(self, token: int) -> None:
        """Stamp a slot with its request's answer."""
        sql = "UPDATE slot SET answered = ? WHERE id = ?"
        self._run(lambda file: file.execute(sql, [self._clock.now(), token]), None)

    def withdraw(self, token: int) -> None:
        """Give back a slot whose request was never sent."""
        self._run(lambda file: file.execute("DELETE FROM slot WHERE id = ?", [token]), None)

    def close(self, seconds: float) -> None:
        """Let no process take a slot for some seconds from now."""
        # A shorter lock must not end a longer one.
        sql = """
            INSERT INTO lock VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET
            since = excluded.since,
            seconds = MAX(
                excluded.seconds, MIN(lock.since, excluded.since) + lock.seconds - excluded.since
            )
        """
        self._run(lambda file: file.execute(sql, [self._clock.now(), seconds]), None)

    def _take(
        self, file: sqlite3.Connection, slots: int, seconds: float
    ) -> tuple[int | None, float, bool]:
        now = self._clock.now()
        # A stamp of the future was made before the clock was set back: count it from now on.
        sql = "UPDATE slot SET {0} = ?1 WHERE {0} > ?1"
        file.execute(sql.format("taken"), [now])
        file.execute(sql.format("answered"), [now])
        file.execute("UPDATE lock SET since = MIN(since, ?)", [now])
        for (locked_until,) in file.execute("SELECT since + seconds FROM lock"):
            left = _number(locked_until) - now
            if left > _LONGEST_LOCK:
                message = "a lock that is too long"
                raise sqlite3.DataError(message)
            if left > 0:
                return None, left, True
        # A slot that was never answered belongs to a request under way, or to a killed process.
        ends = "COALESCE(answered, taken + ?)"
        file.execute(f"DELETE FROM slot WHERE {ends} <= ?", [self._timeout, now - seconds])  # noqa: S608
        ((taken,),) = file.execute("SELECT COUNT(*) FROM slot")
        if taken >= slots:
            sql = f"SELECT {ends} FROM slot ORDER BY 1 LIMIT 1 OFFSET ?"  # noqa: S608
            ((end,),) = file.execute(sql, [self._timeout, taken - slots])
            return None, _number(end) + seconds - now, False
        return file.execute("INSERT INTO slot (taken) VALUES (?)", [now]).lastrowid, 0.0, False

    def _run(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        """Do some work in one transaction; `otherwise` is the answer where no file can be used."""
        if not self._usable:
            return otherwise
        path: Path | None = None
        try:
            path = store_path(self._client_id, self._url)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Opened anew each time: a file that somebody deletes is simply made again.
            connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            with closing(connection) as file:
                file.execute("PRAGMA synchronous = OFF")
                file.executescript(_TABLES)
                file.execute("BEGIN IMMEDIATE")
                result = work(file)
                file.execute("COMMIT")
                return result
        except (sqlite3.Error, OSError) as error:
            self._usable = False
            _LOGGER.warning(
                "The rate limit cannot be shared with other runs (%s); this run keeps to it alone",
                f"{type(error).__name__}, {path}" if path else type(error).__name__,
            )
            return otherwise


def _number(value: object) -> float:
    """Read a number of the file.

    Raises:
        sqlite3.DataError: If it is none: the file is of another version, or somebody edited it.
    """
    if isinstance(value, int | float):
        return value
    message = "no number"
    raise sqlite3.DataError(message)
