"""The file that runs share, damaged in every way: the tap goes on, says so, keeps the limit."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tap_zohovoice.rate_limit.store import store_path
from tests.unit.test_limiter import CLIENT, LOGGER, URL, assert_never_too_many, throttle_of, waited

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.cli import FakeClock

    Damage = Callable[[Path], object]

ANOTHER_VERSION = """
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


def spoil_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"x" * 4096)


def block_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("a file where a folder should be")


USELESS: dict[str, Damage] = {
    "garbage": lambda path: path.write_bytes(b"no database at all " * 500),
    "cut short": lambda path: os.truncate(path, 5000),
    "spoilt in the middle": spoil_the_middle,
    "a directory": replaced_by(Path.mkdir),
    "a pipe": replaced_by(os.mkfifo),
    "a full device": replaced_by(lambda path: path.symlink_to("/dev/full")),
    "a link to itself": replaced_by(lambda path: path.symlink_to(path)),
    "huge": replaced_by(lambda path: path.write_bytes(os.urandom(1 << 20) * 8)),
    "no folder": block_the_folder,
    "other tables": with_sql("DROP TABLE slot; CREATE TABLE slot (something TEXT);"),
    "another version": with_sql(ANOTHER_VERSION),
    "a lock for ever": with_sql("INSERT OR REPLACE INTO lock VALUES (1, 1772366400, 1e12);"),
    "an endless lock": with_sql("INSERT OR REPLACE INTO lock VALUES (1, 1772366400, 9e999);"),
    "a lock in words": with_sql("INSERT OR REPLACE INTO lock VALUES (1, 'x', 9e999);"),
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
    "in words": with_sql("UPDATE slot SET taken = 'then', answered = x'00ff';"),
    "many slots": with_sql(MANY),
    "a newer version with more columns": with_sql(
        "ALTER TABLE slot ADD COLUMN more TEXT NOT NULL DEFAULT ''; PRAGMA user_version = 9;"
    ),
}


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]


def damaged(clock: FakeClock, damage: Damage, number: int) -> list[float]:
    """Ask eight times under a limit of three a minute, and tell when.

    The file is damaged before the first request, or while a later one is under way.
    """
    first = throttle_of(clock, calls=3)  # a run before, so that there is a file
    first.acquire()
    first.release()
    if not number:
        damage(store_path(CLIENT, URL))
    throttle = throttle_of(clock, calls=3)
    seen = []
    for request in range(8):
        throttle.acquire()
        seen.append(clock.time)
        if number and request == number:
            damage(store_path(CLIENT, URL))
        throttle.release()
    return seen


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("name", USELESS)
def test_without_a_usable_file_one_warning_is_given_and_the_limit_is_kept(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, name: str, number: int
) -> None:
    seen = damaged(clock, USELESS[name], number)
    assert_never_too_many(seen, 3, 60)
    assert sum(clock.slept) <= 4 * 60 + 1
    (warning,) = warnings_of(caplog)
    assert warning.startswith("The rate limit cannot be shared with other runs (")
    assert str(store_path(CLIENT, URL)) in warning


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("name", USABLE)
def test_a_file_that_can_be_used_again_is_used_in_silence(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, name: str, number: int
) -> None:
    seen = damaged(clock, USABLE[name], number)
    assert_never_too_many(seen, 3, 60)
    assert not warnings_of(caplog)
    other = throttle_of(clock, calls=2)
    assert waited(other, clock) > 50  # it is shared again


def test_a_lock_is_kept_by_the_run_that_met_it_without_a_file(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    store_path(CLIENT, URL).mkdir(parents=True)
    throttle = throttle_of(clock)
    throttle.acquire()
    throttle.withdraw()
    throttle.close(600, "locked")
    assert waited(throttle, clock) >= 600
    assert len(warnings_of(caplog)) == 1


@contextmanager
def unprivileged() -> Generator[None]:
    """Be somebody whom the permissions of files bind, which root is not."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
@pytest.mark.parametrize("has_file", [True, False])
def test_on_a_disk_that_cannot_be_written_the_tap_goes_on_and_says_so(
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    has_file: bool,
) -> None:
    disk = tmp_path_factory.mktemp("disk")
    monkeypatch.setenv("XDG_STATE_HOME", str(disk))
    path = store_path(CLIENT, URL)
    if has_file:
        waited(throttle_of(clock), clock)
        path.chmod(0o444)
        path.parent.chmod(0o555)
    disk.chmod(0o555)
    above = [folder for folder in disk.parents if folder.stat().st_uid == os.geteuid()]
    modes = {folder: folder.stat().st_mode for folder in above}
    try:
        for folder in above:
            folder.chmod(modes[folder] | 0o055)
        throttle = throttle_of(clock, calls=3)
        with unprivileged():
            seen = []
            for _ in range(6):
                throttle.acquire()
                seen.append(clock.time)
                throttle.release()
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)
        disk.chmod(0o755)
        if has_file:
            path.parent.chmod(0o755)
    assert_never_too_many(seen, 3, 60)
    assert len(warnings_of(caplog)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits there")
def test_on_a_full_disk_the_tap_goes_on_and_says_so(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    throttle = throttle_of(clock, calls=3)
    seen = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        for _ in range(6):
            throttle.acquire()
            seen.append(clock.time)
            throttle.release()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_never_too_many(seen, 3, 60)
    assert len(warnings_of(caplog)) == 1
