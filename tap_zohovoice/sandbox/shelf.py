"""What the tests change about things that are otherwise made up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Content = TypeVar("Content")


class Shelf(Generic[Content]):
    """Contents by key, of which only the changed ones are kept."""

    def __init__(self) -> None:
        """Start with nothing changed."""
        self._changed: dict[str, Content | None] = {}

    def put(self, key: str, content: Content) -> None:
        """Choose a content, whether or not a call knows of it.

        Args:
            key: Name of the file, or logid.
            content: What is sent from now on.
        """
        self._changed[key] = content

    def drop(self, key: str) -> None:
        """Let a content go missing.

        Args:
            key: Name of the file, or logid.
        """
        self._changed[key] = None

    @property
    def has_changes(self) -> bool:
        """Whether anything was changed."""
        return bool(self._changed)

    def changed(self, key: str) -> Content | None:
        """Return what was put in.

        Args:
            key: Name of the file, or logid.

        Returns:
            The content, None if it was not changed or dropped.
        """
        return self._changed.get(key)

    def look(self, key: str, otherwise: Callable[[], Content | None]) -> Content | None:
        """Return a content as it is now.

        Args:
            key: Name of the file, or logid.
            otherwise: Makes the content that was not changed.

        Returns:
            The content, None if it is missing.
        """
        return self._changed[key] if key in self._changed else otherwise()
