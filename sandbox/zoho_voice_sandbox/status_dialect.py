"""Undocumented behaviour of the audit of agent status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StatusDialect:
    """Choices for the audit of agent status.

    Attributes:
        audit_size_counts: Whether `from` and `size` count agents or changes.
        audit_max_agents: Most agents in a request, None for any number; more are refused.
        audit_idle_agents: Whether agents without a change are listed.
        audit_previous: Whether the change before the period is sent.
        to_epoch: Whether a change at `toEpoch` itself is included.
    """

    audit_size_counts: Literal["agents", "hits"] = "agents"
    audit_max_agents: int | None = None
    audit_idle_agents: Literal["listed", "absent"] = "listed"
    audit_previous: Literal["sent", "absent"] = "sent"
    to_epoch: Literal["included", "excluded"] = "excluded"
