"""What the limiter needs of a store of slots and lockouts that processes share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

SHARED_LOCKOUT = "A lockout reported by another run is in effect"
"""Reason of a wait."""


class Grant(NamedTuple):
    """What a store replies to a request for a slot.

    Attributes:
        token: The slot, for its release; None where there is none, or the store is not usable.
        seconds: How many seconds to wait before the next try; zero if the slot is granted.
        reason: Why to wait; empty if all slots are taken.
    """

    token: int | str | None
    seconds: float = 0.0
    reason: str = ""


class SlotStore(Protocol):
    """Slots and lockouts of one URL, shared by processes."""

    @property
    def is_volatile(self) -> bool:
        """Whether it may lose lockouts, so that a waiting process must refresh them."""

    def try_acquire(self, slots: int, seconds: float) -> Grant:
        """Acquire a slot if one is free and there is no lockout.

        Args:
            slots: Number of slots.
            seconds: Seconds from the release of a slot until it is free.
        """

    def release(self, token: int | str) -> None:
        """Record that the response to a slot's request has come."""

    def cancel(self, token: int | str) -> None:
        """Delete a slot whose request was never sent."""

    def lock_for(self, seconds: float) -> None:
        """Refuse slots to all processes for some seconds from now."""

    def refresh(self) -> None:
        """Report the lockouts that this process knows, in case the store has lost them."""
