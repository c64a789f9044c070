"""Whole lives of an account and a tap in virtual time, and the rules that hold in all of them."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import os
import shutil
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from requests.adapters import HTTPAdapter

from tap_zohovoice._time import format_epoch_ms, format_timestamp
from tap_zohovoice.tap import TapZohoVoice
from tests.support.bad_responses import Words
from tests.support.cli import NOW, call_cli
from tests.support.common import milliseconds, selecting
from tests.support.fake_server import DAY, SECOND, Change, Scene, rows_of
from tests.support.simulated_api import (
    HOST,
    SECRETS,
    Account,
    Fault,
    KilledError,
    Media,
    Pipe,
    Stop,
    World,
    WorldClock,
    keys_of,
)
from zoho_voice_sandbox import Dialect as Manners
from zoho_voice_sandbox.token_endpoint import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.fake_server import Row

KEYS = {
    "call_logs": ("logid",),
    "recordings": ("recording_filename",),
    "transcripts": ("logid", "kind"),
}
_UNREADABLE = "Zoho does not hand out all calls of"
_RETRIED = {"500", "502_html", "503_retry_after", "truncated", "error_200", "html", "array"}
_RETRIED |= {"hollow", "renamed", "cut", "timeout", "unreachable"}


@dataclass(frozen=True)
class Plan:
    """One run of the tap, and what happens before and in it.

    Attributes:
        gap: Seconds since the run before.
        changes: What happens to the account, by number of the request for logs in this run.
        faults: What goes wrong: number of the request in this run, and kind.
        token_faults: The same for requests for a token.
        stop: What ends it early.
        back: Seconds by which the machine's clock was set back before.
    """

    gap: float = 0.0
    changes: tuple[Change, ...] = ()
    faults: tuple[tuple[int, Fault], ...] = ()
    token_faults: tuple[tuple[int, Fault], ...] = ()
    stop: Stop | None = None
    back: float = 0.0


@dataclass(frozen=True)
class Story:
    """An account, a server, a machine, and some runs.

    Attributes:
        scene: The account's calls, the behaviour of their list, and the settings that matter to it.
        runs: The runs; the last one has no trouble but what happens to the account.
        streams: What is selected.
        media: Whether calls have files, and whether they name them only if asked by a filter.
        lookback: Days that each run reads again.
        call_type: Filter by kind of call.
        fetches: Whether files are fetched.
        calls: Requests that the server allows in a minute, and the tap is told.
        latency: Seconds that an answer takes.
        ahead: Seconds that the machine's clock is ahead.
        minutes: Minutes after the model's now at which the first run begins.
        manners: How the server words its answers.
        shares: Whether the file with the slots can be used; if not, each run keeps to the limit by
            itself.
    """

    scene: Scene
    runs: tuple[Plan, ...] = (Plan(),)
    streams: tuple[str, ...] = ("call_logs",)
    media: Media = "told"
    lookback: int = 3
    call_type: str | None = None
    fetches: bool = False
    calls: int = 30
    latency: float = 0.2
    ahead: float = 0.0
    minutes: int = 0
    manners: Manners = field(default_factory=Manners)
    shares: bool = True


@dataclass
class Life:
    """A story as it goes.

    Attributes:
        story: The story.
        folder: Where files may be.
        out: Keys that came out in all runs so far, by stream.
        highest: The highest bookmark so far, by stream.
        state: The last state that came out.
        is_misled: Whether an answer could be taken for a list of calls that is none.
    """

    story: Story
    folder: Path
    out: dict[str, set[object]] = field(default_factory=dict)
    highest: dict[str, str] = field(default_factory=dict)
    state: dict[str, Any] | None = None
    is_misled: bool = False

    def __post_init__(self) -> None:
        story = self.story
        clock = WorldClock(NOW + story.minutes * 60, story.ahead)
        rows = rows_of(story.scene.bursts, story.scene.kinds)
        self.account = Account(story.scene.dialect, rows, clock=clock)
        manners = replace(story.manners, limit_calls=story.calls)
        self.world = World(self.account, manners, story.media, story.latency)
        self.clock = clock
        self.tap = type("TapInTheWorld", (TapZohoVoice,), {"clock": clock})
        self.files = self.folder / "files"
        self.config = self._write("config", self._settings())
        self.catalog = self._write("catalog", _catalog(story.streams))

    def play(self) -> None:
        """Let it happen, and check each run."""
        with mock.patch.object(HTTPAdapter, "send", self.world.send):
            for number, plan in enumerate(self.story.runs, 1):
                self.clock.time += plan.gap
                self.clock.ahead -= plan.back
                try:
                    self._run(plan)
                except BaseException as error:
                    error.add_note(f"in run {number}")
                    raise

    def _settings(self) -> dict[str, Any]:
        story, client = self.story, OAuthClient()
        settings = {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "refresh_token": client.refresh_token,
            "api_url": HOST,
            "accounts_url": HOST,
            "user_agent": "simulation",
            "start_date": format_epoch_ms(story.scene.start),
            "lookback_days": story.lookback,
            "page_size": story.scene.size,
            "rate_limit_calls": story.calls,
        }
        if story.scene.end_minutes is not None:
            settings["end_date"] = format_epoch_ms(story.scene.end)
        if story.call_type:
            settings["filters"] = {"callType": story.call_type}
        if story.fetches:
            settings["recordings_path"] = str(self.files)
        return settings

    def _write(self, name: str, content: object) -> str:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content))
        return str(path)

    def _run(self, plan: Plan) -> None:
        account, world, clock = self.account, self.world, self.clock
        if not self.story.shares:
            world.forget()
        world.begin(dict(plan.faults), dict(plan.token_faults), plan.stop)
        account.changes = [
            replace(change, after=change.after + account.requests) for change in plan.changes
        ]
        account.limit = account.requests + self._most_requests()
        began, ahead = clock.time, clock.ahead
        before = self.state
        options = ["--config", self.config, "--catalog", self.catalog]
        if before is not None:
            options += ["--state", self._write("state", before)]
        pipe, log = Pipe(world), io.StringIO()
        try:
            out = io.TextIOWrapper(pipe, "utf-8", write_through=True)
            code: int | None = call_cli(self.tap, options, out, log)
        except KilledError:
            code = None
        told = log.getvalue()
        assert code is None or self._tells_plainly(told), told
        self._check_end(code, told)
        self.is_misled |= world.is_misled
        checked = Output(self, before, began, ahead)
        for line in pipe.lines():
            checked.take(json.loads(line))
        checked.finish(is_complete=code == 0)
        self._check_cost(began, checked.earliest, plan)

    def _tells_plainly(self, log: str) -> bool:
        unexpected = ["Traceback", "Unexpected", *SECRETS]
        if self.story.shares:
            unexpected.append("Cannot open the shared rate-limit file")
        return not any(word in log for word in unexpected)

    def _check_end(self, code: int | None, log: str) -> None:
        world = self.world
        if world.stopped:
            assert world.stop is not None
            assert code == (None if world.stop.how == "kill" else 143), log
        elif code:
            is_excused = _is_too_much(world.fired) or _is_too_much_for_tokens(world.tokens_failed)
            is_unreadable = _UNREADABLE in log and self._may_seem_unreadable
            assert code == 1, log
            assert is_excused or is_unreadable, log
        else:
            assert code == 0, log

    @property
    def _may_seem_unreadable(self) -> bool:
        """Whether a day may seem to have more calls than offsets reach."""
        dialect = self.story.scene.dialect
        return dialect.max_offset is not None or dialect.totals != "exact"

    @property
    def _is_plain(self) -> bool:
        dialect = self.story.scene.dialect
        limits = (dialect.max_days, dialect.max_size, dialect.max_offset)
        return dialect.totals == "exact" and dialect.future and limits == (None, None, None)

    def _most_requests(self) -> float:
        """Tell after how many requests a run does not seem to end."""
        scene = self.story.scene
        dialect, rows = scene.dialect, len(self.account.rows)
        page = min(scene.size, dialect.max_size or scene.size, dialect.max_offset or scene.size)
        days = (scene.days + (self.clock.time - NOW) / 86_400) / min(dialect.max_days or 30, 30)
        times = 10 if self._is_plain else 50
        return times * (rows / max(page - 1, 1) + days + 20) * len(self.story.streams)

    def _check_cost(self, began: float, earliest: int, plan: Plan) -> None:
        world, story = self.world, self.story
        mishaps = len(world.fired) + len(world.tokens_failed)
        # No waiting without need: the limit's pace, locks, slow answers, growing waits, and slots
        # of killed runs.
        seconds = 60 * (world.requests / max(story.calls - 1, 1) + 1) + 120
        seconds += 610 * (world.locks + 1) + world.requests * story.latency + 130 * mishaps
        seconds += 6.1 * 3600 * _has_words(world.fired.values()) * mishaps
        assert self.clock.time - began <= seconds, f"{self.clock.time - began:.0f} s"
        elapsed = self.clock.time - began
        assert world.tokens <= 3 + mishaps + elapsed / (story.manners.token_ttl_seconds / 2)
        if not self._is_plain or story.scene.dialect.order == "id":
            return
        if _has_words(world.fired.values()):
            return
        if plan.changes or story.streams != ("call_logs",) or story.call_type:
            return
        rows = len(self.account.held(earliest - 2 * DAY, self.account.now + 2 * DAY))
        budget = math.floor(math.ceil(rows / max(story.scene.size - 1, 1)) * 1.03 + 3)
        twice = 1 if story.manners.rows_form == "list" else 2
        assert world.listed <= twice * budget + mishaps + world.locks, f"{world.listed}: {budget}"

    def due(self, row: Row) -> bool:
        """Tell whether a call appeared in time to be promised."""
        if self.story.call_type not in {None, row[2]}:
            return False
        late = self.account.appeared.get(row[1], row[0]) - row[0]
        return late <= max(self.story.lookback * DAY - max(self.story.ahead, 0) * SECOND, 0)


class Output:
    """Checks what comes out of a run.

    Args:
        life: The story so far.
        state: The state that the run was given.
        began: When it began, in seconds of true time.
        ahead: How far its clock was ahead, in seconds.
    """

    def __init__(
        self, life: Life, state: dict[str, Any] | None, began: float, ahead: float
    ) -> None:
        self._life = life
        self._began = round(began * 1000)
        self._started = format_timestamp(dt.datetime.fromtimestamp(began + ahead, dt.UTC))
        self._ahead = ahead
        self._seen: dict[str, set[object]] = {}
        scene = life.story.scene
        self._given = {name: _bookmark(state, name) for name in life.story.streams}
        self._starts = {}
        for name, given in self._given.items():
            moment = min(given, self._started)
            back = milliseconds(moment) - life.story.lookback * DAY if moment else 0
            self._starts[name] = max(scene.start, back)
        rows = life.account.rows
        self._rows = [
            row
            for row in rows[bisect_left(rows, (scene.start,)) :]
            if life.due(row) and life.account.appeared.get(row[1], 0) < self._began
        ]
        self._moments = {name: start for start, name, _ in life.account.rows}
        self._schemas: set[str] = set()

    @property
    def earliest(self) -> int:
        """Where the run began to read, in milliseconds."""
        return min(self._starts.values())

    def take(self, message: dict[str, Any]) -> None:
        """Check a message.

        Args:
            message: The message.
        """
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
        self._life.out.setdefault(stream, set()).add(key)
        start = self._moments.get(record["logid"])
        assert start is None or record["start_time"] == format_epoch_ms(start)
        if start is not None and stream == "recordings" and self._life.story.fetches:
            assert record["error"] is None or self._life.world.fired
        end = self._life.story.scene.end_minutes
        assert end is None or record["start_time"] < format_epoch_ms(self._life.story.scene.end)

    def _take_state(self, state: dict[str, Any]) -> None:
        life = self._life
        life.state = state
        for name in life.story.streams:
            bookmark = _bookmark(state, name)
            assert bookmark <= self._started, f"the bookmark of {name} is in the future"
            # A clock that was set back takes the present with it.
            assert bookmark >= min(life.highest.get(name, ""), self._started), f"{name} fell back"
            if bookmark > min(self._given[name], self._started):
                self._check_out(name, milliseconds(bookmark), f"{name} is ahead: {bookmark}")
            life.highest[name] = bookmark

    def finish(self, *, is_complete: bool) -> None:
        """Check what has come out in all.

        Args:
            is_complete: Whether the run ended well: then all is out that was there all the time.
        """
        scene, ahead = self._life.story.scene, round(min(self._ahead, 0) * 1000)
        for row in self._life.account.rows:
            self._moments.setdefault(row[1], row[0])
        if not is_complete:
            return
        end = self._began + ahead
        dialect = scene.dialect
        if not dialect.future and not dialect.inclusive:
            end = min(end, dialect.midnight(dialect.today(end)))
        for name in self._life.story.streams:
            self._check_out(name, end, f"{name} is not complete")
            self._check_all_out(name, end)

    def _check_out(self, stream: str, until: int, what: str) -> None:
        """Check that this run brought all before a moment that it has to bring."""
        missing = self._missing(stream, self._starts[stream], until, self._seen)
        assert not missing, f"{what}: {len(missing)} missing, such as {missing[:3]}"

    def _check_all_out(self, stream: str, until: int) -> None:
        missing = self._missing(stream, self._life.story.scene.start, until, self._life.out)
        assert not missing, f"{stream}: {len(missing)} lost, such as {missing[:3]}"

    def _missing(
        self, stream: str, start: int, until: int, out: dict[str, set[object]]
    ) -> list[Row]:
        story, gone = self._life.story, self._life.account.gone
        if story.scene.end_minutes is not None:
            until = min(until, story.scene.end)
        if self._life.is_misled:
            return []
        there = out.get(stream, set())
        low, high = (bisect_left(self._rows, (moment,)) for moment in (start, until))
        return [
            row
            for row in self._rows[low:high]
            if row[1] not in gone and not there.issuperset(keys_of(row[1], stream, story.media))
        ]


@lru_cache
def _catalog(streams: tuple[str, ...]) -> dict[str, Any]:
    return selecting(*streams)


def _bookmark(state: dict[str, Any] | None, stream: str) -> str:
    bookmark = (state or {}).get("bookmarks", {}).get(stream, {})
    return str(bookmark.get("replication_key_value", ""))


def _is_too_much(fired: dict[int, Fault]) -> bool:
    """Tell whether faults excuse a run that fails: six in a row, or what no patience helps."""
    kinds = list(fired.values())
    if "redirect" in kinds or kinds.count("token") > 4 or _has_words(kinds):
        return True
    chain: list[Fault] = []
    for number, kind in sorted(fired.items()):
        chain = [*chain, kind] if number - 1 in fired else [kind]
        retried = sum(kind in _RETRIED for kind in chain)
        if retried > 5 or chain.count("token") > 1 or chain.count("lock") > 3:
            return True
    return False


def _is_too_much_for_tokens(failed: list[Fault]) -> bool:
    return "denied" in failed or len(failed) > 2 or _has_words(failed)


def _has_words(faults: Iterable[Fault]) -> bool:
    return any(isinstance(fault, Words) for fault in faults)


def run_once(life: Life, *options: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Run the tap once in the world of a story, without its checks.

    Args:
        life: The story.
        options: What stands on the command line beside settings and catalog.

    Returns:
        The exit code, the log, and the messages.
    """
    pipe, log = Pipe(life.world), io.StringIO()
    out = io.TextIOWrapper(pipe, "utf-8", write_through=True)
    with mock.patch.object(HTTPAdapter, "send", life.world.send):
        given = ["--config", life.config, "--catalog", life.catalog, *options]
        code = call_cli(life.tap, given, out, log)
    lines = [line for line in pipe.lines() if line.startswith(b"{")]
    return code, log.getvalue(), [json.loads(line) for line in lines]


def simulate(story: Story, folder: Path) -> None:
    """Live through a story.

    Args:
        story: The story.
        folder: Where files may be while it goes on.

    Raises:
        AssertionError: If a rule is broken.
        BrokenRuleError: The same.
    """
    folder.mkdir()
    state_home = Path(os.environ["XDG_STATE_HOME"])
    if not story.shares:
        state_home.touch()
    try:
        Life(story, folder).play()
    finally:
        shutil.rmtree(folder)
        if story.shares:
            shutil.rmtree(state_home, ignore_errors=True)
        else:
            state_home.unlink()
