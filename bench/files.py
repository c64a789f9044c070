"""Measure the cost of downloading files: one per request, and several.

The server is the sandbox without a rate limit, so the tap does not wait. The minutes are computed
from the number of requests at Zoho's limit. The comparison fails if a stored file is missing or
differs from that of the server.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from argparse import ArgumentParser
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from measure import MEBI, TAP, Cost, FailedError, measure, verdict

from zoho_voice_sandbox import Dialect, History, Sandbox

FILE_BYTES = 111_744
"""Size of a recording of half a minute. Source: a response in a log of a client."""
REQUESTS_A_MINUTE = 29
MOST_REQUESTS = 0.15
"""Limit of the requests for several files, relative to those for one."""
MOST_CPU = 1.0
"""The same for CPU time."""
MOST_PEAK = 1.1
"""The same for peak memory."""


@dataclass(frozen=True)
class Result:
    """Measurements of a run."""

    per_request: int  # most files of one request
    files: int  # files that were stored
    requests: int  # requests for files
    cost: Cost


def run(box: Sandbox, per_request: int, scratch: Path) -> Result:
    """Run the tap, which downloads all files."""
    config = {
        **box.config,
        "recordings_path": str(scratch / "files"),
        "recordings_per_request": per_request,
        "streams": ["recordings"],
        "rate_limit_calls": 1_000_000_000,
        "rate_limit_seconds": 1,
    }
    path = scratch / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    variables = {"PATH": os.environ["PATH"], "HOME": str(scratch)}
    before = box.stats.files.requests
    cost = measure([TAP, "--config", path], variables, scratch / "stdout")
    stored = {file.name: file for file in (scratch / "files").rglob("*") if file.is_file()}
    names = names_of(box)
    wrong = [name for name, file in stored.items() if file.read_bytes() != box.audio.read(name)]
    if stored.keys() != names or wrong:
        message = f"{len(stored):,} files, {len(wrong):,} of them wrong, instead of {len(names):,}"
        raise FailedError(message)
    return Result(per_request, len(stored), box.stats.files.requests - before, cost)


def names_of(box: Sandbox) -> set[str]:
    """Return the names of all files of an account."""
    keys = ("call_recording", "voicemail")
    return {
        row[key]["recording_filename"] for row in box.store.rows() for key in keys if key in row
    }


def show(results: list[Result]) -> None:
    """Print the measurements."""
    print(
        f"{'files':>7} {'a request':>9} {'requests':>8} {'min at limit':>12} {'files/s':>8} "
        f"{'CPU ms/file':>11} {'peak MB':>8}"
    )
    for result in results:
        cost = result.cost
        print(
            f"{result.files:>7,} {result.per_request:>9} {result.requests:>8,} "
            f"{result.requests / REQUESTS_A_MINUTE:>12.1f} {result.files / cost.wall:>8,.0f} "
            f"{cost.cpu * 1000 / result.files:>11.2f} {cost.peak / MEBI:>8.0f}"
        )


def main() -> int:
    """Measure, print, and check the limits."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4_000, help="about half of them have a file")
    parser.add_argument("--slack", type=float, default=1.0, help="what limits are multiplied by")
    args = parser.parse_args()
    history = History(seed=1, calls=args.calls, first=date(2024, 1, 1), last=date(2024, 12, 31))
    results: dict[int, Result] = {}
    with Sandbox(history=history, dialect=Dialect(limit_calls=1_000_000_000)) as box:
        content = b"RIFF\0\0\0\0WAVE" + bytes(FILE_BYTES - 12)
        for name in names_of(box):
            box.audio.put(name, content)
        for per_request in (1, 10):
            with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
                try:
                    results[per_request] = run(box, per_request, Path(scratch))
                except FailedError as error:
                    print(error, file=sys.stderr)
                    return 1
    show(list(results.values()))
    single, several = results[1], results[10]
    limits = (
        ("requests", several.requests / single.requests, MOST_REQUESTS),
        ("CPU", several.cost.cpu / single.cost.cpu, MOST_CPU * args.slack),
        ("peak memory", several.cost.peak / single.cost.peak, MOST_PEAK * args.slack),
    )
    return verdict((f"{what} of several files / one", ratio, most) for what, ratio, most in limits)


if __name__ == "__main__":
    sys.exit(main())
