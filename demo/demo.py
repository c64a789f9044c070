"""Run the tap from the sandbox into DuckDB and into a folder, and check the result.

The demo starts the sandbox on a free local port. Run 1 of the tap loads all calls into a DuckDB
file. Run 2 starts some seconds later, when there are new calls, from the state of run 1. Run 3
downloads the files of a few recordings, and run 4 loads users and numbers. Then dbt builds the
models, and the demo compares the database with the data of the sandbox. All files are in one
folder, which each demo creates again. All processes have ended when the demo ends.
"""

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import wave
from argparse import ArgumentParser, Namespace
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import duckdb

from zoho_voice_sandbox import History, Sandbox

Calls: TypeAlias = "dict[str, tuple[str, str]]"
"""Type and start of each call, by its logid."""

ROOT = Path(__file__).resolve().parent.parent
LOOKBACK = timedelta(days=3)
"""The default of `lookback_days`."""
GRACE_MS = 1_000
"""The sandbox shows a call up to a second after the second in which it ended."""
PAGE_SIZE = 200
"""Calls per request, for the upper bound of requests; the sandbox allows more."""
PATIENCE_SECONDS = 10.0
FILES = 12
"""Number of recordings to download."""
RUNS = 4
DIRECTORY = ("numbers", "users")
"""Streams that the fourth run loads."""
DBT = str(ROOT / ".e2e" / "dbt" / "bin" / "dbt")
"""dbt with its adapter for DuckDB, which `make demo` installs."""
FEW_REQUESTS = 3
"""Requests for the calls of a few hours."""


class DemoError(Exception):
    """A step of the demo failed; the text says which."""


@dataclass
class Run:
    """What one run of the tap sent."""

    began_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    seconds: float = 0.0
    sent: int = 0  # number of records
    calls: Calls = field(default_factory=dict)
    # The records of `recordings`, or the fields of the calls that describe files.
    files: list[dict[str, Any]] = field(default_factory=list)
    bookmark: str = ""  # of `call_logs`, after the run


@dataclass
class Account:
    """The data of the sandbox, and its counts of requests."""

    calls: Calls
    ended_ms: dict[str, int]  # by logid, in milliseconds since the epoch
    stats: dict[str, int]


