"""Request class and handler of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override
from werkzeug import Request
from werkzeug.serving import WSGIRequestHandler

from zoho_voice_sandbox.streaming import HANDLER_KEY

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

HOST = "127.0.0.1"


class LocalRequest(Request):
    """A request that must be addressed to this machine, not to a name that resolves to it."""

    trusted_hosts: list[str] | None = [HOST, "localhost"]  # noqa: RUF012 - as declared above it


class QuietHandler(WSGIRequestHandler):
    """A handler that writes no log and no `Date` header."""

    # Head and body are two writes; with Nagle's algorithm the second may wait 40 ms.
    disable_nagle_algorithm = True

    @override
    def make_environ(self) -> WSGIEnvironment:
        return {**super().make_environ(), HANDLER_KEY: self}

    @override
    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return nothing: the application sets the date."""
        return ""

    @override
    def send_header(self, keyword: str, value: str) -> None:
        """Send a header, except an empty `Date`."""
        if value or keyword != "Date":
            super().send_header(keyword, value)

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: query strings contain numbers and names."""
