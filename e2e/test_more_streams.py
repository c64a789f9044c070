"""The other streams are loaded into PostgreSQL twice: each row once, with its types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from e2e.account import open_account
from e2e.pipeline import Pipeline
from e2e.warehouses import Postgres
from tap_zohovoice.tap import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.account import Row
    from e2e.postgres import Server

CALLS = 120
BESIDE = {stream.name: stream for stream in STREAMS if "description" in stream.schema}
MOMENT, OBJECT, TEXT = "timestamp without time zone", "jsonb", "text"
TYPES = {"string": TEXT, "integer": "bigint", "boolean": "boolean", "object": OBJECT}


@pytest.fixture(scope="module")
def loaded(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, Postgres, list[dict[str, list[Row]]]]]:
    """An account that was read twice, and the rows of each stream after each run."""
    folder = tmp_path_factory.mktemp("more")
    warehouse = Postgres(server, "more")
    select = json.dumps([f"{name}.*" for name in BESIDE])
    with open_account(CALLS, seed=5) as box:
        pipeline = Pipeline(box, warehouse, folder, {"TAP_ZOHOVOICE__SELECT": select})
        rows = []
        for _ in range(2):
            run = pipeline.run()
            assert run.exit_code == 0, run.log
            rows.append({name: warehouse.rows(name) for name in BESIDE})
        yield box, warehouse, rows


@pytest.mark.parametrize("name", BESIDE)
def test_each_row_is_there_once_after_two_runs(loaded: Any, name: str) -> None:
    _, _, (first, second) = loaded
    keys = [key.lower() for key in BESIDE[name].primary_keys]
    for rows in (first[name], second[name]):
        assert len({tuple(row[key] for key in keys) for row in rows}) == len(rows) > 0
    assert {tuple(row[key] for key in keys) for row in first[name]} <= {
        tuple(row[key] for key in keys) for row in second[name]
    }


@pytest.mark.parametrize("name", BESIDE)
def test_each_column_has_the_type_of_its_field(loaded: Any, name: str) -> None:
    _, warehouse, _ = loaded
    properties: dict[str, Any] = BESIDE[name].schema["properties"]
    expected = {field: _column(spec) for field, spec in properties.items()}
    types = warehouse.types(name)
    assert {field: types[field] for field in expected} == expected


def test_lists_are_complete(loaded: Any) -> None:
    box, _, (_, second) = loaded
    counts = {name: len(second[name]) for name in ("users", "queues", "numbers", "contacts")}
    directory = box.directory
    assert counts == {name: getattr(directory, name) for name in counts}


def test_no_limit_was_broken(loaded: Any) -> None:
    box, _, _ = loaded
    stats = [box.stats, *box.stats.lists.values()]
    assert [(one.violations, one.locked_calls) for one in stats] == [(0, 0)] * len(stats)


def _column(spec: dict[str, Any]) -> str:
    if spec.get("format") == "date-time":
        return MOMENT
    kinds = [spec["type"]] if isinstance(spec["type"], str) else spec["type"]
    kind = next(kind for kind in kinds if kind != "null")
    return "ARRAY" if kind == "array" else TYPES[kind]
