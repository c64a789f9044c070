"""The command line: the SDK's, with one plain line for each error and an honest exit code."""

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
_A_FILE = "A file given with --config, --state or --catalog"


class TapCommand(SingerCommand):
    """The SDK's command for a tap.

    Exit codes: 0 all done, 1 failed (or nobody reads the output any more), 2 wrong usage,
    128 + n stopped by signal n.
    """

    @classmethod
    def like(cls, command: click.Command, logger: logging.Logger) -> TapCommand:
        """Make one with the name, options and callback of another command.

        Args:
            command: The other command.
            logger: Where errors are told.
        """
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

        _unmute(self.logger.name)
        if not standalone_mode:
            return run()
        # It logs whole addresses, and with them what is looked for: numbers and names.
        chatty = logging.getLogger("urllib3")
        level = chatty.level
        chatty.setLevel(logging.ERROR)
        try:
            with restore_signals():
                code = self._exit_code(run)
        finally:
            chatty.setLevel(level)
        sys.exit(code)

    def _exit_code(self, run: Callable[[], object]) -> int:  # noqa: C901 - one case an error
        """Run, tell what went wrong, and return the exit code."""
        try:
            code = run()
            sys.stdout.flush()
        except BrokenPipeError:
            silence_stdout()
            return _FAILED
        except BlockingIOError:
            silence_stdout()
            lines = ["Standard output takes no more, and does not wait; give it a pipe that does"]
        except ShutdownRequested as stop:
            return self._stop(stop)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except ConfigValidationError as error:
            lines = error.errors or [str(error)]
        except ZohoVoiceError as error:
            lines = [str(error)]
        except RecursionError:
            lines = [f"{_A_FILE} has too many levels"]
        except UnicodeDecodeError:
            lines = [f"{_A_FILE} is no UTF-8 text"]
        except OSError as error:
            name = f": {error.filename}" if error.filename else ""
            lines = [f"{error.strerror or error}{name}"]
        except Exception as error:  # noqa: BLE001 - the last resort: no traceback for users
            # The SDK reads JSON with one library or another; their errors have this in common.
            line = getattr(error, "lineno", None) if isinstance(error, ValueError) else None
            lines = [f"{_A_FILE} is no JSON (line {line})" if line else format_crash(error)]
        else:
            return code if isinstance(code, int) else 0
        for line in lines:
            self.logger.error(line)
        return _FAILED

    def _stop(self, stop: ShutdownRequested) -> int:
        name = signal.Signals(stop.signum).name
        try:
            stop.on_shutdown()
            self.logger.warning("Stopped by %s; the last STATE says how far the sync got", name)
        except BrokenPipeError:
            silence_stdout()
        return 128 + stop.signum


def _unmute(name: str) -> None:
    """Let the tap's loggers speak again: setting up logs from a file mutes all older ones.

    Unless the file says `disable_existing_loggers: false`, that is, and few people know. Without
    this, waits and errors would go untold.
    """
    for known, logger in logging.root.manager.loggerDict.items():
        if known.startswith(name) and isinstance(logger, logging.Logger):
            logger.disabled = False


def silence_stdout() -> None:
    """Let nothing complain about output that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def format_crash(error: Exception) -> str:
    """Describe a mistake of the tap by its place, since its text may hold personal data.

    Args:
        error: The error, which was raised.

    Returns:
        One plain line.
    """
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    kind = type(error).__name__
    return f"Unexpected {kind} at {where}; please report this as a bug of the tap"
