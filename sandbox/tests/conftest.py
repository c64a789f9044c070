"""Fixtures of the sandbox's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox_client import Caller, FakeClock, history
from zoho_voice_sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def caller() -> Iterator[Caller]:
    clock = FakeClock()
    with Sandbox(history=history(), clock=clock) as box:
        yield Caller(box, clock)
