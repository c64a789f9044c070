"""The endpoint of transcripts."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from zoho_voice_sandbox.calls import COMPLETED, FILE_KEYS
from zoho_voice_sandbox.overrides import Overrides
from zoho_voice_sandbox.params import InvalidParameterError, reject_value, validate_params
from zoho_voice_sandbox.responses import error_response, json_response
from zoho_voice_sandbox.transcript_fixtures import build_transcript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug import Response

    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.store import Store

Transcript: TypeAlias = str | dict[str, Any]

_PATTERNS = {
    "logId": re.compile(r".{1,200}", re.DOTALL),
    "transcriptionType": re.compile("[12]"),
}
_VOICEMAIL = "1"
_KEYS = {_VOICEMAIL: FILE_KEYS["isVoiceMail"], "2": FILE_KEYS["isRecording"]}


class TranscriptsHandler(Overrides[Transcript]):
    """Responds to requests for transcripts: generated for the current calls, unless overridden."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def handle(self, params: Mapping[str, str], dialect: Dialect) -> Response:
        """Respond to a request with these parameters."""
        try:
            validate_params(params, _PATTERNS, dialect)
            logid = params.get("logId", "")
            if not logid:
                reject_value("logId", dialect)
        except InvalidParameterError as error:
            return error_response(error.code, error.message)
        kind = params.get("transcriptionType") or _VOICEMAIL
        content = self.get(logid, lambda: self._generate(logid, kind, dialect))
        if content is None:
            return error_response("ZVTST005", "Call log deleted or no permission")
        return json_response({"transcribeObj": content, "status": "SUCCESS", "code": "200"})

    def _generate(self, logid: str, kind: str, dialect: Dialect) -> Transcript | None:
        row = self._store.find(logid)
        if (
            row is None
            or row.get("call_recording_transcription_status") != COMPLETED
            or not row.get(_KEYS[kind])
        ):
            return None
        transcript = build_transcript(f"{logid} {kind}")
        if dialect.transcript_form == "object":
            return transcript
        if dialect.transcript_form == "segments_string":
            transcript["transcriptJson"] = _dumps(transcript["transcriptJson"])
        text = _dumps(transcript)
        return text[: len(text) // 2] if dialect.transcript_form == "broken" else text


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
