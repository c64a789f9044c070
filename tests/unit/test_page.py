"""Pages of call logs: their rows, and which row of a call is kept where several differ."""

from collections.abc import Generator, Sequence
from itertools import permutations
from typing import Any

import pytest

from tap_zohovoice.exceptions import UnexpectedResponseError
from tap_zohovoice.extract.limits import ServerLimits
from tap_zohovoice.extract.page_flow import PageFlow
from tap_zohovoice.pagination import Page, PageRequest
from tap_zohovoice.singer.json import SerializedRecord
from tests.support.reading import drive

START = "2026-02-10T08:00:00.000000+00:00"


def row(logid: str, end: str | None = None, number: int = 0) -> SerializedRecord:
    record = {"start_time": START, "logid": logid, "end_time": end, "number": number}
    return SerializedRecord.from_record(record)


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


@pytest.mark.parametrize("logs", [{}, "x", 7, True])
def test_other_values_are_not_a_list(logs: object) -> None:
    with pytest.raises(UnexpectedResponseError, match="logs is not a list"):
        parse(logs)


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


def test_equal_rows_of_an_id_are_not_told() -> None:
    flow, _, legs = read([row("call", "08:05"), row("call", "08:05"), row("other")], 100)
    assert set(flow.calls.kept) == {"call", "other"}
    assert not legs
    assert flow.limits.total_is_reliable
