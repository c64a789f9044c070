"""What the rows of an answer say of the files of their calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_zohovoice.sandbox.calls import FILE_KEYS

if TYPE_CHECKING:
    from tap_zohovoice.sandbox.audio import Audio
    from tap_zohovoice.sandbox.calls import Row
    from tap_zohovoice.sandbox.dialect import Dialect

_SIZE = "recording_size_in_bytes"
_ERROR = 7


@dataclass(frozen=True)
class Telling:
    """How the rows of one answer tell of their files.

    Attributes:
        dialect: What they say of sizes.
        hidden: Keys that they do not have.
        audio: The files.
    """

    dialect: Dialect
    hidden: frozenset[str]
    audio: Audio

    def row(self, row: Row, *, is_made_up: bool) -> Row:
        """Write a row as it is sent.

        Args:
            row: The row as the server holds it.
            is_made_up: Whether it tells the true sizes, and not those that somebody gave it.

        Returns:
            The row as it is sent.
        """
        has_changes = is_made_up and self.audio.has_changes
        if not self.hidden and self.dialect.file_size == "exact" and not has_changes:
            return row
        told = {key: value for key, value in row.items() if key not in self.hidden}
        for key in FILE_KEYS.values():
            held = told.get(key)
            if isinstance(held, list):
                told[key] = [self._file(file, is_made_up=is_made_up) for file in held]
            elif held is not None:
                told[key] = self._file(held, is_made_up=is_made_up)
        return told

    def _file(self, file: Any, *, is_made_up: bool) -> Any:  # noqa: ANN401 - rows hold anything
        if not isinstance(file, dict) or _SIZE not in file:
            return file
        told = dict(file)
        changed = self.audio.changed(file["recording_filename"]) if is_made_up else None
        if changed is not None:
            told[_SIZE] = len(changed)
        if self.dialect.file_size == "absent":
            del told[_SIZE]
        elif self.dialect.file_size == "text":
            told[_SIZE] = str(told[_SIZE])
        elif self.dialect.file_size == "wrong" and isinstance(told[_SIZE], int):
            told[_SIZE] += _ERROR
        return told
