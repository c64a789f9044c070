"""Commands with one line for each error, exit codes for schedulers, and graceful shutdown."""

import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import SingerCommand

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import InvalidInputError, ShutdownRequested, ZohoVoiceError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_DISK_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EBADF}
_CLOSED = "Standard output is closed"
_SDK_NOISE = {  # lines of the SDK without information
    "Config validation failed",  # beside the lines for each error, or of --discover
    "Skipping deselected stream '%s'.",
    "Skipping parse of env var settings...",
}


class TapCommand(SingerCommand):
    """The SDK's command, with an exit code for each way to end.

    Exit codes: 0 success, 1 failure or closed output, 2 wrong usage, 128 + n stopped by signal n.
    """

    @override
    def main(self, *args: Any, **options: Any) -> NoReturn:
        for own in (self.logger, logging.getLogger("singer_sdk")):
            own.setLevel(own.getEffectiveLevel())
        # Drivers of storages log URLs with filters, names of files, key ids and signatures.
        logging.root.setLevel(logging.ERROR)
        logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)  # it quotes filters
        self.logger.addFilter(lambda record: record.msg not in _SDK_NOISE)
        code, lines = 1, list[str]()
        try:
            code = self._run(*args, **options)
        except ShutdownRequested as stop:
            code = 128 + stop.signum
            try:
                stop.on_shutdown(signal.Signals(stop.signum).name)
            except OSError:  # standard output is closed, or its disk is full
                silence_stdout()
        except click.ClickException as error:
            code, lines = error.exit_code, [error.format_message()]
        except Exception as error:  # noqa: BLE001 - the last resort: no traceback for users
            lines = _describe(error)
        for line in lines:
            self.logger.error(line)
        sys.exit(code)

    def _run(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as above
        """Run, and return the exit code."""
        stdout = sys.stdout
        if stdout is None:
            raise OSError(_CLOSED)
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except SystemExit as end:  # the SDK's own after --about
            code = end.code
            if sys.stdout is not stdout:  # click's own after a closed pipe, with another stdout
                raise BrokenPipeError from end
        finally:
            exit_at_signals()  # nothing handles an exception from here on
        stdout.flush()
        return code


@dataclass(eq=False, repr=False)
class GracefulShutdown:
    """Turns SIGTERM and SIGINT into `ShutdownRequested`.

    A second signal ends the process at once, in case nobody reads its output. `on_shutdown` writes
    what must still be emitted; it gets the name of the signal.
    """

    on_shutdown: Callable[[str], None]
    _is_deferred = False
    _pending = 0  # a signal that is not raised yet

    def install(self) -> None:
        """Set the signal handlers, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                signal.signal(signum, self._handle)
            sys.unraisablehook = partial(self._reclaim, sys.unraisablehook)

    @contextmanager
    def deferred(self) -> Generator[None]:
        """Finish a block, such as the writing of a line, before a signal raises."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
            self._raise_pending()

    def _handle(self, signum: int, _frame: object) -> None:
        exit_at_signals()
        self._pending = signum
        if not self._is_deferred:
            self._raise_pending()

    def _reclaim(self, report: Callable[[Any], object], lost: Any) -> None:  # noqa: ANN401 - the interpreter's
        """Raise again after the next line what Python ignores in finalizers."""
        if isinstance(lost.exc_value, ShutdownRequested):
            self._pending = lost.exc_value.signum
        else:
            report(lost)

    def _raise_pending(self) -> None:
        if signum := self._pending:
            self._pending = 0
            raise ShutdownRequested(signum, self.on_shutdown)


def exit_at_signals() -> None:
    """Let the next signal end the process at once, with the exit code of a shell."""
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            signal.signal(signum, lambda number, _: os._exit(128 + number))


def drop_invalid_log_levels(logger: logging.Logger) -> None:
    """Remove invalid log levels and empty variables from the environment: the SDK would fail."""
    for name in (f"{logger.name.upper().replace('-', '_')}_LOGLEVEL", "LOGLEVEL"):
        if not logging.getLevelNamesMapping().get(os.environ.get(name, "").upper()):
            os.environ.pop(name, None)
    if not os.environ.get("SINGER_SDK_LOG_CONFIG"):
        os.environ.pop("SINGER_SDK_LOG_CONFIG", None)


@contextmanager
def input_file(name: str, content: str = "a JSON object") -> Generator[None]:
    """Turn an error about a file into one line that names its option or path."""
    try:
        yield
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        # The SDK uses one of two JSON libraries; the errors of both have this attribute.
        line = getattr(error, "lineno", None)
        reason = f"must be {content} in UTF-8{f'; see line {line}' if line else ''}"
        if isinstance(error, OSError):
            reason = f"cannot be read: {error.strerror or 'No such file or directory'}"
        message = f"The {name} file {reason}"
        raise InvalidInputError(message) from error


def _describe(error: Exception) -> list[str]:
    """Describe an error in plain lines; a bug by its place, as its text may have personal data."""
    match error:
        case BrokenPipeError():
            silence_stdout()
            return [f"{_CLOSED}: its reader has ended"]
        case ConfigValidationError():
            return [*error.errors] or [str(error)]
        case ZohoVoiceError():
            return [str(error)]
        case OSError():
            name = error.filename
            if not name and error.errno in _DISK_ERRORS:
                silence_stdout()
                name = "standard output"
            return [f"{error.strerror or error}{f': {name}' if name else ''}"]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return [f"Unexpected {type(error).__name__} at {place}; please report this as a bug of the tap"]


def silence_stdout() -> None:
    """Redirect standard output to devnull, so that the interpreter does not fail on flush."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
