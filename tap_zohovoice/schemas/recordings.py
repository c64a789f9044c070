"""JSON schema of recordings."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

RECORDING_SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "recording_filename", th.StringType, required=True, description="Name of the file."
    ),
    th.Property(
        "logid",
        th.StringType,
        description="Id of the call log that names it; of the earliest in a run if several do.",
    ),
    th.Property("kind", th.StringType, description="recording or voicemail."),
    th.Property("start_time", th.DateTimeType, description="When the call started."),
    th.Property(
        "duration_seconds",
        th.NumberType,
        description="Length of the audio, in seconds, according to the call log.",
    ),
    th.Property("size", th.IntegerType, description="Size in bytes, according to the call log."),
    th.Property(
        "content_type",
        th.StringType,
        description="Media type: by the first bytes of a downloaded file, else by the call log.",
    ),
    th.Property("uri", th.StringType, description="Where the downloaded file is."),
    th.Property("bytes", th.IntegerType, description="Size of the downloaded file, in bytes."),
    th.Property("sha256", th.StringType, description="SHA-256 of the downloaded file, in hex."),
    th.Property("downloaded_at", th.DateTimeType, description="When it was downloaded."),
    th.Property("error", th.StringType, description="Why it could not be downloaded."),
    additional_properties=False,
).to_dict()
"""JSON schema of a recording or voicemail, whose file is downloaded if `recordings_path` is set."""
