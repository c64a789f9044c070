"""SQLite slot store: its file, also damaged, read-only or missing."""

import logging
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tap_zohovoice.rate_limit.limiter import Grant
from tap_zohovoice.rate_limit.sqlite_store import BUSY_TIMEOUT, SQLiteSlotStore, store_path
from tests.support.cli import FakeClock
from tests.unit.test_limiter import (
    CLIENT,
    LOGGER,
    URL,
    assert_limit_kept,
    make_limiter,
    request_times,
    seconds_waited,
)

Damage = Callable[[Path], object]
OTHER_VERSION = """
    DROP TABLE IF EXISTS slot;
    CREATE TABLE slot (id INTEGER PRIMARY KEY, taken REAL, answered REAL);
    INSERT INTO slot VALUES (99, NULL, NULL);
"""
NOBODY = 65_534


def with_sql(statements: str) -> Damage:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as file:
            file.executescript(statements)

    return damage


def replaced_by(make: Damage) -> Damage:
    def damage(path: Path) -> None:
        path.unlink(missing_ok=True)
        make(path)

    return damage


def overwrite_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"x" * 4096)


def block_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("a file where a folder should be")


UNUSABLE: dict[str, Damage] = {
    "garbage": lambda path: path.write_bytes(b"no database at all " * 500),
    "cut short": lambda path: os.truncate(path, 5000),
    "overwritten in the middle": overwrite_middle,
    "a directory": replaced_by(Path.mkdir),
    "a pipe": replaced_by(os.mkfifo),
    "a full device": replaced_by(lambda path: path.symlink_to("/dev/full")),
    "a link to itself": replaced_by(lambda path: path.symlink_to(path)),
    "huge": replaced_by(lambda path: path.write_bytes(os.urandom(1 << 20) * 8)),
    "no folder": block_folder,
    "other tables": with_sql("DROP TABLE slot; CREATE TABLE slot (something TEXT);"),
    "another version": with_sql(OTHER_VERSION),
    "a long lock": with_sql("INSERT OR REPLACE INTO lock VALUES (1, 1772366400, 1e12);"),
    "an infinite lock": with_sql("INSERT OR REPLACE INTO lock VALUES (1, 1772366400, 9e999);"),
    "a lock as text": with_sql("INSERT OR REPLACE INTO lock VALUES (1, 'x', 9e999);"),
}
MANY = """
    INSERT INTO slot (taken, answered)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
    SELECT 9e12, 9e12 FROM n;
"""
USABLE: dict[str, Damage] = {
    "deleted": Path.unlink,
    "deleted with its folder": lambda path: shutil.rmtree(path.parent),
    "empty": lambda path: os.truncate(path, 0),
    "from the future": with_sql("UPDATE slot SET taken = 9e12, answered = 9e12;"),
    "from the past": with_sql("UPDATE slot SET taken = -9e12, answered = 5;"),
    "text": with_sql("UPDATE slot SET taken = 'then', answered = x'00ff';"),
    "many slots": with_sql(MANY),
    "a newer version with more columns": with_sql(
        "ALTER TABLE slot ADD COLUMN more TEXT NOT NULL DEFAULT ''; PRAGMA user_version = 9;"
    ),
}


@pytest.mark.parametrize("number", [0, 1, 2])  # of the request in flight; 0: before the first one
@pytest.mark.parametrize("name", [*UNUSABLE, *USABLE])
def test_damaged_file_keeps_limit_and_may_warn(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, name: str, number: int
) -> None:
    damage, path = (UNUSABLE | USABLE)[name], store_path(CLIENT, URL)
    seconds_waited(make_limiter(clock, calls=3), clock)  # a run before, so that there is a file
    if not number:
        damage(path)
    limiter = make_limiter(clock, calls=3)
    seen = []
    for request in range(8):
        limiter.acquire()
        seen.append(clock.time)
        if number and request == number:
            damage(path)
        limiter.release()
    assert_limit_kept(seen, 3, 60)
    if name in USABLE:
        assert not caplog.messages
        assert seconds_waited(make_limiter(clock, calls=2), clock) > 50  # it is shared again
        return
    assert sum(clock.slept) <= 4 * 60 + 1
    (warning,) = caplog.messages
    assert warning.startswith("Cannot open the shared rate-limit file (")
    assert str(path) in warning
    limiter.lock_for(600, "locked")
    assert seconds_waited(limiter, clock) >= 600


