"""Pages of call logs, parsed from response bodies."""

from typing import Any

import pytest

from tap_zohovoice.exceptions import UnexpectedResponseError
from tap_zohovoice.pagination import Page, PageRequest

REQUEST = PageRequest(0, 200, {}, "2026-01-01")
ROW = {"logid": "1", "start_time": "2026-01-01T00:00:00.000000Z"}


def parse(body: dict[str, Any]) -> Page:
    def convert(row: object) -> dict[str, Any]:
        assert isinstance(row, dict)
        return row

    return REQUEST.parse(body, convert)


@pytest.mark.parametrize("meta", [{}, {"total": 1}, {"total": "1"}])
def test_single_row_is_a_list_of_one(meta: dict[str, Any]) -> None:
    page = parse({"logs": ROW, "meta": meta})
    assert [row.logid for row in page.rows] == ["1"]
    assert page.total in {None, 1}


@pytest.mark.parametrize("logs", [{}, "x", 7, True])
def test_other_values_are_not_a_list(logs: object) -> None:
    with pytest.raises(UnexpectedResponseError, match="logs is not a list"):
        parse({"logs": logs})
