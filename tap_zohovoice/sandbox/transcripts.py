"""The address of the transcripts: what was said in a call, and what was made of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_zohovoice.sandbox import query, talks
from tap_zohovoice.sandbox.answers import error, reply
from tap_zohovoice.sandbox.calls import COMPLETED, FILE_KEYS
from tap_zohovoice.sandbox.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug import Response

    from tap_zohovoice.sandbox.dialect import Dialect
    from tap_zohovoice.sandbox.store import Store

Content: TypeAlias = str | dict[str, Any]

_PATTERNS = {
    "logId": re.compile(r".{1,200}", re.DOTALL),
    "transcriptionType": re.compile("[12]"),
}
_VOICEMAIL = "1"
_KEYS = {_VOICEMAIL: FILE_KEYS["isVoiceMail"], "2": FILE_KEYS["isRecording"]}


class Transcripts(Shelf[Content]):
    """Answers requests for transcripts: made-up ones of the calls held now, and changed ones."""

    def __init__(self, store: Store) -> None:
        """Look at a store.

        Args:
            store: Where the calls are.
        """
        super().__init__()
        self._store = store

    def answer(self, params: Mapping[str, str], dialect: Dialect) -> Response:
        """Answer a request.

        Args:
            params: Its parameters.
            dialect: How to answer where the documentation is silent.

        Returns:
            A transcript, or a refusal.
        """
        try:
            query.check(params, _PATTERNS, dialect)
            logid = params.get("logId", "")
            if not logid:
                query.refuse_value("logId", dialect)
        except query.RefusedError as refusal:
            return error(refusal.code, refusal.message)
        kind = params.get("transcriptionType") or _VOICEMAIL
        content = self.look(logid, lambda: self._made_up(logid, kind, dialect))
        if content is None:
            return error("ZVTST005", "Call log deleted or no permission")
        return reply({"transcribeObj": content, "status": "SUCCESS", "code": "200"})

    def _made_up(self, logid: str, kind: str, dialect: Dialect) -> Content | None:
        row = self._store.find(logid)
        if (
            row is None
            or row.get("call_recording_transcription_status") != COMPLETED
            or not row.get(_KEYS[kind])
        ):
            return None
        talk = talks.talk(f"{logid} {kind}")
        if dialect.transcript_form == "object":
            return talk
        if dialect.transcript_form == "segments_string":
            talk["transcriptJson"] = _text(talk["transcriptJson"])
        text = _text(talk)
        return text[: len(text) // 2] if dialect.transcript_form == "broken" else text


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
