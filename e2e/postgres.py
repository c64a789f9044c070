"""A real PostgreSQL server that runs during a block."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

HOST = "127.0.0.1"
_PATIENCE_SECONDS = 30.0
# Not UTC, as on many servers: the stored times must still be right.
_TIME_ZONE = "America/New_York"


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        port: Its port on the loopback interface.
        user: Name of its one user.
        password: Password of that user.
        programs: Folder of the server's programs.
    """

    port: int
    user: str
    password: str = field(repr=False)
    programs: Path = field(repr=False)

    def create(self, database: str) -> None:
        """Create a database."""
        self.ask("postgres", f"CREATE DATABASE {database}")

    def ask(self, database: str, query: str) -> list[Any]:
        """Run a query.

        Args:
            database: Where.
            query: One column of JSON, or no result.

        Returns:
            The values of the column.
        """
        command: list[str | Path] = [
            *(self.programs / "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
            *("--set", "ON_ERROR_STOP=1", "--host", HOST, "--port", str(self.port)),
            *("--username", self.user, "--dbname", database, "--command", query),
        ]
        environment = os.environ | {"PGPASSWORD": self.password, "PGCLIENTENCODING": "UTF8"}
        asked = subprocess.run(
            command, env=environment, capture_output=True, timeout=_PATIENCE_SECONDS, check=False
        )
        assert asked.returncode == 0, asked.stderr.decode()
        return [json.loads(line) for line in asked.stdout.decode().splitlines()]


@contextmanager
def serving() -> Generator[Server]:
    """Start a server on a free port, and stop it after the block.

    Yields:
        The server.
    """
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="e2e-postgres-") as name:
        folder = Path(name)
        account = _become(folder)
        server = Server(_free_port(), "loader", secrets.token_hex(16), programs)
        password = folder / "password"
        password.write_text(server.password)
        # Only the user of the server may read it.
        password.chmod(0o600)
        if account:
            shutil.chown(password, account["user"], account["group"])
        subprocess.run(
            [
                *(programs / "initdb", "--pgdata", folder / "data", "--username", server.user),
                *("--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8"),
                *("--locale", "C", "--no-sync"),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            timeout=_PATIENCE_SECONDS,
            check=True,
            **account,
        )
        settings = {
            "listen_addresses": HOST,
            "port": server.port,
            "unix_socket_directories": folder,
            "timezone": _TIME_ZONE,
            "fsync": "off",
            "log_statement": "none",
        }
        options = [word for item in settings.items() for word in ("-c", "{}={}".format(*item))]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *options],
                cwd=folder,
                stdout=log,
                stderr=log,
                **account,
            )
        try:
            _wait(server, process, folder / "log")
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # does not wait for clients
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _programs() -> Path:
    # Debian installs them outside PATH, one folder per version.
    homes = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda home: float(home.parent.name)
    )
    homes = [Path(name) for name in os.get_exec_path()] + homes
    needed = ("initdb", "postgres", "psql", "pg_isready")
    found = [home for home in homes if all((home / name).exists() for name in needed)]
    assert found, "no PostgreSQL server; install it: apt-get install postgresql"
    return found[-1]


def _become(folder: Path) -> dict[str, Any]:
    """Return the user that runs the server, which does not run as root."""
    if os.geteuid():
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(server: Server, process: subprocess.Popen[Any], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    ready: list[str | Path] = [
        server.programs / "pg_isready",
        "-q",
        "-h",
        HOST,
        "-p",
        str(server.port),
    ]
    while subprocess.run(ready, timeout=_PATIENCE_SECONDS, check=False).returncode:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
