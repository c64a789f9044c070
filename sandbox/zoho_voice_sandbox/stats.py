"""Request counters, which tests and the command report."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from typing_extensions import override

from zoho_voice_sandbox.addresses import LISTS, ListName


@dataclass
class EndpointStats:
    """Requests for one endpoint.

    Attributes:
        requests: All requests, rejected ones included.
        answered: Requests answered with what they asked for; an empty list is an answer, a missing
            file or a fault is not.
        violations: Requests over the rate limit, each of which started a lock.
        locked_calls: Requests during a lock, each of which restarted it.
        log: Arrival (seconds, monotonic), parameters and HTTP status (0 for none) of each request.
    """

    requests: int = 0
    answered: int = 0
    violations: int = 0
    locked_calls: int = 0
    log: list[tuple[float, dict[str, str], int]] = field(default_factory=list)

    def summary(self) -> dict[str, int]:
        """Return only the counters."""
        counts = ((name.name, getattr(self, name.name)) for name in fields(self))
        return {name: count for name, count in counts if isinstance(count, int)}


@dataclass
class Stats(EndpointStats):
    """Requests for all endpoints; the inherited counters are those of call logs.

    Attributes:
        tokens: Tokens issued.
        token_requests: Requests for a token, rejected ones included.
        other_requests: Requests for unknown endpoints.
        files: Requests for files.
        transcripts: Requests for transcripts.
        lists: Requests for each of the other lists.
    """

    tokens: int = 0
    token_requests: int = 0
    other_requests: int = 0
    files: EndpointStats = field(default_factory=EndpointStats)
    transcripts: EndpointStats = field(default_factory=EndpointStats)
    lists: dict[ListName, EndpointStats] = field(
        default_factory=lambda: {name: EndpointStats() for name in LISTS}
    )

    @override
    def summary(self) -> dict[str, int]:
        """Return only the counters, with a prefix except for logs; unused lists are omitted."""
        found = super().summary()
        used = ((name, counts) for name, counts in self.lists.items() if counts.requests)
        for prefix, counts in (("file", self.files), ("transcript", self.transcripts), *used):
            found |= {f"{prefix}_{name}": count for name, count in counts.summary().items()}
        return found
