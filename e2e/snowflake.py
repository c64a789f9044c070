"""The program target-snowflake with fakesnow instead of Snowflake.

fakesnow answers the connector from DuckDB. It lacks the user's stage, so the four statements by
which the loader uses it are acted out here: PUT and REMOVE of a file of rows, MERGE from that file,
and DROP FILE FORMAT. The columns, their types, the casts and the merge itself are the loader's own.

With the argument --ask, queries are run instead: the rows of each are printed as a line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import fakesnow
import snowflake.connector
from fakesnow.cursor import FakeSnowflakeCursor

_PUT = re.compile(r"put %\(file_uri\)s '@~/(.+)'")
_REMOVE = re.compile(r"remove '@~/(.+)/'")
_MERGE = re.compile(
    r"(merge into (\S+) d using )"
    r"\((select .+?) from '@~/([^']+)'\(file_format => .+?\) (QUALIFY .+?)\)( s on .+)",
    re.DOTALL,
)
_staged: dict[str, list[str]] = {}
_execute = FakeSnowflakeCursor.execute


def _with_stage(
    self: FakeSnowflakeCursor, command: str, params: Any = None, *args: Any, **kwargs: Any
) -> FakeSnowflakeCursor:
    if put := _PUT.fullmatch(command):
        path = url2pathname(urlsplit(params["file_uri"]).path)
        _staged.setdefault(put[1], []).append(path)
        return _execute(self, "select 1")
    if remove := _REMOVE.fullmatch(command):
        _staged.pop(remove[1])
        return _execute(self, "select 1")
    if merge := _MERGE.fullmatch(command):
        start, table, select, stage, latest, rest = merge.groups()
        _execute(self, f"use schema {table.rpartition('.')[0]}")
        rows, candidates = f'{table[:-1]}_STAGED"', f'{table[:-1]}_CANDIDATES"'
        self._duck_conn.execute(
            f"create or replace table {rows} as select row_number() over () as SEQ, json as V "
            "from read_json_objects(?, format='newline_delimited')",
            [_staged[stage]],
        )
        select, latest = select.replace("$1:", "V:"), latest.replace("SEQ8()", "SEQ")
        _execute(self, f"create or replace table {candidates} as {select} from {rows} {latest}")
        return _execute(self, start + candidates + rest)
    return _execute(self, command, params, *args, **kwargs)


def main() -> None:
    folder = Path(os.environ["FAKESNOW_FOLDER"])
    folder.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    FakeSnowflakeCursor.execute = _with_stage
    with fakesnow.patch(db_path=folder, nop_regexes=["drop file format "]):
        if sys.argv[1] == "--ask":
            cursor = snowflake.connector.connect(database="CALLS", schema="ZOHO").cursor()
            for query in sys.argv[2:]:
                cursor.execute(query)
                names = [column.name for column in cursor.description]
                rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
                print(json.dumps(rows, default=str))
            return
        # The target binds the connector at import, so it is imported after fakesnow has patched it.
        from target_snowflake.target import TargetSnowflake  # noqa: PLC0415

        # The only connection of fakesnow serves one thread at a time.
        TargetSnowflake.max_parallelism = 1
        TargetSnowflake.cli()


if __name__ == "__main__":
    main()
