"""Zoho Accounts and Zoho Voice as one WSGI application on a local port."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from werkzeug.exceptions import SecurityError
from werkzeug.serving import BaseWSGIServer, make_server

from zoho_voice_sandbox.addresses import PATHS, TOKEN_PATH, has_scope, scope_of
from zoho_voice_sandbox.clock import SkewedClock, SystemClock
from zoho_voice_sandbox.dialect import Dialect
from zoho_voice_sandbox.directory import Directory
from zoho_voice_sandbox.endpoint import Endpoint, EndpointConfig
from zoho_voice_sandbox.faults import apply_fault, fault_at, validate
from zoho_voice_sandbox.files import AudioFiles, FilesHandler
from zoho_voice_sandbox.lists import Lists
from zoho_voice_sandbox.logs import LogsHandler
from zoho_voice_sandbox.responses import error_response, html_response, json_response, set_date
from zoho_voice_sandbox.stats import Stats
from zoho_voice_sandbox.store import Store
from zoho_voice_sandbox.token_endpoint import TokenEndpoint, too_many_tokens_response
from zoho_voice_sandbox.transcripts import TranscriptsHandler
from zoho_voice_sandbox.wsgi import HOST, LocalRequest, QuietHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Self
    from wsgiref.types import StartResponse, WSGIEnvironment

    from werkzeug import Request, Response

    from zoho_voice_sandbox.addresses import EndpointName, ListName
    from zoho_voice_sandbox.clock import Clock
    from zoho_voice_sandbox.endpoint import Handler
    from zoho_voice_sandbox.history import History
    from zoho_voice_sandbox.stats import EndpointStats

_MAX_PORT = 65_535
# How often the server checks whether to stop, in seconds.
_POLL_SECONDS = 0.02


class Sandbox:
    """A server with the API of Zoho Voice on the loopback interface, during its `with` block.

    It is also a WSGI application. Attributes are arguments of the same name, by keyword; dialect,
    faults and callbacks may be changed at any time. Further arguments are `grow_per_hour`, the new
    calls per hour, and `port`, by default any free one. An invalid fault or port is a ValueError.

    Attributes:
        dialect: Behaviour that is not documented.
        faults: Fault by number of the request for logs, from 1.
        token_faults: The same for requests for a token.
        file_faults: The same for requests for files.
        transcript_faults: The same for requests for transcripts.
        list_faults: The same for requests for the other lists, by name of the list.
        before_request: Called with the number of each request for logs before the response.
        before_file: The same for requests for files.
        before_list: The same for requests for the other lists, with the name of the list.
        clock: Source of time, by default the system clock.
        history: The calls at the start, None for an empty account.
        store: The calls, by default those of the history.
        directory: Number of rows of the other lists, by default a few dozen.
        scopes: The scopes of all tokens, None for every scope.
        lists: The rows of the other lists, by name of the list.
        statuses: The changes of status of the agents, which `status_audit` lists.
        audio: The files of the calls.
        transcripts: The transcripts of the calls.
        stats: Counters of requests.
        accounts: The tokens.
    """

    def __init__(  # noqa: PLR0913 - the public interface, by keyword only
        self,
        *,
        history: History | None = None,
        store: Store | None = None,
        directory: Directory | None = None,
        dialect: Dialect | None = None,
        clock: Clock | None = None,
        faults: dict[int, str] | None = None,
        token_faults: dict[int, str] | None = None,
        file_faults: dict[int, str] | None = None,
        transcript_faults: dict[int, str] | None = None,
        list_faults: Mapping[ListName, Mapping[int, str]] | None = None,
        before_request: Callable[[int], None] | None = None,
        before_file: Callable[[int], None] | None = None,
        before_list: Callable[[ListName, int], None] | None = None,
        scopes: Collection[str] | None = None,
        grow_per_hour: float = 0.0,
        clock_ahead: float = 0.0,
        port: int = 0,
    ) -> None:
        if not 0 <= port <= _MAX_PORT:
            msg = f"port must be between 0 and {_MAX_PORT}, not {port}"
            raise ValueError(msg)
        self.clock: Clock = clock or SystemClock()
        if clock_ahead:
            self.clock = SkewedClock(self.clock, clock_ahead)
        self.dialect = dialect or Dialect()
        self.faults = dict(faults or {})
        self.token_faults = dict(token_faults or {})
        self.file_faults = dict(file_faults or {})
        self.transcript_faults = dict(transcript_faults or {})
        self.list_faults = {name: dict(kinds) for name, kinds in (list_faults or {}).items()}
        given = (self.faults, self.token_faults, self.file_faults, self.transcript_faults)
        for kinds in (*given, *self.list_faults.values()):
            for kind in kinds.values():
                validate(kind)
        self.before_request = before_request
        self.before_file = before_file
        self.before_list = before_list
        self.scopes = scopes
        self.history = history
        self.directory = directory or Directory()
        if store is None:
            store = Store(history, self.clock, grow_per_hour=grow_per_hour)
        self.store = store
        self.stats = Stats()
        self.accounts = TokenEndpoint(self.clock)
        self.audio = AudioFiles(self.store)
        self.transcripts = TranscriptsHandler(self.store)
        lists = Lists(self.directory, history, self.clock)
        self.lists, self.statuses = lists.rows, lists.statuses
        handlers: dict[EndpointName, tuple[Handler, EndpointStats]] = {
            "logs": (LogsHandler(self.store, self.audio).handle, self.stats),
            "files": (FilesHandler(self.audio).handle, self.stats.files),
            "transcripts": (self.transcripts.handle, self.stats.transcripts),
        }
        for list_name, handle in lists.handlers.items():
            handlers[list_name] = (handle, self.stats.lists[list_name])
        self._endpoints: dict[EndpointName, Endpoint] = {}
        for name, (handler, stats) in handlers.items():
            config = partial(self._config_of, name)
            self._endpoints[name] = Endpoint(config, handler, stats, self.accounts, self.clock)
        self._mutex = threading.Lock()
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the server.

        Raises:
            OSError: If the port is in use.
        """
        try:
            server = make_server(
                HOST, self._port, self, threaded=True, request_handler=QuietHandler
            )
        except SystemExit as error:
            msg = f"cannot listen on port {self._port} of {HOST}"
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

    def __exit__(self, *_error: object) -> None:
        """Stop the server."""
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a WSGI request."""
        request = LocalRequest(environ)
        try:
            request.host  # noqa: B018 - reading it checks it
            response = self._respond(request)
        except SecurityError:
            response = html_response("This server answers to 127.0.0.1 only.", 403)
        set_date(response, self.dialect, self.clock.now())
        return response(environ, start_response)

    @property
    def url(self) -> str:
        """The base URL of both services, without a slash at the end.

        Raises:
            RuntimeError: If the server is not running.
        """
        if self._server is None:
            msg = "the sandbox listens only inside its with block"
            raise RuntimeError(msg)
        return f"http://{HOST}:{self._server.port}"

    @property
    def config(self) -> dict[str, str]:
        """Settings with which the tap reads this account.

        Raises:
            RuntimeError: If the server is not running.
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

    def expire_tokens(self) -> None:
        """Invalidate all tokens."""
        self.accounts.expire_tokens()

    def lock(self, endpoint: EndpointName = "logs") -> None:
        """Lock an endpoint now."""
        self._endpoints[endpoint].lock()

    def _respond(self, request: Request) -> Response:
        name = PATHS.get(request.path)
        if request.method == "GET" and name:
            return self._endpoints[name].handle(request)
        if (request.method, request.path) == ("POST", TOKEN_PATH):
            return self._respond_token(request)
        with self._mutex:
            self.stats.other_requests += 1
        return error_response("ZVT011", "Invalid URL")

    def _config_of(self, name: EndpointName) -> EndpointConfig:
        dialect = self.dialect
        scope = scope_of(name, dialect)
        is_allowed = not dialect.scope_missing and has_scope(self.scopes, scope)
        config = EndpointConfig(dialect, self.transcript_faults, is_allowed=is_allowed)
        if name == "logs":
            return replace(
                config,
                faults=self.faults,
                before=self.before_request,
                latency=dialect.latency_seconds,
            )
        if name == "files":
            return replace(config, faults=self.file_faults, before=self.before_file)
        if name == "transcripts":
            return config
        before = partial(self.before_list, name) if self.before_list else None
        faults = self.list_faults.get(name, {})
        return replace(config, faults=faults, before=before, latency=dialect.latency_seconds)

    def _respond_token(self, request: Request) -> Response:
        with self._mutex:
            self.stats.token_requests += 1
            kind = fault_at(self.token_faults, self.stats.token_requests)
        if kind == "lock":
            return too_many_tokens_response()
        if kind == "token":
            self.accounts.expire_tokens()
            return json_response({"error": "invalid_code"})
        form = request.values.to_dict()
        response = apply_fault(
            kind, request.environ, self.clock, lambda: self.accounts.token(form, self.dialect)
        )
        with self._mutex:
            self.stats.tokens = self.accounts.issued
        return response
