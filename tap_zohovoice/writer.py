"""Singer messages on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from singer_sdk.io_base import SingerWriter
from singer_sdk.singerlib.encoding.simple import RecordMessage

from tap_zohovoice.compat import override
from tap_zohovoice.texts import is_suspect, storable
from tap_zohovoice.written import WrittenRecord, to_json, whole

if TYPE_CHECKING:
    from singer_sdk.singerlib.encoding.simple import Message

    from tap_zohovoice.stopping import Stopper


class MessageWriter(SingerWriter):
    """Writes whole lines, never half of one on a signal, and STATE only behind its records.

    Args:
        stopper: Holds signals back while a line is written.
    """

    def __init__(self, stopper: Stopper) -> None:
        self._stopper = stopper

    @override
    def serialize_message(self, message: Message) -> str:
        if not isinstance(message, RecordMessage) or not message.time_extracted:
            return super().serialize_message(message)
        record = message.record
        fields = {**message.to_dict(), "time_extracted": message.time_extracted.isoformat()}
        del fields["record"]  # it may be written already
        text = record.text if isinstance(record, WrittenRecord) else to_json(record)
        if is_suspect(text):
            text = to_json(storable(whole(record)))
        return f'{to_json(fields)[:-1]},"record":{text}}}'

    @override
    def write_message(self, message: Message) -> None:
        line = self.format_message(message) + "\n"
        with self._stopper:
            sys.stdout.write(line)
            if not isinstance(message, RecordMessage):
                # Records wait for the next STATE, which is never sent ahead of them.
                sys.stdout.flush()
