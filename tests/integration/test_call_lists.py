"""Lists in part, in changing orders, with other totals or with wrong times: command line."""

import itertools
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests_mock

from tests.support.calls import assert_once, call, history, milliseconds, server_ids
from tests.support.catalog import selecting
from tests.support.cli import NOW, FakeClock, Run, RunTap, bookmark
from zoho_voice_sandbox import Dialect, Sandbox

STARTS = "2026-02-10T08:00:00+00:00"


def from_default_start(box: Sandbox) -> dict[str, Any]:
    """Return the settings without `start_date`."""
    return {name: value for name, value in box.config.items() if name != "start_date"}


def lines(run: Run, pattern: str) -> list[str]:
    return [line for line in run.log.splitlines() if re.search(pattern, line)]


@pytest.mark.parametrize("end", ["last", "first"])
@pytest.mark.parametrize(
    ("answered", "days"),
    [
        *[(7, 9), (7, 20), (7, 45), (14, 18), (14, 30), (14, 400)],
        *[(30, 31), (30, 33), (30, 45), (30, 58), (31, 36), (45, 58), (60, 75), (90, 95)],
    ],
)
@pytest.mark.parametrize("total", ["exact", "absent"])
def test_range_of_weeks_that_is_answered_in_part_is_read_whole(
    run_tap: RunTap, clock: FakeClock, answered: int, days: int, end: Any, total: Any
) -> None:
    dialect = Dialect(answered_days=answered, answered_end=end, total=total)
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(days)
    calls = history(5 * (days + 10), first=start.date() - timedelta(10))
    with Sandbox(history=calls, dialect=dialect, clock=clock) as box:
        config = {**box.config, "start_date": start.isoformat()}
        run = run_tap(config)
        since = milliseconds(start.isoformat())
        assert_once(run, {
            row["logid"] for row in box.store.rows() if int(row["start_time"]) >= since
        })  # fmt: skip
        first_requests = box.stats.requests
        following = run_tap(config, state=run.state)
        assert box.stats.requests - first_requests <= 2
    told = re.findall(r"of the calls of long date ranges; reading windows of (\d+) days", run.log)
    # Without a total, windows may stay shorter than what is answered.
    assert len(told) == 1 or (total == "absent" and not told)
    length = int(told[0]) if told else min(answered, 30)
    assert min(answered, 30) - 4 <= length <= min(answered, 30)
    # The windows, of which each shares a day with the one before and may have two pages; proofs.
    windows = -(-(days + 3) // (length - 1)) + 1
    assert first_requests <= 2 * windows + (6 if total == "exact" else 12)
    assert not lines(following, "only some of the calls")


@pytest.mark.parametrize("total", ["exact", "absent"])
@pytest.mark.parametrize(("days", "silent"), [(9, 3), (20, 6), (33, 5), (58, 20), (400, 100)])
def test_days_that_are_silent_cost_one_request(
    run_tap: RunTap, clock: FakeClock, days: int, silent: int, total: Any
) -> None:
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(days)
    calls = history(180, first=start.date() + timedelta(silent))
    with Sandbox(history=calls, dialect=Dialect(total=total), clock=clock) as box:
        run = run_tap({**box.config, "start_date": start.isoformat()})
        assert_once(run, server_ids(box))
        # A page, one that verifies its total, or three that verify its end; one for the silence.
        assert box.stats.requests <= (2 if total == "exact" else 4) + 1
    assert not lines(run, "only some of the calls")


def test_silent_days_that_cannot_be_requested_are_read_in_windows_of_30_days(
    run_tap: RunTap, clock: FakeClock
) -> None:
    calls = history(150, first=date(2026, 1, 15))
    with Sandbox(history=calls, clock=clock) as box:
        config = {**box.config, "start_date": "2025-06-01"}
        box.faults = dict.fromkeys(range(3, 10), "500")  # one with a new token
        run = run_tap(config)
        assert_once(run, server_ids(box))
    (line,) = lines(run, "Requests for .* alone fail; reading windows of 30 days")
    assert "..2026-01-14" in line  # of the silent days, the newest come first


@pytest.mark.parametrize("listed", ["now", "late"])
def test_call_that_arrives_after_a_window_was_read_proves_nothing(
    run_tap: RunTap, clock: FakeClock, listed: str
) -> None:
    calls = history(150, first=date(2025, 12, 1), last=date(2026, 2, 1))
    with Sandbox(history=calls, clock=clock) as box:

        def arrive(number: int) -> None:
            if number == 2:
                started = clock.now() * 1000 - (40 * 60_000 if listed == "late" else 0)
                box.store.add(call(box, "arrives", int(started)))

        box.before_request = arrive
        first = run_tap({**box.config, "start_date": "2025-12-01"})
        assert box.stats.requests <= 3
        second = run_tap({**box.config, "start_date": "2025-12-01"}, state=first.state)
    assert not lines(first, "only some of the calls")
    assert len(set(first.ids)) == 150
    assert "arrives" in second.ids


@pytest.mark.parametrize(("wrong", "every"), [("year_2000", 40), ("year_2000", 90), ("epoch", 40)])
def test_calls_of_a_telephone_that_was_reset_are_emitted_with_one_warning(
    run_tap: RunTap, clock: FakeClock, wrong: Any, every: int
) -> None:
    plain, dialect = Dialect(), Dialect(wrong_start=wrong, wrong_start_every=every)
    with Sandbox(history=history(), dialect=plain, clock=clock) as box:
        bookmark = run_tap(box.config).bookmark
    with Sandbox(history=history(), dialect=dialect, clock=clock) as box:
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        second = run_tap(box.config, state=run.state)
    strays = [row for row in run.records if row["start_time"] < "2001"]
    assert 3 < len(strays) < 60
    (warning,) = lines(run, "more than two days outside the requested days")
    assert f" {len(strays)} calls " in warning
    assert "2026-02-2" < run.bookmark <= bookmark
    assert second.bookmark >= run.bookmark


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("files", ["always", "filtered"])
def test_times_in_seconds_are_read_as_seconds(
    run_tap: RunTap, clock: FakeClock, every: int, files: Any
) -> None:
    dialect = Dialect(wrong_start="seconds", wrong_start_every=every, file_keys=files)
    catalog = selecting("call_logs", "recordings", "transcripts")
    with Sandbox(history=history(400), dialect=Dialect(file_keys=files), clock=clock) as box:
        right = run_tap(box.config, catalog=catalog)
    with Sandbox(history=history(400), dialect=dialect, clock=clock) as box:
        run = run_tap(box.config, catalog=catalog)
        assert_once(run, server_ids(box))
    assert not lines(run, "outside the requested days|does not match its type")
    for stream in ("call_logs", "recordings", "transcripts"):
        times = [(row["logid"], row["start_time"][:19]) for row in right.rows(stream)]
        assert sorted(times) == sorted(
            (row["logid"], row["start_time"][:19]) for row in run.rows(stream)
        )
    ends = {row["logid"]: (row["end_time"] or "")[:19] for row in right.records}
    assert ends == {row["logid"]: (row["end_time"] or "")[:19] for row in run.records}
    assert run.bookmark[:19] == right.bookmark[:19]


@pytest.mark.parametrize(
    "value",
    [
        *[1_770_710_400, "1770710400", 1_770_710_400.0, "1770710400.0"],
        *[1_770_710_400_000_000, "1770710400000000", "1770710400000000.0"],
    ],
)
def test_each_time_field_may_be_in_another_unit(
    run_tap: RunTap, clock: FakeClock, value: object
) -> None:
    times = dict.fromkeys(("start_time", "answer_time", "end_time"), value)
    row = {"logid": "epochs", **times, "bridged_agent": {"time": value}}
    with Sandbox(history=None, clock=clock) as box:
        box.store.add(row, at_ms=milliseconds(STARTS))
        (record,) = run_tap(from_default_start(box)).records
    expected = "2026-02-10T08:00:00.000000+00:00"
    assert [record[name] for name in times] == [expected] * 3
    assert record["bridged_agent"]["time"] == expected
    assert record["additional_fields"] is None


@pytest.mark.parametrize("days", [30, 90, 400, 1000])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("refused", ["start", "end"])
def test_default_start_date_works_where_the_oldest_days_are_refused(
    run_tap: RunTap, clock: FakeClock, days: int, named: bool, refused: Any
) -> None:
    dialect = Dialect(retention_days=days, dates_named=named, retention_refused=refused)
    calls = history(300, first=date(2026, 2, 1))
    with Sandbox(history=calls, dialect=dialect, clock=clock) as box:
        run = run_tap(from_default_start(box))
        assert_once(run, server_ids(box))
        # Of 1000 days, 970 are silent: the 20 requests of proofs are not enough for all.
        assert box.stats.requests <= (25 + 20 if days == 1000 else 40)
    told = lines(run, r"Zoho rejects days before 202\d-\d\d-\d\d")
    assert len(told) == (refused == "start")


def add_legs(box: Sandbox, logid: str, *legs: tuple[str, str | None]) -> None:
    """Add the rows of one call: start and end of each, on 2026-02-10 or at a date-time."""
    for start, end in legs:
        moments = [text and milliseconds(f"2026-02-{text}:00+00:00") for text in (start, end)]
        row = call(box, logid, int(moments[0] or 0), end_time=moments[1] and str(moments[1]))
        box.store.add(row, is_leg=True)


LEGS = [
    (("10T08:00", "10T08:05"), ("10T08:01", "10T08:09")),
    (("10T08:00", "10T08:30"), ("10T08:01", "10T08:09")),
    (("10T08:00", None), ("10T08:01", "10T08:09")),
    (("10T08:00", "10T08:05"), ("10T08:02", None), ("10T08:03", "10T08:04")),
]


@pytest.mark.parametrize("legs", LEGS)
@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
@pytest.mark.parametrize("total", ["exact", "absent"])
def test_of_several_rows_of_a_call_the_one_that_ends_last_is_kept(
    run_tap: RunTap, clock: FakeClock, legs: tuple[Any, ...], order: Any, total: Any
) -> None:
    dialect = Dialect(order=order, total=total)
    with Sandbox(history=history(60), dialect=dialect, clock=clock) as box:
        for number in range(3):
            add_legs(box, f"legs-{number}", *legs)
        run = run_tap(box.config)
        assert_once(run, server_ids(box))
        assert box.stats.requests <= 4
    kept = [row for row in run.records if row["logid"].startswith("legs-")]
    last = max(end or "" for _, end in legs)
    assert [row["end_time"][8:16] for row in kept] == [last] * 3
    (warning,) = lines(run, "WARNING")
    assert "3 calls have several rows that differ (legs of a call)" in warning
    assert "legs-" not in run.log


def test_leg_in_a_later_window_is_emitted_too(run_tap: RunTap, clock: FakeClock) -> None:
    dialect = Dialect(max_range_days=5)
    with Sandbox(history=None, dialect=dialect, clock=clock) as box:
        for day in range(1, 28):
            add_legs(box, f"call-{day}", (f"{day:02}T12:00", None))
            add_legs(box, f"legs-{day}", (f"{day:02}T23:50", f"{day:02}T23:59"))
            add_legs(box, f"legs-{day}", (f"{day + 1:02}T00:05", f"{day + 1:02}T00:10"))
        run = run_tap({**box.config, "start_date": "2026-02-01"})
    assert run.exit_code == 0
    stored = {row["logid"]: row for row in run.records}
    ends = [stored[f"legs-{day}"]["end_time"][8:16] for day in range(1, 28)]
    assert ends == [f"{day + 1:02}T00:10" for day in range(1, 28)]
    assert len(lines(run, "27 calls have several rows")) == 1


def add_differing_rows(box: Sandbox, logid: str, *rows: dict[str, Any]) -> None:
    """Add rows of one call that started at the same time, each with fields of its own."""
    for fields in rows:
        row = call(box, logid, milliseconds(STARTS), **fields)
        box.store.add(row, is_leg=True)


def test_differing_values_of_a_dropped_row_are_kept(run_tap: RunTap, clock: FakeClock) -> None:
    ends = [str(milliseconds(STARTS) + minutes * 60_000) for minutes in (9, 5)]
    with Sandbox(history=None, clock=clock) as box:
        add_differing_rows(
            box,
            "legs",
            {"call_type": "bridged", "end_time": ends[0], "other_rows": "of the API"},
            {"call_type": "forward", "end_time": ends[1], "other_rows": "of the API"},
        )
        run = run_tap(from_default_start(box))
    (record,) = run.records
    assert (record["call_type"], record["end_time"][11:16]) == ("bridged", "08:09")
    other = {"call_type": "forward", "end_time": "2026-02-10T08:05:00.000000+00:00"}
    assert record["additional_fields"] == {"other_rows": "of the API", "other_rows_": [other]}


def test_hidden_values_of_a_dropped_row_stay_hidden(run_tap: RunTap, clock: FakeClock) -> None:
    maps = {"call_logs": {"caller_id_name": "__NULL__"}}
    catalog = selecting("call_logs")
    (entry,) = [item for item in catalog["streams"] if item["tap_stream_id"] == "call_logs"]
    entry["metadata"].append({
        "breadcrumb": ["properties", "caller_id_name"], "metadata": {"selected": False},
    })  # fmt: skip
    with Sandbox(history=None, clock=clock) as box:
        add_differing_rows(box, "legs", {"caller_id_name": "Ann"}, {"caller_id_name": "Bob"})
        mapped = run_tap({**from_default_start(box), "stream_maps": maps})
        deselected = run_tap(from_default_start(box), catalog=catalog)
    for run in (mapped, deselected):
        (record,) = run.records
        assert record["logid"] == "legs"
        assert "Ann" not in run.stdout
        assert "Bob" not in run.stdout


@pytest.mark.parametrize("page_size", [2, 200])
@pytest.mark.parametrize("order", ["newest", "oldest", "logid"])
@pytest.mark.parametrize("field", ["call_recording", "voicemail"])
def test_files_of_all_rows_of_a_call_come_out(
    run_tap: RunTap, clock: FakeClock, tmp_path: Path, page_size: int, order: Any, field: str
) -> None:
    names = ["leg-1.wav", "leg-2.wav", "leg-3.wav"]
    with Sandbox(history=None, dialect=Dialect(order=order), clock=clock) as box:
        add_differing_rows(
            box, "legs", *({field: {"recording_filename": name}} for name in [*names, names[0]])
        )
        for number in range(4):
            start = milliseconds(STARTS) + number * 1000
            file = {field: {"recording_filename": f"other-{number}.wav"}}
            box.store.add(call(box, f"other-{number}", start, **file))
        folder = str(tmp_path / "calls")
        config = {
            **from_default_start(box),
            "page_size": page_size,
            "recordings_path": folder,
            "recordings_per_request": 1,
        }
        run = run_tap(config)
        again = run_tap(config, state=run.state)
        assert box.stats.files.requests == 7
    assert run.exit_code == again.exit_code == 0
    assert sorted(run.ids) == ["legs", *(f"other-{number}" for number in range(4))]
    for rows in (run.rows("recordings"), again.rows("recordings")):
        found = [row["recording_filename"] for row in rows]
        assert sorted(found) == [*names, *(f"other-{number}.wav" for number in range(4))]
        assert {row["logid"] for row in rows if row["recording_filename"] in names} == {"legs"}
        assert [row["start_time"] for row in rows] == sorted(row["start_time"] for row in rows)
        assert all(row["bytes"] for row in rows)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_transcript_of_a_dropped_row_comes_out(
    run_tap: RunTap, clock: FakeClock, order: Any
) -> None:
    start, states = milliseconds(STARTS), ("not_initiated", "completed", "not_initiated")
    with Sandbox(history=None, dialect=Dialect(order=order), clock=clock) as box:
        for number, state in enumerate(states):
            fields = {
                "call_recording_transcription_status": state,
                "call_recording": {"recording_filename": f"leg-{number}.wav"},
            }
            box.store.add(call(box, "legs", start + number, **fields), is_leg=True)
        box.transcripts.put("legs", {"text": "hello"})
        run = run_tap(from_default_start(box), catalog=selecting("call_logs", "transcripts"))
    assert run.exit_code == 0, run.log
    assert [(row["logid"], row["kind"]) for row in run.rows("transcripts")] == [
        ("legs", "recording")
    ]


def test_files_of_rows_of_several_call_types_come_out(run_tap: RunTap, clock: FakeClock) -> None:
    dialect = Dialect(max_offset=100)
    with Sandbox(history=None, dialect=dialect, clock=clock) as box:
        for number in range(120):
            call_type = ("incoming", "outgoing")[number % 2]
            start = milliseconds(STARTS) + number
            box.store.add(call(box, f"call-{number}", start, call_type=call_type))
        for call_type in ("incoming", "outgoing"):
            file = {"recording_filename": f"{call_type}.wav"}
            row = call(box, "legs", milliseconds(STARTS), call_type=call_type, call_recording=file)
            box.store.add(row, is_leg=True)
        config = {**from_default_start(box), "page_size": 10}
        run = run_tap(config, catalog=selecting("call_logs", "recordings"))
        assert_once(run, server_ids(box))
    found = {row["recording_filename"] for row in run.rows("recordings")}
    assert found == {"incoming.wav", "outgoing.wav"}


@pytest.mark.parametrize("end", ["last", "first"])
@pytest.mark.parametrize("wrong", [1, 2])
def test_wrong_clocks_do_not_prove_a_range(
    run_tap: RunTap, clock: FakeClock, wrong: int, end: Any
) -> None:
    dialect = Dialect(answered_days=90, answered_end=end)
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(900)
    with Sandbox(history=history(900, first=start.date()), dialect=dialect, clock=clock) as box:
        is_last = end == "last"
        for number in range(wrong):
            filed = milliseconds((start + timedelta(890 if is_last else 10)).isoformat())
            shown = milliseconds((start + timedelta(0 if is_last else 899)).isoformat())
            box.store.add(call(box, f"reset-{number}", shown + number), at_ms=filed)
        run = run_tap({**box.config, "start_date": str(start.date() - timedelta(1))})
        assert_once(run, server_ids(box))


def test_phone_that_is_ahead_moves_no_bookmark_past_calls_that_are_not_read(
    run_tap: RunTap, clock: FakeClock
) -> None:
    dialect = Dialect(max_range_days=7)
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(28)
    with Sandbox(history=history(900, first=start.date()), dialect=dialect, clock=clock) as box:
        for days in range(24):
            filed = milliseconds((start + timedelta(days)).isoformat())
            box.store.add(call(box, f"ahead-{days}", filed + 2 * 86_400_000), at_ms=filed)
        first = str(start.date() - timedelta(1))
        run = run_tap({**box.config, "start_date": first, "lookback_days": 0})
        assert_once(run, server_ids(box))
    states = [
        (place, bookmark(message["value"]))
        for place, message in enumerate(run.messages)
        if message["type"] == "STATE"
    ]
    assert len(states) > 3
    for place, value in states:
        unread = [
            message["record"]["start_time"]
            for message in run.messages[place:]
            if message["type"] == "RECORD" and not message["record"]["logid"].startswith("ahead")
        ]
        assert not unread or value <= min(unread)


@pytest.mark.parametrize("total", [True, False])
def test_two_orders_in_turn_are_read_in_windows_of_a_page(
    run_tap: RunTap, clock: FakeClock, *, total: bool
) -> None:
    start = round((NOW - 86_400) * 1000)
    rows = [
        {"logid": f"{n * 7919 % 900:03}", "start_time": str(start - n * 9_600_000)}
        for n in range(900)
    ]
    count = itertools.count()

    def respond(request: Any, _context: Any) -> dict[str, Any]:
        query = {name: values[0] for name, values in request.qs.items()}
        first, last = (datetime.fromisoformat(query[name]) for name in ("fromdate", "todate"))
        bounds = (day.replace(tzinfo=UTC).timestamp() * 1000 for day in (first, last))
        begin, end = (round(moment) for moment in bounds)
        found = [row for row in rows if begin <= int(row["start_time"]) < end + 86_400_000]
        if next(count) % 2:
            found.sort(key=lambda row: row["logid"])
        offset = int(query["from"])
        page = found[offset : offset + min(int(query["size"]), 61)]
        return {"logs": page, "meta": {"total": len(found)} if total else {}}

    with Sandbox(history=None, clock=clock) as box, requests_mock.Mocker(real_http=True) as mock:
        mock.get(f"{box.url}/rest/json/zv/logs", json=respond)
        run = run_tap({**box.config, "start_date": "2025-10-01"})
    assert_once(run, {row["logid"] for row in rows})
