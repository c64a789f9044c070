"""Fixtures of the end-to-end tests: a server, and an account that was read twice."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from e2e.account import KEYS, bring_news, last_start, open_account
from e2e.pipeline import Pipeline
from e2e.postgres import Server, serving
from e2e.warehouses import DuckDB, JsonLines, Postgres, Snowflake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.account import Row
    from e2e.pipeline import Run
    from e2e.warehouses import Warehouse
    from zoho_voice_sandbox import Sandbox

CALLS = 600


def pytest_sessionstart() -> None:
    """Stop gracefully on SIGTERM too, so that no server keeps running."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@dataclass
class Twice:
    """An account that was read twice, with changes between the runs.

    Attributes:
        box: The account as it is now.
        warehouse: Where it went.
        news: The logids of the calls that came late, are new, or have changed.
        runs: Both runs.
        bookmarks: What Meltano's database held after each.
        expected: Which bookmark was due after each.
        first: The calls in the warehouse after the first run.
        rows: The rows of each stream after the second.
    """

    box: Sandbox
    warehouse: Warehouse
    news: dict[str, str]
    runs: list[Run]
    bookmarks: list[dict[str, Any]]
    expected: list[str]
    first: list[Row]
    rows: dict[str, list[Row]]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(
    scope="session",
    params=["target-postgres", "target-duckdb", "target-jsonl", "target-snowflake"],
)
def twice(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Twice]:
    """Read an account into each of the warehouses."""
    folder = tmp_path_factory.mktemp("twice")
    warehouse = _warehouse(request, folder)
    with open_account(CALLS, seed=3) as box:
        pipeline = Pipeline(box, warehouse, folder, {})
        expected = [last_start(box)]
        runs, bookmarks = [pipeline.run()], [pipeline.bookmarks()]
        assert runs[0].exit_code == 0, runs[0].log
        first = warehouse.rows("call_logs")
        news = bring_news(box)
        expected.append(last_start(box))
        runs.append(pipeline.run())
        bookmarks.append(pipeline.bookmarks())
        assert runs[1].exit_code == 0, runs[1].log
        rows = warehouse.tables(*KEYS)
        yield Twice(box, warehouse, news, runs, bookmarks, expected, first, rows)


def _warehouse(request: pytest.FixtureRequest, folder: Path) -> Warehouse:
    if request.param == "target-postgres":
        return Postgres(request.getfixturevalue("server"), "twice")
    kinds: dict[str, type[DuckDB | JsonLines | Snowflake]] = {
        "target-duckdb": DuckDB,
        "target-jsonl": JsonLines,
        "target-snowflake": Snowflake,
    }
    return kinds[request.param](folder)
