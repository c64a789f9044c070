"""Each error and warning in the tables of the documentation, met on purpose."""

import datetime as dt
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock
from zlib import crc32

import pytest
import redis
import requests
import requests_mock

from tap_zohovoice.schemas.call_logs import CALL_LOG_SCHEMA
from tests.integration.test_settings import INVALID
from tests.integration.test_tls import LINES
from tests.support.account import Account
from tests.support.calls import call, history
from tests.support.cli import NOW, FakeClock, Run, RunTap
from tests.support.raw_server import raw_server
from zoho_voice_sandbox import Sandbox
from zoho_voice_sandbox.directory import Directory

Meet = Callable[["Stage"], Run]

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
WARNINGS = PAGE.partition("\n## Warnings\n")[2].partition("\n## ")[0]
DAY = 86_400_000
ALWAYS = range(1, 80)


class Stage:
    """What a situation is made of: the tap, a sandbox, and a place for files."""

    def __init__(
        self, run_tap: RunTap, clock: FakeClock, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.run_tap, self.clock, self.path, self.patch = run_tap, clock, path, monkeypatch

    def run(
        self,
        *args: str,
        state: dict[str, Any] | None = None,
        rows: Callable[[Sandbox], object] = bool,
        box: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Run:
        """Run the tap against a sandbox, with these settings and these habits of the server."""
        with Account(self.run_tap, self.clock, **{"calls": 30, **(box or {})}) as server:
            rows(server)
            server.own |= settings
            return server.run(*args, state=state)

    def answered(self, status: str, body: str = "", setting: str = "api_url") -> Run:
        """Run the tap against a server that always says the same."""
        response = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        with raw_server(response.encode()) as server:
            settings: dict[str, Any] = {setting: server.url}
            return self.run(**settings)

    def file(self, text: str = "", encoding: str = "utf-8") -> Path:
        path = self.path / "given.json"
        path.write_text(text, encoding, errors="surrogateescape")
        return path

    def given(self, option: str, text: str) -> Run:
        return self.run(option, str(self.file(text)))

    def env(self, *args: str, **variables: str) -> Run:
        for name, text in variables.items():
            self.patch.setenv(name, text)
        return self.run(*args)

    def catalog(self, *, schema: Any = CALL_LOG_SCHEMA, **fields: Any) -> Run:
        """Run with a catalog of the call logs; settings are told from its fields by their names."""
        settings = {
            name: fields.pop(name) for name in ("streams", "recordings_path") if name in fields
        }
        entry = {"tap_stream_id": "call_logs", "schema": schema, "metadata": [], **fields}
        path = self.file(json.dumps({"streams": [entry]}))
        return self.run("--catalog", str(path), **settings)


def zvt(code: str) -> str:
    return json.dumps({"code": code, "message": "made up", "status": "ERROR"})


def bookmark(**fields: Any) -> dict[str, Any]:
    return {"bookmarks": {"call_logs": {"replication_key": "start_time", **fields}}}


def odd(**fields: Any) -> Callable[[Sandbox], object]:
    """Return what adds a call with odd fields to a sandbox."""
    start = round(NOW * 1000) - DAY
    return lambda box: box.store.add({**call(box, "odd", start), **fields}, at_ms=start)


def repeated(stage: Stage) -> Run:
    """Meet a server that hands out the same page whatever is asked."""
    start = round(NOW * 1000) - DAY
    rows = [{"logid": str(n), "start_time": str(start)} for n in range(40)]
    body = json.dumps({"logs": rows, "meta": {"total": 4000}, "status": "200"})
    return stage.answered("200 OK", body)


def failing_again(stage: Stage) -> Run:
    """Meet files that fail, of calls that are not newer than the bookmark."""
    field = {"replication_key": "start_time", "replication_key_value": "2026-03-01T11:00:00Z"}
    return stage.run(
        state={"bookmarks": {"recordings": field}},
        rows=odd(call_recording={"recording_filename": "x.wav"}),
        box={"file_faults": dict.fromkeys(ALWAYS, "error_200")},
        recordings_path=str(stage.path / "calls"),
    )


def silent(stage: Stage) -> Run:
    """Meet a server that does not answer, without waiting for it."""
    send = requests.Session.send

    def wait(session: requests.Session, request: requests.PreparedRequest, **more: Any) -> Any:
        if request.method == "GET":
            raise requests.ReadTimeout
        return send(session, request, **more)

    stage.patch.setattr(requests.Session, "send", wait)
    return stage.run()


def odd_dotenv(stage: Stage) -> Run:
    path = stage.file("A=1", "utf-16")
    stage.patch.setattr("tap_zohovoice.tap.find_dotenv", lambda: path)
    return stage.run("--config=ENV")


def closed_output(stage: Stage) -> Run:
    with stage.patch.context() as patch:
        patch.setattr("tap_zohovoice.cli.command.sys", SimpleNamespace(stdout=None, exit=sys.exit))
        return stage.run()


def failing(stage: Stage, place: str, error: Exception) -> Run:
    """Meet an error that a part of the tap raises."""
    stage.patch.setattr(f"tap_zohovoice.{place}", Mock(side_effect=error))
    return stage.run()


def stop(_number: int) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def several_legs(box: Sandbox) -> None:
    """Add a call of two rows that differ."""
    start = round(NOW * 1000) - DAY
    for end in (start + 1_000, start + 2_000):
        box.store.add(call(box, "legs", start, end_time=str(end)), is_leg=True)


def without_redis(stage: Stage) -> Run:
    stage.patch.setitem(sys.modules, "redis", None)
    stage.patch.delitem(sys.modules, "tap_zohovoice.rate_limit.redis_store", raising=False)
    return stage.run(rate_limit_store="redis://localhost")


def stored(stage: Stage, *replies: tuple[str, float] | None) -> Run:
    """Run with a Redis server of these replies: outcome and seconds; None if it is lost.

    The last reply stays.
    """
    rest = list(replies)

    def reply(*_: object) -> tuple[bytes, int]:
        found = rest.pop(0) if len(rest) > 1 else rest[0]
        if found is None:
            raise redis.ConnectionError
        return found[0].encode(), round(found[1] * 1e6)

    stage.patch.setattr(redis.Redis, "eval", reply)
    return stage.run(rate_limit_store="redis://localhost")


def listed_campaigns(stage: Stage) -> Run:
    """Meet a full page of campaigns whose next one cannot be requested."""
    rows = [{"campaign_id": str(number)} for number in range(10)]
    with requests_mock.Mocker(real_http=True) as mock:
        path = re.compile("/rest/json/zv/api/powerdialer")
        mock.get(path, json={"code": "200", "records": rows})
        refused = re.compile("/rest/json/zv/api/powerdialer.*from_index")
        mock.get(refused, status_code=400, text=zvt("ZVT015"))
        return stage.run(streams=["campaigns"])


def drop_a_change(box: Sandbox) -> None:
    """Leave a gap in the changes of an agent's status."""
    agent, now = box.lists["users"].rows()[0]["agentId"], round(NOW * 1000)
    change = next(box.statuses.changes(agent, now - 20 * DAY, now))
    box.statuses.drop(agent, change.changed_ms)


SILENT_DAYS_FAIL = dict.fromkeys(range(3, 10), "500")
ACQUIRED = ("acquired", 0.0)
FORGOTTEN = "The rate-limit store is new or was restarted"
LOST = "The rate-limit store has been unreachable since … (…); sending"
STOPPED = "Stopped by …"
WRITE = "singer.writer.MessageWriter.write_message"


def repeat_a_user(**changes: Any) -> Callable[[Sandbox], object]:
    def add(box: Sandbox) -> None:
        users = box.lists["users"]
        users.add({**users.rows()[0], **changes}, place=1)

    return add


def reorder_users(box: Sandbox) -> None:
    """Change the order before each request."""
    users = box.lists["users"]

    def reorder(_: str, number: int) -> None:
        for row in sorted(users.rows(), key=lambda row: crc32(f"{number}{row}".encode())):
            users.remove(row["userid"])
            users.add(row)

    box.before_list = reorder


def dense(calls: int, **habits: Any) -> Meet:
    """Read a day of many calls."""
    day = dt.date(2026, 2, 25)
    box = {"calls": history(calls, first=day, last=day), **habits}
    return settings(box=box, page_size=100)


def meet(make: Callable[..., Run], *args: Any, **more: Any) -> Meet:
    return lambda stage: make(stage, *args, **more)


settings = partial(meet, Stage.run)
variable = partial(meet, Stage.env, "--config=ENV")
file_of = partial(meet, Stage.given)
answered = partial(meet, Stage.answered)
accounts = partial(meet, Stage.answered, setting="accounts_url")


def on_server(**habits: Any) -> Meet:
    return meet(Stage.run, box=habits)


# By the start of each message. Those of invalid settings are met with the settings of their tests,
# and those of proxies and certificates in the tests of these.
MESSAGES: dict[str, Meet] = {
    "stream_maps: …": settings(stream_maps={"call_logs": {"a": "b"}}),
    "rate_limit_store needs the extra redis": without_redis,
    "Cannot reach the rate-limit store": settings(rate_limit_store="redis://127.0.0.1:1"),
    FORGOTTEN: meet(stored, ACQUIRED, ("forgotten", 60), ACQUIRED),
    LOST: meet(stored, ACQUIRED, None, None, ACQUIRED),
    "The rate-limit store has been unreachable since … (…), longer": meet(stored, ACQUIRED, None),
    "The refresh token lacks scopes": settings(
        box={"scopes": ["ZohoVoice.call.READ"]}, streams=["users"]
    ),
    "The setting streams is ignored": meet(Stage.catalog, streams=["users"]),
    "… calls have several rows that differ": settings(rows=several_legs),
    "The order of the list of … changes": settings(
        streams=["users"],
        rows=reorder_users,
        box={"list_max_size": 7, "list_size_over": "cap", "list_total": "absent"},
    ),
    "… rows have a duplicate id, but other values": settings(
        streams=["users"], rows=repeat_a_user(name="other")
    ),
    "meta.total is … but only": settings(streams=["users"], rows=repeat_a_user()),
    "Zoho returned … campaigns": listed_campaigns,
    "… status changes do not follow": settings(
        streams=["agent_status_changes"],
        rows=drop_a_change,
        box={"directory": Directory(users=8)},
        start_date="2026-02-01",
    ),
    "The … file must be a JSON object": file_of("--state", "{"),
    "The … file must be text in UTF-8": odd_dotenv,
    "The … file cannot be read": lambda stage: stage.run("--config", str(stage.path)),
    "…: … in the catalog is ignored": meet(Stage.catalog, replication_key="logid"),
    "…: the type of … in the catalog": meet(
        Stage.catalog,
        schema={"properties": {**CALL_LOG_SCHEMA["properties"], "logid": {"type": "integer"}}},
    ),
    "The catalog selects no stream": file_of("--catalog", '{"streams": []}'),
    "Standard output is closed": closed_output,
    "Standard output is closed: its": meet(failing, WRITE, BrokenPipeError()),
    "…: standard output": meet(failing, WRITE, OSError(errno.ENOSPC, "No space left on device")),
    "The state is invalid": file_of("--state", "[]"),
    "The bookmark of … in the state is not": settings(state=bookmark(replication_key_value="soon")),
    "The catalog is invalid": file_of("--catalog", "{}"),
    "Zoho Accounts: HTTP …, invalid_code: …": settings(refresh_token="1000.x"),
    "Zoho Accounts: HTTP …, invalid_client: …": settings(client_id="1000.X"),
    "Zoho Accounts: HTTP …, invalid_client_secret: …": settings(client_secret="x"),
    "Zoho Accounts: HTTP …, Access Denied": on_server(tokens_limit=0),
    "Zoho Accounts: HTTP …, no token; check": accounts("404 Not Found"),
    "Zoho Accounts: HTTP …, an HTML page": accounts("403 Forbidden", "<html>"),
    "Zoho Accounts: HTTP …, no token in": accounts("503 Busy"),
    "Zoho Accounts: HTTP …: temporary": accounts("200 OK", '{"error": "general_error"}'),
    "Zoho Accounts: connection failed": settings(accounts_url="http://127.0.0.1:1"),
    "Zoho Voice: HTTP …, ZVT022": on_server(scope_missing=True),
    "Zoho Voice: HTTP …: a new access token": on_server(faults=dict.fromkeys(ALWAYS, "token")),
    "Zoho Voice: HTTP …: the API is locked": on_server(faults={1: "lock"}),
    "Zoho Voice: HTTP …: the lockout lasts": on_server(faults=dict.fromkeys(ALWAYS, "lock")),
    "Zoho Voice: HTTP …: access denied": answered("403 Forbidden"),
    "Zoho Voice: HTTP …: URL not found": answered("404 Not Found"),
    "Zoho Voice: HTTP …: the server redirects": on_server(faults=dict.fromkeys(ALWAYS, "redirect")),
    "Zoho Voice: HTTP …, ZVT011": answered("400 Bad Request", zvt("ZVT011")),
    "Zoho Voice: HTTP …, ZVT010": answered("400 Bad Request", zvt("ZVT010")),
    "Zoho Voice: HTTP …, ZVT015": answered("400 Bad Request", zvt("ZVT015")),
    "Zoho Voice: HTTP …: the request was": answered("400 Bad Request", zvt("ZVT999")),
    "Zoho Voice: HTTP 5…; gave up": answered("500 Oh"),
    "Zoho Voice: timed out": silent,
    "Zoho Voice: connection failed": settings(api_url="http://127.0.0.1:1"),
    "Zoho Voice: unexpected response": answered(
        "200 OK", '{"calls": [{"logid": "1"}], "meta": {"total": 1}, "logs": null}'
    ),
    "Zoho Voice: HTTP …, not the requested JSON": answered("200 OK", "<html>Welcome</html>"),
    "Zoho Voice: row … of … has no valid …": settings(rows=odd(logid=None)),
    "Zoho Voice: row … of … has a field": settings(rows=odd(new=json.loads("[" * 60 + "]" * 60))),
    "Zoho returns the same calls": repeated,
    "Too many calls on …": dense(2_000, max_offset=100, offset_over="empty"),
    "Zoho returned calls of other days": on_server(wrong_start="year_2000", wrong_start_every=1),
    "The order of calls on … changes": dense(300, order="shifting", total="absent"),
    "Zoho returns only some of the calls": on_server(answered_days=30),
    "Requests for … alone fail": settings(
        box={"calls": 150, "first": dt.date(2026, 1, 15), "faults": SILENT_DAYS_FAIL},
        start_date="2025-06-01",
    ),
    "Zoho rejects days before …": on_server(retention_days=90),
    "… calls start more than two days": on_server(wrong_start="year_2000", wrong_start_every=10),
    "recordings_path is set, but": lambda stage: stage.catalog(recordings_path=str(stage.path)),
    "… error records are not emitted": failing_again,
    "recordings_path: …": lambda stage: stage.run(recordings_path=str(stage.file() / "calls")),
    "…: meta.total is … but only": on_server(total="stale_high", total_error=2),
    "Cannot open the shared rate-limit file": lambda stage: stage.env(
        XDG_STATE_HOME=str(stage.file() / "more")
    ),
    "The bookmark of … (…) is in the future": settings(
        state=bookmark(replication_key_value="2099-01-01T00:00:00Z")
    ),
    "The bookmark of … has another": settings(
        state=bookmark(replication_key="logid", replication_key_value="7")
    ),
    "…: value does not match its type": settings(rows=odd(feedback="five stars")),
    "The call log declares": lambda stage: stage.run(
        rows=odd(call_recording={"recording_filename": "x.wav", "recording_size_in_bytes": 5}),
        recordings_path=str(stage.path / "calls"),
    ),
    STOPPED: on_server(before_request=stop),
    "Unexpected … at …": meet(failing, "streams.base.RecordConverter.convert", ZeroDivisionError()),
}
GOES_ON = {FORGOTTEN, LOST, "Cannot open the shared rate-limit file"}
GOES_ON.add("Zoho Voice: HTTP …: the API is locked")
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
    run_tap: RunTap, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    start = start_of(message)
    meet = MESSAGES[start] if start else meet_invalid_setting(message)
    run = meet(Stage(run_tap, clock, tmp_path, monkeypatch))
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


def test_days_around_an_unstorable_row_can_be_read(run_tap: RunTap, clock: FakeClock) -> None:
    day = dt.date(2026, 2, 10)
    noon = round(dt.datetime.combine(day, dt.time(12), dt.UTC).timestamp() * 1000)
    with Sandbox(history=history(200), clock=clock) as box:
        box.store.add({**call(box, "odd", noon), "logid": None}, at_ms=noon)
        assert run_tap(box.config).exit_code == 1
        before = run_tap({**box.config, "end_date": str(day - dt.timedelta(2))})
        after = run_tap({**box.config, "start_date": str(day + dt.timedelta(2))})
        starts = sorted(row["start_time"] for row in box.store.rows())
    assert (before.exit_code, after.exit_code) == (0, 0)
    near = sum(abs(int(start) - noon) <= 2.5 * DAY for start in starts)
    assert len(before.ids) + len(after.ids) >= len(starts) - near
    assert before.ids
    assert after.ids
