"""Fixtures that all tests share."""

import gc
import io
import json
import os
from collections.abc import Iterator
from functools import cache, partial
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, settings

from tap_zohovoice.tap import TapZohoVoice
from tests.support.account import Account, Accounts
from tests.support.cli import FakeClock, Run, RunTap, call_cli

# The default is the same every time, so that CI fails for changes alone.
settings.register_profile("default", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=8_000, deadline=None)
# Reports the first failing example as it is, at once.
settings.register_profile(
    "unshrunk", settings.get_profile("default"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Several times as fast as `json`; it refuses NaN.
_MESSAGE = msgspec.json.Decoder()


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from going through the modules again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


@pytest.fixture(scope="session")
def state_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Name a folder for each test, which most of them do not need: making one takes long."""
    folder = tmp_path_factory.mktemp("state-homes")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def state_home(state_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the slots that runs share inside the test."""
    home = next(state_homes)
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home


@pytest.fixture(scope="session", autouse=True)
def no_dotenv() -> Iterator[None]:
    """Keep a developer's own .env, with real secrets, out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tap_zohovoice.tap.find_dotenv", lambda: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def cached_versions() -> Iterator[None]:
    """Read the versions of packages once: each run of the tap shows some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "version", cache(metadata.version))
        yield


@pytest.fixture
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's own network needs out of a test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def run_tap(clock: FakeClock, tmp_path: Path) -> RunTap:
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
            messages=[_MESSAGE.decode(line) for line in lines],
            log=log.getvalue(),
            stdout=stdout,
        )

    return run


@pytest.fixture
def account(run_tap: RunTap, clock: FakeClock) -> Accounts:
    """Make accounts of the sandbox that the tap reads by the test's clock."""
    return partial(Account, run_tap, clock)


@pytest.fixture
def box(account: Accounts) -> Iterator[Account]:
    """Run an account of 40 calls."""
    with account(40) as running:
        yield running
