"""JSON schema of `recordings`."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

RECORDINGS_SCHEMA: dict[str, Any] = th.PropertiesList(
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
        "duration_seconds", th.NumberType, description="Length of the audio, as the log tells."
    ),
    th.Property("size", th.IntegerType, description="Size in bytes, as the log tells."),
    th.Property(
        "content_type",
        th.StringType,
        description="Media type: by the file's first bytes if it was fetched, else by the log.",
    ),
    th.Property("uri", th.StringType, description="Where the file is, if it was fetched."),
    th.Property("bytes", th.IntegerType, description="Size of the fetched file, in bytes."),
    th.Property("sha256", th.StringType, description="SHA-256 of the fetched file, in hex."),
    th.Property("downloaded_at", th.DateTimeType, description="When it was fetched."),
    th.Property("error", th.StringType, description="Why it could not be fetched."),
    additional_properties=False,
).to_dict()