class Demo:
    """The demo in one folder."""

    def __init__(self, folder: Path, options: Namespace) -> None:
        self.database = folder / "calls.duckdb"
        self.recordings = folder / "recordings"
        self._folder = folder
        self._options = options
        self._scripts = Path(sysconfig.get_path("scripts"))
        self._state = folder / "state.json"
        # Requests to this machine use no proxy, and all files are written to the folder.
        proxies = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        folders = {"XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(folder)}
        self._environment = os.environ | proxies | folders

    def play(self) -> tuple[Run, Run, Run, Account]:
        """Start the sandbox, run the tap four times, and read the data of the sandbox."""
        options = self._options
        say(
            f"A generated account: {options.calls:,} calls in the last {options.days} days, "
            f"and {options.grow / 3600:.1f} new calls a second."
        )
        today = datetime.now(UTC).date()
        first_day = today - timedelta(days=options.days - 1)
        history = History(seed=1, calls=options.calls, first=first_day, last=today)
        with Sandbox(history=history, grow_per_hour=options.grow) as sandbox:
            self._config = self._write("config.json", sandbox.config)
            self._wait()
            say("Run 1 reads everything:     tap-zohovoice --config config.json | target-duckdb")
            first = self._run(1)
            self._wait()
            say("Run 2 reads the new calls:  tap-zohovoice --config ... --state state.json | ...")
            second = self._run(2)
            say("Run 3 downloads recordings: tap-zohovoice --config ... --catalog recordings.json")
            third = self._fetch(first.files[-FILES:])
            say("Run 4 loads users, numbers: TAP_ZOHOVOICE_STREAMS=users,numbers tap-zohovoice ...")
            self._pipe(4, self._configure("directory.json", streams=list(DIRECTORY)), [], None)
            logs = list(sandbox.store.rows())
        say("The dbt models, with tests:  dbt build")
        self._build_models()
        calls = {log["logid"]: (log["call_type"], moment(int(log["start_time"]))) for log in logs}
        ended = {log["logid"]: int(log["end_time"]) for log in logs}
        return first, second, third, Account(calls, ended, sandbox.stats.summary())

    def _wait(self) -> None:
        pause = self._options.pause
        say(f"Waiting {pause:g} s for new calls ...")
        time.sleep(pause)

    @contextmanager
    def _process(self, name: str, command: list[str], **pipes: Any) -> Generator[Any]:  # noqa: ANN401
        """Run a process, and terminate it at the end of the block. What has no pipe is logged."""
        with self._log(name).open("w", encoding="utf-8") as log:
            pipes = {"stdout": log, "stderr": log} | pipes
            process = subprocess.Popen(
                command, cwd=self._folder, env=self._environment, text=True, **pipes
            )
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe and not pipe.closed:
                        pipe.close()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _failure(self, name: str, code: int) -> DemoError:
        last_lines = self._log(name).read_text(encoding="utf-8").splitlines()[-5:]
        return DemoError("\n  ".join([f"{name} ended with exit code {code}", *last_lines]))

    def _run(self, number: int) -> Run:
        """Pipe the tap into the target, and count the records."""
        run = Run()
        began = time.monotonic()
        state = ["--state", str(self._state)] if self._state.exists() else []
        last_state = self._pipe(number, self._config, state, run)
        # The last line that the target wrote is the state of what it has stored.
        self._state.write_text(last_state)
        run.bookmark = json.loads(last_state)["bookmarks"]["call_logs"]["replication_key_value"]
        run.seconds = time.monotonic() - began
        return run

    def _write(self, name: str, settings: dict[str, Any]) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(settings), encoding="utf-8")
        return path

    def _configure(self, name: str, **settings: Any) -> Path:  # noqa: ANN401
        """Write a file with the settings of the first runs, and others."""
        known = json.loads(self._config.read_text(encoding="utf-8"))
        return self._write(name, known | settings)

    def _pipe(self, number: int, config: Path, options: list[str], run: Run | None) -> str:
        """Pipe the tap into the target; return the last state that the target wrote.

        The records are counted for a run, if there is one.
        """
        tap_name, target_name = f"tap-{number}", f"target-{number}"
        tap_command = [str(self._scripts / "tap-zohovoice"), "--config", str(config), *options]
        settings = {"path": str(self.database), "default_target_schema": "zoho"}
        target_config = self._write("target.json", settings)
        target_command = [str(self._scripts / "target-duckdb"), "--config", str(target_config)]
        states = self._folder / f"states-{number}.jsonl"
        with (
            states.open("w", encoding="utf-8") as out,
            self._process(target_name, target_command, stdin=subprocess.PIPE, stdout=out) as target,
            self._process(tap_name, tap_command, stdout=subprocess.PIPE) as tap,
        ):
            try:
                for line in tap.stdout:
                    if run:
                        count(line, run)
                    target.stdin.write(line)
                target.stdin.close()
            except BrokenPipeError:
                raise self._failure(target_name, target.wait()) from None
            for name, process in ((tap_name, tap), (target_name, target)):
                if code := process.wait():
                    raise self._failure(name, code)
        return states.read_text(encoding="utf-8").splitlines()[-1]

    def _build_models(self) -> None:
        """Build the marts in the database, and run their tests."""
        variables = {f"zoho_voice_using_{stream}": True for stream in DIRECTORY}
        paths = {
            "project-dir": ROOT / "dbt",
            "profiles-dir": ROOT / "dbt",
            "log-path": self._folder,
            "target-path": self._folder / "dbt",
        }
        options = [f"--{name}={path}" for name, path in paths.items()]
        command = [DBT, "--no-use-colors", "build", "--vars", json.dumps(variables), *options]
        self._environment["TARGET_DUCKDB_PATH"] = str(self.database)
        name = "dbt-build"
        with self._process(name, command) as dbt:
            if code := dbt.wait():
                raise self._failure(name, code)

    def _fetch(self, wanted: list[dict[str, Any]]) -> Run:
        """Download some recordings, without a target."""
        run = Run()
        began = time.monotonic()
        tap = str(self._scripts / "tap-zohovoice")
        until = datetime.fromisoformat(wanted[-1]["start_time"]) + timedelta(milliseconds=1)
        config = self._configure(
            "files.json",
            recordings_path=str(self.recordings),
            start_date=wanted[0]["start_time"],
            end_date=until.isoformat(),
        )
        discovery = [tap, "--config", str(config), "--discover"]
        with self._process("discover", discovery, stdout=subprocess.PIPE) as discover:
            streams = json.load(discover.stdout)["streams"]
        chosen = [stream for stream in streams if stream["tap_stream_id"] == "recordings"]
        catalog = self._write("recordings.json", {"streams": chosen})
        name, command = "tap-3", [tap, "--config", str(config), "--catalog", str(catalog)]
        with self._process(name, command, stdout=subprocess.PIPE) as process:
            for line in process.stdout:
                count(line, run)
            if code := process.wait():
                raise self._failure(name, code)
        run.seconds = time.monotonic() - began
        return run


