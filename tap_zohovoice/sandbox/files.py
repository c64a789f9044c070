"""The address of the files: a recording, a voicemail, or several of them in one archive."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from zipfile import ZipFile, ZipInfo

from tap_zohovoice.sandbox import query
from tap_zohovoice.sandbox.answers import NoAnswer, error, page, reply
from tap_zohovoice.sandbox.bodies import FileBody

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug import Response

    from tap_zohovoice.sandbox.audio import Audio
    from tap_zohovoice.sandbox.dialect import Dialect

_ANY = re.compile(r".*", re.DOTALL)
_PATTERNS = {
    # Names may be longer than the values of other parameters, but not without end.
    "recording_filename": re.compile(r".{1,10000}", re.DOTALL),
    "mode": _ANY,
    "password": _ANY,
    "ZUID": re.compile(r"\d{1,19}", re.ASCII),
}
_MODES = {"lower": "play|download", "any": "[Pp]lay|[Dd]ownload", "none": "(?!)"}
_TYPES = {"octet": "application/octet-stream", "audio": "audio/x-wav", "html": "text/html"}
_MOST_FILES = 10
_NO_FILE_PAGE = "<!DOCTYPE html><html><body><p>The file was not found.</p></body></html>"


class Files:
    """Answers requests for files."""

    def __init__(self, audio: Audio) -> None:
        """Look at the files.

        Args:
            audio: Where they are.
        """
        self._audio = audio

    def answer(self, params: Mapping[str, str], dialect: Dialect) -> Response:
        """Answer a request.

        Args:
            params: Its parameters.
            dialect: How to answer where the documentation is silent.

        Returns:
            A file, or a refusal.
        """
        try:
            query.check(params, _PATTERNS, dialect)
            # Of this one not even an empty value is accepted.
            mode = params.get("mode")
            if mode is not None and not re.fullmatch(_MODES[dialect.file_mode], mode):
                query.refuse_value("mode", dialect)
            content = self._content(params, dialect)
        except query.RefusedError as refusal:
            return error(refusal.code, refusal.message)
        kind = _TYPES[dialect.file_type]
        if content is None:
            return _missing(dialect, kind)
        answer = FileBody(content, content_type=kind)
        answer.length = dialect.file_length
        return answer

    def _content(self, params: Mapping[str, str], dialect: Dialect) -> bytes | None:
        asked = params.get("recording_filename", "")
        if not asked:
            query.refuse_value("recording_filename", dialect)
        # A name that itself holds a comma comes first.
        content = self._audio.read(asked)
        names = [asked] if content is not None else list(dict.fromkeys(asked.split(",")))
        if len(names) > _MOST_FILES:
            query.refuse_value("recording_filename", dialect)
        if len(names) == 1 and not params.get("password"):
            return content if content is not None else self._audio.read(names[0])
        found = {name: self._audio.read(name) for name in names}
        whole = {name: content for name, content in found.items() if content is not None}
        return _archive(whole) if len(whole) == len(names) else None


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(ZipInfo(name), content)
    return buffer.getvalue()


def _missing(dialect: Dialect, kind: str) -> Response:
    answers: dict[str, Callable[[], Response]] = {
        "404": lambda: error("404", "File not found", 404),
        "400": lambda: error("400", "File not found"),
        "500": lambda: error("500", "failed", 500),
        "200_error": lambda: error("404", "File not found", 200),
        "200_html": lambda: page(_NO_FILE_PAGE, 200),
        "200_object": lambda: reply({"code": "200", "status": "SUCCESS"}, 200, NoAnswer),
        "204": lambda: NoAnswer(status=204),
        "200_empty": lambda: NoAnswer(b"", content_type=kind),
    }
    return answers[dialect.file_missing]()
