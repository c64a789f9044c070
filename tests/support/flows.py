"""Drives a flow, a generator of page requests, without HTTP."""

from collections.abc import Callable, Generator, Iterator

from tap_zohovoice.exceptions import InvalidParameterError, RetriesExhaustedError
from tap_zohovoice.extract.results import WindowResult
from tap_zohovoice.pagination import Page, PageRequest


def drive(
    flow: Generator[PageRequest | WindowResult, Page, None], respond: Callable[[PageRequest], Page]
) -> Iterator[WindowResult]:
    item = next(flow, None)
    while item is not None:
        try:
            if not isinstance(item, PageRequest):
                yield item
                item = next(flow)
                continue
            try:
                page = respond(item)
            except (InvalidParameterError, RetriesExhaustedError) as error:
                item = flow.throw(error)
            else:
                item = flow.send(page)
        except StopIteration:
            return