def count(line: str, run: Run) -> None:
    """Count a message of the tap for a run."""
    message = json.loads(line)
    if message["type"] == "RECORD" and message["stream"] == "recordings":
        run.files.append(message["record"])
    elif message["type"] == "RECORD":
        record = message["record"]
        run.sent += 1
        run.calls[record["logid"]] = (record["call_type"], record["start_time"])
        named = (record["call_recording"], record["voicemail"])
        run.files += [{**file, "start_time": record["start_time"]} for file in named if file]


def moment(milliseconds: int) -> str:
    """Format a timestamp as the tap does."""
    seconds, rest = divmod(milliseconds, 1000)
    text = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    return text.isoformat(timespec="microseconds")


def landed(database: Path) -> tuple[int, Calls]:
    """Read the database."""
    query = "SELECT logid, call_type, epoch_ms(start_time) FROM zoho.call_logs"
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = connection.execute(query).fetchall()
    return len(rows), {logid: (kind, moment(start)) for logid, kind, start in rows}


def problems(first: Run, second: Run, account: Account, rows: int, calls: Calls) -> list[str]:
    """Compare the runs and the database with the account."""
    since = (datetime.fromisoformat(first.bookmark) - LOOKBACK).isoformat(timespec="microseconds")
    before = second.began_ms - GRACE_MS
    due = {logid for logid, ended in account.ended_ms.items() if ended < before}
    again = {logid for logid, (_, start) in first.calls.items() if start >= since}
    stats = account.stats
    checks = {
        "a run sent a call twice": first.sent > len(first.calls) or second.sent > len(second.calls),
        "the database holds a call twice": rows > len(calls),
        "the database differs from the records that were sent": calls != first.calls | second.calls,
        "calls of the account are missing": not due <= calls.keys(),
        "calls differ from those of the account": not calls.items() <= account.calls.items(),
        "run 2 sent no new call": not second.calls.keys() - first.calls.keys(),
        "run 2 did not read the lookback again": not again <= second.calls.keys(),
        "run 2 read more than the lookback again": any(
            start < since for _, start in second.calls.values()
        ),
        "the bookmark moved back": second.bookmark < first.bookmark,
        "the rate limit was exceeded": any(
            stats[name] for name in stats if name.endswith(("violations", "locked_calls"))
        ),
        "there were more requests than documented": stats["requests"]
        > most_requests(first, second),
        "a run fetched more than one token": stats["tokens"] != RUNS,
    }
    return [text for text, is_so in checks.items() if is_so]


def most_requests(first: Run, second: Run) -> int:
    """Return the number of requests that the tap may send for its records."""
    pages = [math.ceil(run.sent / PAGE_SIZE) for run in (first, second)]
    return int(pages[0] * 1.03 + 3) + pages[1] + 2 + FEW_REQUESTS


def wrong_files(third: Run, wanted: list[dict[str, Any]], folder: Path) -> list[str]:
    """Check the downloaded files."""
    names = {record["recording_filename"] for record in wanted}
    found = {path.name: path for path in folder.rglob("*") if path.is_file()}
    problems = []
    if not names <= found.keys() or {r["recording_filename"] for r in third.files} != found.keys():
        problems.append("the folder does not contain the expected files")
    for record in third.files:
        path = found.get(record["recording_filename"])
        content = path.read_bytes() if path else b""
        if hashlib.sha256(content).hexdigest() != record["sha256"]:
            problems.append("a file differs from its record")
        elif path:
            with wave.open(str(path)) as sound:  # fails if it is not audio
                problems += [] if sound.getnframes() else ["a file is silent"]
    return problems


def report_files(third: Run, folder: Path) -> None:
    """Print a summary of the downloaded files."""
    sample = third.files[-1]
    path = folder / sample["start_time"][:10].replace("-", "/") / sample["recording_filename"]
    size = sum(record["bytes"] or 0 for record in third.files)
    say(f"\nIn {os.path.relpath(folder)}, in {third.seconds:.1f} seconds")
    say(f"{'files':<12}{len(third.files):>7,}   {size:,} bytes, each a tone, such as")
    say(f"  {os.path.relpath(path, folder)}")


