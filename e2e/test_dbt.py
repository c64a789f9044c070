"""The models of the dbt package match the account, on each database."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from e2e.account import HOUR_MS, open_account
from e2e.models import build, load, read, settings
from e2e.pipeline import Pipeline
from e2e.project import FOLDER
from e2e.warehouses import DuckDB, Postgres, Snowflake
from zoho_voice_sandbox.transcript_fixtures import build_transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from e2e.account import Row
    from zoho_voice_sandbox import Sandbox

CALLS = 300
ZONE = "America/New_York"
WITHIN_SECONDS, CALLBACK_HOURS = 15, 3
STREAMS = ("recordings", "transcripts", "users", "queues", "numbers", "call_queues", "call_agents")
VARIABLES = {
    "zoho_voice_time_zone": ZONE,
    "zoho_voice_service_level_seconds": WITHIN_SECONDS,
    "zoho_voice_callback_hours": CALLBACK_HOURS,
    **{f"zoho_voice_using_{stream}": True for stream in STREAMS},
}
MODELS = ("calls", "calls_daily", "numbers_daily", "agents_daily", "missed_calls_without_callback")


@dataclass
class Built:
    """The models of an account.

    Attributes:
        calls: The calls of the account as the models must see them.
        pairs: The calls by the ids of the agents that they are listed for.
        models: The rows of each model.
        log: What dbt printed.
    """

    calls: dict[str, Row]
    pairs: dict[str, str]
    models: dict[str, list[Row]]
    log: str


@pytest.fixture(scope="module", params=["target-postgres", "target-duckdb", "target-snowflake"])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    """Load an account with its other streams, and build all models."""
    folder = tmp_path_factory.mktemp("models")
    warehouse: Postgres | DuckDB | Snowflake
    if request.param == "target-postgres":
        warehouse = Postgres(request.getfixturevalue("server"), "models")
    else:
        warehouse = DuckDB(folder) if request.param == "target-duckdb" else Snowflake(folder)
    with open_account(CALLS, seed=7) as box:
        call_back(box)
        run = Pipeline(box, warehouse, folder, {}).run()
        assert run.exit_code == 0, run.log
        calls = {row["logid"]: expected(row) for row in box.store.rows()}
        missed = min(call_id for call_id, call in calls.items() if call["is_missed"])
        answered = min(call_id for call_id, call in calls.items() if call["agent_name"])
        load(warehouse, folder, around(calls[answered], missed))
        log = build(box, warehouse, folder / "dbt", VARIABLES)
        models = read(warehouse, *MODELS)
        if isinstance(warehouse, Snowflake):
            # FLATTEN of fakesnow numbers the elements of an array in any order.
            for call in (*calls.values(), *models["calls"]):
                call["transcript"] = sorted((call["transcript"] or "").split())
        yield Built(calls, {"a1": answered, "a2": missed}, models, log)


def call_back(box: Sandbox) -> None:
    """Add callbacks for two missed calls, one of them too late."""
    missed = [
        row for row in box.store.rows() if row["call_type"] == "missed" and not row["is_test_call"]
    ]
    (outgoing, *_) = (row for row in box.store.rows() if row["call_type"] == "outgoing")
    for hours, call in zip((CALLBACK_HOURS, CALLBACK_HOURS + 1), missed, strict=False):
        start = int(call["start_time"]) + hours * HOUR_MS
        box.store.add(
            {
                **{name: value for name, value in outgoing.items() if name != "call_recording"},
                "logid": f"callback after {hours} h",
                "start_time": str(start),
                "answer_time": str(start + 5_000),
                "end_time": str(start + 65_000),
                "user_number": call["user_number"],
                "destination_number": call["user_number"],
                "is_test_call": False,
                "call_recording_transcription_status": "not_initiated",
            }
        )


def around(call: Row, missed: str) -> dict[str, list[Row]]:
    """Return rows of the other streams, for a call and a missed call."""
    start = call["started_at"].replace(tzinfo=dt.UTC)
    email, number = "a@example.com", call["company_number"]
    return {
        "users": [
            {
                "userid": user,
                "agentId": agent,
                "name": name,
                "emailid": email,
                "lastActiveTime": start,
            }
            for user, agent, name in (
                ("u1", "a1", call["agent_name"]),
                ("u2", "a2", "Nobody"),
                ("u3", "a3", "Namesake"),
                ("u4", "a4", "Namesake"),
            )
        ],
        "queues": [
            {"id": queue, "name": name, "enableDefaultAnnouncements": True}
            for queue, name in (("q1", "Sales"), ("q2", "Support"))
        ],
        "numbers": [
            {
                "numberId": call["number_id"],
                "number": number,
                "displayName": "Main",
                "isActive": True,
            }
        ],
        "call_queues": [
            {"queue_id": queue, "logid": call["call_id"], "start_time": start}
            for queue in ("q2", "q1")
        ],
        "call_agents": [{"agent_id": "a2", "logid": missed, "start_time": start}],
    }


def expected(row: Row) -> Row:
    """Return the expected row of the model of calls."""
    start, end = int(row["start_time"]), int(row["end_time"])
    answer = int(row.get("answer_time") or 0)
    customer, kind = row["user_number"], row["call_type"]
    ends = {row["caller_id_number"]: "incoming", row["destination_number"]: "outgoing"}
    direction = {"missed": "incoming", "incoming": "incoming", "outgoing": "outgoing"}.get(
        kind, ends[customer]
    )
    is_answered = bool(answer)
    is_incoming = direction == "incoming"
    local = dt.datetime.fromtimestamp(start / 1000, dt.UTC).astimezone(ZoneInfo(ZONE))
    file_kind = "voicemail" if row.get("voicemail") else "recording"
    has_transcript = row["call_recording_transcription_status"] == "completed"
    waiting = max(0, (answer or end) // 1000 - start // 1000)
    return {
        "call_id": row["logid"],
        "call_type": kind,
        "direction": direction,
        "started_at": dt.datetime.fromtimestamp(start / 1000, dt.UTC).replace(tzinfo=None),
        "started_at_local": local.replace(tzinfo=None),
        "call_date": str(local.date()),
        "call_hour": local.hour,
        "is_answered": is_answered,
        "is_missed": is_incoming and not is_answered,
        "is_within_service_level": is_answered and waiting <= WITHIN_SECONDS
        if is_incoming
        else None,
        "waiting_seconds": waiting,
        "talk_seconds": max(0, end // 1000 - answer // 1000) if is_answered else 0,
        "customer_number": customer,
        "company_number": row["did_number"],
        "number_id": row["number_id"],
        "agent_name": row.get("agent_number"),
        "has_recording": bool(row.get("call_recording")),
        "has_voicemail": bool(row.get("voicemail")),
        "has_transcript": has_transcript,
        "transcript": spoken(row["logid"], file_kind) if has_transcript else None,
        "rating": row["feedback"] if (row.get("feedback") or 9) <= 5 else None,
        "is_test_call": row["is_test_call"],
    }


def spoken(logid: str, kind: str) -> str:
    """Return the text of a transcript."""
    number = {"voicemail": "1", "recording": "2"}[kind]
    return " ".join(
        part["text"] for part in build_transcript(f"{logid} {number}")["transcriptJson"]
    )


def counted(calls: Iterable[Row]) -> dict[str, Any]:
    """Return the measures of some calls."""
    calls = list(calls)
    incoming = [call for call in calls if call["direction"] == "incoming"]
    outgoing = [call for call in calls if call["direction"] == "outgoing"]
    within = sum(call["is_within_service_level"] for call in incoming)
    return {
        "calls": len(calls),
        "offered_calls": len(incoming),
        "answered_calls": sum(call["is_answered"] for call in incoming),
        "missed_calls": sum(call["is_missed"] for call in calls),
        "calls_within_service_level": within,
        "service_level": round(within / len(incoming), 4) if incoming else None,
        "outgoing_calls": len(outgoing),
        "connected_calls": sum(call["is_answered"] for call in outgoing),
        "voicemails": sum(call["has_voicemail"] for call in calls),
        "recorded_calls": sum(call["has_recording"] for call in calls),
        "customers": len({call["customer_number"] for call in calls}),
        "talk_seconds": sum(call["talk_seconds"] for call in calls),
    }


def grouped(calls: dict[str, Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Return the calls that are not tests by the values of some columns."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for call in calls.values():
        if not call["is_test_call"]:
            groups.setdefault(tuple(call[name] for name in names), []).append(call)
    return groups


def part(row: Row, names: Iterable[str]) -> Row:
    """Return some columns of a row."""
    return {name: row[name] for name in names}


def test_every_test_of_the_package_passes(built: Built) -> None:
    assert "PASS=" in built.log
    assert "WARN=0 ERROR=0 SKIP=0" in built.log


def test_calls_hold_each_call_once(built: Built) -> None:
    rows = {row["call_id"]: row for row in built.models["calls"]}
    assert len(rows) == len(built.models["calls"])
    assert rows.keys() == built.calls.keys()
    for call_id, call in built.calls.items():
        names = call.keys() - {"agent_name"} if call_id in built.pairs.values() else call.keys()
        assert part(rows[call_id], names) == part(call, names)


def test_calls_hold_agent_queue_and_number(built: Built) -> None:
    rows = {row["call_id"]: row for row in built.models["calls"]}
    answered, missed = rows[built.pairs["a1"]], rows[built.pairs["a2"]]
    names = ("agent_id", "user_id", "agent_email", "queue_id", "queue_name", "queue_count")
    assert tuple(answered[name] for name in names) == (
        *("a1", "u1", "a@example.com", "q1", "Sales, Support", 2),
    )
    assert answered["number_name"] == "Main"
    assert (missed["agent_id"], missed["agent_name"]) == ("a2", "Nobody")
    assert missed["queue_count"] == 0


def test_calls_daily_count_the_calls_of_each_day(built: Built) -> None:
    days = grouped(built.calls, "call_date")
    rows = {(row["call_date"],): row for row in built.models["calls_daily"]}
    assert rows.keys() == days.keys()
    for day, calls in days.items():
        figures = counted(calls)
        assert part(rows[day], figures) == figures


def test_numbers_daily_count_the_calls_of_each_number(built: Built) -> None:
    numbers = grouped(built.calls, "call_date", "number_id")
    rows = {(row["call_date"], row["number_key"]): row for row in built.models["numbers_daily"]}
    assert rows.keys() == numbers.keys()
    for key, calls in numbers.items():
        figures = counted(calls)
        assert part(rows[key], figures) == figures


def test_agents_daily_count_the_calls_of_each_agent(built: Built) -> None:
    listed = {built.pairs["a2"]: {"agent_name": "Nobody"}}
    calls = {call_id: call | listed.get(call_id, {}) for call_id, call in built.calls.items()}
    agents = grouped(calls, "call_date", "agent_name")
    agents = {key: calls for key, calls in agents.items() if key[1]}
    rows = {(row["call_date"], row["agent_name"]): row for row in built.models["agents_daily"]}
    assert rows.keys() == agents.keys()
    assert len(rows) == len(built.models["agents_daily"])
    for key, own in agents.items():
        figures = counted(own)
        names = rows[key].keys() & figures.keys()
        assert part(rows[key], names) == part(figures, names)
        assert rows[key]["answered_by_others"] == 0
    assert Counter(row["agent_id"] for row in rows.values())["a2"] == 1


def test_missed_calls_without_callback_exclude_reached_customers(built: Built) -> None:
    calls = [call for call in built.calls.values() if not call["is_test_call"]]
    window = dt.timedelta(hours=CALLBACK_HOURS)
    waiting = {
        call["call_id"]
        for call in calls
        if call["is_missed"]
        and not any(
            later["customer_number"] == call["customer_number"]
            and dt.timedelta(0) < later["started_at"] - call["started_at"] <= window
            and (later["direction"] == "outgoing" or later["is_answered"])
            for later in calls
        )
    }
    rows = built.models["missed_calls_without_callback"]
    assert {row["call_id"] for row in rows} == waiting
    assert len(rows) == len(waiting)
    assert 0 < len(waiting) < sum(call["is_missed"] for call in calls)


@pytest.mark.parametrize("loader", ["target-postgres", "target-duckdb"])
def test_job_of_meltano_yml_loads_and_builds(
    request: pytest.FixtureRequest, loader: str, tmp_path: Path
) -> None:
    database = loader.removeprefix("target-")
    if database == "postgres":
        warehouse: Postgres | DuckDB = Postgres(request.getfixturevalue("server"), "job")
    else:
        warehouse = DuckDB(FOLDER / "output", "zohovoice.duckdb")
        Path(warehouse.path).unlink(missing_ok=True)
        del warehouse.settings["TARGET_DUCKDB_PATH"]  # dbt must find the default file of the loader
    with open_account(CALLS // 10, seed=8) as box:
        job = f"calls-and-models-to-{database}"
        given = settings(f"dbt-{database}", {}) | {"TAP_ZOHOVOICE__SELECT": '["call_logs.*"]'}
        run = Pipeline(box, warehouse, tmp_path, given, job).run()
        assert run.exit_code == 0, run.log
        assert "WARN=0 ERROR=0 SKIP=0" in run.log
        rows = read(warehouse, "calls")["calls"]
        assert {row["call_id"] for row in rows} == {row["logid"] for row in box.store.rows()}
        assert {row["queue_count"] for row in rows} == {0}
