"""Questions at a terminal; what is secret is not shown."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tap_zohovoice.cli.dotenv import quoted
from tap_zohovoice.config.data_centers import DATA_CENTERS

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMES = 3


class InputError(click.ClickException):
    """What was entered is of no use; one plain line and the exit code of wrong usage."""

    exit_code = 2


def is_terminal() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def show(text: str) -> None:
    """Write to the terminal itself: Meltano makes log lines of what goes to standard error.

    Args:
        text: Whole lines, or a question.
    """
    try:
        # Where there is no such file, as on Windows, there is no Meltano in between either.
        terminal = Path("/dev/tty").open("w", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError:
        click.echo(text, nl=False, err=True)
        return
    with terminal:
        terminal.write(text)


def trouble_with(value: str) -> str:
    """Tell what is wrong with a client id, a secret or a code; empty if nothing is."""
    if not value.isascii() or not value.isprintable() or " " in value:
        return "must be plain text without spaces"
    try:
        quoted(value)
    except ValueError:
        return "has characters that no .env file can hold"
    return ""


def ask(what: str, *, is_secret: bool = False) -> str:
    """Ask for a value.

    Args:
        what: What is asked for.
        is_secret: Whether it is not shown when it is typed.

    Returns:
        The value.

    Raises:
        EOFError: If there is no more input.
        InputError: If there was no usable answer to the third question.
    """
    text = f"{what} (not shown): " if is_secret else f"{what}: "
    read = getpass.getpass if is_secret else _line
    return _ask(lambda: read(text).strip(), trouble_with, what)


def ask_center(default: str) -> str:
    """Ask for the data center.

    Args:
        default: The answer that is meant by none.

    Returns:
        One of `DATA_CENTERS`.

    Raises:
        EOFError: If there is no more input.
        InputError: If there was no usable answer to the third question.
    """
    names = ", ".join(DATA_CENTERS)
    show(f"The account's data center: {names}.\n")
    return _ask(
        lambda: _line(f"Data center [{default}]: ").strip().lower() or default,
        lambda value: "" if value in DATA_CENTERS else f"must be one of {names}",
        "data center",
    )


def _ask(read: Callable[[], str], trouble: Callable[[str], str], what: str) -> str:
    for _ in range(_TIMES):
        value = read()
        if value and not trouble(value):
            return value
        if value:
            show(f"This {trouble(value)}.\n")
    message = f"no {what} was entered"
    raise InputError(message)


def _line(text: str) -> str:
    """Read a line; `input` could ask on standard output, which is not for questions here."""
    show(text)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line
