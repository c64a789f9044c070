"""Each error and warning in the tables of the documentation, met on purpose."""

import datetime as dt
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import redis
import requests
import requests_mock

from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tests.integration.test_settings import INVALID
from tests.integration.test_tls import LINES
from tests.support.account import Accounts
from tests.support.calls import call, history
from tests.support.cli import NOW, Run
from tests.support.recordings import BEFORE
from zoho_voice_sandbox import Sandbox
from zoho_voice_sandbox.directory import Directory

Meet = Callable[["Stage"], Run]

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
CASES = json.loads((Path(__file__).parent / "messages.json").read_text(encoding="utf-8"))
"""Settings, and responses to requests of a path, by the message that they cause."""
WARNINGS = PAGE.partition("\n## Warnings\n")[2].partition("\n## ")[0]
DAY = 86_400_000
ALWAYS, SILENT = range(1, 80), range(3, 10)
"""Numbers of requests: all, and those for days without calls."""
FOLDER = "memory://calls"


@dataclass
class Stage:
    """What a situation is made of: accounts, a place for files, and what can be patched."""

    account: Accounts
    path: Path
    patch: pytest.MonkeyPatch

    def run(
        self,
        *args: str,
        rows: Callable[[Sandbox], object] = bool,
        box: dict[str, Any] | None = None,
        state: Any = None,
        catalog: Any = None,
        **settings: Any,
    ) -> Run:
        """Run the tap against a sandbox, with these settings and these habits of the server."""
        with self.account(**{"calls": 30, **(box or {})}) as server:
            rows(server)
            server.own |= settings
            return server.run(*args, state=state, catalog=catalog)

    def answered(self, path: str, *responses: dict[str, Any], **settings: Any) -> Run:
        """Run the tap with these responses to requests of a path, the last one many times."""
        with requests_mock.Mocker(real_http=True) as mock:
            mock.register_uri(requests_mock.ANY, re.compile(path), list(responses))
            return self.run(**settings)

    def file(self, text: str = "", encoding: str = "utf-8") -> Path:
        path = self.path / "given"
        path.write_text(text, encoding)
        return path


def catalog(schema: Any = CALL_LOG_SCHEMA, **fields: Any) -> dict[str, Any]:
    """Return a catalog of the call logs that has these fields."""
    entry = {"tap_stream_id": "call_logs", "schema": schema, "metadata": []}
    return {"streams": [entry | fields]}


def state_of(value: str, key: str = "start_time", stream: str = "call_logs") -> dict[str, Any]:
    return {"bookmarks": {stream: {"replication_key": key, "replication_key_value": value}}}


def odd(**fields: Any) -> Callable[[Sandbox], object]:
    """Return what adds a call with odd fields to a sandbox."""
    return lambda box: box.store.add({**call(box, "odd", BEFORE), **fields}, at_ms=BEFORE)


def odd_dotenv(stage: Stage) -> Run:
    path = stage.file("A=1", "utf-16")
    stage.patch.setattr("tap_zohovoice.tap.find_dotenv", lambda: path)
    return stage.run("--config=ENV")


def closed_output(stage: Stage) -> Run:
    with stage.patch.context() as patch:
        patch.setattr("tap_zohovoice.cli.command.sys", SimpleNamespace(stdout=None, exit=sys.exit))
        return stage.run()


def no_state_home(stage: Stage) -> Run:
    stage.patch.setenv("XDG_STATE_HOME", str(stage.file() / "more"))
    return stage.run()


def failing(stage: Stage, place: str, error: Exception) -> Run:
    """Meet an error that a part of the tap raises."""
    stage.patch.setattr(f"tap_zohovoice.{place}", Mock(side_effect=error))
    return stage.run()


def several_legs(box: Sandbox) -> None:
    """Add a call of two rows that differ."""
    for end in (BEFORE + 1_000, BEFORE + 2_000):
        box.store.add(call(box, "legs", BEFORE, end_time=str(end)), is_leg=True)


def without_redis(stage: Stage) -> Run:
    stage.patch.setitem(sys.modules, "redis", None)
    stage.patch.delitem(sys.modules, "tap_zohovoice.rate_limit.redis_store", raising=False)
    return stage.run(rate_limit_store="redis://localhost")


def stored(stage: Stage, *replies: tuple[str, float] | None) -> Run:
    """Run with a Redis server of these replies: outcome and seconds; None if it is lost.

    The last reply stays.
    """
    rest = list(replies)

    def reply(*_: object) -> str:
        found = rest.pop(0) if len(rest) > 1 else rest[0]
        if found is None:
            raise redis.ConnectionError
        return json.dumps(found)

    stage.patch.setattr(redis.Redis, "eval", reply)
    return stage.run(rate_limit_store="redis://localhost")


