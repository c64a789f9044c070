"""Stream `recordings`: files of recordings and voicemails, `GET zv/logs/voicerecording`."""

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import cached_property

from singer_sdk import Tap
from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp
from tap_zohovoice.extract.reader import CallLogReader
from tap_zohovoice.recordings.file_requests import FileRequests
from tap_zohovoice.recordings.storage import open_storage
from tap_zohovoice.recordings.writer import FileWriter, Rechecks
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.schemas.types import INTEGER, NUMBER, STRING, Field, FieldType, build_schema
from tap_zohovoice.services import Services
from tap_zohovoice.singer.state import VERIFIED_UNTIL
from tap_zohovoice.streams.call_items import CallItemStream


class RecordingsStream(CallItemStream):
    """Each recording and each voicemail in a call log, and its file with `recordings_path`."""

    name = "recordings"
    primary_keys = ("recording_filename",)
    schema = build_schema(
        Field("recording_filename", STRING, "Name of the file.", required=True),
        Field("logid", STRING, "Id of the call log with the file, the earliest of the run."),
        Field("kind", STRING, "recording or voicemail."),
        Field("start_time", FieldType.TIMESTAMP, "When the call started."),
        Field("duration_seconds", NUMBER, "Length in seconds, according to the call log."),
        Field("size", INTEGER, "Size in bytes, according to the call log."),
        Field("content_type", STRING, "Media type, by the first bytes or the call log."),
        Field("uri", STRING, "URI of the downloaded file."),
        Field("bytes", INTEGER, "Size of the downloaded file, in bytes."),
        Field("sha256", STRING, "SHA-256 of the downloaded file, in hex."),
        Field("downloaded_at", FieldType.TIMESTAMP, "When the file was downloaded."),
        Field("error", STRING, "Reason why the download failed."),
    )
    item_path = "zv/logs/voicerecording"
    # The documentation asks for any type; compression would hide the length of a file.
    item_headers = {"Accept": "*/*", "Accept-Encoding": "identity"}  # noqa: RUF012
    item_label = "file"
    continues_windows = False  # stored files take no request, and may have grown

    def __init__(self, tap: Tap, services: Services) -> None:
        # Without files, its records repeat those of call_logs.
        self.selected_by_default = bool(tap.config.get("recordings_path"))
        super().__init__(tap, services)

    @cached_property
    def _files(self) -> FileRequests | None:
        settings = self.services.settings
        if not settings.recordings_path:
            return None
        storage = open_storage(settings.recordings_path)
        max_bytes = settings.recordings_max_mb * 1024**2
        writer = FileWriter(storage, max_bytes, self.results, self.services.clock)
        return FileRequests(self.item_api, writer, settings.recordings_per_request, self.failures)

    @override
    def start_reader(self, start: dt.datetime, context: Context | None) -> CallLogReader:
        lookback, state = self.services.settings.lookback, self.get_context_state(context)
        # A run without a bookmark lists all calls, not only those in the lookback.
        is_first = not state.get("replication_key_value")
        oldest = format_timestamp(self.services.started - lookback) if is_first else ""
        self._rechecks = Rechecks(state.get(VERIFIED_UNTIL) or "", lookback, oldest)
        return super().start_reader(start, context)

    @override
    def requests_for(self, count: int) -> int:
        return self._files.requests_for(count) if self._files else 0

    @override
    def request_items(self, items: Sequence[Record]) -> Iterator[Record]:
        files, rechecks = self._files, self._rechecks
        if files is None:
            self.results["listed"] += len(items)
            yield from items
            return
        state = self.get_context_state({"kind": items[0]["kind"]})
        downloads = (files.writer.prepare(item, rechecks) for item in items)
        for download, fields in files.download_all(downloads):
            start = download.item["start_time"]
            if "error" not in fields and start <= self.max_bookmark:  # a clock may be ahead
                rechecks.record(start, is_provisional=download.is_provisional)
            if rechecks.verified_until:
                state[VERIFIED_UNTIL] = min(rechecks.verified_until, self.max_bookmark)
            yield {**download.item, **fields}
