"""JSON schema of recordings."""

from __future__ import annotations

from typing import Any

from tap_zohovoice.schemas.types import Field, FieldType, build_schema

STRING, TIMESTAMP, INTEGER = FieldType.STRING, FieldType.TIMESTAMP, FieldType.INTEGER

RECORDING_SCHEMA: dict[str, Any] = build_schema(
    Field("recording_filename", STRING, "Name of the file.", required=True),
    Field("logid", STRING, "Id of the call log that names it; the earliest in a run if several."),
    Field("kind", STRING, "recording or voicemail."),
    Field("start_time", TIMESTAMP, "When the call started."),
    Field("duration_seconds", FieldType.NUMBER, "Length in seconds, according to the call log."),
    Field("size", INTEGER, "Size in bytes, according to the call log."),
    Field("content_type", STRING, "Media type: by the file's first bytes, else by the call log."),
    Field("uri", STRING, "Where the downloaded file is."),
    Field("bytes", INTEGER, "Size of the downloaded file, in bytes."),
    Field("sha256", STRING, "SHA-256 of the downloaded file, in hex."),
    Field("downloaded_at", TIMESTAMP, "When it was downloaded."),
    Field("error", STRING, "Why it could not be downloaded."),
)
"""JSON schema of a recording or voicemail, whose file is downloaded if `recordings_path` is set."""
