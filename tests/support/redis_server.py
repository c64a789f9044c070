"""A real Redis server on the loopback interface, and a clock that moves with its data."""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from tap_zohovoice._compat import override
from tests.support.cli import FakeClock

HOST = "127.0.0.1"
PASSWORD = "hush-hush"
_START_SECONDS = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A server with a password, which runs while its `with` block does."""

    def __init__(self, folder: Path, **options: str) -> None:
        program = shutil.which("redis-server")
        if not program:
            message = "no redis-server; install it: apt-get install redis-server"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        self.port = free_port()
        self.snapshot = folder / "dump.rdb"
        settings = {"port": str(self.port), "bind": HOST, "requirepass": PASSWORD}
        settings |= {"dir": str(folder), "save": "", **options}
        self._arguments = [program]
        for name, value in settings.items():
            self._arguments += [f"--{name.replace('_', '-')}", value]
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://:{PASSWORD}@{HOST}:{self.port}/0"
        self.client: Any = redis.Redis.from_url(self.url, decode_responses=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.kill()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self.process = subprocess.Popen(
            self._arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert self.process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End the server at once; it saves nothing."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def let_pass(self, seconds: float) -> None:
        """Set back all times that the tap has stored, as if they were that much longer ago."""
        for key in self.client.keys("tap-zohovoice:*"):
            state = json.loads(self.client.get(key))
            state["since"] -= seconds
            for url in state["urls"].values():
                url["locked"] -= seconds
                for kind in ("taken", "answered"):
                    url[kind] = {token: at - seconds for token, at in url[kind].items()}
            self.client.set(key, json.dumps(state))


class ServerClock(FakeClock):
    """A clock that only moves when somebody sleeps, and the server's times with it."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__()
        self.after: dict[int, Any] = {}
        """What is called after some sleeps, by their number."""
        self._server = server

    @override
    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self._server.process:
            self._server.let_pass(seconds)
        self.after.get(len(self.slept), bool)()
