"""One address of Zoho Voice: in what order a request for it is judged, and what is counted."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tap_zohovoice.sandbox import answers
from tap_zohovoice.sandbox.faults import faulty, is_harmless, planned
from tap_zohovoice.sandbox.limits import Limiter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug import Request, Response

    from tap_zohovoice._time import Clock
    from tap_zohovoice.sandbox.accounts import Accounts
    from tap_zohovoice.sandbox.dialect import Dialect
    from tap_zohovoice.sandbox.stats import Counts


@dataclass(frozen=True)
class Plan:
    """How an address is to behave at this moment.

    Attributes:
        dialect: How it behaves where the documentation is silent.
        faults: Fault by number of the request.
        before: Called with the number of each request before it is answered.
        latency: How long every answer takes, in seconds.
    """

    dialect: Dialect
    faults: Mapping[int, str]
    before: Callable[[int], None] | None = None
    latency: float = 0.0


class Right(Protocol):
    """Answers the parameters of a request that may be answered."""

    def __call__(self, params: Mapping[str, str], dialect: Dialect, /) -> Response:
        """Answer a request.

        Args:
            params: Its parameters.
            dialect: How to answer where the documentation is silent.
        """
        ...


class Address:
    """One address, with a limit, faults and counts of its own."""

    def __init__(
        self,
        plan: Callable[[], Plan],
        right: Right,
        counts: Counts,
        accounts: Accounts,
        clock: Clock,
    ) -> None:
        """Set the address up.

        Args:
            plan: Tells how to behave, which may change at any time.
            right: Answers the parameters of a request that may be answered.
            counts: Where requests are counted.
            accounts: Who knows the tokens.
            clock: Where the time comes from.
        """
        self._plan = plan
        self._right = right
        self._counts = counts
        self._accounts = accounts
        self._clock = clock
        self._limiter = Limiter(clock, counts)
        self._guard = threading.Lock()

    def lock(self) -> float:
        """Lock the address now.

        Returns:
            Seconds for which it is locked.
        """
        return self._limiter.lock(self._plan().dialect)

    def answer(self, request: Request) -> Response:
        """Answer a request.

        Args:
            request: The request.

        Returns:
            The answer, right or not.
        """
        plan = self._plan()
        with self._guard:
            # Counted here, at the moment of arrival: nothing that follows may delay it.
            moment = self._clock.monotonic()
            locked = self._limiter.hit(plan.dialect)
            self._counts.requests += 1
            number = self._counts.requests
        if plan.before:
            plan.before(number)
        if plan.latency:
            self._clock.sleep(plan.latency)
        kind = planned(self._plan().faults, number)
        params = request.args.to_dict()
        if locked:
            answer = answers.throttled(plan.dialect, locked)
        elif kind == "lock":
            answer = answers.throttled(plan.dialect, self.lock())
        else:
            answer = faulty(
                kind, request.environ, self._clock, lambda: self._judge(request, params, kind)
            )
        with self._guard:
            self._counts.log.append((moment, params, answer.status_code))
        return answer

    def _judge(self, request: Request, params: Mapping[str, str], kind: str) -> Response:
        dialect = self._plan().dialect
        if kind == "token":
            self._accounts.expire_tokens()
        if not self._accounts.accepts(request.headers.get("Authorization", "")):
            return answers.token_refused(dialect)
        if dialect.scope_missing:
            return answers.error("ZVT022", "Invalid OAuth scope")
        answer = self._right(params, dialect)
        if is_harmless(kind) and not isinstance(answer, answers.NoAnswer):
            with self._guard:
                self._counts.answered += 1
        return answer
