"""When agents changed their status, generated from a seed."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from zoho_voice_sandbox.history import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoho_voice_sandbox.history import History

OFFLINE = "Offline"
_STATUSES = ("On Call", "Available", "Busy", "Available", "On Break", "Available")
_SATURDAY = 5
_EARLIEST_MS = 7 * 3_600_000
_MINUTE_MS = 60_000


class Change(NamedTuple):
    """A change of status.

    Attributes:
        began_ms: When the former status began, in milliseconds since the epoch.
        changed_ms: When it changed.
        former: The former status.
        status: The status since.
    """

    began_ms: int
    changed_ms: int
    former: str
    status: str


class AgentStatus:
    """The status of each agent from the first day of the history on.

    The changes of an agent form a chain: each begins where the one before it ended.
    """

    def __init__(self, history: History | None, now_ms: int) -> None:
        """Create the history of statuses.

        Args:
            history: The first day, and the seed; None for an account that is created now.
            now_ms: The time, in milliseconds since the epoch.
        """
        self._seed = history.seed if history else 0
        first_ms = history.bounds_ms()[0] if history else now_ms
        self._first_day = first_ms // DAY_MS
        self._dropped: set[tuple[str, int]] = set()

    def drop(self, agent_id: str, changed_ms: int) -> None:
        """Hide a change, which leaves a gap in the chain."""
        self._dropped.add((agent_id, changed_ms))

    def status_at(self, agent_id: str, moment_ms: int) -> str:
        """Return the status of an agent at a time."""
        return self._last(agent_id, moment_ms + 1)[1]

    def changes(self, agent_id: str, start_ms: int, end_ms: int) -> Iterator[Change]:
        """Yield the changes of an agent in a half-open range of times."""
        former_ms, former = self._last(agent_id, start_ms)
        for day in range(max(self._first_day, start_ms // DAY_MS), end_ms // DAY_MS + 1):
            for changed_ms, status in _day(self._seed, agent_id, day):
                if start_ms <= changed_ms < end_ms:
                    if (agent_id, changed_ms) not in self._dropped:
                        yield Change(former_ms, changed_ms, former, status)
                    former_ms, former = changed_ms, status

    def last_change(self, agent_id: str, before_ms: int) -> Change | None:
        """Return the last change of an agent before a time, None if there is none."""
        changed_ms, _ = self._last(agent_id, before_ms)
        return next(self.changes(agent_id, changed_ms, before_ms), None)

    def _last(self, agent_id: str, before_ms: int) -> tuple[int, str]:
        """Return the last status before a time and when it began; agents begin as offline."""
        for day in range(before_ms // DAY_MS, self._first_day - 1, -1):
            found = [change for change in _day(self._seed, agent_id, day) if change[0] < before_ms]
            if found:
                return found[-1]
        return self._first_day * DAY_MS, OFFLINE


@lru_cache(maxsize=10_000)
def _day(seed: int, agent_id: str, day: int) -> tuple[tuple[int, str], ...]:
    """Return the changes of a day, all of them before midnight."""
    text = f"status {seed} {agent_id} {day}"
    dice = hashlib.blake2b(text.encode(), digest_size=32).digest()
    # 1970-01-01 was a Thursday.
    is_weekend = (day + 3) % 7 >= _SATURDAY
    if dice[0] < (224 if is_weekend else 24):
        return ()
    moment_ms = day * DAY_MS + _EARLIEST_MS + dice[1] * 30_000 + dice[2]
    found = [(moment_ms, "Available")]
    for number in range(6 + dice[3] % 10):
        moment_ms += (2 + dice[4 + number] % 50) * _MINUTE_MS + dice[16 + number]
        status = _STATUSES[(dice[3] + number) % len(_STATUSES)]
        if status != found[-1][1]:
            found.append((moment_ms, status))
    moment_ms += (2 + dice[30] % 50) * _MINUTE_MS + dice[31]
    return (*found, (moment_ms, OFFLINE))
