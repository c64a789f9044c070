"""The fixture that all properties of the whole tap share."""

from pathlib import Path

import pytest

from tests.support.scenarios import Simulate, simulate


@pytest.fixture
def run_scenario(tmp_path: Path, state_home: Path) -> Simulate:
    """Run a scenario and check the rules."""
    del state_home  # runs share their counts there
    return lambda scenario: simulate(scenario, tmp_path / "run")
