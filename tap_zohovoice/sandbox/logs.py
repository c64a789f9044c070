"""The list of logs: one page of it for a request."""

from __future__ import annotations

import threading
from array import array
from typing import TYPE_CHECKING

from werkzeug import Response

from tap_zohovoice.sandbox import query
from tap_zohovoice.sandbox.answers import error, reply
from tap_zohovoice.sandbox.history import LONGEST_MS
from tap_zohovoice.sandbox.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_zohovoice.sandbox.audio import Audio
    from tap_zohovoice.sandbox.calls import Row
    from tap_zohovoice.sandbox.dialect import Dialect
    from tap_zohovoice.sandbox.store import Store
    from tap_zohovoice.sandbox.window import Handles, Window

_KEPT = 8
# Recordings come within this time of a call's end.
_LATE_MS = 5 * 60_000


class Logs:
    """Answers requests for logs from a store."""

    def __init__(self, store: Store, audio: Audio) -> None:
        """Look at a store.

        Args:
            store: Where the calls are.
            audio: Where their files are.
        """
        self._store = store
        self._audio = audio
        self._kept: dict[tuple[object, ...], array[int]] = {}
        self._guard = threading.Lock()

    def answer(self, params: Mapping[str, str], dialect: Dialect) -> Response:
        """Answer a request.

        Args:
            params: Its parameters.
            dialect: How to answer where the documentation is silent.

        Returns:
            A page of rows, or a refusal.
        """
        try:
            asked = query.read(params, dialect, self._store.now_ms() / 1000)
            handles = self._handles(asked, dialect)
            rows = self._page(handles, asked, dialect)
        except query.RefusedError as refusal:
            return error(refusal.code, refusal.message)
        if rows is None:
            return error("500", "failed", 500)
        return _envelope(rows, len(handles), dialect)

    def _page(self, handles: Handles, asked: query.Query, dialect: Dialect) -> list[Row] | None:
        end = asked.offset + asked.size
        if dialect.max_offset is not None and end > dialect.max_offset:
            if dialect.offset_over == "refuse":
                query.refuse_value("from", dialect)
            return [] if dialect.offset_over == "empty" else None
        count = len(handles)
        places = range(min(asked.offset, count), min(end, count))
        if dialect.order == "newest":
            chosen = [handles[count - 1 - place] for place in places]
        else:
            chosen = [handles[place] for place in places]
        rows = ((handle, self._store.row(handle)) for handle in chosen)
        told = Telling(dialect, asked.hidden(dialect), self._audio)
        return [told.row(row, is_made_up=handle >= 0) for handle, row in rows if row is not None]

    def _handles(self, asked: query.Query, dialect: Dialect) -> Handles:
        with self._guard:
            version = self._store.version
            window = self._store.window(asked.low_ms, asked.high_ms)
            by_id = dialect.order == "logid"
            if not len(window) or not (asked.filters or by_id):
                return window
            # Going through every row is dear, and page after page asks for the same ones; but
            # the rows of the last minutes still change.
            now = self._store.now_ms()
            latest = self._store.start_ms(window[len(window) - 1])
            settled = latest + LONGEST_MS + _LATE_MS < now
            key = (asked.low_ms, asked.high_ms, asked.filters, by_id, version, settled or now)
            if key not in self._kept:
                self._kept[key] = self._sift(window, asked, by_id=by_id)
                while len(self._kept) > _KEPT:
                    self._kept.pop(next(iter(self._kept)))
            return self._kept[key]

    def _sift(self, window: Window, asked: query.Query, *, by_id: bool) -> array[int]:
        found = array("q")
        for place in range(len(window)):
            row = self._store.row(window[place]) if asked.filters else {}
            if row is not None and asked.lets(row):
                found.append(window[place])
        return array("q", sorted(found, key=self._store.logid)) if by_id else found


def _envelope(rows: list[Row], count: int, dialect: Dialect) -> Response:
    form = dialect.rows_form if not rows else "list"
    if form == "no_content":
        return Response(status=204)
    if form == "body":
        return Response(b"", content_type="application/json;charset=UTF-8")
    if form == "bare_list":
        return reply([])
    body: dict[str, object] = {"meta": _meta(count, dialect)}
    if form != "missing":
        body["logs"] = None if form == "null" else rows
    return reply(body | {"status": dialect.status_value})


def _meta(count: int, dialect: Dialect) -> dict[str, object]:
    # An index that lags behind still knows that there is nothing where there never was any.
    off = dialect.total_error if count else 0
    totals: dict[str, dict[str, object]] = {
        "exact": {"total": count},
        "absent": {},
        "minus_one": {"total": -1},
        "text": {"total": str(count)},
        "words": {"total": "many"},
        "stale_high": {"total": count + off},
        "stale_low": {"total": max(min(count, 1), count - off)},
    }
    return totals[dialect.total]
