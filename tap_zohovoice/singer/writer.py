"""Singer messages on standard output."""

import codecs
import datetime as dt
import sys
from collections.abc import Callable, Sequence
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

    @override
    def serialize_message(self, message: Message) -> bytes:
        fields = message.to_dict()
        if isinstance(message, SchemaMessage):
            # Loaders that check for draft 4 reject its name, and nothing here is newer.
            fields["schema"].pop("$schema", None)
            fields.setdefault("key_properties", [])  # loaders require it, and the SDK drops null
        return dumps(fields)

    @override
    def write_message(self, message: Message) -> None:
        if isinstance(message, RecordMessage):
            self.write_records(message.stream, [dumps(message.record)], message.time_extracted)
        else:
            self._write(self.format_message(message) + b"\n", records=0)

    def write_records(
        self, stream: str, records: Sequence[bytes], extracted: dt.datetime | None
    ) -> None:
        """Write one or more records of a stream as JSON, all extracted at the same time in UTC."""
        time_extracted = extracted and extracted.isoformat()
        fields = {"type": "RECORD", "stream": stream, "time_extracted": time_extracted}
        begin, end = dumps(fields)[:-1] + b',"record":', b"}\n"
        lines = [*map(sanitize_json, records)]
        lines[0] = begin + lines[0]
        lines[-1] += end
        self._write((end + begin).join(lines), records=len(records))  # each is copied once

    def _write(self, text: bytes, *, records: int) -> None:
        # A target reads in the encoding of the locale; where that is not UTF-8, escapes are safe.
        if codecs.lookup(sys.stdout.encoding).name != "utf-8":
            text = b"".join(ascii_json(line) + b"\n" for line in text.splitlines())
        with self._deferred():
            sys.stdout.flush()
            # Without a buffer, what was written has gone out, also where the next write fails.
            output = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
            rest, before = text, self.records_written
            while rest:
                rest = rest[output.write(rest) :]
                self.records_written = before + max(records - rest.count(b"\n"), 0)
