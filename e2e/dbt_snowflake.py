"""dbt with fakesnow instead of Snowflake.

fakesnow has no temporary tables outside its own catalog, so unit tests get permanent ones.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Any

import fakesnow
from dbt.cli.main import dbtRunner
from fakesnow.cursor import FakeSnowflakeCursor

_TEMPORARY = "create or replace temporary table"
_execute = FakeSnowflakeCursor.execute


def _with_permanent_tables(
    self: FakeSnowflakeCursor, command: str, *args: Any, **kwargs: Any
) -> FakeSnowflakeCursor:
    command = command.replace(_TEMPORARY, _TEMPORARY.replace("temporary ", ""))
    return _execute(self, command, *args, **kwargs)


def main() -> int:
    warnings.simplefilter("ignore")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    FakeSnowflakeCursor.execute = _with_permanent_tables
    with fakesnow.patch(db_path=os.environ["FAKESNOW_FOLDER"]):
        # The only connection of fakesnow serves one thread at a time.
        result = dbtRunner().invoke([*sys.argv[1:], "--threads", "1"])
    if result.exception:
        raise result.exception
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main())
