"""Records in the form in which they are written, for the time until their window is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tap_zohovoice.singer.json import dumps, parse

if TYPE_CHECKING:
    from tap_zohovoice.schemas.conversion import Record


class SerializedRecord(NamedTuple):
    """A record that is written already, and what its place in history depends on.

    It takes a third of the memory of the record, and nothing is written twice. Such records sort in
    the order in which they go out.

    Attributes:
        start_time: When the call started, in the text form of records.
        logid: Its id.
        text: The record as JSON.
    """

    start_time: str
    logid: str
    text: bytes

    @classmethod
    def of(cls, record: Record) -> SerializedRecord:
        """Write a record.

        Args:
            record: The record.
        """
        return cls(record["start_time"], record["logid"], dumps(record))

    @property
    def record(self) -> Record:
        """The record with all its fields."""
        record: Record = parse(self.text)
        return record
