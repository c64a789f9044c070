"""Records in the form in which they are written, for the time until their window is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tap_zohovoice.json_text import parse, to_json

if TYPE_CHECKING:
    from tap_zohovoice.records import Record


class WrittenRecord(NamedTuple):
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
    def of(cls, record: Record) -> WrittenRecord:
        """Write a record.

        Args:
            record: The record.
        """
        return cls(record["start_time"], record["logid"], to_json(record))

    @property
    def record(self) -> Record:
        """The record with all its fields."""
        record: Record = parse(self.text)
        return record
