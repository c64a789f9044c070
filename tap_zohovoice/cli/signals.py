"""Stopping on a signal: at once where that is safe, else after the message being written."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_zohovoice.exceptions import ShutdownRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType


@contextmanager
def restore_signals() -> Generator[None]:
    """Let a block take over SIGTERM and SIGINT; whoever had them gets them back."""
    is_main = threading.current_thread() is threading.main_thread()
    signums = (signal.SIGINT, signal.SIGTERM) if is_main else ()
    handlers = {signum: signal.getsignal(signum) for signum in signums}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


class GracefulShutdown:
    """Turns SIGTERM and SIGINT into an exception, but never within a message.

    What is done in a `with` block of it is finished first. A second signal ends the process at
    once, in case nobody reads what it writes.

    Args:
        on_shutdown: Writes what must still go out.
    """

    def __init__(self, on_shutdown: Callable[[], None]) -> None:
        self._on_shutdown = on_shutdown
        self._is_writing = False
        self._pending: int | None = None
        self._is_stopping = False

    def listen(self) -> None:
        """Take over the signals, where this thread may."""
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, self._stop)

    def __enter__(self) -> None:
        """Let what is being done be finished before a signal stops it."""
        self._is_writing = True

    def __exit__(self, *error: object) -> None:
        """Stop, if a signal came meanwhile."""
        self._is_writing = False
        if self._pending is not None and not self._is_stopping:
            self._raise(self._pending)

    def _stop(self, signum: int, _frame: FrameType | None) -> None:
        if self._pending is not None:
            os._exit(128 + signum)
        self._pending = signum
        if not self._is_writing:
            self._raise(signum)

    def _raise(self, signum: int) -> None:
        self._is_stopping = True
        raise ShutdownRequested(signum, self._on_shutdown)
