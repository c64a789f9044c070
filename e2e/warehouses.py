"""Databases and files of the targets, read without the targets."""

from __future__ import annotations

import json
import os
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import duckdb

from e2e.account import plain
from e2e.postgres import HOST
from e2e.project import programs
from tap_zohovoice._compat import override

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.account import Row
    from e2e.postgres import Server

_PATIENCE_SECONDS = 60.0


class Warehouse(ABC):
    """The destination of a loader.

    Attributes:
        loader: The loader's name in meltano.yml.
        settings: Its settings, as variables of the environment.
        upserts: Whether a row replaces an earlier one with its key; else it stands after it.
    """

    loader: str
    settings: dict[str, str]
    upserts = True

    def rows(self, stream: str) -> list[Row]:
        """Return all rows of a stream, in the form of `plain`."""
        return [plain(row) for row in self.raw(stream)]

    def tables(self, *streams: str) -> dict[str, list[Row]]:
        """Return all rows of some streams, in the form of `plain`."""
        return {stream: self.rows(stream) for stream in streams}

    def expect(self, row: Row) -> Row:
        """Return a row with the known changes of the loader."""
        return row

    @abstractmethod
    def raw(self, stream: str) -> list[Row]:
        """Return all rows of a stream, with times as text."""


class Database(Warehouse):
    """A destination with tables."""

    @abstractmethod
    def types(self, stream: str) -> dict[str, str]:
        """Return the type of each column, by the name that the database uses, in their order."""

    def all_types(self, *streams: str) -> dict[str, dict[str, str]]:
        """Return the types of the columns of some streams."""
        return {stream: self.types(stream) for stream in streams}


class Postgres(Database):
    """A database of a PostgreSQL server."""

    loader = "target-postgres"

    def __init__(self, server: Server, database: str) -> None:
        self._server = server
        self._database = database
        server.create(database)
        self.settings = {
            "TARGET_POSTGRES_HOST": HOST,
            "TARGET_POSTGRES_PORT": str(server.port),
            "TARGET_POSTGRES_USER": server.user,
            "TARGET_POSTGRES_PASSWORD": server.password,
            "TARGET_POSTGRES_DATABASE": database,
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "zoho",
        }

    def ask(self, query: str) -> list[Any]:
        """Run a query for one column of JSON."""
        return self._server.ask(self._database, query)

    @override
    def raw(self, stream: str) -> list[Row]:
        return self.ask(f"SELECT to_jsonb(t) FROM zoho.{stream} t")

    @override
    def types(self, stream: str) -> dict[str, str]:
        columns = self.ask(
            "SELECT json_build_array(column_name, data_type) FROM information_schema.columns "
            f"WHERE table_schema = 'zoho' AND table_name = '{stream}' ORDER BY ordinal_position"
        )
        return dict(columns)


class DuckDB(Database):
    """A file of DuckDB."""

    loader = "target-duckdb"

    def __init__(self, folder: Path, name: str = "calls.duckdb") -> None:
        self.path = str(folder / name)
        self.settings = {
            "TARGET_DUCKDB_PATH": self.path,
            "TARGET_DUCKDB_DEFAULT_TARGET_SCHEMA": "zoho",
        }

    @override
    def raw(self, stream: str) -> list[Row]:
        rows = self._ask(f"SELECT to_json(t) FROM zoho.{stream} t")
        return [json.loads(text) for (text,) in rows]

    @override
    def expect(self, row: Row) -> Row:
        # The loader uses CSV, where empty text and null are the same.
        return {name: None if value == "" else value for name, value in row.items()}

    @override
    def types(self, stream: str) -> dict[str, str]:
        return dict(
            self._ask(
                "SELECT column_name, data_type FROM information_schema.columns WHERE "
                f"table_schema = 'zoho' AND table_name = '{stream}' ORDER BY ordinal_position"
            )
        )

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.path, read_only=True) as connection:
            return connection.execute(query).fetchall()


class JsonLines(Warehouse):
    """A folder with one file per stream."""

    loader = "target-jsonl"
    upserts = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "lines"
        self.settings = {
            "TARGET_JSONL_DESTINATION_PATH": str(self._folder),
            "TARGET_JSONL_DO_TIMESTAMP_FILE": "false",
        }

    @override
    def raw(self, stream: str) -> list[Row]:
        path = self._folder / f"{stream}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


class Snowflake(Database):
    """A database of fakesnow in a folder."""

    loader = "target-snowflake"

    def __init__(self, folder: Path) -> None:
        self.settings = {
            "FAKESNOW_FOLDER": str(folder / "snowflake"),
            "TMPDIR": str(folder),  # fakesnow leaves an empty folder there each time
            "TARGET_SNOWFLAKE_ACCOUNT": "nobody",
            "TARGET_SNOWFLAKE_USER": "loader",
            "TARGET_SNOWFLAKE_PASSWORD": "made-up",
            "TARGET_SNOWFLAKE_DATABASE": "CALLS",
            "TARGET_SNOWFLAKE_WAREHOUSE": "SMALL",
            "TARGET_SNOWFLAKE_DEFAULT_TARGET_SCHEMA": "ZOHO",
        }

    @override
    def tables(self, *streams: str) -> dict[str, list[Row]]:
        found = self.select(*streams)
        return {stream: [plain(row) for row in rows] for stream, rows in found.items()}

    @override
    def raw(self, stream: str) -> list[Row]:
        return self.select(stream)[stream]

    def select(self, *tables: str) -> dict[str, list[Row]]:
        """Return all rows of some tables, asked for at once: a start of fakesnow takes seconds."""
        found = self._ask(*(f"SELECT * FROM {table}" for table in tables))
        return dict(zip(tables, found, strict=True))

    @override
    def types(self, stream: str) -> dict[str, str]:
        return self.all_types(stream)[stream]

    @override
    def all_types(self, *streams: str) -> dict[str, dict[str, str]]:
        found = self._ask(*(f"DESCRIBE TABLE {stream}" for stream in streams))
        types = [{row["name"]: row["type"] for row in columns} for columns in found]
        return dict(zip(streams, types, strict=True))

    def _ask(self, *queries: str) -> list[list[Row]]:
        asked = subprocess.run(
            [programs(self.loader) / self.loader, "--ask", *queries],
            env=os.environ | self.settings,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        assert asked.returncode == 0, asked.stderr.decode()
        return [json.loads(line) for line in asked.stdout.decode().splitlines()]
