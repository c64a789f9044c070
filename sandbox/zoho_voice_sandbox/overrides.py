"""Rows and contents that tests set, in addition to the generated ones."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Generic, TypeVar

from zoho_voice_sandbox.calls import Row, file_names

if TYPE_CHECKING:
    from collections.abc import Callable

Content = TypeVar("Content")


class Overrides(Generic[Content]):
    """Contents by key, where only the overridden ones are stored."""

    def __init__(self) -> None:
        self._overrides: dict[str, Content | None] = {}

    def put(self, key: str, content: Content) -> None:
        """Set the content of a file name or logid, whether or not a call refers to it."""
        self._overrides[key] = content

    def drop(self, key: str) -> None:
        """Remove a content, be it generated or set."""
        self._overrides[key] = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is overridden."""
        return not self._overrides

    def override_of(self, key: str) -> Content | None:
        """Return the content that was set, None if there is none."""
        return self._overrides.get(key)

    def get(self, key: str, generate: Callable[[], Content | None]) -> Content | None:
        """Return the content of a key, generated where it is not overridden; None if missing."""
        return self._overrides[key] if key in self._overrides else generate()


class AddedRows:
    """Rows by handle, a negative number. It is not thread-safe."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[int, Row]] = {}
        self._handles: dict[str, list[int]] = {}
        self._by_file: dict[str, set[int]] = {}
        self._serial = 0

    def add(self, row: Row, start_ms: int) -> int:
        """Add a row with its start in milliseconds; return its handle."""
        self._serial -= 1
        self._rows[self._serial] = (start_ms, deepcopy(row))
        if logid := get_logid(row):
            self._handles.setdefault(logid, []).append(self._serial)
        for name in file_names(row):
            self._by_file.setdefault(name, set()).add(self._serial)
        return self._serial

    def remove(self, handle: int) -> None:
        """Remove a row."""
        _, row = self._rows.pop(handle)
        if logid := get_logid(row):
            self._handles[logid].remove(handle)
        for handles in map(self._by_file.get, file_names(row)):
            if handles:
                handles.discard(handle)

    def row(self, handle: int) -> Row | None:
        """Return a copy of a row, None if it was removed."""
        found = self._rows.get(handle)
        return dict(found[1]) if found else None

    def start_ms(self, handle: int) -> int:
        """Return the start of a row, in milliseconds since the epoch."""
        return self._rows[handle][0]

    def find(self, logid: str) -> int | None:
        """Return the handle of the last added row of a call, None if it is not found."""
        handles = self._handles.get(logid)
        return handles[-1] if handles else None

    def has_file(self, name: str) -> bool:
        """Return whether a row refers to a file."""
        return bool(self._by_file.get(name))


def get_logid(row: Row) -> str:
    """Return the logid of a row under any of its names, empty if it has none."""
    return str(row.get("logid") or row.get("uuid") or "")
