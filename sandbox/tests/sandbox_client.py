"""A client of the sandbox, and a clock that takes no time."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import requests

from zoho_voice_sandbox import History

if TYPE_CHECKING:
    from zoho_voice_sandbox import Sandbox

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 1)


class FakeClock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self, now: float = datetime(2026, 6, 1, tzinfo=UTC).timestamp()) -> None:
        self.started = now
        self.passed = 0.0

    def now(self) -> float:
        return self.started + self.passed

    def monotonic(self) -> float:
        return 1000 + self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class Caller:
    """A client of a sandbox with a clock of its own."""

    def __init__(self, box: Sandbox, clock: FakeClock) -> None:
        self.box = box
        self.clock = clock
        self.token = ""

    def post(self, **changes: str) -> requests.Response:
        config = self.box.config
        form = {name: config[name] for name in ("client_id", "client_secret", "refresh_token")}
        form |= {"grant_type": "refresh_token"} | changes
        return requests.post(f"{self.box.url}/oauth/v2/token", data=form, timeout=9)

    def get(self, path: str = "zv/logs", /, **params: object) -> requests.Response:
        if not self.token:
            self.token = self.post().json()["access_token"]
        query = {name.rstrip("_"): str(value) for name, value in params.items()}
        return requests.get(
            f"{self.box.url}/rest/json/{path}",
            query,
            headers={"Authorization": f"Zoho-oauthtoken {self.token}"},
            timeout=9,
            allow_redirects=False,
        )

    def rows(self, **params: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(size=params.pop("size", 1000), **params).json()[
            "logs"
        ]
        return found

    def ids(self, **params: object) -> list[str]:
        return [row["logid"] for row in self.rows(**params)]


def history(calls: int = 300, seed: int = 1) -> History:
    return History(seed=seed, calls=calls, first=FIRST, last=LAST)


def set_dialect(caller: Caller, **changes: Any) -> None:
    """Change the behaviour of a running sandbox."""
    caller.box.dialect = dataclasses.replace(caller.box.dialect, **changes)