def drop_a_change(box: Sandbox) -> None:
    """Leave a gap in the changes of an agent's status."""
    agent, now = box.lists["users"].rows()[0]["agentId"], round(NOW * 1000)
    change = next(box.statuses.changes(agent, now - 20 * DAY, now))
    box.statuses.drop(agent, change.changed_ms)


def rejected_owner(stage: Stage) -> Run:
    with stage.account(calls=30) as box:
        agent = box.lists["users"].rows()[0]["agentId"]
    error = {"code": "500", "message": "Invalid agent.", "status": "ERROR"}
    refusal = {"status_code": 400, "json": error}
    return stage.answered(f"agent={agent}", refusal, streams=["call_agents"])


SAME_PAGE = [{"logid": str(number), "start_time": str(BEFORE)} for number in range(40)]
ACQUIRED = ("acquired", 0.0)
FORGOTTEN = "The rate-limit store is new or was restarted"
LOST = "The rate-limit store has been unreachable since … (…); sending"
STOPPED = "Stopped by …"
WRITE = "singer.writer.MessageWriter.write_message"


def dense(calls: int, **habits: Any) -> Meet:
    day = dt.date(2026, 2, 25)
    box = {"calls": history(calls, first=day, last=day), **habits}
    return settings(box=box, page_size=100)


def meet(make: Callable[..., Run], *args: Any, **more: Any) -> Meet:
    return lambda stage: make(stage, *args, **more)


settings = partial(meet, Stage.run)
answered = partial(meet, Stage.answered, "/zv/logs")


def on_server(**habits: Any) -> Meet:
    return meet(Stage.run, box=habits)


# By the start of each message. Those of invalid settings are met with the settings of their tests,
# and those of proxies and certificates in the tests of these.
MESSAGES: dict[str, Meet] = {
    **{message: settings(**given) for message, given in CASES["settings"].items()},
    **{
        message: meet(Stage.answered, group["path"], *responses, **group["settings"])
        for group in CASES["responses"]
        for message, responses in group["messages"].items()
    },
    "rate_limit_store needs the extra redis": without_redis,
    FORGOTTEN: meet(stored, ACQUIRED, ("forgotten", 60), ACQUIRED),
    LOST: meet(stored, ACQUIRED, None, None, ACQUIRED),
    "The rate-limit store has been unreachable since … (…), longer": meet(stored, ACQUIRED, None),
    "The setting streams is ignored": settings(catalog=catalog(), streams=["users"]),
    "… calls have several rows that differ": settings(rows=several_legs),
    "Zoho rejects one of the …": rejected_owner,
    "… status changes do not follow": settings(
        streams=["agent_status_changes"],
        rows=drop_a_change,
        box={"directory": Directory(users=8)},
        start_date="2026-02-01",
    ),
    "The … file must be a JSON object": lambda stage: stage.run("--state", str(stage.file("{"))),
    "The … file must be text in UTF-8": odd_dotenv,
    "The … file cannot be read": lambda stage: stage.run("--config", str(stage.path)),
    "…: … in the catalog is ignored": settings(catalog=catalog(replication_key="logid")),
    "…: the type of … in the catalog": settings(
        catalog=catalog({"properties": CALL_LOG_SCHEMA["properties"] | {"logid": {"type": "null"}}})
    ),
    "… in the catalog is not a stream": settings(
        catalog=catalog(
            tap_stream_id="calls", metadata=[{"breadcrumb": [], "metadata": {"selected": True}}]
        )
    ),
    "…: … in the catalog is not a field": settings(
        catalog=catalog(
            metadata=[{"breadcrumb": ["properties", "x"], "metadata": {"selected": False}}]
        )
    ),
    "Standard output is closed": closed_output,
    "Standard output is closed: its": meet(failing, WRITE, BrokenPipeError()),
    "…: standard output": meet(failing, WRITE, OSError(errno.ENOSPC, "No space left on device")),
    "The bookmark of … in the state is not": settings(state=state_of("soon")),
    "Zoho Voice: HTTP …: a new access token": on_server(faults=dict.fromkeys(ALWAYS, "token")),
    "Zoho Voice: HTTP …: the API is locked": on_server(faults={1: "lock"}),
    "Zoho Voice: HTTP …: the lockout lasts": on_server(faults=dict.fromkeys(ALWAYS, "lock")),
    "Zoho Voice: HTTP …: the server redirects": on_server(faults=dict.fromkeys(ALWAYS, "redirect")),
    "Zoho Voice: timed out": answered({"exc": requests.ReadTimeout}),
    "Zoho Voice: row … of … has no valid …": settings(rows=odd(logid=None)),
    "Zoho Voice: row … of … has a field": settings(rows=odd(new=json.loads("[" * 60 + "]" * 60))),
    "Zoho no longer returns": answered({"json": {"logs": SAME_PAGE}}, {"json": {"logs": []}}),
    "Too many calls on …": dense(2_000, max_offset=100, offset_over="empty"),
    "The order of calls on … changes": dense(300, order="shifting", total="absent"),
    "Requests for … alone fail": settings(
        box={"calls": 150, "first": dt.date(2026, 1, 15), "faults": dict.fromkeys(SILENT, "500")},
        start_date="2025-06-01",
    ),
    "recordings_path is set, but": settings(catalog=catalog(), recordings_path=FOLDER),
    "… error records are not emitted": settings(
        state=state_of("2026-03-01T11:00:00Z", stream="recordings"),
        box={"file_faults": dict.fromkeys(ALWAYS, "error_200")},
        rows=odd(call_recording={"recording_filename": "x.wav"}),
        recordings_path=FOLDER,
    ),
    "All … files failed": settings(
        box={"calls": 60, "file_faults": dict.fromkeys(ALWAYS, "error_200")}, recordings_path=FOLDER
    ),
    "All … transcripts failed": settings(
        box={"calls": 60, "transcript_faults": dict.fromkeys(ALWAYS, "error_200")},
        streams=["transcripts"],
    ),
    "recordings_path: …": lambda stage: stage.run(recordings_path=str(stage.file() / "calls")),
    "Cannot open the shared rate-limit file": no_state_home,
    "The bookmark of … (…) is in the future": settings(state=state_of("2099-01-01T00:00:00Z")),
    "The bookmark of … has another": settings(state=state_of("7", "logid")),
    "…: value does not match its type": settings(rows=odd(feedback="five stars")),
    "The call log declares": settings(
        rows=odd(call_recording={"recording_filename": "x.wav", "recording_size_in_bytes": 5}),
        recordings_path=FOLDER,
    ),
    STOPPED: on_server(before_request=lambda _: os.kill(os.getpid(), signal.SIGTERM)),
    "Unexpected … at …": meet(failing, "streams.base.RecordConverter.convert", ZeroDivisionError()),
}
LOCKED = "Zoho Voice: HTTP …: the API is locked"
GOES_ON = {FORGOTTEN, LOST, LOCKED, "Cannot open the shared rate-limit file"}
"""What a run tells and goes on, beside the warnings of the page."""


