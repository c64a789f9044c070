"""What was asked of the server."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from tap_zohovoice._compat import override


@dataclass
class Counts:
    """What was asked of one address.

    Attributes:
        requests: Requests for it, refused ones included.
        answered: Those answered with what was asked for and not spoiled by a fault; the news that
            there are no rows is an answer, the news that there is no such file is none.
        violations: Those over the limit, each of which started a lock.
        locked_calls: Those made during a lock, each of which restarted it.
        log: Each request: when it was received (seconds, monotonic), its parameters, and the HTTP
            status of its answer, 0 for none.
    """

    requests: int = 0
    answered: int = 0
    violations: int = 0
    locked_calls: int = 0
    log: list[tuple[float, dict[str, str], int]] = field(default_factory=list)

    def summary(self) -> dict[str, int]:
        """Return the counts alone."""
        counts = ((name.name, getattr(self, name.name)) for name in fields(self))
        return {name: count for name, count in counts if isinstance(count, int)}


@dataclass
class Stats(Counts):
    """What was asked of the server; the counts of its own are those of the logs.

    Attributes:
        tokens: Tokens given out.
        token_requests: Requests for a token, refused ones included.
        other_requests: Requests for any other address.
        files: Requests for files.
        transcripts: Requests for transcripts.
    """

    tokens: int = 0
    token_requests: int = 0
    other_requests: int = 0
    files: Counts = field(default_factory=Counts)
    transcripts: Counts = field(default_factory=Counts)

    @override
    def summary(self) -> dict[str, int]:
        """Return the counts alone, those of files and transcripts under names of their own."""
        found = super().summary()
        for prefix, counts in (("file", self.files), ("transcript", self.transcripts)):
            found |= {f"{prefix}_{name}": count for name, count in counts.summary().items()}
        return found
