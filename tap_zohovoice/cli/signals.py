"""Graceful shutdown on SIGTERM and SIGINT."""

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from tap_zohovoice.exceptions import ShutdownRequested

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(eq=False, repr=False)
class GracefulShutdown:
    """Turns SIGTERM and SIGINT into `ShutdownRequested`.

    A second signal ends the process at once, in case nobody reads its output. `on_shutdown` writes
    what must still be emitted.
    """

    on_shutdown: Callable[[], None]
    _is_deferred = _is_raised = False
    _pending = 0  # the first signal

    def install(self) -> None:
        """Set the signal handlers, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                signal.signal(signum, self._handle)

    @contextmanager
    def deferred(self) -> Generator[None]:
        """Finish a block, such as the writing of a line, before a signal raises."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
            if self._pending and not self._is_raised:
                self._raise(self._pending)

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        if self._pending:
            os._exit(128 + signum)
        self._pending = signum
        if not self._is_deferred:
            self._raise(signum)

    def _raise(self, signum: int) -> None:
        self._is_raised = True
        raise ShutdownRequested(signum, self.on_shutdown)
