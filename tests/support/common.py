"""Helpers of the tests: small histories, and the comparison of what came out with what was held."""

from __future__ import annotations

import datetime as dt
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tap_zohovoice._compat import override
from tap_zohovoice.tap import TapZohoVoice
from zoho_voice_sandbox import History

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Run
    from zoho_voice_sandbox import Sandbox

FIRST, LAST = dt.date(2025, 6, 1), dt.date(2026, 2, 28)


def history(
    calls: int = 900, seed: int = 3, first: dt.date = FIRST, last: dt.date = LAST
) -> History:
    """Make up calls that ended before the test's clock starts."""
    return History(seed=seed, calls=calls, first=first, last=last)


def milliseconds(text: str) -> int:
    """Return a moment, as ISO text, in milliseconds since the epoch."""
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


def call(box: Sandbox, logid: str, start: int, **fields: Any) -> dict[str, Any]:
    """Make a call log of a given start, in milliseconds since the epoch."""
    sample = next(iter(box.store.rows()), {"call_type": "outgoing", "duration": "00:05"})
    return {**sample, "logid": logid, "start_time": str(start), **fields}


def held(box: Sandbox) -> set[str]:
    """Return the ids of all calls that the server holds now."""
    return {row["logid"] for row in box.store.rows()}


def assert_once(run: Run, expected: set[str]) -> None:
    """Check that each of these calls came out, and that none came out twice."""
    assert run.exit_code == 0, run.log
    assert len(run.ids) == len(set(run.ids))
    assert expected - set(run.ids) == set()


def selecting(*names: str) -> dict[str, Any]:
    """Return a catalog in which some streams are selected and the others are not."""
    catalog = TapZohoVoice(config={}, validate_config=False).catalog_dict
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in names
    return catalog


def files(folder: Path) -> set[Path]:
    """Return all files below a folder."""
    return {path for path in folder.rglob("*") if not path.is_dir()}


class Accounts(HTTPServer):
    """An accounts server that gives one answer to everything, and remembers what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.status = 200
        self.body = b""
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, list[str]]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def give(self, body: object, status: int = 200, **headers: str) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, headers


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Accounts)
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.path, dict(self.headers), parse_qs(form)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST  # noqa: N815

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