def told(page: str) -> list[str]:
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    return [text for row in rows for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def start_of(message: str) -> str:
    """Return the longest start of a message of the page."""
    return max((start for start in MESSAGES if message.startswith(start)), key=len, default="")


def pattern_of(message: str) -> str:
    pattern = ".+".join(map(re.escape, message.strip("…").split("…")))
    return f"{'.*' if message[0] == '…' else ''}{pattern}{'.*' if message[-1] == '…' else ''}"


def is_of_network(message: str) -> bool:
    return any(re.match(pattern_of(message), line) for line in LINES)


def meet_invalid_setting(message: str) -> Meet:
    found = (change for change, line in INVALID if re.match(pattern_of(message), line))
    return settings(**next(found))


def test_page_has_all_these_messages_once() -> None:
    starts = map(start_of, told(PAGE))
    assert sorted(start for start in starts if start) == sorted(MESSAGES)


@pytest.mark.usefixtures("plain_network")
@pytest.mark.parametrize("message", [text for text in told(PAGE) if not is_of_network(text)])
def test_message_of_the_page_is_really_met(
    account: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    start = start_of(message)
    meet = MESSAGES[start] if start else meet_invalid_setting(message)
    run = meet(Stage(account, tmp_path, monkeypatch))
    lines = [line.split(" | ", 3)[1:] for line in run.log.splitlines() if line.count(" | ") > 2]
    found = [level.strip() for level, _, text in lines if re.match(pattern_of(message), text)]
    if start in GOES_ON or message in told(WARNINGS):
        assert run.exit_code == 0, run.log
        assert set(found) == {"INFO" if "waiting" in message else "WARNING"}, run.log
    elif start == STOPPED:
        assert run.exit_code == 143
        assert found, run.log
    else:
        assert run.exit_code == 1
        assert found.count("ERROR") == 1, run.log
    assert "Traceback" not in run.log


def test_days_around_an_unstorable_row_can_be_read(account: Accounts) -> None:
    noon = round(dt.datetime(2026, 2, 10, 12, tzinfo=dt.UTC).timestamp() * 1000)
    with account(200) as box:
        starts = [int(row["start_time"]) for row in box.store.rows()]
        box.store.add({**call(box, "odd", noon), "logid": None}, at_ms=noon)
        box.fail("no valid logid")
        before, after = box.succeed(end_date="2026-02-08"), box.succeed(start_date="2026-02-12")
    assert min(len(before.ids), len(after.ids)) > 0
    far = sum(abs(start - noon) > 2.5 * DAY for start in starts)
    assert len(before.ids) + len(after.ids) >= far