def report(first: Run, second: Run, account: Account, rows: int, calls: Calls) -> None:
    """Print a summary of the runs and the database."""
    new = second.calls.keys() - first.calls.keys()
    late = sum(second.calls[logid][1] <= first.bookmark for logid in new)
    say("\n                               run 1       run 2")
    for name, left, right in (
        ("records sent", first.sent, second.sent),
        ("  new calls", len(first.calls), len(new)),
        ("    start before bookmark", 0, late),
        ("  lookback, sent again", 0, second.sent - len(new)),
    ):
        say(f"{name:<30}{left:>6,}{right:>12,}")
    say(f"{'seconds':<30}{first.seconds:>6.1f}{second.seconds:>12.1f}")
    say(f"bookmark after run 1  {first.bookmark}")
    say(f"bookmark after run 2  {second.bookmark}")
    stats = account.stats
    refused = sum(n for name, n in stats.items() if name.endswith(("violations", "locked_calls")))
    requests = sum(count for name, count in stats.items() if name.endswith("requests"))
    tokens = stats["token_requests"]
    say(f"API requests of all runs {requests - tokens}, over the limit {refused}")
    say(f"tokens of all runs       {stats['tokens']}")
    kinds = [kind for kind, _ in calls.values()]
    starts = [start for _, start in calls.values()]
    say("\nIn DuckDB, table zoho.call_logs")
    say(f"{'rows':<12}{rows:>7,}   distinct logids {len(calls):,}")
    for kind in sorted(set(kinds), key=kinds.count, reverse=True):
        say(f"  {kind:<10}{kinds.count(kind):>7,}")
    say(f"first call  {min(starts)}")
    say(f"last call   {max(starts)}")


def picture(database: Path) -> str:
    """Draw bar charts of the calls per day, type, agent and number."""
    queries = {
        "Calls per type": """
            SELECT call_type, count(*) FROM zoho.call_logs GROUP BY ALL ORDER BY 2 DESC""",
        "Calls per agent, with the department of zoho.users": """
            SELECT concat_ws(', ', u.name, u.departmentname), count(*)
            FROM zoho.call_logs c JOIN zoho.users u ON u.name = c.agent_number
            GROUP BY ALL ORDER BY 2 DESC LIMIT 5""",
        "Calls per number, with the name in zoho.numbers": """
            SELECT concat_ws(' ', n.displayname, n.number), count(*)
            FROM zoho.call_logs c JOIN zoho.numbers n ON n.numberid = c.number_id
            GROUP BY ALL ORDER BY 2 DESC LIMIT 5""",
        "Calls per day, in the dbt mart calls_daily": """
            SELECT strftime(call_date, '%a %d %b, ') || missed_calls || ' missed', calls
            FROM zoho_voice.calls_daily ORDER BY call_date DESC LIMIT 7""",
    }
    parts = []
    with duckdb.connect(str(database), read_only=True) as connection:
        for title, query in queries.items():
            rows = connection.execute(
                f"SELECT label, n, bar(n, 0, max(n) OVER (), 30) FROM ({query}) t(label, n)"  # noqa: S608 - no input
            ).fetchall()
            bars = [f"  {label:<32}{number:>7,}  {bar.rstrip()}" for label, number, bar in rows]
            parts += ["", title, *bars]
        sample = connection.execute(
            "SELECT start_time, call_type, agent_number, duration_seconds FROM zoho.call_logs "
            "WHERE agent_number IS NOT NULL ORDER BY start_time DESC LIMIT 1"
        ).fetchone()
    parts += ["", "The last call with an agent", "  " + ", ".join(map(str, sample or ()))]
    where = os.path.relpath(database)
    program = (  # the result needs an open connection
        f"import duckdb; calls = duckdb.connect('{where}'); "
        "print(calls.sql('FROM zoho.call_logs LIMIT 5'))"
    )
    parts += ["To see more rows", f'  .venv/bin/python -c "{program}"']
    return "\n".join(parts)


def say(text: str) -> None:
    """Print and flush a line."""
    print(text, flush=True)


def parse(arguments: Sequence[str] | None) -> Namespace:
    """Parse the command line."""
    parser = ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--calls", type=int, default=3000, help="calls at the start")
    parser.add_argument("--days", type=int, default=60, help="days of these calls")
    parser.add_argument("--grow", type=float, default=7200, help="new calls an hour")
    parser.add_argument("--pause", type=float, default=8, help="seconds before each run")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="output, emptied first")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo."""
    options = parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    demo = Demo(folder, options)
    try:
        first, second, third, account = demo.play()
    except DemoError as error:
        say(f"The demo failed: {error}")
        return 1
    rows, calls = landed(demo.database)
    report(first, second, account, rows, calls)
    report_files(third, demo.recordings)
    say(picture(demo.database))
    found = problems(first, second, account, rows, calls)
    if found := found + wrong_files(third, first.files[-FILES:], demo.recordings):
        say("\nThese checks failed:\n  " + "\n  ".join(found))
        return 1
    say("\nChecked against the account: no call missing or duplicated, files complete, limit kept.")
    where = os.path.relpath(folder)
    say(f"The database, the files, the states and the logs are in {where}.")
    return 0


def stop(number: int, _frame: FrameType | None) -> None:
    """Exit on a signal, so that each block terminates its process."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
