"""Singer messages on standard output."""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING

from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, RecordMessage

from tap_zohovoice._compat import override
from tap_zohovoice.singer.json import ascii_json, dumps, storable_json

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from tap_zohovoice.cli.signals import GracefulShutdown
    from tap_zohovoice.singer.records import SerializedRecord


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes whole lines, never half of one on a signal, and STATE only behind its records.

    Args:
        stopper: Holds signals back while lines are written.
    """

    def __init__(self, stopper: GracefulShutdown) -> None:
        self._stopper = stopper

    @override
    def serialize_message(self, message: Message) -> bytes:
        if not isinstance(message, RecordMessage):
            return dumps(message.to_dict())
        return _head(message) + storable_json(dumps(message.record)) + b"}"

    @override
    def write_message(self, message: Message) -> None:
        # Records wait for the next STATE, which is never sent ahead of them.
        self._write([self.format_message(message)], flush=not isinstance(message, RecordMessage))

    def write_records(
        self, stream: str, records: Iterable[SerializedRecord], extracted: dt.datetime
    ) -> None:
        """Write many records.

        Args:
            stream: Their stream, as the target knows it.
            records: The records.
            extracted: When they were read, in UTC.
        """
        head = _head(RecordMessage(stream, {}, time_extracted=extracted))
        self._write([head + storable_json(record.text) + b"}" for record in records], flush=False)

    def _write(self, lines: list[bytes], *, flush: bool) -> None:
        # A target reads in the encoding of the locale; where that is not UTF-8, escapes are safe.
        if codecs.lookup(sys.stdout.encoding).name != "utf-8":
            lines = [ascii_json(line) for line in lines]
        with self._stopper.deferred():
            rest = memoryview(b"\n".join([*lines, b""]))
            while rest:
                # With PYTHONUNBUFFERED, a signal lets no more out than there was room for.
                written = sys.stdout.buffer.write(rest)
                if written is None:
                    raise BlockingIOError
                rest = rest[written:]
            if flush:
                sys.stdout.flush()


def _head(message: RecordMessage) -> bytes:
    """Write a message up to its record, which may be written already."""
    fields = message.to_dict()
    del fields["record"]
    if message.time_extracted:
        fields["time_extracted"] = message.time_extracted.isoformat()
    return dumps(fields)[:-1] + b',"record":'
