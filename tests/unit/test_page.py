"""Pages of call logs: their rows, and which row of a call is kept where several differ."""

import datetime as dt
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from itertools import permutations
from typing import Any

import pytest

from tap_zohovoice.exceptions import (
    InvalidParameterError,
    InvalidRecordError,
    MissingScopeError,
    RateLimitLockoutError,
    RetriesExhaustedError,
    UnexpectedResponseError,
    ZohoVoiceError,
)
from tap_zohovoice.extract.legs import CallRows, add_other_rows
from tap_zohovoice.extract.limits import ServerLimits
from tap_zohovoice.extract.page_flow import PageFlow
from tap_zohovoice.extract.page_size import PageRequester
from tap_zohovoice.extract.results import Checkpoint, ResultBuilder
from tap_zohovoice.extract.window_pass import WindowPass
from tap_zohovoice.extract.windows import DateWindow
from tap_zohovoice.pagination import Page, PageRequest
from tap_zohovoice.singer.json import SerializedRecord
from tests.support.reading import drive

NOW, WEEK = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC), "2026-W09"
START = "2026-02-10T08:00:00.000000+00:00"


def row(logid: str, end: str | None = None, number: int = 0, extra: Any = None) -> SerializedRecord:
    record = {"start_time": START, "logid": logid, "end_time": end, "number": number}
    return SerializedRecord.from_record({**record, "additional_fields": extra})


def read(rows: Sequence[SerializedRecord], size: int) -> tuple[PageFlow, int, set[str]]:
    """Read rows as a window with a total."""

    def request_page(offset: int, **_: bool) -> Generator[PageRequest, Page, Page]:
        return (yield PageRequest(offset, size, {}, "2026-02-10"))

    def respond(request: PageRequest) -> Page:
        requests.append(request)
        return Page(list(rows[request.offset : request.offset + size]), len(rows), size)

    requests: list[PageRequest] = []
    flow = PageFlow(request_page, ServerLimits(size), split="nothing", name="day")
    assert not [*drive(flow.read_window(), respond)]
    return flow, len(requests), {leg.logid for leg in flow.calls.legs}


def parse(logs: object, meta: object = None) -> Page:
    convert: Any = dict
    return PageRequest(0, 200, {}, "2026-01-01").parse({"logs": logs, "meta": meta}, convert)


@pytest.mark.parametrize("meta", [{}, {"total": 1}, {"total": "1"}])
def test_single_row_is_a_list_of_one(meta: dict[str, Any]) -> None:
    page = parse({"logid": "1", "start_time": START}, meta)
    assert [row.logid for row in page.rows] == ["1"]
    assert page.total in {None, 1}


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        *[(3, 3), ("3", 3), ("9" * 400, int("9" * 18))],
        *[(total, None) for total in (0, "0", -1, "-1", "x", "\u0663", True, None, 3.0)],
    ],
)
def test_total_is_a_count_or_unknown(total: object, expected: int | None) -> None:
    assert parse([{"logid": "1", "start_time": START}], {"total": total}).total == expected


@pytest.mark.parametrize("logs", [{}, "x", 7, True])
def test_other_values_are_not_a_list(logs: object) -> None:
    with pytest.raises(UnexpectedResponseError, match="logs is not a list"):
        parse(logs)


def test_unusable_row_is_named() -> None:
    def convert(row: object) -> dict[str, Any]:
        if row:
            return {"start_time": START, "logid": row}
        message = "is not an object"
        raise InvalidRecordError(message)

    with pytest.raises(ZohoVoiceError) as error:
        PageRequest(200, 100, {}, "2026-01-01").parse({"logs": ["call", None]}, convert)
    assert str(error.value) == (
        "Zoho Voice: row 201 of 2026-01-01 is not an object; the row cannot be emitted, "
        "and skipping it would lose data; report it to Zoho's support"
    )


@pytest.mark.parametrize(
    ("ends", "kept"),
    [
        *[(ends, ends.index("08:20")) for ends in permutations(["08:05", "08:10", "08:20"])],
        *[(("08:05", None), 0), ((None, "08:05"), 1)],  # not the row without an end
        *[((end, end, end), 2) for end in (None, "08:05")],
    ],
)
def test_row_with_latest_end_in_response_is_kept(ends: tuple[str | None, ...], kept: int) -> None:
    rows = [row("call", end, number) for number, end in enumerate(ends)]
    flow, requests, legs = read([row("a"), *rows, row("b")], 100)
    assert flow.calls.kept["call"].record["number"] == kept
    assert legs == {"call"}
    assert flow.limits.total_is_reliable
    assert requests <= 2


@pytest.mark.parametrize("distance", [6, 7, 12, 20])
def test_row_of_later_response_is_kept(distance: int) -> None:
    others = [row(f"other-{number:02}") for number in range(distance)]
    flow, _, legs = read([row("call", "09:00"), *others, row("call", "08:30"), row("last")], 5)
    assert flow.calls.kept["call"].record["end_time"] == "08:30"
    assert legs == {"call"}
    assert len(flow.calls.kept) == distance + 2
    assert flow.limits.total_is_reliable


@pytest.mark.parametrize(("total", "is_complete"), [(7, True), (8, False)])
def test_rows_repeated_by_new_calls_do_not_count(total: int, *, is_complete: bool) -> None:
    this = WindowPass(ServerLimits(5), "")
    first, second = (Page([*map(row, ids)], total, 5) for ids in ("abcde", "cdefg"))
    this.totals.append(total)
    this.add(first, 0)
    assert this.choose_overlap(first) == 2
    this.check_seam(first, second, {})
    this.add(second, 3)
    assert this.is_complete(len(this.seen), keeps_order=True) == is_complete


