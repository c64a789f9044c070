"""A server of call logs without a rate limit, faster than all programs that read from it.

It prints its URL, and runs until it is stopped. The first part of the path is the number of logs,
so that one server simulates accounts of all sizes:

- `/100000/rest/json/zv/logs`: the list of 100,000 logs, by `from`, `size`, `fromDate`, `toDate`
- `/100000/oauth/v2/token`: a token
- `/asked`: the number of requests for logs since the last request for this path
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from zoho_voice_sandbox.calls import build_row
from zoho_voice_sandbox.generator import CallGenerator

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
"""Start of the first call; the others follow at equal intervals."""
DAYS = 730
"""Days of the calls, for any number of calls."""
_DAY_MS = 86_400_000
_FIRST_MS = int(FIRST.timestamp()) * 1000
_SHAPES = 1_024
_STRIDE = 2_654_435_761
"""An odd number, so that each row has a distinct `logid`."""
_MOMENT = re.compile(r"(?<!\d)(1\d{12})(?!\d)")
_LATER_MS = 30 * _DAY_MS


class ObjectShape:
    """A generated call of the sandbox, as a template for any time and `logid`."""

    def __init__(self, number: int) -> None:
        outline = CallGenerator(seed=1).outline(number)
        row = json.dumps(build_row(outline, _FIRST_MS, _FIRST_MS + _LATER_MS))
        start = outline.logid[:8]
        parts = _MOMENT.split(row.replace("%", "%%").replace(start, "%(id)08x"))
        self._offsets = [int(moment) - _FIRST_MS for moment in parts[1::2]]
        parts[1::2] = [f"%({index})d" for index in range(len(self._offsets))]
        self._form = "".join(parts)

    def row(self, number: int, start: int) -> str:
        """Format the row of the call."""
        values = {str(index): start + offset for index, offset in enumerate(self._offsets)}
        return self._form % {**values, "id": number * _STRIDE & 0xFFFFFFFF}


class Account:
    """A number of calls, newest first."""

    shapes: ClassVar[list[ObjectShape]] = []

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._step = DAYS * _DAY_MS / max(calls, 1)
        if not self.shapes:
            self.shapes.extend(map(ObjectShape, range(_SHAPES)))

    def page(self, asked: dict[str, str]) -> bytes:
        """Respond to a request."""
        first = self._place(asked.get("fromDate"), 0)
        last = self._place(asked.get("toDate"), 1)
        offset, size = int(asked.get("from", 0)), int(asked.get("size", 100))
        newest = last - 1 - offset
        rows = ",".join(self._rows(newest, max(newest - size, first - 1)))
        return f'{{"meta":{{"total":{last - first}}},"logs":[{rows}],"status":"200"}}'.encode()

    def _rows(self, newest: int, beyond: int) -> Iterator[str]:
        for number in range(newest, beyond, -1):
            shape = self.shapes[number % _SHAPES]
            yield shape.row(number, _FIRST_MS + int(number * self._step))

    def _place(self, day: str | None, days_later: int) -> int:
        """Return the number of the first call at the start of a day, or some days later."""
        if not day:
            return self._calls if days_later else 0
        since = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days_later) - FIRST
        place = -(-since.days * _DAY_MS // self._step)
        return min(max(int(place), 0), self._calls)


class Handler(BaseHTTPRequestHandler):
    """Responds to requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    accounts: ClassVar[dict[int, Account]] = {}
    asked: ClassVar[list[int]] = [0]

    def do_GET(self) -> None:
        """Send a page, or the count of pages."""
        url = urlsplit(self.path)
        if url.path == "/asked":
            self._send(json.dumps(self.asked[0]).encode())
            self.asked[0] = 0
            return
        calls, _, rest = url.path[1:].partition("/")
        if rest != "rest/json/zv/logs" or not calls.isdecimal():
            self.send_error(404)
            return
        self.asked[0] += 1
        account = self.accounts.setdefault(int(calls), Account(int(calls)))
        self._send(account.page({name: values[0] for name, values in parse_qs(url.query).items()}))

    def do_POST(self) -> None:
        """Send a token."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._send(b'{"access_token":"made-up","expires_in":3600,"token_type":"Bearer"}')

    def _send(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self.wfile.write(f"{head}\r\n\r\n".encode() + body)


def main() -> None:
    """Run the server on a free local port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
