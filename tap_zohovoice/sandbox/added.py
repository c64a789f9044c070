"""The rows that were added from outside."""

from __future__ import annotations

from copy import deepcopy

from tap_zohovoice.sandbox.calls import Row, files_of


class Added:
    """Rows by handle, a negative number, and the ways to find them.

    Whoever holds it sees to it that only one thread changes it at a time.
    """

    def __init__(self) -> None:
        """Start with no rows."""
        self._rows: dict[int, tuple[int, Row]] = {}
        self._ids: dict[str, int] = {}
        self._named: dict[str, set[int]] = {}
        self._serial = 0

    def add(self, row: Row, moment: int) -> int:
        """Take a row in.

        Args:
            row: The row; one with the same logid must have been removed before.
            moment: When it is said to have begun, in milliseconds since the epoch.

        Returns:
            Its handle.
        """
        self._serial -= 1
        self._rows[self._serial] = (moment, deepcopy(row))
        if logid := logid_of(row):
            self._ids[logid] = self._serial
        for name in files_of(row):
            self._named.setdefault(name, set()).add(self._serial)
        return self._serial

    def remove(self, handle: int) -> None:
        """Let a row go.

        Args:
            handle: Its handle.
        """
        _, row = self._rows.pop(handle)
        self._ids.pop(logid_of(row), None)
        for handles in map(self._named.get, files_of(row)):
            if handles:
                handles.discard(handle)

    def row(self, handle: int) -> Row | None:
        """Return a copy of a row.

        Args:
            handle: Its handle.

        Returns:
            The row, None if it was removed.
        """
        found = self._rows.get(handle)
        return dict(found[1]) if found else None

    def moment(self, handle: int) -> int:
        """Return when a row is said to have begun.

        Args:
            handle: Its handle.

        Returns:
            Milliseconds since the epoch.
        """
        return self._rows[handle][0]

    def find(self, logid: str) -> int | None:
        """Find a row.

        Args:
            logid: Its logid.

        Returns:
            Its handle, None if there is no such row.
        """
        return self._ids.get(logid)

    def carries(self, name: str) -> bool:
        """Tell whether a row names a file.

        Args:
            name: Name of the file.

        Returns:
            Whether one does.
        """
        return bool(self._named.get(name))


def logid_of(row: Row) -> str:
    """Return the logid of a row, under any of its names.

    Args:
        row: The row.

    Returns:
        The logid, empty if there is none.
    """
    return str(row.get("logid") or row.get("uuid") or "")
