"""Records in the form in which they are written, for the time until their window is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_zohovoice.json_text import parse, to_json

if TYPE_CHECKING:
    from tap_zohovoice.records import Record


class WrittenRecord(dict[str, Any]):
    """A record that is written already; as a dictionary it has its `logid` and `start_time` alone.

    It takes a third of the memory of the record, and a record that nothing has to look into any
    more is not written a second time.

    Args:
        record: The record.

    Attributes:
        text: The record as JSON.
    """

    __slots__ = ("text",)

    def __init__(self, record: Record) -> None:
        super().__init__(logid=record["logid"], start_time=record["start_time"])
        self.text = to_json(record)


def text_of(row: Record) -> bytes:
    """Return a record as JSON.

    Args:
        row: A record, written already or not.
    """
    return row.text if isinstance(row, WrittenRecord) else to_json(row)


def whole(row: Record) -> Record:
    """Return a record with all its fields.

    Args:
        row: A record, written already or not.
    """
    if not isinstance(row, WrittenRecord):
        return row
    record: Record = parse(row.text)
    return record
