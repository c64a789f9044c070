"""The dbt package: building its models in a warehouse, and reading them."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import duckdb

from e2e.pipeline import Pipeline
from e2e.project import FOLDER, ROOT, environment, programs
from e2e.warehouses import DuckDB, Postgres, Snowflake

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.account import Row
    from zoho_voice_sandbox import Sandbox

SCHEMA = "zoho_voice"
_DBT = ROOT / ".e2e" / "dbt-snowflake" / "bin" / "python"
_PATIENCE_SECONDS = 600.0


def settings(utility: str, variables: dict[str, Any]) -> dict[str, str]:
    """Return the settings of a utility of Meltano, as variables of the environment."""
    prefix = utility.upper().replace("-", "_")
    return {f"{prefix}_VARS": _json(variables), f"{prefix}_SCHEMA": SCHEMA}


def _json(variables: dict[str, Any]) -> str:
    return json.dumps({"zoho_voice_schema": "zoho"} | variables)


def build(
    box: Sandbox,
    warehouse: Postgres | DuckDB | Snowflake,
    folder: Path,
    variables: dict[str, Any],
) -> str:
    """Build the models and run their tests.

    Args:
        box: The account.
        warehouse: Where it was loaded.
        folder: Where the logs go.
        variables: Variables of the package.

    Returns:
        What dbt printed.
    """
    if isinstance(warehouse, Snowflake):
        return _build_snowflake(warehouse, folder, variables)
    folder.mkdir()
    utility = warehouse.loader.replace("target-", "dbt-")
    pipeline = Pipeline(box, warehouse, folder, settings(utility, variables), f"{utility}:build")
    run = pipeline.run()
    assert run.exit_code == 0, run.log
    return run.log


def _build_snowflake(warehouse: Snowflake, folder: Path, variables: dict[str, Any]) -> str:
    """Build without Meltano, in the environment that has dbt and fakesnow."""
    project = str(FOLDER / "dbt")
    options = {
        **warehouse.settings,
        "DBT_SCHEMA": SCHEMA,
        "DBT_TARGET": "snowflake",
        "DBT_PROJECT_DIR": project,
        "DBT_PROFILES_DIR": project,
        "DBT_LOG_PATH": str(folder),
        "DBT_TARGET_PATH": str(folder / "target"),
    }
    ran = subprocess.run(
        [_DBT, "-P", ROOT / "e2e" / "dbt_snowflake.py", "build", "--vars", _json(variables)],
        env=environment() | options,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout.decode()
    return ran.stdout.decode()


def load(
    warehouse: Postgres | DuckDB | Snowflake, folder: Path, streams: dict[str, list[Row]]
) -> None:
    """Load rows with the loader of a warehouse, without the tap.

    Args:
        warehouse: Where.
        folder: Where the configuration of the loader goes.
        streams: Rows by stream. Their first column is the key, in `call_` streams the first two.
            One column is not text: else target-duckdb takes the first row for a header.
    """
    lines = []
    for stream, rows in streams.items():
        keys = list(rows[0])[: 2 if stream.startswith("call_") else 1]
        columns = {name: _type(value) for name, value in rows[0].items()}
        lines.append(
            {
                "type": "SCHEMA",
                "stream": stream,
                "schema": {"type": "object", "properties": columns},
                "key_properties": keys,
            }
        )
        lines += [{"type": "RECORD", "stream": stream, "record": row} for row in rows]
    prefix = warehouse.loader.upper().replace("-", "_") + "_"
    config: dict[str, str | int] = {
        name.removeprefix(prefix).lower(): value
        for name, value in warehouse.settings.items()
        if name.startswith(prefix)
    }
    if "port" in config:
        config["port"] = int(config["port"])
    path = folder / "loader.json"
    path.write_text(json.dumps(config))
    ran = subprocess.run(
        [programs(warehouse.loader) / warehouse.loader, "--config", path],
        input="".join(f"{json.dumps(line, default=str)}\n" for line in lines).encode(),
        env=os.environ | warehouse.settings,
        capture_output=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()


def _type(value: bool | str | dt.datetime) -> dict[str, Any]:  # noqa: FBT001 - any value
    if isinstance(value, bool):
        return {"type": ["boolean", "null"]}
    if isinstance(value, dt.datetime):
        return {"type": ["string", "null"], "format": "date-time"}
    return {"type": ["string", "null"]}


def read(warehouse: Postgres | DuckDB | Snowflake, *models: str) -> dict[str, list[Row]]:
    """Return the rows of models, with times as such and whole numbers as integers."""
    tables = [f"{SCHEMA}.{model}" for model in models]
    if isinstance(warehouse, Snowflake):
        found = list(warehouse.select(*tables).values())
    else:
        found = [_rows(warehouse, table) for table in tables]
    plain = [[_plain(row) for row in rows] for rows in found]
    return dict(zip(models, plain, strict=True))


def _rows(warehouse: Postgres | DuckDB, table: str) -> list[Row]:
    if isinstance(warehouse, Postgres):
        return warehouse.ask(f"SELECT to_jsonb(t) FROM {table} t")
    with duckdb.connect(warehouse.path, read_only=True) as connection:
        rows = connection.execute(f"SELECT to_json(t) FROM {table} t").fetchall()
    return [json.loads(text) for (text,) in rows]


def _plain(row: Row) -> Row:
    lowered = {name.lower(): value for name, value in row.items()}
    for name, value in lowered.items():
        if name.endswith(("_at", "_local")) and value:
            lowered[name] = dt.datetime.fromisoformat(value)
    return lowered
