"""Lists in part, in changing orders, with other totals or with wrong times: command line."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from requests_mock import Mocker

from tests.support.account import Account, Accounts
from tests.support.calls import call, history, milliseconds, server_ids
from tests.support.cli import NOW, Run, bookmark, selecting
from tests.support.recordings import file_names

STARTS = milliseconds("2026-02-10T08:00:00+00:00")
ORDERS = ["newest", "oldest", "logid"]


def days_ago(days: int) -> datetime:
    return datetime.fromtimestamp(NOW, UTC) - timedelta(days)


@pytest.mark.parametrize("end", ["last", "first"])
@pytest.mark.parametrize(("answered", "days"), [(7, 20), (30, 45)])
def test_range_answered_in_part_is_told_once(
    account: Accounts, answered: int, days: int, end: str
) -> None:
    start = days_ago(days).isoformat()
    calls = history(5 * days, first=days_ago(days - 1).date())
    with account(calls, answered_days=answered, answered_end=end) as box:
        run = box.read(start_date=start)
        requests = box.stats.requests
        following = box.succeed(start_date=start, state=run.state)
        assert box.stats.requests - requests <= 2
    (length,) = re.findall(r"of the calls of long date ranges; reading windows of (\d+) d", run.log)
    assert answered - 4 <= int(length) <= answered
    assert not following.lines("only some of the calls")


def test_failing_silent_days_are_read_in_short_windows(account: Accounts) -> None:
    faults = dict.fromkeys(range(3, 10), "500")  # one with a new token
    with account(150, first=date(2026, 1, 15), faults=faults) as box:
        run = box.read(start_date="2025-06-01")
    (line,) = run.lines("Requests for .* alone fail; reading windows of 30 days")
    assert "..2026-01-14" in line  # of the silent days, the newest come first


@pytest.mark.parametrize("late", [0, 40 * 60_000])
def test_call_that_arrives_behind_a_window_proves_nothing(account: Accounts, late: int) -> None:
    with account(150, first=date(2025, 12, 1), last=date(2026, 2, 1)) as box:
        box.before_request = lambda number: (
            box.store.add(call(box, "arrives", round(box.clock.now() * 1000) - late))
            if number == 2
            else None
        )
        first = box.run()
        assert box.stats.requests <= 3
        second = box.run(state=first.state)
    assert not first.lines("only some of the calls")
    assert len(set(first.ids)) == 150
    assert "arrives" in second.ids


@pytest.mark.parametrize(("wrong", "every"), [("year_2000", 40), ("year_2000", 90), ("epoch", 40)])
def test_calls_of_a_reset_phone_are_told_once(account: Accounts, wrong: str, every: int) -> None:
    with account() as box:
        usual = box.run().bookmark
    with account(wrong_start=wrong, wrong_start_every=every) as box:
        run = box.read()
        second = box.run(state=run.state)
    strays = [row for row in run.records if row["start_time"] < "2001"]
    assert 3 < len(strays) < 60
    (warning,) = run.lines("more than two days outside the requested days")
    assert f" {len(strays)} calls " in warning
    assert "2026-02-2" < run.bookmark <= usual
    assert second.bookmark >= run.bookmark


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("files", ["always", "filtered"])
def test_times_in_seconds_are_read_as_seconds(account: Accounts, every: int, files: str) -> None:
    def times(run: Run, stream: str) -> list[tuple[str, ...]]:
        names = ("start_time", "end_time") if stream == "call_logs" else ("start_time",)
        rows = run.rows(stream)
        return sorted((row["logid"], *((row[name] or "")[:19] for name in names)) for row in rows)

    streams = ("call_logs", "recordings", "transcripts")
    with account(120, file_keys=files) as box:
        right = box.run(streams=streams)
    with account(120, wrong_start="seconds", wrong_start_every=every, file_keys=files) as box:
        run = box.read(streams=streams)
    assert not run.lines("outside the requested days|does not match its type")
    for stream in streams:
        assert times(run, stream) == times(right, stream) != []
    assert run.bookmark[:19] == right.bookmark[:19]


@pytest.mark.parametrize("days", [30, 90, 400, 1000])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("refused", ["start", "end"])
def test_default_start_date_works_despite_retention(
    account: Accounts, days: int, named: bool, refused: str
) -> None:
    habits = {"retention_days": days, "dates_named": named, "retention_refused": refused}
    with account(300, first=date(2026, 2, 1), **habits) as box:
        run = box.read(start_date=None)
        # Of 1000 days, 970 are silent: the 20 requests of proofs are not enough for all.
        assert box.stats.requests <= (25 + 20 if days == 1000 else 41)
    told = run.lines(r"Zoho rejects days before 202\d-\d\d-\d\d")
    assert len(told) == (refused == "start")


@pytest.mark.parametrize("fields", [{}, {"agent_number": "Ann"}])
@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("total", ["exact", "absent"])
def test_dense_day_of_multi_row_calls_is_read(
    account: Accounts, fields: dict[str, Any], every: int, total: str
) -> None:
    with account(611, first=date(2026, 2, 10), last=date(2026, 2, 10), total=total) as box:
        for number, row in enumerate(box.store.rows()):
            if number % every == 0:
                box.store.add({**row, **fields}, is_leg=True)
        box.read()


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_multi_row_calls_beyond_a_cut_list_are_read(account: Accounts, order: str) -> None:
    cut = {"max_offset": 200, "offset_over": "cut", "total": "capped", "total_error": 200}
    with account(600, first=date(2026, 2, 22), order=order, **cut) as box:
        for row in [*box.store.rows()][::20]:
            box.store.add({**row, "agent_number": "Ann"}, is_leg=True)
        box.read(start_date="2026-02-22", page_size=50)


def test_leg_in_a_later_window_is_emitted_too(account: Accounts) -> None:
    with account(None, max_range_days=5) as box:
        for day in range(1, 28):
            midnight = milliseconds(f"2026-02-{day + 1:02}T00:00:00+00:00")
            box.store.add(call(box, f"call-{day}", midnight - 12 * 3_600_000))
            for start in (midnight - 10 * 60_000, midnight + 5 * 60_000):
                row = call(box, f"legs-{day}", start, end_time=str(start + 5 * 60_000))
                box.store.add(row, is_leg=True)
        run = box.succeed(start_date="2026-02-01")
    stored = {row["logid"]: row for row in run.records}
    ends = [stored[f"legs-{day}"]["end_time"][8:16] for day in range(1, 28)]
    assert ends == [f"{day + 1:02}T00:10" for day in range(1, 28)]
    (warning,) = run.lines("WARNING")
    assert "27 calls have several rows that differ (legs of a call)" in warning
    assert "legs-" not in run.log


def add_differing_rows(box: Account, logid: str, *rows: dict[str, Any]) -> None:
    """Add rows of one call that started at the same time, each with fields of its own."""
    for fields in rows:
        box.store.add(call(box, logid, STARTS, **fields), is_leg=True)


def test_hidden_values_of_a_dropped_row_stay_hidden(account: Accounts) -> None:
    catalog = selecting("call_logs")
    (entry,) = [item for item in catalog["streams"] if item["tap_stream_id"] == "call_logs"]
    field = ["properties", "caller_id_name"]
    entry["metadata"].append({"breadcrumb": field, "metadata": {"selected": False}})
    with account(None) as box:
        add_differing_rows(box, "legs", {"caller_id_name": "Ann"}, {"caller_id_name": "Bob"})
        mapped = box.run(stream_maps={"call_logs": {"caller_id_name": "__NULL__"}})
        deselected = box.run(catalog=catalog)
    for run in (mapped, deselected):
        assert run.ids == ["legs"]
        assert not re.search("Ann|Bob", run.stdout)


@pytest.mark.parametrize("page_size", [2, 200])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("field", ["call_recording", "voicemail"])
def test_files_of_all_rows_come_out(
    account: Accounts, tmp_path: Any, page_size: int, order: str, field: str
) -> None:
    legs, others = [f"leg-{n}.wav" for n in range(3)], [f"other-{n}.wav" for n in range(4)]
    with account(None, order=order) as box:
        rows = [{field: {"recording_filename": name}} for name in (*legs, *others)]
        add_differing_rows(box, "legs", *rows[:3], rows[0])
        for number, fields in enumerate(rows[3:]):
            box.store.add(call(box, f"other-{number}", STARTS + number * 1000, **fields))
        box.own |= {"recordings_path": str(tmp_path / "calls"), "recordings_per_request": 1}
        run = box.succeed(page_size=page_size)
        again = box.succeed(page_size=page_size, state=run.state)
        assert box.stats.files.requests == 7
    assert sorted(run.ids) == ["legs", *(f"other-{number}" for number in range(4))]
    for found in (run.rows("recordings"), again.rows("recordings")):
        assert sorted(row["recording_filename"] for row in found) == [*legs, *others]
        assert {row["logid"] for row in found if row["recording_filename"] in legs} == {"legs"}
        assert [row["start_time"] for row in found] == sorted(row["start_time"] for row in found)
        assert all(row["bytes"] for row in found)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_transcript_of_a_dropped_row_comes_out(account: Accounts, order: str) -> None:
    with account(None, order=order) as box:
        for number, state in enumerate(("not_initiated", "completed", "not_initiated")):
            file = {"recording_filename": f"leg-{number}.wav"}
            fields = {"call_recording_transcription_status": state, "call_recording": file}
            box.store.add(call(box, "legs", STARTS + number, **fields), is_leg=True)
        box.transcripts.put("legs", {"text": "hello"})
        run = box.succeed(streams=["call_logs", "transcripts"])
    found = [(row["logid"], row["kind"]) for row in run.rows("transcripts")]
    assert found == [("legs", "recording")]


def test_files_of_several_call_types_are_emitted(account: Accounts) -> None:
    types = ("incoming", "outgoing")
    with account(None, max_offset=100) as box:
        for number in range(120):
            kind = types[number % 2]
            box.store.add(call(box, f"call-{number}", STARTS + number, call_type=kind))
        for call_type in types:
            file = {"recording_filename": f"{call_type}.wav"}
            add_differing_rows(box, "legs", {"call_type": call_type, "call_recording": file})
        run = box.read(page_size=10, streams=["call_logs", "recordings"])
    assert file_names(run) == {"incoming.wav", "outgoing.wav"}


@pytest.mark.parametrize(("end", "filed", "shown"), [("last", 890, 0), ("first", 10, 899)])
@pytest.mark.parametrize("wrong", [1, 2])
def test_wrong_clocks_prove_no_range(
    account: Accounts, wrong: int, end: str, filed: int, shown: int
) -> None:
    start = days_ago(900)
    at_ms, start_ms = (round(days_ago(900 - day).timestamp() * 1000) for day in (filed, shown))
    with account(900, first=start.date(), answered_days=90, answered_end=end) as box:
        for number in range(wrong):
            box.store.add(call(box, f"reset-{number}", start_ms + number), at_ms=at_ms)
        box.read(start_date=str(start.date() - timedelta(1)))


def test_phone_that_is_ahead_moves_no_bookmark(account: Accounts) -> None:
    start = days_ago(28)
    with account(first=start.date(), max_range_days=7) as box:
        for days in range(24):
            filed = round(days_ago(28 - days).timestamp() * 1000)
            box.store.add(call(box, f"ahead-{days}", filed + 2 * 86_400_000), at_ms=filed)
        run = box.read(start_date=str(start.date() - timedelta(1)), lookback_days=0)
    assert len(run.states) > 3
    unread = "9999"  # start of the earliest call behind a state, from the end
    for message in reversed(run.messages):
        if message["type"] == "STATE":
            assert bookmark(message["value"]) <= unread
        elif message["type"] == "RECORD" and not message["record"]["logid"].startswith("ahead"):
            unread = min(unread, message["record"]["start_time"])


@pytest.mark.parametrize("total", ["exact", "absent"])
@pytest.mark.parametrize("first_empty", [2, 3, 5, 12, 40])
def test_lists_that_become_empty_lose_no_call(
    account: Accounts, total: Any, first_empty: int
) -> None:
    sent, empty = count(1), {"logs": [], "status": "200"}
    with account(3_000, max_size=50, total=total) as box:
        with Mocker(real_http=True) as mock:
            url = f"{box.url}/rest/json/zv/logs"
            mock.get(url, json=empty, additional_matcher=lambda _: next(sent) >= first_empty)
            run = box.fail(r"^Zoho no longer returns \d+ calls that it returned; run again later$")
        following = box.succeed(state=run.states[-1] if run.states else None)
        assert {*run.ids, *following.ids} == server_ids(box)


@pytest.mark.parametrize("lasting", [1, 3])
def test_lists_that_are_empty_for_a_while_lose_no_call(account: Accounts, lasting: int) -> None:
    sent = count(1)
    with account(450, total="absent") as box, Mocker(real_http=True) as mock:
        url = f"{box.url}/rest/json/zv/logs"
        mock.get(url, json={"logs": []}, additional_matcher=lambda _: 1 < next(sent) <= 1 + lasting)
        box.read()
