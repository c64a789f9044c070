"""Accounts of the sandbox, and runs of the tap that read them by the test's clock."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.calls import assert_once, history, server_ids
from tests.support.cli import Run, RunTap, selecting
from zoho_voice_sandbox import Dialect, History, Sandbox
from zoho_voice_sandbox.clock import Clock

_PROGRAM = """
from tap_zohovoice.tap import TapZohoVoice
try:
    TapZohoVoice.cli()
finally:
    lines = open("/proc/self/status").read().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    open("peak", "w").write(peak)
"""


class Account(Sandbox):
    """A sandbox, and runs of the tap against it.

    Further arguments are those of the history, of the dialect and of the sandbox, by name.
    """

    clock: Any  # mostly a FakeClock

    def __init__(
        self, run_tap: RunTap, clock: Clock, calls: int | History | None = 900, **options: Any
    ) -> None:
        def take(names: set[str]) -> dict[str, Any]:
            return {name: options.pop(name) for name in [*options] if name in names}

        if isinstance(calls, int):
            calls = history(calls, **take({"seed", "first", "last"}))
        dialect = Dialect(**take({field.name for field in fields(Dialect)}))
        super().__init__(history=calls, dialect=dialect, clock=clock, **options)
        self.run_tap = run_tap
        self.own: dict[str, Any] = {} if calls else {"start_date": "2026-02-01"}
        """Settings of all runs; silent days of more than a month would take requests to prove."""

    def run(
        self,
        *options: str,
        state: Any = None,
        streams: Any = (),
        catalog: Any = None,
        **settings: Any,
    ) -> Run:
        """Run the tap; a setting that is None is left out."""
        config = {**self.config, **self.own, **settings}
        config = {name: value for name, value in config.items() if value is not None}
        catalog = selecting(*streams) if streams else catalog
        return self.run_tap(config, *options, state=state, catalog=catalog)

    def succeed(self, *options: str, **settings: Any) -> Run:
        """Run the tap, and check that it ended well."""
        run = self.run(*options, **settings)
        assert run.exit_code == 0, run.log
        return run

    def fail(self, *patterns: str, options: Any = (), **settings: Any) -> Run:
        """Run the tap, and check that it ends by one line that has these patterns."""
        run = self.run(*options, **settings)
        assert run.exit_code == 1
        (error,) = run.logged("ERROR")
        assert all(re.search(pattern, error) for pattern in patterns), error
        assert "Traceback" not in run.log
        return run

    def read(self, *options: str, **settings: Any) -> Run:
        """Run the tap, and check that each call of the account came out, and none twice."""
        run = self.run(*options, **settings)
        assert_once(run, server_ids(self))
        return run

    def stop_after(
        self, requests: int, signum: signal.Signals = signal.SIGTERM, **settings: Any
    ) -> Run:
        """Run the tap, and stop it by a signal at a request for logs."""
        last = self.stats.requests + requests
        self.before_request = lambda _: (
            os.kill(os.getpid(), signum) if self.stats.requests == last else None
        )
        run = self.run(**settings)
        self.before_request = None
        assert run.exit_code in {0, 128 + signum}, run.log
        return run

    def start(
        self,
        folder: Path,
        *,
        prelude: str = "",
        output: int = subprocess.DEVNULL,
        environment: Mapping[str, str] = MappingProxyType({}),
        state: Any = None,
        **settings: Any,
    ) -> subprocess.Popen[bytes]:
        """Start the tap as a process, which writes its highest use of memory to a file `peak`."""
        folder.mkdir(exist_ok=True)
        config = {**self.config, **self.own, "rate_limit_calls": 10_000, **settings}
        command = [sys.executable, "-c", prelude + _PROGRAM]
        for option, content in {"config": config, "state": state}.items():
            if content:
                path = folder / f"{option}.json"
                path.write_text(json.dumps(content))
                command += [f"--{option}", str(path)]
        env = {**os.environ, **environment}
        return subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)


Accounts = Callable[..., Account]
"""The fixture `account`."""


def read_cases(name: str) -> dict[str, Any]:
    """Return tables of cases of the integration tests."""
    path = Path(__file__).parents[1] / "integration" / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))
