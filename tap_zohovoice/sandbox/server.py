"""The services on a port of this machine."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from tap_zohovoice._compat import override
from tap_zohovoice.sandbox.bodies import HANDLER
from tap_zohovoice.sandbox.voice import Voice

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self
    from wsgiref.types import WSGIEnvironment

    from tap_zohovoice._time import Clock
    from tap_zohovoice.sandbox.dialect import Dialect
    from tap_zohovoice.sandbox.history import History

_HOST = "127.0.0.1"
_LAST_PORT = 65_535
# How often the server looks whether it should stop, in seconds.
_POLL_SECONDS = 0.02


class _Handler(WSGIRequestHandler):
    # Head and body go out in two writes; with Nagle's algorithm the second may wait 40 ms.
    disable_nagle_algorithm = True

    @override
    def make_environ(self) -> WSGIEnvironment:
        return {**super().make_environ(), HANDLER: self}

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: query strings hold numbers and names."""


class Sandbox(Voice):
    """A Zoho Voice that listens on the loopback interface while its `with` block runs.

    It is set up like a `Voice`; in addition `port` says where to listen, 0 being any free port.
    A port that cannot be one is a ValueError.
    """

    def __init__(  # noqa: PLR0913 - the public face of the sandbox, by keyword only
        self,
        *,
        history: History | None = None,
        dialect: Dialect | None = None,
        clock: Clock | None = None,
        faults: dict[int, str] | None = None,
        token_faults: dict[int, str] | None = None,
        file_faults: dict[int, str] | None = None,
        transcript_faults: dict[int, str] | None = None,
        before_request: Callable[[int], None] | None = None,
        before_file: Callable[[int], None] | None = None,
        grow_per_hour: float = 0.0,
        port: int = 0,
    ) -> None:
        super().__init__(
            history=history,
            dialect=dialect,
            clock=clock,
            faults=faults,
            token_faults=token_faults,
            file_faults=file_faults,
            transcript_faults=transcript_faults,
            before_request=before_request,
            before_file=before_file,
            grow_per_hour=grow_per_hour,
        )
        if not 0 <= port <= _LAST_PORT:
            msg = f"port must be between 0 and {_LAST_PORT}, not {port}"
            raise ValueError(msg)
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start to listen.

        Returns:
            This sandbox.

        Raises:
            OSError: If the port is taken.
        """
        try:
            server = make_server(_HOST, self._port, self, threaded=True, request_handler=_Handler)
        except SystemExit as error:
            msg = f"cannot listen on port {self._port} of {_HOST}"
            raise OSError(msg) from error
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever,
            kwargs={"poll_interval": _POLL_SECONDS},
            name="zoho-voice-sandbox",
            daemon=True,
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening.

        Args:
            kind: Type of the exception that ended the block, if any.
            value: The exception.
            trace: Its traceback.
        """
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    @property
    def url(self) -> str:
        """The address of both services, without a slash at the end.

        Raises:
            RuntimeError: If the sandbox has not been started.
        """
        if self._server is None:
            msg = "the sandbox listens only inside its with block"
            raise RuntimeError(msg)
        return f"http://{_HOST}:{self._server.port}"

    @property
    def config(self) -> dict[str, str]:
        """Settings with which the tap reads this account.

        Raises:
            RuntimeError: If the sandbox has not been started.
        """
        today = datetime.fromtimestamp(self.clock.now(), UTC).date()
        first = self.history.first if self.history else today
        client = self.accounts.client
        return {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "refresh_token": client.refresh_token,
            "accounts_url": self.url,
            "api_url": self.url,
            "start_date": f"{first.isoformat()}T00:00:00Z",
        }
