"""A run is killed in the middle, and the next run continues from the last state."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from e2e.account import format_epoch_ms, held_calls, keyed, last_start, open_account
from e2e.pipeline import Pipeline, tap_of
from e2e.warehouses import DuckDB, Postgres

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from e2e.account import Rows
    from e2e.postgres import Server
    from e2e.warehouses import Warehouse
    from zoho_voice_sandbox import Sandbox

PATIENCE_SECONDS = 60.0
CALLS = 600
# Windows of few days and small pages, so that a run has a middle.
WINDOW_DAYS = 4
SETTINGS = {
    "TAP_ZOHOVOICE__SELECT": '["call_logs.*", "recordings.*"]',
    "TAP_ZOHOVOICE_PAGE_SIZE": "25",
    "TARGET_POSTGRES_BATCH_SIZE_ROWS": "100",
    "TARGET_DUCKDB_BATCH_SIZE_ROWS": "100",
}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with open_account(CALLS, seed=5, max_range_days=WINDOW_DAYS) as running:
        yield running


def interrupt(
    box: Sandbox, pipeline: Pipeline, request: int, act: Callable[[subprocess.Popen[bytes]], None]
) -> Any:
    """Start a run, and do something to it at a request for logs."""
    started = threading.Event()
    problems: list[BaseException] = []
    process: Any = None

    def hook(number: int) -> None:
        started.wait()
        if number == request:
            try:
                act(process)
            except BaseException as problem:  # noqa: BLE001 - reported in the thread of the test
                problems.append(problem)

    box.before_request = hook
    process = pipeline.start()
    started.set()
    run = pipeline.finish(process)
    box.before_request = None
    assert not problems, problems
    return run


def until(there: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_state_is_not_ahead(box: Sandbox, pipeline: Pipeline, landed: Rows) -> str:
    """Check that all calls up to the bookmark are there, and return the bookmark."""
    bookmark = str(pipeline.bookmarks().get("call_logs", {}).get("replication_key_value", ""))
    covered = {
        key
        for key, call in held_calls(box).items()
        if format_epoch_ms(call["start_time"]) <= bookmark
    }
    assert covered <= landed.keys()
    return bookmark


def assert_whole(box: Sandbox, warehouse: Warehouse, pipeline: Pipeline) -> None:
    rows = warehouse.rows("call_logs")
    landed = keyed("call_logs", rows)
    assert len(rows) == len(landed)
    assert landed == {key: warehouse.expect(call) for key, call in held_calls(box).items()}
    assert pipeline.bookmarks()["call_logs"]["replication_key_value"] == last_start(box)


@pytest.mark.parametrize("loader", ["target-postgres", "target-duckdb"])
def test_killed_pipeline_loses_and_doubles_no_call(
    request: pytest.FixtureRequest, box: Sandbox, tmp_path: Path, loader: str
) -> None:
    warehouse: Postgres | DuckDB
    if loader == "target-postgres":
        warehouse = Postgres(request.getfixturevalue("server"), "killed")
    else:
        warehouse = DuckDB(tmp_path)
    pipeline = Pipeline(box, warehouse, tmp_path, SETTINGS)

    def there() -> object:
        # DuckDB cannot be read while the loader writes; this loader emits states during the run.
        if isinstance(warehouse, Postgres):
            (table,) = warehouse.ask("SELECT to_json(to_regclass('zoho.call_logs') IS NOT NULL)")
            return table and warehouse.ask("SELECT to_json(t.logid) FROM zoho.call_logs t LIMIT 1")
        return pipeline.bookmarks()

    def kill(process: subprocess.Popen[bytes]) -> None:
        until(there)
        os.killpg(process.pid, signal.SIGKILL)

    killed = interrupt(box, pipeline, 16, kill)
    assert killed.exit_code == -signal.SIGKILL, killed.log
    landed = keyed("call_logs", warehouse.rows("call_logs"))
    assert 0 < len(landed) < CALLS
    bookmark = assert_state_is_not_ahead(box, pipeline, landed)
    # This loader emits its state only at the end, the other one after each batch.
    assert bool(bookmark) == (loader == "target-duckdb")

    if loader == "target-duckdb":
        # For five minutes, Meltano assumes that a killed run is still running.
        refused = pipeline.run()
        assert refused.exit_code == 1
        assert "already running" in refused.log
    resumed = pipeline.run("--force")
    assert resumed.exit_code == 0, resumed.log
    assert_whole(box, warehouse, pipeline)


def test_stopped_tap_is_continued_from_its_state(
    server: Server, box: Sandbox, tmp_path: Path
) -> None:
    warehouse = Postgres(server, "stopped")
    pipeline = Pipeline(box, warehouse, tmp_path, SETTINGS)

    def stop(process: subprocess.Popen[bytes]) -> None:
        os.kill(tap_of(process), signal.SIGTERM)

    stopped = interrupt(box, pipeline, 16, stop)
    assert stopped.exit_code == 1, stopped.log
    assert "Extractor failed" in stopped.log
    landed = keyed("call_logs", warehouse.rows("call_logs"))
    assert 0 < len(landed) < CALLS
    bookmark = assert_state_is_not_ahead(box, pipeline, landed)
    assert bookmark == format_epoch_ms(max(call["start_time"] for call in landed.values()))

    # Users may change the column to a type with time zone; the loader keeps it.
    warehouse.ask(
        "ALTER TABLE zoho.call_logs ALTER end_time TYPE timestamptz "
        "USING end_time AT TIME ZONE 'UTC'"
    )
    resumed = pipeline.run()
    assert resumed.exit_code == 0, resumed.log
    assert warehouse.types("call_logs")["end_time"] == "timestamp with time zone"
    assert f"incremental sync of 'call_logs' with bookmark value: {bookmark}" in resumed.log
    assert_whole(box, warehouse, pipeline)
