"""The endpoint of call logs."""

from __future__ import annotations

import threading
from array import array
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from zoho_voice_sandbox.calls import rewrite_times
from zoho_voice_sandbox.file_fields import FileFields
from zoho_voice_sandbox.params import InvalidParameterError
from zoho_voice_sandbox.query import QueryFailedError, parse_query, run_query
from zoho_voice_sandbox.responses import (
    BrokenResponse,
    empty_response,
    error_response,
    json_response,
)
from zoho_voice_sandbox.row_forms import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug import Response

    from zoho_voice_sandbox.date_filter import TimeRange
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.files import AudioFiles
    from zoho_voice_sandbox.query import LogQuery, Page, Rows
    from zoho_voice_sandbox.store import Store

_CACHE_SIZE = 8


class LogsHandler:
    """Responds to requests for call logs."""

    def __init__(self, store: Store, audio: AudioFiles) -> None:
        self._store = store
        self._audio = audio
        self._cache: dict[tuple[object, ...], array[int]] = {}
        self._mutex = threading.Lock()
        self._numbers = count(1)

    def handle(self, params: Mapping[str, str], dialect: Dialect) -> Response:
        """Respond to a request with these parameters."""
        try:
            query = parse_query(params, dialect)
            page = self.query(query, dialect)
        except InvalidParameterError as error:
            return error_response(error.code, error.message)
        except QueryFailedError as error:
            if error.failure == "error500":
                return error_response("500", "failed", 500)
            whole = self.handle(params, replace(dialect, max_size=None))
            broken = BrokenResponse(whole.get_data(), content_type=whole.content_type)
            broken.failure = error.failure
            return broken
        fields = FileFields(dialect, query.hidden_keys(dialect), self._audio)
        rows = [self._encode(handle, fields) for handle in page.rows]
        return list_response([row for row in rows if row], page.total, dialect)

    def query(self, query: LogQuery, dialect: Dialect) -> Page[int]:
        """Return the handles of a page of calls.

        Raises:
            InvalidParameterError: As `run_query`.
            QueryFailedError: As `run_query`.
        """
        return run_query(
            query,
            dialect,
            self._store.now_ms(),
            lambda selected: self._select(selected, query, dialect),
            next(self._numbers),
        )

    def _encode(self, handle: int, fields: FileFields) -> bytes:
        """Return a row as JSON, empty if it was removed."""
        is_generated = handle >= 0
        if is_generated and fields.dialect.wrong_start == "none" and not fields.is_needed():
            return self._store.encoded_row(handle)
        row = self._store.row(handle)
        if row is None:
            return b""
        sent = fields.rewrite(row, is_generated=is_generated)
        return encode(rewrite_times(sent, fields.dialect))

    def _select(self, selected: TimeRange, query: LogQuery, dialect: Dialect) -> Rows[int]:
        """Return handles; filtering all rows is slow, so the results of past ranges are cached."""
        with self._mutex:
            version = self._store.version
            calls = self._store.select(selected)
            by_id = dialect.order == "logid"
            if not len(calls) or not (query.filters or by_id):
                return calls
            now = self._store.now_ms()
            latest = self._store.start_ms(calls[len(calls) - 1])
            is_settled = latest + self._store.late_ms < now
            is_settled = is_settled or not query.filters
            key = (selected, query.filters, by_id, version, is_settled or now)
            if key not in self._cache:
                self._cache[key] = self._filter(calls, query, by_id=by_id)
                while len(self._cache) > _CACHE_SIZE:
                    self._cache.pop(next(iter(self._cache)))
            return self._cache[key]

    def _filter(self, calls: Rows[int], query: LogQuery, *, by_id: bool) -> array[int]:
        found = array("q", (calls[place] for place in range(len(calls))))
        if query.filters:
            matches = query.matcher()
            rows = zip(found, map(self._store.row, found), strict=True)
            found = array("q", (each for each, row in rows if row is not None and matches(row)))
        return array("q", sorted(found, key=self._store.logid)) if by_id else found


def list_response(rows: list[bytes], total: int | str | None, dialect: Dialect) -> Response:
    """Return a page of call logs as a response.

    Args:
        rows: The rows of the page, as JSON.
        total: `meta.total`, None for none.
        dialect: Form of a page without rows, and of the status.
    """
    form = "list" if rows else dialect.rows_form
    if form in {"no_content", "body", "bare_list", "error"}:
        return empty_response(form)
    meta = encode({} if total is None else {"total": total})
    parts = [b'"meta":' + meta]
    if form != "missing":
        parts.append(b'"logs":' + (b"null" if form == "null" else b"[" + b",".join(rows) + b"]"))
    parts.append(b'"status":' + encode(dialect.status_value))
    return json_response(b"{" + b",".join(parts) + b"}")
