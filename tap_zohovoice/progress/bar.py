"""A line at the end of a terminal that is redrawn, below all log lines."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

if TYPE_CHECKING:
    from tap_zohovoice.progress.text import Snapshot

_NO_CURSOR = {"dumb", "unknown"}
"""Values of `TERM` of terminals that cannot go back to the start of a line."""


class _Line(tqdm):  # type: ignore[type-arg] # at run time it has no parameters
    monitor_interval = 0  # no thread of its own


class Bar:
    """A live line on standard error. Log records are written above it; it has no colours."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._line = self._stack.enter_context(
            _Line(total=1, bar_format="{desc}", file=sys.stderr, dynamic_ncols=True, leave=False)
        )
        self._stack.enter_context(logging_redirect_tqdm([logging.root], _Line))

    def draw(self, snapshot: Snapshot, wait: str) -> None:
        """Draw the line anew."""
        line, share = self._line, snapshot.share
        line.bar_format = f"{snapshot.name}: {{desc}}"
        if share is not None:
            line.bar_format = f"{snapshot.name} {{percentage:.0f}} %|{{bar}}| {{desc}}"
            line.n = share
        line.set_description_str(snapshot.to_live_line(wait), refresh=False)
        line.refresh()

    def close(self) -> None:
        """Clear the line."""
        with suppress(OSError, ValueError):  # the terminal is gone
            self._stack.close()


def open_bar() -> Bar | None:
    """Return a live line, if standard error is a terminal that can show it.

    Records on the same terminal would mix with it.
    """
    streams = sys.stderr, sys.stdout  # which are None where they are closed
    is_terminal = [bool(stream and stream.isatty()) for stream in streams] == [True, False]
    return Bar() if is_terminal and os.environ.get("TERM") not in _NO_CURSOR else None
