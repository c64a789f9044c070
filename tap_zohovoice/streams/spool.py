"""Rows that wait for their stream's turn, on disk if they are many."""

from __future__ import annotations

import itertools
import json
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from tap_zohovoice.schemas.conversion import Record

_IN_MEMORY = 4 * 1024 * 1024
"""Bytes that are kept in memory, before a file without a name takes over."""


class Spool:
    """What call logs named, in the order in which they were read.

    Args:
        start: From when on calls are in it.

    Attributes:
        start: From when on calls are in it.
        calls: How many calls were read.
        rows: How many rows they made.
        error: Why rows could not be kept; then the spool is of no use.
    """

    def __init__(self, start: dt.datetime) -> None:
        self.start = start
        self.calls = 0
        self.rows = 0
        self.error: OSError | None = None
        self._lines: list[bytes] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, row: Record) -> None:
        """Append a row.

        Args:
            row: The row.
        """
        self.rows += 1
        if self.error:
            return
        line = json.dumps(row).encode() + b"\n"
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes > _IN_MEMORY:
            try:
                self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 - lives on
                self._file.writelines(self._lines)
                self._file.flush()
            except OSError as error:
                self.error = error
            self._lines, self._bytes = [], 0

    def since(self, moment: str) -> Iterator[Record]:
        """Read the rows.

        Args:
            moment: `start_time` of the first one wanted, in the text form of records.

        Yields:
            Each row.
        """
        if self._file:
            self._file.seek(0)
        for line in itertools.chain(self._file or (), self._lines):
            row = json.loads(line)
            if row["start_time"] >= moment:
                yield row

    def close(self) -> None:
        """Let all rows go."""
        if self._file:
            with suppress(OSError):  # what could not be written is tried again here
                self._file.close()
