"""The command `zoho-voice-sandbox`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from zoho_voice_sandbox import faults
from zoho_voice_sandbox.dialect import Dialect, field_values
from zoho_voice_sandbox.directory import Directory
from zoho_voice_sandbox.history import History
from zoho_voice_sandbox.server import Sandbox
from zoho_voice_sandbox.token_endpoint import CODE_SECONDS, OAuthClient

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

_FAULTS = {
    "fault": "logs",
    "token_fault": "a token",
    "file_fault": "a file",
    "transcript_fault": "a transcript",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until SIGTERM or Ctrl-C, and return the exit code."""
    parser = _build_parser()
    options = parser.parse_args(arguments)
    try:
        sandbox = _build_sandbox(options)
    except (OverflowError, ValueError) as error:
        parser.error(str(error))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with sandbox:
            _print_config(sandbox, options.config_file)
            if options.code:
                _print_code(sandbox, options.code)
            # A wait without end cannot be interrupted on every platform.
            while not stop.wait(1.0):
                pass
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _print_json({"stats": sandbox.stats.summary(), "calls": len(sandbox.store)})
    return 0


def _build_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="zoho-voice-sandbox",
        description="A local server with the API of Zoho Voice and generated calls.",
    )
    parser.add_argument("--port", type=int, default=0, help="port of the server (default: any)")
    parser.add_argument(
        "--calls", type=int, default=1000, metavar="N", help="calls at the start (default: 1000)"
    )
    parser.add_argument(
        "--days",
        type=int,
        default=30,
        metavar="N",
        help="days of the calls, up to --last (default: 30)",
    )
    parser.add_argument(
        "--first", type=date.fromisoformat, metavar="DAY", help="first day, instead of --days"
    )
    parser.add_argument(
        "--last", type=date.fromisoformat, metavar="DAY", help="last day (default: today)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same calls")
    for name in (field.name for field in fields(Directory)):
        parser.add_argument(
            f"--{name}",
            type=int,
            default=getattr(Directory(), name),
            metavar="N",
            help=f"rows of {name} (default: {getattr(Directory(), name)})",
        )
    parser.add_argument(
        "--scopes",
        type=lambda text: text.split(","),
        metavar="SCOPE,...",
        help="scopes of the tokens (default: all)",
    )
    parser.add_argument("--grow", type=float, default=0, metavar="N", help="new calls per hour")
    parser.add_argument(
        "--clock-ahead",
        type=float,
        default=0,
        metavar="SECONDS",
        help="seconds that the clock of the server is ahead",
    )
    parser.add_argument(
        "--code", nargs="?", const=OAuthClient.code, help="issue a code for tap-zohovoice-authorize"
    )
    parser.add_argument("--config-file", type=Path, metavar="PATH", help="write the config here")
    for name, what in _FAULTS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=_parse_fault,
            action="append",
            default=[],
            metavar="N=KIND",
            help=f"fault of the Nth request for {what}: {', '.join(faults.KINDS)}",
        )
    group = parser.add_argument_group("undocumented behaviour of Zoho Voice")
    defaults = Dialect()
    for name, (kind, known) in field_values().items():
        flag = f"--{name.replace('_', '-')}"
        default = getattr(defaults, name)
        if kind is bool:
            group.add_argument(flag, action=BooleanOptionalAction, default=default)
        else:
            group.add_argument(
                flag,
                type=kind,
                choices=known or None,
                default=default,
                metavar=None if known else "N",
                help=f"default: {default}",
            )
    return parser


def _build_sandbox(options: Namespace) -> Sandbox:
    last = options.last or datetime.now(UTC).date()
    first = options.first or last - timedelta(days=options.days - 1)
    return Sandbox(
        history=History(seed=options.seed, calls=options.calls, first=first, last=last),
        directory=Directory(
            **{field.name: getattr(options, field.name) for field in fields(Directory)}
        ),
        dialect=Dialect(**{name: getattr(options, name) for name in field_values()}),
        faults=dict(options.fault),
        token_faults=dict(options.token_fault),
        file_faults=dict(options.file_fault),
        transcript_faults=dict(options.transcript_fault),
        scopes=options.scopes,
        grow_per_hour=options.grow,
        clock_ahead=options.clock_ahead,
        port=options.port,
    )


def _print_config(sandbox: Sandbox, path: Path | None) -> None:
    config = json.dumps(sandbox.config)
    if path:
        # The secrets are not real, but the file shows the permissions that a real one needs.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write(config + "\n")
    where = path or "config.json"
    sys.stderr.write(
        f"Zoho Voice sandbox with {len(sandbox.store)} calls on {sandbox.url}, stop with Ctrl-C.\n"
        f"The line below is a config of the tap: tap-zohovoice --config {where}\n"
    )
    sys.stderr.flush()
    _print_json(sandbox.config)


def _print_code(sandbox: Sandbox, code: str) -> None:
    sandbox.accounts.add_code(code)
    sys.stderr.write(
        f"The code {code} works once, within {CODE_SECONDS:.0f} s, with\n"
        f"tap-zohovoice-authorize --accounts-url {sandbox.url} --api-url {sandbox.url}\n"
    )
    sys.stderr.flush()


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _parse_fault(text: str) -> tuple[int, str]:
    number, _, kind = text.partition("=")
    try:
        return int(number), faults.validate(kind)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
