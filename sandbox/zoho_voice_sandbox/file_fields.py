"""The fields of a row that describe its files, in the server's dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoho_voice_sandbox.calls import FILE_KEYS

if TYPE_CHECKING:
    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.files import AudioFiles

_SIZE = "recording_size_in_bytes"
_SIZE_ERROR = 7


@dataclass(frozen=True)
class FileFields:
    """Rewrites the file fields of the rows of one response.

    Attributes:
        dialect: Form of the sizes.
        hidden_keys: Keys to leave out.
        audio: The files.
    """

    dialect: Dialect
    hidden_keys: frozenset[str]
    audio: AudioFiles

    def is_needed(self, *, is_generated: bool = True) -> bool:
        """Return whether rows may be sent otherwise than they are stored."""
        is_overridden = is_generated and not self.audio.is_empty
        return bool(self.hidden_keys) or self.dialect.file_size != "exact" or is_overridden

    def rewrite(self, row: Row, *, is_generated: bool) -> Row:
        """Return a row as it is sent.

        Args:
            row: The stored row.
            is_generated: Whether its sizes follow the files, and were not set by a test.
        """
        if not self.is_needed(is_generated=is_generated):
            return row
        sent = {key: value for key, value in row.items() if key not in self.hidden_keys}
        for key in FILE_KEYS.values():
            value = sent.get(key)
            if isinstance(value, list):
                sent[key] = [self._file(file, is_generated=is_generated) for file in value]
            elif value is not None:
                sent[key] = self._file(value, is_generated=is_generated)
        return sent

    def _file(self, file: Any, *, is_generated: bool) -> Any:  # noqa: ANN401 - rows hold anything
        if not isinstance(file, dict) or _SIZE not in file:
            return file
        sent = dict(file)
        content = self.audio.override_of(file["recording_filename"]) if is_generated else None
        if content is not None:
            sent[_SIZE] = len(content)
        if self.dialect.file_size == "absent":
            del sent[_SIZE]
        elif self.dialect.file_size == "text":
            sent[_SIZE] = str(sent[_SIZE])
        elif self.dialect.file_size == "wrong" and isinstance(sent[_SIZE], int):
            sent[_SIZE] += _SIZE_ERROR
        return sent