def test_file_is_shared_again_after_a_failure(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = store_path(CLIENT, URL)
    limiter, other = make_limiter(clock, calls=30), make_limiter(clock, calls=2)
    path.parent.parent.mkdir(parents=True)
    path.parent.touch()  # where the folder should be
    assert seconds_waited(limiter, clock) == 0
    assert seconds_waited(limiter, clock) == 0
    path.parent.unlink()
    assert seconds_waited(limiter, clock) == 0
    assert not path.exists()  # each try may wait for a lock, so the next one is later
    clock.time += 10 * BUSY_TIMEOUT
    assert seconds_waited(limiter, clock) == 0
    assert seconds_waited(other, clock) > 50
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("has_file", [True, False])
def test_read_only_disk_warns_once(
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    has_file: bool,
) -> None:
    with TemporaryDirectory() as disk:  # in a folder that others may enter
        monkeypatch.setenv("XDG_STATE_HOME", disk)
        path = store_path(CLIENT, URL)
        if has_file:
            seconds_waited(make_limiter(clock), clock)
            path.chmod(0o444)
            path.parent.chmod(0o555)
        Path(disk).chmod(0o555)
        limiter, user = make_limiter(clock, calls=3), os.geteuid()
        os.seteuid(user or NOBODY)  # the permissions of files do not bind root
        try:
            seen = request_times(limiter, clock, 6)
        finally:
            os.seteuid(user)
    assert_limit_kept(seen, 3, 60)
    assert len(caplog.messages) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_process_shares_the_file(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    store = SQLiteSlotStore(CLIENT, URL, 60, clock)
    assert store.try_acquire(3, 60).slot is not None
    if not (child := os.fork()):
        os._exit(store.try_acquire(3, 60).slot is None)
    assert os.waitpid(child, 0)[1] == 0
    assert store.try_acquire(3, 60).slot is not None
    assert store.try_acquire(3, 60) == Grant(None, 120)
    assert not caplog.messages


def test_store_holds_only_numbers(clock: FakeClock) -> None:
    limiter = make_limiter(clock)
    request_times(limiter, clock, 40)
    limiter.lock_for(600, "locked by +1 555 0100")
    path = store_path(CLIENT, URL)
    with closing(sqlite3.connect(path)) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master")]
        rows = [row for name in tables for row in file.execute(f"SELECT * FROM {name}")]  # noqa: S608
    assert len(rows) > 5
    assert {type(value) for row in rows for value in row} <= {int, float, type(None)}
    contents = {entry.name: entry.read_bytes() for entry in path.parent.iterdir()}
    assert contents.pop(f"{path.name}-journal") == b""
    (content,) = contents.values()
    assert not [word for word in (CLIENT, URL, "555") if word.encode() in content]
    assert CLIENT not in str(path)
    assert "voice" not in path.name
    assert path.parent.stat().st_mode & 0o077 == 0


def test_store_path_is_unique_in_the_state_folder(
    state_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(CLIENT, URL), (CLIENT, URL + "/x"), (CLIENT + "x", URL), ("", CLIENT + URL)]
    assert len({store_path(*pair) for pair in [*pairs, *pairs]}) == len(pairs)
    assert store_path(CLIENT, URL).parent == state_home / "tap-zohovoice"
    if sys.platform == "linux":
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert store_path(CLIENT, URL).parent == tmp_path / ".local" / "state" / "tap-zohovoice"


def test_store_without_home_folder_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "tap_zohovoice.rate_limit.sqlite_store.user_state_path",
        lambda *_, **__: Path("~nobody-of-that-name/x"),
    )
    with caplog.at_level(logging.WARNING, LOGGER):
        assert seconds_waited(make_limiter(FakeClock()), FakeClock()) == 0
    line = "Cannot open the shared rate-limit file (RuntimeError, no home folder); limiting this"
    assert caplog.messages == [f"{line} process only"]
