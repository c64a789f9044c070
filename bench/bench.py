"""Measure the cost of reading a long list of call logs, for the tap and three other programs.

Each program is a separate process. It reads the same logs from the same local server, and writes
them to a file. The server has no rate limit, so no program waits. The comparison counts the logs in
each file, and fails if a log is missing or duplicated.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from measure import MEBI, TAP, Cost, FailedError, measure, verdict

Command: TypeAlias = "list[str | Path]"


HERE = Path(__file__).resolve().parent
PAGE_SIZE = 200
START_UPS = 7
MOST_OF_TEMPLATE = 0.5
"""Limit of the tap's CPU time per record, relative to the template."""
MOST_OF_FLOOR = 2.5
"""The same, relative to the floor."""
MOST_OF_IMPORT = 1.3
"""Limit of the CPU time to start the tap, relative to `import singer_sdk`."""
MOST_GROWTH = 1.1
"""Limit of peak memory at the largest number of logs, relative to the smallest."""


@dataclass(frozen=True)
class Contestant:
    """A program that reads all logs."""

    name: str
    command: Callable[[str, Path], Command]  # of the address of an account and an empty folder
    output: str = "stdout"  # where the rows are afterwards, as a pattern of files in that folder


@dataclass(frozen=True)
class Result:
    """Measurements of a program for a number of logs."""

    name: str
    rows: int
    cost: Cost  # the least of several runs
    requests: int  # for the logs, in one run


