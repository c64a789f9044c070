"""How long a first run takes: the tap reads a made-up account by a clock that only waits move."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tap_zohovoice.clock import Clock
from tap_zohovoice.compat import override
from tap_zohovoice.sandbox import Dialect, History, Sandbox
from tap_zohovoice.tap import TapZohoVoice

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST = dt.date(2026, 2, 28)
_NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC).timestamp()


class WaitingClock(Clock):
    """A clock that stands still but for waits, which take no time."""

    def __init__(self) -> None:
        self._time = _NOW

    @override
    def now(self) -> float:
        return self._time

    @override
    def monotonic(self) -> float:
        return self._time

    @override
    def sleep(self, seconds: float) -> None:
        self._time += seconds


class TapByClock(TapZohoVoice):
    """The tap, by that clock."""

    clock = WaitingClock()


def measure(calls: int, years: int, page_size: int, latency: float) -> tuple[int, float]:
    """Read an account for the first time.

    Args:
        calls: How many calls it holds.
        years: Years over which they are spread.
        page_size: The tap's setting.
        latency: Seconds that each answer takes.

    Returns:
        How many requests were made, and how many seconds the run took by the clock.

    Raises:
        RuntimeError: If the run failed or lost calls.
    """
    clock = TapByClock.clock = WaitingClock()
    history = History(seed=1, calls=calls, first=_LAST.replace(year=_LAST.year - years), last=_LAST)
    dialect = Dialect(latency_seconds=latency)
    with (
        Sandbox(history=history, dialect=dialect, clock=clock) as box,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ["XDG_STATE_HOME"] = folder
        config = Path(folder, "config.json")
        config.write_text(json.dumps({**box.config, "page_size": page_size}), encoding="utf-8")
        out = Path(folder, "out.jsonl")
        begun = clock.now()
        with out.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            try:
                TapByClock.cli(["--config", str(config)])
            except SystemExit as end:
                if end.code:
                    message = "the run failed"
                    raise RuntimeError(message) from end
        took = clock.now() - begun
        with out.open(encoding="utf-8") as file:
            sent = sum(line.startswith('{"type":"RECORD","stream":"call_logs"') for line in file)
        if sent != calls or box.stats.violations:
            message = f"{sent} of {calls} calls, {box.stats.violations} requests over the limit"
            raise RuntimeError(message)
        return box.stats.requests, took


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table.

    Args:
        arguments: The command line, by default that of the process.

    Returns:
        The exit code of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", type=int, nargs="+", help="how many calls the account holds")
    parser.add_argument("--years", type=int, default=3, help="default: 3")
    parser.add_argument("--page-size", type=int, default=200, help="default: 200")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds; default: 0.5")
    options = parser.parse_args(arguments)
    os.environ.setdefault("LOGLEVEL", "ERROR")
    print(f"{'calls':>10}  {'requests':>8}  {'time':>12}  by the formula")
    for calls in options.calls:
        requests, took = measure(calls, options.years, options.page_size, options.latency)
        formula = calls / (options.page_size - 1) / 29 * 60
        print(f"{calls:>10,}  {requests:>8,}  {_span(took):>12}  {_span(formula)}", flush=True)
    return 0


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


if __name__ == "__main__":
    sys.exit(main())
