"""Records kept as JSON until their window is complete."""

from typing import Any, NamedTuple, Self

from tap_zohovoice.singer.json import dumps, loads


class SerializedRecord(NamedTuple):
    """A record as JSON, in a third of the memory; sorts in the order of emission."""

    start_time: str
    logid: str
    json: bytes

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Serialize a record of a call log."""
        return cls(record["start_time"], record["logid"], dumps(record))

    @property
    def record(self) -> dict[str, Any]:
        """The record with all its fields."""
        record: dict[str, Any] = loads(self.json)
        return record