def _tap(url: str, folder: Path) -> Command:
    """Return the command of the tap, with only `call_logs` selected."""
    config = {
        **dict.fromkeys(("accounts_url", "api_url"), url),
        **dict.fromkeys(("client_id", "client_secret", "refresh_token"), "made-up"),
        "page_size": PAGE_SIZE,
        "rate_limit_calls": 1_000_000_000,
        "rate_limit_seconds": 1,
    }
    catalog = json.loads(subprocess.check_output([TAP, "--discover"], stderr=subprocess.DEVNULL))
    for stream in catalog["streams"]:
        for item in stream["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = stream["tap_stream_id"] == "call_logs"
    config_file = _write(folder / "config.json", config)
    return [TAP, "--config", config_file, "--catalog", _write(folder / "catalog.json", catalog)]


def _template(url: str, folder: Path) -> Command:
    config = _write(folder / "config.json", {"api_url": url, "page_size": PAGE_SIZE})
    return [sys.executable, HERE / "template_tap.py", "--config", config]


def _floor(url: str, _folder: Path) -> Command:
    return [sys.executable, HERE / "floor.py", url, str(PAGE_SIZE)]


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def contestants(dlt_python: Path | None) -> list[Contestant]:
    """List the programs to compare, dlt where it is installed."""
    found = [
        Contestant("floor", _floor),
        Contestant("tap-zohovoice", _tap),
        Contestant("template tap", _template),
    ]
    if dlt_python and dlt_python.exists():

        def dlt(url: str, folder: Path) -> Command:
            return [dlt_python, HERE / "dlt_source.py", url, str(PAGE_SIZE), str(folder)]

        found.append(Contestant("dlt rest_api", dlt, "out/bench/call_logs/*.jsonl"))
    return found


@contextmanager
def serving() -> Generator[str]:
    """Run the server during a block, which gets its address."""
    command: Command = [sys.executable, HERE / "server.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            if server.stdout is None or not (url := server.stdout.readline().strip()):
                message = "the server did not start"
                raise FailedError(message)
            yield url
        finally:
            server.terminate()


def run(contestant: Contestant, url: str, rows: int, scratch: Path) -> Result:
    """Run a program once, and check its output."""
    command = contestant.command(f"{url}/{rows}", scratch)
    _asked(url)
    output = scratch / "stdout"
    cost = measure(command, _environment(scratch), output)
    requests = _asked(url)
    written, distinct = _count(scratch.glob(contestant.output))
    if not written == distinct == rows:
        message = f"{contestant.name}: {written:,} rows, {distinct:,} logs, instead of {rows:,}"
        raise FailedError(message)
    for path in scratch.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Result(contestant.name, rows, cost, requests)


def _environment(scratch: Path) -> dict[str, str]:
    """Return environment variables without the settings of the user."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return kept | {
        "HOME": str(scratch),
        "XDG_STATE_HOME": str(scratch / "state"),
        "PYTHONPATH": str(HERE.parent),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
    }


def _asked(url: str) -> int:
    with urllib.request.urlopen(f"{url}/asked", timeout=30) as answer:  # noqa: S310 - our own
        return int(answer.read())


def _count(paths: Iterable[Path]) -> tuple[int, int]:
    """Count rows and distinct logs."""
    logid = re.compile(rb'"logid": ?"([0-9a-f]{8})')
    rows, seen = 0, set()
    for path in paths:
        with path.open("rb") as lines:
            for line in lines:
                if found := logid.search(line):
                    rows += 1
                    seen.add(int(found[1], 16))
    return rows, len(seen)


def best(results: Sequence[Result]) -> Result:
    """Return the least of several runs of a program."""
    cost = Cost.least([result.cost for result in results])
    first = results[0]
    return Result(first.name, first.rows, cost, max(result.requests for result in results))


def start_ups(scratch: Path) -> dict[str, Cost]:
    """Measure the time to start."""
    commands: dict[str, Command] = {
        "import singer_sdk": [sys.executable, "-c", "import singer_sdk"],
        "tap-zohovoice --about": [TAP, "--about"],
        "tap-zohovoice --discover": [TAP, "--discover"],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(START_UPS):
        for name, command in commands.items():
            cost = measure(command, _environment(scratch), scratch / "stdout")
            costs[name].append(cost)
    return {name: Cost.least(found) for name, found in costs.items()}


def show(results: Sequence[Result]) -> None:
    """Print the measurements and their ratios."""
    cpus = {(result.rows, result.name): result.cost.cpu for result in results}
    print(
        f"{'logs':>9}  {'':<14} {'records/s':>9} {'CPU s/million':>13} {'x floor':>8} "
        f"{'x template':>10} {'peak MB':>8} {'requests/1000':>13}"
    )
    for result in results:
        cpu = result.cost.cpu
        print(
            f"{result.rows:>9,}  {result.name:<14} {result.rows / result.cost.wall:>9,.0f} "
            f"{cpu * 1e6 / result.rows:>13.1f} {cpu / cpus[result.rows, 'floor']:>8.2f} "
            f"{cpu / cpus[result.rows, 'template tap']:>10.2f} {result.cost.peak / MEBI:>8.0f} "
            f"{result.requests * 1000 / result.rows:>13.2f}"
        )


def show_start_ups(costs: dict[str, Cost]) -> None:
    """Print the times to start."""
    base = costs["import singer_sdk"].cpu
    print(f"\n{'start':<26} {'CPU s':>6} {'wall s':>7} {'x import':>9}")
    for name, cost in costs.items():
        print(f"{name:<26} {cost.cpu:>6.2f} {cost.wall:>7.2f} {cost.cpu / base:>9.2f}")


def ratios(
    results: Sequence[Result], starts: dict[str, Cost]
) -> Generator[tuple[str, float, float]]:
    """Yield each ratio that has a limit."""
    costs = {(result.name, result.rows): result.cost for result in results}
    sizes = sorted({result.rows for result in results})
    for rows in sizes:
        tap = costs["tap-zohovoice", rows].cpu
        for other, most in (("template tap", MOST_OF_TEMPLATE), ("floor", MOST_OF_FLOOR)):
            yield f"CPU at {rows:,} logs / {other}", tap / costs[other, rows].cpu, most
    peaks = [costs["tap-zohovoice", rows].peak for rows in sizes]
    yield "peak memory, most logs / fewest", peaks[-1] / peaks[0], MOST_GROWTH
    base = starts["import singer_sdk"].cpu
    for name, cost in starts.items():
        yield f"CPU of {name} / import singer_sdk", cost.cpu / base, MOST_OF_IMPORT


def main() -> int:
    """Measure, print, and check the limits."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the least counts")
    parser.add_argument("--slack", type=float, default=1.0, help="what limits are multiplied by")
    parser.add_argument("--dlt", type=Path, help="Python of an environment with dlt")
    args = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, serving() as url:
        scratch = Path(name)
        try:
            for rows in args.rows:
                runs: dict[str, list[Result]] = {}
                for _ in range(args.repeat):
                    for contestant in contestants(args.dlt):
                        result = run(contestant, url, rows, scratch)
                        runs.setdefault(contestant.name, []).append(result)
                results += map(best, runs.values())
            starts = start_ups(scratch)
        except FailedError as error:
            print(error, file=sys.stderr)
            return 1
    show(results)
    show_start_ups(starts)
    limits = ratios(results, starts)
    return verdict((what, ratio, most * args.slack) for what, ratio, most in limits)


if __name__ == "__main__":
    sys.exit(main())
