"""Pages are as large as the server takes, and no larger request is wasted than must be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_zohovoice.extract.limits import PageSizeNegotiation

DOCUMENTED = 100


def halved(size: int, largest: int) -> int:
    while size > largest:
        size //= 2
    return size


def ask(size: PageSizeNegotiation, largest: int, rejected_param: str) -> int:
    """Ask for pages as the history does, until one passes; return how many were refused."""
    for refused in range(30):
        if size.next <= largest:
            size.accepted(size.next)
            return refused
        assert size.rejected(size.next, rejected_param) or size.try_smaller() or size.halve()
    pytest.fail("no size passes")


def test_the_wanted_size_is_asked_for_first() -> None:
    assert PageSizeNegotiation(200).next == 200


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(1, 1000), st.sampled_from(["size", ""]))
def test_a_size_that_the_server_takes_is_found_and_kept(
    wanted: int, largest: int, rejected_param: str
) -> None:
    size = PageSizeNegotiation(wanted)
    refused = ask(size, largest, rejected_param)
    refused += ask(size, largest, rejected_param)
    found = size.next
    assert found == halved(wanted, largest)
    for _ in range(5):
        refused += ask(size, largest, rejected_param)
        assert size.next == found
    assert refused <= 2 * wanted.bit_length()


@pytest.mark.parametrize("wanted", [1, 7, 100, 200, 1000])
def test_a_size_that_is_blamed_is_halved_down_to_one(wanted: int) -> None:
    size = PageSizeNegotiation(wanted)
    while size.next > 1:
        before = size.next
        assert size.rejected(before, "size")
        assert size.next == before // 2
    assert not size.rejected(1, "size")
    assert not size.halve()
    assert size.next == 1


@pytest.mark.parametrize("rejected_param", ["", "dates"])
def test_a_refusal_that_blames_something_else_changes_nothing(rejected_param: str) -> None:
    size = PageSizeNegotiation(200)
    assert not size.rejected(200, rejected_param)
    assert size.next == 200


@pytest.mark.parametrize("rejected_param", ["", "dates", "size"])
def test_a_size_that_once_passed_is_not_the_reason(rejected_param: str) -> None:
    size = PageSizeNegotiation(200)
    size.accepted(200)
    assert not size.rejected(200, rejected_param)
    assert not size.try_smaller()
    assert size.next == 200


@pytest.mark.parametrize("wanted", [101, 200, 800, 1000])
def test_a_suspected_size_is_lowered_to_what_is_documented_and_tried_again(wanted: int) -> None:
    size = PageSizeNegotiation(wanted)
    assert size.try_smaller()
    assert size.next == halved(wanted, DOCUMENTED)
    size.accepted(size.next)
    assert size.next == wanted
    size.accepted(wanted)
    assert size.next == wanted


def test_a_suspected_size_that_is_refused_again_gives_way_to_the_largest_that_passes() -> None:
    size = PageSizeNegotiation(800)
    assert size.try_smaller()
    size.accepted(100)
    for retried in (800, 400, 200):
        assert size.next == retried
        assert size.rejected(retried, "")
    assert size.next == 100
    size.accepted(100)
    assert size.next == 100


@pytest.mark.parametrize("wanted", [1, 50, 100])
def test_a_documented_size_is_not_suspected(wanted: int) -> None:
    size = PageSizeNegotiation(wanted)
    assert not size.try_smaller()
    assert size.next == wanted


def test_a_size_can_be_lowered_without_a_reason() -> None:
    size = PageSizeNegotiation(9)
    assert [(size.halve(), size.next) for _ in range(4)] == [
        (True, 4),
        (True, 2),
        (True, 1),
        (False, 1),
    ]
