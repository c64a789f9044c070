"""Commands with one line for each error, and exit codes for schedulers."""

import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import SingerCommand

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import InvalidInputError, ShutdownRequested, ZohoVoiceError

_DISK_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EBADF}
_CLOSED = "Standard output is closed"
_SDK_NOISE = {
    "Config validation failed",  # beside the lines for each error, or of --discover
    "Skipping deselected stream '%s'.",
    "Skipping parse of env var settings...",
}
"""Lines of the SDK without information."""


class TapCommand(SingerCommand):
    """The SDK's command, with an exit code for each way to end.

    Exit codes: 0 success, 1 failure (or standard output was closed), 2 wrong usage, 128 + n stopped
    by signal n.
    """

    @override
    def main(self, *args: Any, **options: Any) -> NoReturn:
        for own in (self.logger, logging.getLogger("singer_sdk")):
            own.setLevel(own.getEffectiveLevel())
        # Drivers of storages log URLs with filters, names of files, key ids and signatures.
        logging.root.setLevel(logging.ERROR)
        logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)  # it quotes filters
        self.logger.addFilter(lambda record: record.msg not in _SDK_NOISE)
        code = 1
        try:
            code = self._run(*args, **options)
        except ShutdownRequested as stop:
            code = self._stop(stop)
        except click.ClickException as error:
            code = error.exit_code
            self.report_error(error.format_message())
        except Exception as error:  # noqa: BLE001 - the last resort: no traceback for users
            for line in _describe(error):
                self.report_error(line)
        sys.exit(code)

    def report_error(self, line: str) -> None:
        """Report an error that ends the command."""
        self.logger.error(line)

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
        stdout.flush()
        return code

    def _stop(self, stop: ShutdownRequested) -> int:
        try:
            stop.on_shutdown()
            name = signal.Signals(stop.signum).name
            self.logger.warning(
                "Stopped by %s; the next run can continue from the last STATE", name
            )
        except OSError:  # standard output is closed, or its disk is full
            silence_stdout()
        return 128 + stop.signum


def drop_invalid_log_levels(logger: logging.Logger) -> list[str]:
    """Remove invalid log levels from the environment; return the names of their variables."""
    dropped = []
    for name in (f"{logger.name.upper().replace('-', '_')}_LOGLEVEL", "LOGLEVEL"):
        level = os.environ.pop(name, "").strip().upper()
        if level in logging.getLevelNamesMapping():
            os.environ[name] = level
        elif level:
            dropped.append(name)
    if not os.environ.get("SINGER_SDK_LOG_CONFIG", "").strip():
        os.environ.pop("SINGER_SDK_LOG_CONFIG", None)
    return dropped


@contextmanager
def input_file(option: str) -> Generator[None]:
    """Turn an error about a JSON file into one line that names its option."""
    try:
        yield
    except (OSError, RecursionError, TypeError, ValueError) as error:
        # The SDK uses one of two JSON libraries; the errors of both have this attribute.
        line = getattr(error, "lineno", None)
        reason = f"is not valid JSON (line {line})" if line else "is not a JSON object"
        if isinstance(error, OSError):
            reason = f"cannot be read: {error.strerror}"
        elif isinstance(error, RecursionError):
            reason = "is nested too deeply"
        elif isinstance(error, UnicodeDecodeError):
            reason = "is not UTF-8 text"
        message = f"The {option} file {reason}"
        raise InvalidInputError(message) from error


def _describe(error: Exception) -> Sequence[str]:
    """Describe an error in plain lines; a bug by its place, as its text may have personal data."""
    match error:
        case BrokenPipeError():
            silence_stdout()
            return [f"{_CLOSED}: its reader has ended"]
        case ConfigValidationError():
            return error.errors or [str(error)]
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
