"""One endpoint of Zoho Voice: rate limit, faults, authorization, counters."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from zoho_voice_sandbox.faults import apply_fault, fault_at, is_delay
from zoho_voice_sandbox.rate_limit import RateLimiter
from zoho_voice_sandbox.responses import (
    BrokenResponse,
    ErrorResponse,
    error_response,
    invalid_token_response,
    rate_limit_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug import Request, Response

    from zoho_voice_sandbox.clock import Clock
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.stats import EndpointStats
    from zoho_voice_sandbox.token_endpoint import TokenEndpoint

    Handler: TypeAlias = Callable[[Mapping[str, str], Dialect], Response]


@dataclass(frozen=True)
class EndpointConfig:
    """Current behaviour of an endpoint.

    Attributes:
        dialect: Behaviour that is not documented.
        faults: Fault by number of the request.
        before: Called with the number of each request before the response.
        latency: Response time, in seconds.
        is_allowed: Whether tokens have the scope.
    """

    dialect: Dialect
    faults: Mapping[int, str]
    before: Callable[[int], None] | None = None
    latency: float = 0.0
    is_allowed: bool = True


class Endpoint:
    """One endpoint, with its own limit, faults and counters."""

    def __init__(
        self,
        config: Callable[[], EndpointConfig],
        handler: Handler,
        stats: EndpointStats,
        tokens: TokenEndpoint,
        clock: Clock,
    ) -> None:
        """Create the endpoint.

        Args:
            config: Returns the behaviour, which may change at any time.
            handler: Responds to authorized requests by their parameters.
            stats: Counters to update.
            tokens: Checks the tokens of requests.
            clock: Source of time.
        """
        self._config = config
        self._handler = handler
        self._stats = stats
        self._tokens = tokens
        self._clock = clock
        self._limiter = RateLimiter(clock, stats)
        self._mutex = threading.Lock()

    def lock(self) -> float:
        """Lock the endpoint now, and return for how many seconds."""
        return self._limiter.lock(self._config().dialect)

    def handle(self, request: Request) -> Response:
        """Respond to a request."""
        config = self._config()
        with self._mutex:
            # Counted on arrival, before anything can delay it.
            arrival = self._clock.monotonic()
            locked = self._limiter.hit(config.dialect)
            self._stats.requests += 1
            number, place = self._stats.requests, len(self._stats.log)
            params = request.args.to_dict()
            self._stats.log.append((arrival, params, 0))
        if config.before:
            config.before(number)
        if config.latency:
            self._clock.sleep(config.latency)
        kind = fault_at(self._config().faults, number)
        if locked:
            response = rate_limit_response(config.dialect, locked)
        elif kind == "lock":
            response = rate_limit_response(config.dialect, self.lock())
        else:
            response = apply_fault(
                kind, request.environ, self._clock, lambda: self._respond(request, params, kind)
            )
        self._stats.log[place] = arrival, params, response.status_code
        return response

    def _respond(self, request: Request, params: Mapping[str, str], kind: str) -> Response:
        config = self._config()
        dialect = config.dialect
        if kind == "token":
            self._tokens.expire_tokens()
        if not self._tokens.accepts(request.headers.get("Authorization", "")):
            return invalid_token_response(dialect)
        if not config.is_allowed:
            return error_response("ZVT022", "Invalid OAuth scope")
        response = self._handler(params, dialect)
        if isinstance(response, BrokenResponse):
            if response.failure == "timeout":
                self._clock.sleep(dialect.give_up_seconds)
            fault = "cut" if response.failure == "timeout" else "cut_body"
            return apply_fault(fault, request.environ, self._clock, lambda: response)
        if is_delay(kind) and not isinstance(response, ErrorResponse):
            with self._mutex:
                self._stats.answered += 1
        return response
