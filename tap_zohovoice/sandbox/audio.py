"""The files of recordings and voicemails that the server has now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_zohovoice.sandbox import tones
from tap_zohovoice.sandbox.shelf import Shelf

if TYPE_CHECKING:
    from tap_zohovoice.sandbox.store import Store


class Audio(Shelf[bytes]):
    """The files by name: tones of the calls held now, unless they were changed."""

    def __init__(self, store: Store) -> None:
        """Look at a store.

        Args:
            store: Where the calls are.
        """
        super().__init__()
        self._store = store

    def read(self, name: str) -> bytes | None:
        """Return a file as the server would send it now.

        Args:
            name: Its name.

        Returns:
            Its bytes, None if there is no such file.
        """
        return self.look(name, lambda: self._tone(name))

    def _tone(self, name: str) -> bytes | None:
        return tones.sound(name) if self._store.carries(name) else None
