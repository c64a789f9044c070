"""Fixtures that all tests share."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_zohovoice.tap import TapZohoVoice
from tests.support.cli import FakeClock, Run, call_cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the slots that runs share inside the test."""
    home = tmp_path / "state-home"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def no_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own .env, with real secrets, out of the tests."""
    monkeypatch.setattr("tap_zohovoice.config.environment.find_dotenv", lambda: None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def run_tap(clock: FakeClock, tmp_path: Path) -> Callable[..., Run]:
    """Run the tap's command line in this process, by the test's clock."""

    class TapByClock(TapZohoVoice):
        pass

    TapByClock.clock = clock

    def run(
        config: dict[str, Any],
        *args: str,
        state: dict[str, Any] | None = None,
        catalog: dict[str, Any] | None = None,
        encoding: str = "utf-8",
    ) -> Run:
        files = {"--config": config, "--state": state, "--catalog": catalog}
        options = list(args)
        for option, content in files.items():
            if content is not None:
                path = tmp_path / f"{option.strip('-')}.json"
                path.write_text(json.dumps(content))
                options += [option, str(path)]
        out, log = io.TextIOWrapper(io.BytesIO(), encoding), io.StringIO()
        exit_code = call_cli(TapByClock, options, out, log)
        out.seek(0)
        stdout = out.read()
        lines = [line for line in stdout.split("\n") if line.startswith('{"type"')]
        return Run(
            exit_code=exit_code,
            messages=[json.loads(line) for line in lines],
            log=log.getvalue(),
            stdout=stdout,
        )

    return run
