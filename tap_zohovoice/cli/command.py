"""Commands with one plain line for each error, and an exit code that schedulers can rely on."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import SingerCommand

from tap_zohovoice._compat import override
from tap_zohovoice.cli.signals import restore_signals
from tap_zohovoice.exceptions import ShutdownRequested, ZohoVoiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FAILED = 1
_INPUT_FILE = "A file given with --config, --state or --catalog"


class TapCommand(SingerCommand):
    """The SDK's command, with an exit code for each way to end.

    Exit codes: 0 success, 1 failure (or standard output was closed), 2 wrong usage, 128 + n stopped
    by signal n.
    """

    @classmethod
    def from_command(cls, command: click.Command, logger: logging.Logger) -> TapCommand:
        """Copy name, options and callback of another command."""
        return cls(
            name=command.name,
            callback=command.callback,
            context_settings=command.context_settings,
            params=command.params,
            help=command.help,
            logger=logger,
        )

    @override
    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        def run() -> object:
            return super(TapCommand, self).main(
                args,
                prog_name=prog_name,
                complete_var=complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )

        if not standalone_mode:
            return run()
        # It logs whole URLs, and with them the filters: numbers and names.
        urllib3 = logging.getLogger("urllib3")
        level = urllib3.level
        urllib3.setLevel(logging.ERROR)
        try:
            with restore_signals():
                code = self._exit_code(run)
        finally:
            urllib3.setLevel(level)
        sys.exit(code)

    def report_error(self, line: str) -> None:
        """Report an error that ends the command."""
        self.logger.error(line)

    def report_usage_error(self, error: click.ClickException) -> None:
        """Report wrong usage."""
        error.show()

    def _exit_code(self, run: Callable[[], object]) -> int:  # noqa: C901 - one case an error
        """Run, report errors, and return the exit code."""
        try:
            code = run()
            sys.stdout.flush()
        except BrokenPipeError:
            silence_stdout()
            return _FAILED
        except ShutdownRequested as stop:
            return self._stop(stop)
        except click.ClickException as error:
            self.report_usage_error(error)
            return error.exit_code
        except ConfigValidationError as error:
            lines = error.errors or [str(error)]
        except ZohoVoiceError as error:
            lines = [str(error)]
        except RecursionError:
            lines = [f"{_INPUT_FILE} has too many levels"]
        except UnicodeDecodeError:
            lines = [f"{_INPUT_FILE} is not UTF-8 text"]
        except OSError as error:
            name = f": {error.filename}" if error.filename else ""
            lines = [f"{error.strerror or error}{name}"]
        except Exception as error:  # noqa: BLE001 - the last resort: no traceback for users
            # The SDK reads JSON with one library or another; their errors have this in common.
            line = getattr(error, "lineno", None) if isinstance(error, ValueError) else None
            lines = [f"{_INPUT_FILE} is not JSON (line {line})" if line else format_crash(error)]
        else:
            return code if isinstance(code, int) else 0
        for line in lines:
            self.report_error(line)
        return _FAILED

    def _stop(self, stop: ShutdownRequested) -> int:
        name = signal.Signals(stop.signum).name
        try:
            stop.on_shutdown()
            self.logger.warning("Stopped by %s; the last STATE says how far the sync got", name)
        except BrokenPipeError:
            silence_stdout()
        return 128 + stop.signum


def silence_stdout() -> None:
    """Redirect standard output to devnull, so that the interpreter does not fail on flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def format_crash(error: Exception) -> str:
    """Describe a bug by its place, since the text of the error may hold personal data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"Unexpected {type(error).__name__} at {place}; please report this as a bug of the tap"