def test_equal_rows_of_an_id_are_not_told() -> None:
    flow, _, legs = read([row("call", "08:05"), row("call", "08:05"), row("other")], 100)
    assert set(flow.calls.kept) == {"call", "other"}
    assert not legs
    assert flow.limits.total_is_reliable


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        *[(None, "other_rows"), ({"sent": 1}, "other_rows"), ({"other_rows": 1}, "other_rows_")],
        ({"other_rows": 1, "other_rows_": 2}, "other_rows__"),
    ],
)
def test_call_gets_the_values_of_its_other_rows(extra: dict[str, int] | None, name: str) -> None:
    legs = [row("call", "08:10", 1, extra), row("call", "08:05", 2, extra), row("gone")]
    whole, other = add_other_rows([row("call", "08:10", 3, extra), row("other")], legs)
    others = [{"number": 1}, {"end_time": "08:05", "number": 2}]
    assert whole == row("call", "08:10", 3, {**(extra or {}), name: others})
    assert other == row("other")


def sizes_of(pages: PageRequester, granted: int, error: Exception | None = None) -> list[int]:
    """Read pages of a server that caps them, or fails for larger ones; return the sizes."""

    def read_pages() -> Generator[PageRequest, Page, None]:
        limits, offset = ServerLimits(200), 0
        for _ in range(1 if error else 3):
            request = PageRequest(offset, 200, {}, "2026-02-10")
            page = yield from pages.request(request, limits)
            offset += len(page.rows)

    def respond(request: PageRequest) -> Page:
        sizes.append(request.size)
        if error and request.size > granted:
            raise error
        rows = [row(f"call-{number}") for number in range(min(request.size, granted))]
        return Page(rows, 5_000, request.size)

    sizes: list[int] = []
    assert not [*drive(read_pages(), respond)]
    return sizes


@pytest.mark.parametrize(
    ("state", "granted", "sizes", "stored"),
    [
        ({}, 2_000, [200, 1_000, 1_000], 1_000),
        ({}, 300, [200, 1_000, 1_000], 1_000),
        ({}, 200, [200, 1_000, 500], 200),
        ({"page_size": [500, WEEK]}, 2_000, [200, 500, 500], 500),
        ({"page_size": [200, WEEK]}, 2_000, [200, 200, 200], 200),
        ({"page_size": [150, WEEK]}, 2_000, [150, 150, 150], 150),
        ({"page_size": [1, WEEK]}, 2_000, [100, 100, 100], 100),
        *[
            ({"page_size": wrong}, 2_000, [200, 1_000, 1_000], 1_000)
            for wrong in (7, [200], [0, WEEK], ["200", WEEK], [200, "2026-W10"])
        ],
    ],
)
def test_granted_size_is_remembered_for_a_week(
    state: dict[str, Any], granted: int, sizes: list[int], stored: int
) -> None:
    for size in (5, None):
        pages, after = PageRequester(size), dict[str, Any]()
        pages.restore(state, NOW)
        assert sizes_of(pages, granted) == ([5, 5, 5] if size else sizes)
        pages.store(after, NOW)
        assert after == ({} if size else {"page_size": [stored, WEEK]})


FAILED: dict[str, Any] = {"summary": "HTTP 400"}  # without one, no access token was fetched


@pytest.mark.parametrize(
    ("error", "sizes", "is_for_granted"),  # also for a size that was granted before
    [
        (ZohoVoiceError("redirect", **FAILED), [200, 100, 200], False),
        (RetriesExhaustedError("500", **FAILED), [200, 100, 200], True),
        (InvalidParameterError("size", **FAILED, rejected="size"), [200, 100], True),
        (InvalidParameterError("any", **FAILED), [200, 100, 200], False),
    ],
    ids=str,
)
def test_doubtful_size_is_tried_smaller(
    error: ZohoVoiceError, sizes: list[int], *, is_for_granted: bool
) -> None:
    assert sizes_of(PageRequester(None), 100, error) == sizes
    pages = PageRequester(None)
    assert sizes_of(pages, 1_000) == [200, 1_000, 1_000]
    with nullcontext() if is_for_granted else pytest.raises(type(error)):
        assert sizes_of(pages, 300, error) == [1_000, 500, 200]


@pytest.mark.parametrize(
    "error",
    [
        *[kind("no token") for kind in (ZohoVoiceError, RetriesExhaustedError)],
        *[MissingScopeError("scope", **FAILED), RateLimitLockoutError("lock", **FAILED)],
        InvalidParameterError("dates", **FAILED, rejected="dates"),
    ],
    ids=str,
)
def test_error_that_has_another_reason_is_raised(error: ZohoVoiceError) -> None:
    with pytest.raises(type(error)) as raised:
        sizes_of(PageRequester(None), 100, error)
    assert raised.value is error


def test_call_of_a_dense_day_is_emitted_once_although_its_values_change() -> None:
    window = DateWindow(dt.date(2026, 2, 10), dt.date(2026, 2, 10))
    builder, counts = ResultBuilder(NOW - dt.timedelta(30), NOW), []
    for value in "abc":
        calls = CallRows()
        calls.add([row("1", extra={"url": value})], lambda _: False)
        counts.append(len(builder.build(window, calls, Checkpoint(window)).rows))
    assert counts == [1, 0, 0]
