"""The endpoint of files: a recording, a voicemail, or an archive of several."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from werkzeug import Response

from zoho_voice_sandbox.archives import build_archive
from zoho_voice_sandbox.audio_fixtures import build_wav
from zoho_voice_sandbox.overrides import Overrides
from zoho_voice_sandbox.params import InvalidParameterError, reject_value, validate_params
from zoho_voice_sandbox.responses import (
    SIGN_IN_PAGE,
    ErrorResponse,
    error_response,
    html_response,
    json_response,
)
from zoho_voice_sandbox.streaming import FileResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.store import Store

_ANY = re.compile(r".*", re.DOTALL)
_PATTERNS = {
    # Names may be longer than the values of other parameters, up to a limit.
    "recording_filename": re.compile(r".{1,10000}", re.DOTALL),
    "mode": _ANY,
    "password": _ANY,
    "ZUID": re.compile(r"\d{1,19}", re.ASCII),
}
_MODES = {"lower": "play|download", "any": "[Pp]lay|[Dd]ownload", "none": "(?!)"}
_CONTENT_TYPE = "application/octet-stream"
_MAX_FILES = 10
_NOT_FOUND_PAGE = "<!DOCTYPE html><html><body><p>The file was not found.</p></body></html>"


class AudioFiles(Overrides[bytes]):
    """Files by name: generated for the current calls, unless overridden."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def read(self, name: str) -> bytes | None:
        """Return the current content of a file, None if it does not exist."""
        return self.get(name, lambda: build_wav(name) if self._store.has_file(name) else None)


class FilesHandler:
    """Responds to requests for files."""

    def __init__(self, audio: AudioFiles) -> None:
        self._audio = audio

    def handle(self, params: Mapping[str, str], dialect: Dialect) -> Response:
        """Respond to a request with these parameters."""
        try:
            validate_params(params, _PATTERNS, dialect)
            # Here even an empty value is invalid.
            mode = params.get("mode")
            if mode is not None and not re.fullmatch(_MODES[dialect.file_mode], mode):
                reject_value("mode", dialect)
            content = self._content(params, dialect)
        except InvalidParameterError as error:
            return error_response(error.code, error.message)
        if isinstance(content, Response):
            return content
        if content is None:
            return _not_found(dialect)
        response = FileResponse(content, content_type=_CONTENT_TYPE)
        response.length = dialect.file_length
        return response

    def _content(self, params: Mapping[str, str], dialect: Dialect) -> Response | bytes | None:
        value = params.get("recording_filename", "")
        if not value:
            reject_value("recording_filename", dialect)
        # A name with a comma in it comes first.
        content = self._audio.read(value)
        names = [value] if content is not None else list(dict.fromkeys(value.split(",")))
        if len(names) > _MAX_FILES:
            reject_value("recording_filename", dialect)
        if len(names) == 1 and not params.get("password"):
            return content if content is not None else self._audio.read(names[0])
        found = {name: self._audio.read(name) for name in names}
        if len(names) == 1:
            dialect = replace(dialect, several_files="zip")
        return several_files_response(found, dialect)


def several_files_response(
    files: Mapping[str, bytes | None], dialect: Dialect
) -> Response | bytes | None:
    """Return the response to a request for several files.

    Args:
        files: Content by name, None for a file that does not exist.
        dialect: Form of the response.

    Returns:
        A response, the content of a file, or None if a file does not exist.

    Raises:
        InvalidParameterError: If the dialect refuses several files.
    """
    form = dialect.several_files
    if form == "refuse":
        reject_value("recording_filename", dialect)
    if form == "html":
        return html_response(SIGN_IN_PAGE, 200)
    if form == "first":
        return next(iter(files.values()))
    found = {name: content for name, content in files.items() if content is not None}
    is_tolerant = form == "zip_missing" and found
    return build_archive(found, dialect) if is_tolerant or len(found) == len(files) else None


def _not_found(dialect: Dialect) -> Response:
    success = {"code": "200", "status": "SUCCESS"}
    responses: dict[str, Callable[[], Response]] = {
        "404": lambda: error_response("404", "File not found", 404),
        "400": lambda: error_response("400", "File not found"),
        "500": lambda: error_response("500", "failed", 500),
        "200_error": lambda: error_response("404", "File not found", 200),
        "200_html": lambda: html_response(_NOT_FOUND_PAGE, 200),
        "200_object": lambda: json_response(success, 200, ErrorResponse),
        "204": lambda: ErrorResponse(status=204),
        "200_empty": lambda: ErrorResponse(b"", content_type=_CONTENT_TYPE),
    }
    return responses[dialect.file_missing]()
