"""Singer messages on standard output."""

import codecs
import datetime as dt
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, RecordMessage, SchemaMessage

from tap_zohovoice._compat import override
from tap_zohovoice.singer.json import ascii_json, dumps, sanitize_json


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes whole lines, with signals deferred, and STATE only after its records."""

    def __init__(self, deferred: Callable[[], AbstractContextManager[object]]) -> None:
        self._deferred = deferred
        self.records_written = 0
        """Number of emitted records."""

    @override
    def serialize_message(self, message: Message) -> bytes:
        fields = message.to_dict()
        if isinstance(message, SchemaMessage):
            # Loaders that check for draft 4 reject its name, and nothing here is newer.
            fields["schema"].pop("$schema", None)
        return dumps(fields)

    @override
    def write_message(self, message: Message) -> None:
        if isinstance(message, RecordMessage):
            self.write_records(message.stream, [dumps(message.record)], message.time_extracted)
        else:
            self._write([self.format_message(message)], records=False)

    def write_records(
        self, stream: str, records: Iterable[bytes], extracted: dt.datetime | None
    ) -> None:
        """Write many records of one stream as JSON, all extracted at the same time in UTC."""
        time_extracted = extracted and extracted.isoformat()
        fields = {"type": "RECORD", "stream": stream, "time_extracted": time_extracted}
        prefix = dumps(fields)[:-1] + b',"record":'
        self._write([prefix + sanitize_json(record) + b"}" for record in records], records=True)

    def _write(self, lines: list[bytes], *, records: bool) -> None:
        # A target reads in the encoding of the locale; where that is not UTF-8, escapes are safe.
        if codecs.lookup(sys.stdout.encoding).name != "utf-8":
            lines = [ascii_json(line) for line in lines]
        with self._deferred():
            sys.stdout.flush()
            # Without a buffer, what was written has gone out, also where the next write fails.
            output = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
            rest, unwritten = b"\n".join([*lines, b""]), len(lines)
            while rest:
                rest = rest[output.write(rest) :]
                before, unwritten = unwritten, rest.count(b"\n")  # of mostly nothing, which is fast
                self.records_written += before - unwritten if records else 0
