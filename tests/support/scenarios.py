"""Scenarios: an account and runs of the tap in virtual time, and the rules that always hold."""

import datetime as dt
import io
import json
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from requests.adapters import HTTPAdapter

from tap_zohovoice._time import format_epoch_ms, format_timestamp
from tap_zohovoice.streams.call_items import LIST_FILTERS
from tap_zohovoice.tap import STREAMS, TapZohoVoice
from tests.support.bad_responses import BadResponse
from tests.support.calls import milliseconds
from tests.support.cli import NOW, FakeClock, call_cli, selecting
from tests.support.simulated_account import (
    DAY,
    MINUTE,
    SECOND,
    AccountSpec,
    Change,
    Files,
    KilledError,
    MachineClock,
    Row,
    SimulatedAccount,
    build_rows,
    kept_since,
    keys_of,
    readable_until,
)
from tests.support.simulated_api import HOST, SECRETS, TIMEOUT, Fault, Pipe, SimulatedApi, Stop
from zoho_voice_sandbox.token_endpoint import OAuthClient

KEYS = {stream.name: stream.primary_keys for stream in STREAMS}
_RETRIED = {"500", "502_html", "503_retry_after", "truncated", "error_200", "html", "array"}
_RETRIED |= {"hollow", "renamed", "cut", "timeout", "unreachable"}


@dataclass(frozen=True)
class RunSpec:
    gap: float = 0.0  # seconds since the run before
    # Changes of the account, by number of the request for logs in this run.
    changes: tuple[Change, ...] = ()
    faults: tuple[tuple[int, Fault], ...] = ()  # faults, by number of the request in this run
    token_faults: tuple[tuple[int, Fault], ...] = ()  # the same for requests for a token
    stop: Stop | None = None
    back: float = 0.0  # seconds by which the machine's clock was set back before


@dataclass(frozen=True)
class Scenario:
    # The account's calls, the server's dialect, and the settings that depend on them.
    account: AccountSpec
    # The runs; the last one has no trouble but changes of the account.
    runs: tuple[RunSpec, ...] = (RunSpec(),)
    streams: tuple[str, ...] = ("call_logs",)
    # Whether calls have files, and whether rows name them only where a filter asks.
    files: Files = "always"
    lookback: int = 3  # days that each run reads again
    call_type: str | None = None
    fetches: bool = False  # whether files are downloaded
    calls: int = 30  # requests per minute that the server allows, and the tap is configured for
    latency: float = 0.2  # response time, in seconds
    ahead: float = 0.0  # seconds that the machine's clock is ahead
    minutes: int = 0  # minutes after the server's now at which the first run begins
    # Whether the file with the slots can be used; if not, each run keeps to the limit by itself.
    shares: bool = True


