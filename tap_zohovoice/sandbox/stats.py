"""What was asked of the server."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass
class Stats:
    """What was asked of the server.

    Attributes:
        requests: Requests for logs, refused ones included.
        answered: Those answered with rows or with the news that there are none,
            and not spoiled by a fault.
        violations: Those over the limit, each of which started a lock.
        locked_calls: Those made during a lock.
        tokens: Tokens given out.
        token_requests: Requests for a token, refused ones included.
        other_requests: Requests for any other address.
        log: Each request for logs: when it was received (seconds, monotonic), its parameters, and
            the HTTP status of its answer, 0 for none.
    """

    requests: int = 0
    answered: int = 0
    violations: int = 0
    locked_calls: int = 0
    tokens: int = 0
    token_requests: int = 0
    other_requests: int = 0
    log: list[tuple[float, dict[str, str], int]] = field(default_factory=list)

    def summary(self) -> dict[str, int]:
        """Return the counts alone."""
        return {name: value for name, value in asdict(self).items() if name != "log"}
