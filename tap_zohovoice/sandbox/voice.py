"""The two services behind one address: which request goes where, and in what order it is judged."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from werkzeug import Request, Response
from werkzeug.exceptions import SecurityError

from tap_zohovoice._time import Clock
from tap_zohovoice.sandbox import answers
from tap_zohovoice.sandbox.accounts import Accounts, denied
from tap_zohovoice.sandbox.address import Address, Plan, Right
from tap_zohovoice.sandbox.audio import Audio
from tap_zohovoice.sandbox.dialect import Dialect
from tap_zohovoice.sandbox.faults import check, faulty, planned
from tap_zohovoice.sandbox.files import Files
from tap_zohovoice.sandbox.logs import Logs
from tap_zohovoice.sandbox.stats import Stats
from tap_zohovoice.sandbox.store import Store
from tap_zohovoice.sandbox.transcripts import Transcripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tap_zohovoice.sandbox.history import History
    from tap_zohovoice.sandbox.stats import Counts

Place: TypeAlias = Literal["logs", "files", "transcripts"]

TOKEN_PATH = "/oauth/v2/token"  # noqa: S105 - a path
_PLACES: dict[str, Place] = {
    "/rest/json/zv/logs": "logs",
    "/rest/json/zv/logs/voicerecording": "files",
    "/rest/json/zv/transcribe": "transcripts",
}


class LocalRequest(Request):
    """A request that must be addressed to this machine, not to a name that leads to it."""

    trusted_hosts: list[str] | None = ["127.0.0.1", "localhost"]  # noqa: RUF012 - as declared above it


class Voice:
    """Zoho Accounts and Zoho Voice as one WSGI application.

    Attributes:
        dialect: How it behaves where the documentation is silent; may be changed at any time.
        faults: Fault by number of the request for logs, from 1; may be changed at any time.
        token_faults: The same for requests for a token.
        file_faults: The same for requests for files.
        transcript_faults: The same for requests for transcripts.
        before_request: Called with the number of each request for logs before it is answered.
        before_file: The same for requests for files.
        store: The calls.
        audio: The files that the calls name.
        transcripts: The transcripts of the calls.
        stats: What was asked.
        accounts: The tokens.
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
    ) -> None:
        """Set the services up.

        Args:
            history: The calls there are from the start, None for an empty account.
            dialect: How to behave where the documentation is silent.
            clock: Where the time comes from.
            faults: What goes wrong, by number of the request for logs, from 1.
            token_faults: What goes wrong, by number of the request for a token, from 1.
            file_faults: What goes wrong, by number of the request for a file, from 1.
            transcript_faults: What goes wrong, by number of the request for a transcript, from 1.
            before_request: Called with the number of each request for logs before its answer.
            before_file: The same for requests for files.
            grow_per_hour: How many new calls appear in an hour.

        Raises:
            ValueError: If a fault is unknown.
        """
        self.clock = clock or Clock()
        self.dialect = dialect or Dialect()
        self.faults = dict(faults or {})
        self.token_faults = dict(token_faults or {})
        self.file_faults = dict(file_faults or {})
        self.transcript_faults = dict(transcript_faults or {})
        for kinds in (self.faults, self.token_faults, self.file_faults, self.transcript_faults):
            for kind in kinds.values():
                check(kind)
        self.before_request = before_request
        self.before_file = before_file
        self.history = history
        self.store = Store(history, self.clock, grow_per_hour=grow_per_hour)
        self.stats = Stats()
        self.accounts = Accounts(self.clock)
        self.audio = Audio(self.store)
        self.transcripts = Transcripts(self.store)
        served: dict[Place, tuple[Right, Counts]] = {
            "logs": (Logs(self.store, self.audio).answer, self.stats),
            "files": (Files(self.audio).answer, self.stats.files),
            "transcripts": (self.transcripts.answer, self.stats.transcripts),
        }
        self._addresses = {
            place: Address(partial(self._plan, place), right, counts, self.accounts, self.clock)
            for place, (right, counts) in served.items()
        }
        self._guard = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request.

        Args:
            environ: The request.
            start_response: Where the answer's head goes.

        Returns:
            The answer's body.
        """
        request = LocalRequest(environ)
        try:
            request.host  # noqa: B018 - reading it checks it
            answer = self._answer(request)
        except SecurityError:
            answer = answers.page("This server answers to 127.0.0.1 only.", 403)
        return answer(environ, start_response)

    def expire_tokens(self) -> None:
        """Let all tokens die."""
        self.accounts.expire_tokens()

    def lock(self, place: Place = "logs") -> None:
        """Lock an address now.

        Args:
            place: Which one.
        """
        self._addresses[place].lock()

    def _answer(self, request: Request) -> Response:
        place = _PLACES.get(request.path)
        if request.method == "GET" and place:
            return self._addresses[place].answer(request)
        if (request.method, request.path) == ("POST", TOKEN_PATH):
            return self._answer_token(request)
        with self._guard:
            self.stats.other_requests += 1
        return answers.error("ZVT011", "Invalid URL")

    def _plan(self, place: Place) -> Plan:
        """Look up how to behave, as all of it may be changed at any time."""
        dialect = self.dialect
        if place == "logs":
            return Plan(dialect, self.faults, self.before_request, dialect.latency_seconds)
        if place == "files":
            return Plan(dialect, self.file_faults, self.before_file, dialect.file_latency_seconds)
        return Plan(dialect, self.transcript_faults)

    def _answer_token(self, request: Request) -> Response:
        with self._guard:
            self.stats.token_requests += 1
            kind = planned(self.token_faults, self.stats.token_requests)
        if kind == "lock":
            return denied(self.dialect)
        if kind == "token":
            self.accounts.expire_tokens()
            return answers.reply({"error": "invalid_code"}, self.dialect.token_error_status)
        form = request.values.to_dict()
        answer = faulty(
            kind, request.environ, self.clock, lambda: self.accounts.token(form, self.dialect)
        )
        with self._guard:
            self.stats.tokens = self.accounts.issued
        return answer