@dataclass
class ScenarioRun:
    scenario: Scenario
    folder: Path
    # Keys that came out in all runs so far, by stream.
    out: dict[str, set[object]] = field(default_factory=dict)
    highest: dict[str, str] = field(default_factory=dict)  # the highest bookmark so far, by stream
    state: dict[str, Any] | None = None  # the last state that came out
    # Calls that came out before it, and that a run need not repeat which continues there.
    kept: Mapping[str, frozenset[object]] = field(default_factory=dict)
    is_misled: bool = False  # whether a faulty response could pass for a list of calls
    has_changed: bool = False  # whether calls came or went since the last run that was complete

    def __post_init__(self) -> None:
        scenario = self.scenario
        self.clock = FakeClock(NOW + scenario.minutes * 60)  # true time
        self.machine = MachineClock(self.clock, scenario.ahead)
        rows = build_rows(scenario.account)
        dialect = replace(
            scenario.account.dialect,
            limit_calls=scenario.calls,
            file_keys="filtered" if scenario.files == "filtered" else "always",
            give_up_seconds=TIMEOUT,
        )
        has_files = scenario.files != "none"
        self.account = SimulatedAccount(dialect, rows, clock=self.clock, has_files=has_files)
        self.api = SimulatedApi(self.account, self.machine, scenario.latency)
        self.tap = type("SimulatedTap", (TapZohoVoice,), {"clock": self.machine})
        self.recordings = self.folder / "files"
        self.config = self._write("config", self._settings())
        self.catalog = self._write("catalog", _catalog(scenario.streams))

    def run(self) -> None:
        for number, spec in enumerate(self.scenario.runs, 1):
            self.clock.time += spec.gap
            # The tap refuses a start_date of the future, so no clock is set back beyond it.
            earliest = self.scenario.account.start / 1000 - self.clock.time
            self.machine.ahead = max(self.machine.ahead - spec.back, earliest)
            try:
                self._run(spec)
            except BaseException as error:
                error.add_note(f"in run {number}")
                raise

    def call_tap(self, *options: str) -> tuple[int | None, str, list[dict[str, Any]]]:
        """Run the tap once; return its exit code, None if it was killed, its log and messages."""
        pipe, log = Pipe(self.api), io.StringIO()
        out = io.TextIOWrapper(pipe, "utf-8", write_through=True)
        options = ("--config", self.config, "--catalog", self.catalog, *options)
        with mock.patch.object(HTTPAdapter, "send", self.api.send):
            try:
                code: int | None = call_cli(self.tap, options, out, log)
            except KilledError:
                code = None
        return code, log.getvalue(), [json.loads(line) for line in pipe.lines()]

    def _settings(self) -> dict[str, Any]:
        scenario, client = self.scenario, OAuthClient()
        settings = {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "refresh_token": client.refresh_token,
            "api_url": HOST,
            "accounts_url": HOST,
            "user_agent": "simulation",
            "start_date": format_epoch_ms(scenario.account.start),
            "lookback_days": scenario.lookback,
            "page_size": scenario.account.size,
            "rate_limit_calls": scenario.calls,
        }
        if scenario.account.end_minutes is not None:
            settings["end_date"] = format_epoch_ms(scenario.account.end)
        if scenario.call_type:
            settings["filters"] = {"callType": scenario.call_type}
        if scenario.fetches:
            settings["recordings_path"] = str(self.recordings)
        return settings

    def _write(self, name: str, content: object) -> str:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content))
        return str(path)

    def _run(self, spec: RunSpec) -> None:
        account, api = self.account, self.api
        if not self.scenario.shares:
            api.reset_limits()
        api.start_run(dict(spec.faults), dict(spec.token_faults), spec.stop)
        account.changes = [
            replace(change, after=change.after + account.requests) for change in spec.changes
        ]
        account.max_requests = account.requests + self._most_requests()
        began, ahead = self.clock.time, self.machine.ahead
        before = self.state
        options = [] if before is None else ["--state", self._write("state", before)]
        code, log, messages = self.call_tap(*options)
        self._check_end(code, log)
        self.is_misled |= api.is_misled
        self.has_changed |= bool(spec.changes)
        checked = Output(self, before, began, ahead)
        for message in messages:
            checked.take(message)
        checked.finish(is_complete=code == 0)
        self._check_cost(began, checked.earliest)
        self.has_changed &= code != 0

    def _check_end(self, code: int | None, log: str) -> None:
        api, dialect = self.api, self.scenario.account.dialect
        if code is not None:
            unexpected = ["Traceback", "Unexpected", *SECRETS]
            unexpected += ["Cannot open the shared rate-limit file"] * self.scenario.shares
            assert not any(word in log for word in unexpected), log
        if api.stop and api.stopped:
            assert code == (None if api.stop.how == "kill" else 143), log
        elif code:
            # A day may seem to have more calls than offsets reach.
            may_be_unreadable = dialect.max_offset is not None or dialect.total != "exact"
            is_contradicted = api.is_misled and "Zoho no longer returns" in log
            failed = api.tokens_failed
            is_excused = "denied" in failed or len(failed) > 2 or _has_bad_response(failed)
            is_excused = is_excused or _is_too_much(api.fired)
            assert code == 1, log
            is_excused = is_excused or is_contradicted
            assert is_excused or (may_be_unreadable and "Too many calls on" in log), log
        else:
            assert code == 0, log

    @property
    def _is_plain(self) -> bool:
        dialect = self.scenario.account.dialect
        names = ("max_range_days", "max_size", "max_offset", "answered_days")
        is_limited = any(getattr(dialect, name) for name in names)
        return dialect.total == "exact" and dialect.future_dates == "accepted" and not is_limited

    def _most_requests(self) -> float:
        """Tell after how many requests a run does not seem to end."""
        account = self.scenario.account
        days = account.days + (self.clock.time - NOW) / 86_400
        windows = days / min(account.dialect.max_range_days or 30, 30)
        pages = len(self.account.calls) / max(account.page - 1, 1)
        times = 10 if self._is_plain else 50
        return times * (pages + windows + 20) * len(self.scenario.streams)

    def _check_cost(self, began: float, earliest: int) -> None:
        api, scenario = self.api, self.scenario
        mishaps = len(api.fired) + len(api.tokens_failed)
        # No waiting without need: the limit's pace, locks, slow answers, growing waits, and slots
        # of killed runs.
        seconds = 60 * (api.requests / max(scenario.calls - 1, 1) + 1) + 120
        seconds += 610 * (api.locks + 1) + 130 * mishaps
        # Zoho Accounts may ask for ten minutes each time.
        seconds += 600 * sum(isinstance(fault, BadResponse) for fault in api.tokens_failed)
        seconds += (api.requests + api.tokens) * scenario.latency
        seconds += 12 * api.requests * (scenario.account.dialect.offset_over == "error500")
        seconds += 6.1 * 3600 * _has_bad_response(api.fired.values()) * mishaps
        elapsed = self.clock.time - began
        assert elapsed <= seconds, f"{elapsed:.0f} s"
        dialect = scenario.account.dialect
        assert api.tokens <= 3 + mishaps + elapsed / (dialect.token_ttl_seconds / 2)
        if not self._is_plain or dialect.order == "logid" or _has_bad_response(api.fired.values()):
            return
        if self.has_changed or scenario.streams != ("call_logs",) or scenario.call_type:
            return
        rows = len(self.account.between(earliest - 2 * DAY, self.account.now_ms() + 2 * DAY))
        budget = math.floor(math.ceil(rows / max(scenario.account.page - 1, 1)) * 1.05 + 12)
        budget += 30 * (self.account.now_ms() - earliest > 30 * DAY)  # silent ranges are verified
        # The first day that the server keeps is searched for by halves.
        budget += 12 * (dialect.retention_days is not None)
        # A window of such a length may be cut off there.
        shift = dialect.utc_offset_minutes * MINUTE
        days = Counter((start + shift) // DAY for start, *_ in self.account.calls)
        sums = {0, *accumulate(days[day] for day in sorted(days))}
        limits = {100, 200, 500, 1_000}
        is_round = any(before + limit in sums for before in sums for limit in limits)
        budget += 75 * (rows in limits or is_round)
        # A day that takes long is read by types of calls, whose last pages are not full.
        budget += 7 * sum(count > 50 * (scenario.account.page - 1) for count in days.values())
        twice = 1 if dialect.rows_form == "list" else 2
        assert api.listed <= twice * budget + mishaps + api.locks, f"{api.listed}: {budget}"

    def due(self, row: Row) -> bool:
        """Tell whether a call appeared in time to be promised."""
        if self.scenario.call_type not in {None, row[2]}:
            return False
        late = self.account.appeared.get(row[1], row[0]) - row[0]
        return late <= max(self.scenario.lookback * DAY - max(self.scenario.ahead, 0) * SECOND, 0)


class Output:
    def __init__(
        self, run: ScenarioRun, state: dict[str, Any] | None, began: float, ahead: float
    ) -> None:
        self._run = run
        self._began = round(began * 1000)
        self._started = format_timestamp(dt.datetime.fromtimestamp(began + ahead, dt.UTC))
        self._ahead = ahead
        self._seen: dict[str, set[object]] = {}
        self._kept = run.kept
        account = run.scenario.account
        self._given = {name: max(_bookmarks(state, name)) for name in run.scenario.streams}
        self._starts = {}
        # What is older when the run ends need not be there.
        self._first = max(account.start, kept_since(account.dialect, run.account.now_ms()))
        for name, given in self._given.items():
            moment = min(given, self._started)
            back = milliseconds(moment) - run.scenario.lookback * DAY if moment else 0
            self._starts[name] = max(self._first, back)
        rows = run.account.calls
        self._rows = [
            row
            for row in rows[bisect_left(rows, (account.start,)) :]
            if run.due(row) and run.account.appeared.get(row[1], 0) < self._began
        ]
        self._moments = {row[1]: run.account.sent_start(row) for row in run.account.calls}
        self._schemas: set[str] = set()

    @property
    def earliest(self) -> int:
        """Where the run began to read, in milliseconds."""
        return min(self._starts.values())

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "SCHEMA":
            self._schemas.add(message["stream"])
        elif message["type"] == "RECORD":
            self._take_record(message["stream"], message["record"])
        else:
            assert message["type"] == "STATE"
            self._take_state(message["value"])

    def _take_record(self, stream: str, record: dict[str, Any]) -> None:
        assert stream in self._schemas
        values = [record[name] for name in KEYS[stream]]
        key = values[0] if len(values) == 1 else tuple(values)
        seen = self._seen.setdefault(stream, set())
        assert key not in seen, f"{stream} {key} came out twice"
        seen.add(key)
        self._run.out.setdefault(stream, set()).add(key)
        start = self._moments.get(record["logid"])
        assert start is None or record["start_time"] == format_epoch_ms(start)
        if start is not None and stream == "recordings" and self._run.scenario.fetches:
            assert record["error"] is None or self._run.api.fired
        end = self._run.scenario.account.end_minutes
        assert end is None or record["start_time"] < format_epoch_ms(self._run.scenario.account.end)

    def _take_state(self, state: dict[str, Any]) -> None:
        run = self._run
        run.state = state
        run.kept = {
            name: self._kept.get(name, frozenset()).union(self._seen.get(name, ()))
            for name in run.scenario.streams
            if _is_unfinished(state, name)
        }
        for name in run.scenario.streams:
            bookmark = min(_bookmarks(state, name))
            assert bookmark <= self._started, f"the bookmark of {name} is in the future"
            # A bookmark of the future, by a clock that was set back, is lowered.
            highest = run.highest.get(name, "")
            assert bookmark >= highest or highest > self._started, f"{name} fell back"
            if bookmark > min(self._given[name], self._started):
                self._check_out(name, milliseconds(bookmark), f"{name} is ahead: {bookmark}")
            run.highest[name] = bookmark

    def finish(self, *, is_complete: bool) -> None:
        if not is_complete:
            return
        ahead = round(min(self._ahead, 0) * 1000)
        end = readable_until(self._run.scenario.account.dialect, self._began + ahead)
        for name in self._run.scenario.streams:
            self._check_out(name, end, f"{name} is not complete")
            missing = self._missing(name, self._first, end, self._run.out)
            assert not missing, f"{name}: {len(missing)} lost, such as {missing[:3]}"

    def _check_out(self, stream: str, until: int, what: str) -> None:
        """Check that this run brought all before a moment that it has to bring."""
        kept = self._kept.get(stream, frozenset())
        out: Mapping[str, Collection[object]] = {stream: kept.union(self._seen.get(stream, ()))}
        # An item that fails is not emitted again where an earlier run has emitted it.
        if stream != "call_logs" and self._run.api.fired:
            out = self._run.out
        missing = self._missing(stream, self._starts[stream], until, out)
        assert not missing, f"{what}: {len(missing)} missing, such as {missing[:3]}"

    def _missing(
        self, stream: str, start: int, until: int, out: Mapping[str, Collection[object]]
    ) -> list[Row]:
        scenario, gone = self._run.scenario, self._run.account.deleted
        if scenario.account.end_minutes is not None:
            until = min(until, scenario.account.end)
        if self._run.is_misled:
            return []
        there = frozenset(out.get(stream, ()))
        low, high = (bisect_left(self._rows, (moment,)) for moment in (start, until))
        return [
            row
            for row in self._rows[low:high]
            if row[1] not in gone and not there.issuperset(keys_of(row[1], stream, scenario.files))
        ]


@lru_cache
def _catalog(streams: tuple[str, ...]) -> dict[str, Any]:
    """Return a catalog of these streams alone: each run would load the others in vain."""
    entries = selecting(*streams)["streams"]
    return {"streams": [entry for entry in entries if entry["tap_stream_id"] in streams]}


def _bookmarks(state: dict[str, Any] | None, stream: str) -> list[str]:
    bookmark = (state or {}).get("bookmarks", {}).get(stream, {})
    parts = [part for part in bookmark.get("partitions", ()) if "replication_key_value" in part]
    # A partition that has no bookmark of its own begins at the one of its stream.
    if len(parts) < len(LIST_FILTERS):
        parts.append(bookmark)
    return [str(part.get("replication_key_value", "")) for part in parts]


def _is_too_much(fired: dict[int, Fault]) -> bool:
    """Tell whether faults excuse a run that fails: six in a row, or what no patience helps."""
    kinds = list(fired.values())
    if "redirect" in kinds or kinds.count("token") > 4 or _has_bad_response(kinds):
        return True
    chain: list[Fault] = []
    for number, kind in sorted(fired.items()):
        chain = [*chain, kind] if number - 1 in fired else [kind]
        retried = sum(kind in _RETRIED for kind in chain)
        if retried > 5 or chain.count("token") > 1 or chain.count("lock") > 3:
            return True
    return False


def _has_bad_response(faults: Iterable[Fault]) -> bool:
    return any(isinstance(fault, BadResponse) for fault in faults)


def _is_unfinished(state: dict[str, Any], stream: str) -> bool:
    """Tell whether the next run continues this one, so that it need not bring the same again."""
    bookmark = state.get("bookmarks", {}).get(stream, {})
    return any("checkpoint" in part for part in (bookmark, *bookmark.get("partitions", ())))


@contextmanager
def prepared(scenario: Scenario) -> Generator[ScenarioRun]:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        state_home = Path(folder) / "state"  # runs share their counts there
        patch.setenv("XDG_STATE_HOME", str(state_home))
        if not scenario.shares:
            state_home.touch()
        yield ScenarioRun(scenario, Path(folder))


def simulate(scenario: Scenario) -> None:
    with prepared(scenario) as run:
        run.run()
