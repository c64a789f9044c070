"""The two services behind one address: which request goes where, and in what order it is judged."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from werkzeug import Request, Response
from werkzeug.exceptions import SecurityError

from tap_zohovoice.clock import Clock
from tap_zohovoice.sandbox import answers
from tap_zohovoice.sandbox.accounts import Accounts, denied
from tap_zohovoice.sandbox.dialect import Dialect
from tap_zohovoice.sandbox.faults import check, instead, spoil
from tap_zohovoice.sandbox.limits import Limiter
from tap_zohovoice.sandbox.logs import Logs
from tap_zohovoice.sandbox.stats import Stats
from tap_zohovoice.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tap_zohovoice.sandbox.history import History

TOKEN_PATH = "/oauth/v2/token"  # noqa: S105 - a path
LOGS_PATH = "/rest/json/zv/logs"


class LocalRequest(Request):
    """A request that must be addressed to this machine, not to a name that leads to it."""

    trusted_hosts: list[str] | None = ["127.0.0.1", "localhost"]  # noqa: RUF012 - as declared above it


class Voice:
    """Zoho Accounts and Zoho Voice as one WSGI application.

    Attributes:
        dialect: How it behaves where the documentation is silent; may be changed at any time.
        faults: Fault by number of the request for logs, from 1; may be changed at any time.
        token_faults: The same for requests for a token.
        before_request: Called with the number of each request for logs before it is answered.
        store: The calls.
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
        before_request: Callable[[int], None] | None = None,
        grow_per_hour: float = 0.0,
    ) -> None:
        """Set the services up.

        Args:
            history: The calls there are from the start, None for an empty account.
            dialect: How to behave where the documentation is silent.
            clock: Where the time comes from.
            faults: What goes wrong, by number of the request for logs, from 1.
            token_faults: What goes wrong, by number of the request for a token, from 1.
            before_request: Called with the number of each request for logs before its answer.
            grow_per_hour: How many new calls appear in an hour.

        Raises:
            ValueError: If a fault is unknown.
        """
        self.clock = clock or Clock()
        self.dialect = dialect or Dialect()
        self.faults = dict(faults or {})
        self.token_faults = dict(token_faults or {})
        for kind in (*self.faults.values(), *self.token_faults.values()):
            check(kind)
        self.before_request = before_request
        self.history = history
        self.store = Store(history, self.clock, grow_per_hour=grow_per_hour)
        self.stats = Stats()
        self.accounts = Accounts(self.clock)
        self._logs = Logs(self.store)
        self._limiter = Limiter(self.clock)
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

    def lock(self) -> None:
        """Lock the address of the logs now."""
        self._limiter.lock(self.dialect)

    def _answer(self, request: Request) -> Response:
        if (request.method, request.path) == ("GET", LOGS_PATH):
            return self._answer_logs(request)
        if (request.method, request.path) == ("POST", TOKEN_PATH):
            return self._answer_token(request)
        with self._guard:
            self.stats.other_requests += 1
        return answers.error("ZVT011", "Invalid URL")

    def _answer_logs(self, request: Request) -> Response:
        dialect = self.dialect
        with self._guard:
            # Counted here, at the moment of arrival: nothing that follows may delay it.
            moment = self.clock.monotonic()
            locked = self._limiter.hit(dialect)
            self.stats.violations = self._limiter.violations
            self.stats.locked_calls = self._limiter.locked_calls
            self.stats.requests += 1
            number = self.stats.requests
        if self.before_request:
            self.before_request(number)
        if dialect.latency_seconds:
            self.clock.sleep(dialect.latency_seconds)
        kind = _planned(self.faults, number)
        if locked:
            answer = answers.throttled(dialect, locked)
        elif kind == "lock":
            answer = answers.throttled(dialect, self._limiter.lock(dialect))
        else:
            answer = self._faulty(kind, request.environ, lambda: self._judge(request, kind))
        with self._guard:
            self.stats.log.append((moment, request.args.to_dict(), answer.status_code))
        return answer

    def _judge(self, request: Request, kind: str) -> Response:
        if kind == "token":
            self.accounts.expire_tokens()
        if not self.accounts.accepts(request.headers.get("Authorization", "")):
            return answers.token_refused(self.dialect)
        if self.dialect.scope_missing:
            return answers.error("ZVT022", "Invalid OAuth scope")
        answer = self._logs.answer(request.args.to_dict(), self.dialect)
        if answer.status_code in {200, 204} and (not kind or kind.startswith("slow")):
            with self._guard:
                self.stats.answered += 1
        return answer

    def _answer_token(self, request: Request) -> Response:
        with self._guard:
            self.stats.token_requests += 1
            kind = _planned(self.token_faults, self.stats.token_requests)
        if kind == "lock":
            return denied(self.dialect)
        if kind == "token":
            self.accounts.expire_tokens()
            return answers.reply({"error": "invalid_code"}, self.dialect.token_error_status)
        form = request.values.to_dict()
        answer = self._faulty(
            kind, request.environ, lambda: self.accounts.token(form, self.dialect)
        )
        with self._guard:
            self.stats.tokens = self.accounts.issued
        return answer

    def _faulty(
        self, kind: str, environ: WSGIEnvironment, right: Callable[[], Response]
    ) -> Response:
        answer = instead(kind, environ) if kind else None
        if answer is None:
            answer = spoil(kind, right(), self.clock)
        return answer


def _planned(faults: dict[int, str], number: int) -> str:
    """Return the fault of a request, empty if there is none."""
    kind = faults.get(number)
    return check(kind) if kind else ""
