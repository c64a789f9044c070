"""Singer messages on standard output."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from singer_sdk.io_base import SingerWriter
from singer_sdk.singerlib.encoding.simple import RecordMessage

from tap_zohovoice.compat import override
from tap_zohovoice.texts import is_suspect, storable

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
        self._encode = json.JSONEncoder(
            separators=(",", ":"), allow_nan=False, check_circular=False
        ).encode

    @override
    def serialize_message(self, message: Message) -> str:
        if isinstance(message, RecordMessage) and message.time_extracted:
            fields = message.to_dict()
            fields["time_extracted"] = message.time_extracted.isoformat()
            line = self._encode(fields)
            if is_suspect(line):
                line = self._encode({**fields, "record": storable(fields["record"])})
            return line
        return super().serialize_message(message)

    @override
    def write_message(self, message: Message) -> None:
        line = self.format_message(message) + "\n"
        with self._stopper:
            sys.stdout.write(line)
            if not isinstance(message, RecordMessage):
                # Records wait for the next STATE, which is never sent ahead of them.
                sys.stdout.flush()
