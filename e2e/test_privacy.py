"""Stream maps and flattening, set in Meltano, and the rows that the loaders store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from e2e.account import held_calls, keyed, open_account
from e2e.pipeline import Pipeline
from e2e.warehouses import DuckDB, JsonLines, Postgres

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.postgres import Server

HIDDEN = ("caller_id_name", "destination_name", "contact_name", "additional_fields")
OBJECTS = ("bridged_agent", "voice_credits", "call_recording", "voicemail")
CALLS = 60


def test_privacy_map_hides_fields_under_meltano(tmp_path: Path) -> None:
    warehouse = JsonLines(tmp_path)
    maps = {"call_logs": {**dict.fromkeys(HIDDEN, "__NULL__"), "user_number": "md5(config['x'])"}}
    settings = {
        "TAP_ZOHOVOICE__SELECT": '["call_logs.*"]',
        "TAP_ZOHOVOICE_STREAM_MAPS": json.dumps(maps),
        "TAP_ZOHOVOICE_STREAM_MAP_CONFIG": '{"x": "secret"}',
    }
    with open_account(CALLS, seed=7) as box:
        run = Pipeline(box, warehouse, tmp_path, settings).run()
        names = {row["contact_name"] for row in box.store.rows() if row.get("contact_name")}
    assert run.exit_code == 0, run.log
    rows = warehouse.rows("call_logs")
    assert len(rows) == CALLS + 1
    assert not [row for row in rows if set(HIDDEN) & row.keys()]
    assert {len(row["user_number"]) for row in rows} == {32}
    assert names
    assert not [name for name in names if f'"{name}"' in json.dumps(rows)]


@pytest.mark.parametrize("loader", ["target-postgres", "target-duckdb"])
def test_flattened_calls_land_with_every_field(
    request: pytest.FixtureRequest, tmp_path: Path, loader: str
) -> None:
    warehouse: Postgres | DuckDB
    if loader == "target-postgres":
        server: Server = request.getfixturevalue("server")
        warehouse = Postgres(server, "flat")
    else:
        warehouse = DuckDB(tmp_path)
    settings = {
        "TAP_ZOHOVOICE_FLATTENING_ENABLED": "true",
        "TAP_ZOHOVOICE_FLATTENING_MAX_DEPTH": "1",
    }
    with open_account(CALLS, seed=7) as box:
        run = Pipeline(box, warehouse, tmp_path, settings).run()
        held = held_calls(box)
    assert run.exit_code == 0, run.log
    landed = keyed("call_logs", warehouse.rows("call_logs"))
    assert landed.keys() == held.keys()
    for key, call in held.items():
        row = landed[key]
        expected = warehouse.expect(_flatten(call))
        assert {name: _plain(name, row[name]) for name in expected} == expected
    for row in warehouse.rows("transcripts"):
        assert row["segments"]
        assert row["additional_fields"] is None or isinstance(row["additional_fields"], dict)


def _flatten(call: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in call.items():
        if name in OBJECTS:
            members = value or {}
            flat |= {f"{name}__{member}": item for member, item in members.items()}
        else:
            flat[name] = value
    return flat


def _plain(name: str, value: Any) -> Any:
    """Return a time in the form of the tap; that of the warehouse has no time zone."""
    if name == "bridged_agent__time" and value is not None:
        moment = value.replace(" ", "T")
        fraction = moment if "." in moment else f"{moment}.000000"
        return f"{fraction.ljust(26, '0')}+00:00"
    return value
