"""Base classes of the streams that read lists other than that of calls."""

from collections.abc import Iterable, Iterator
from copy import copy
from functools import cached_property
from typing import Any, ClassVar

import requests
from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.exceptions import InvalidParameterError, ZohoVoiceError
from tap_zohovoice.pagination import RowOffsetPaginator, convert_rows, parse_rows
from tap_zohovoice.progress import Progress
from tap_zohovoice.schemas.conversion import Record, RecordConverter
from tap_zohovoice.schemas.types import Field, build_schema

_MAX_PASSES = 8  # over a list whose order changes, or that lacks rows
_MIN_PAGE_SIZE = 10  # that is requested after rejections of larger ones


class ListStream(ZohoVoiceStream):
    """A stream that reads a whole list in each run; a subclass declares and describes the list."""

    fields: ClassVar[tuple[Field, ...]]
    envelope: ClassVar[str]  # member of the response with the rows
    size_param: ClassVar[str] = "offset"  # empty if the list has no pages of this kind
    page_size: int = 50  # rows to request: the documented maximum, or a similar list's
    rejects_end: ClassVar[bool] = False  # whether an offset after the last row may be rejected

    _rows: list[Record]  # of the last page
    _row_count = 0  # rows of the last page to skip; 0 if no page follows
    _overlap = 0  # rows that the next page has again, to show whether rows have moved
    _can_overlap = True  # unless the server rounds offsets down to whole pages
    _found: dict[str, Record]
    _seen: dict[str, None]  # keys of this pass over the list
    _has_moved = False  # whether rows changed their order in this pass
    _is_read = False

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        first_line = (cls.__doc__ or "").partition("\n")[0]
        description = f"{first_line} Requires the scope {cls.scope}."
        cls.schema = build_schema(*cls.fields, is_open=True, description=description)

    @cached_property
    def converter(self) -> RecordConverter:
        """Converts rows to records."""
        required = map(str, filter(None, (*self.primary_keys, self.replication_key)))
        return RecordConverter(self.fields, required, self.logger)

    @override
    def check_access(self) -> None:
        params = self.get_url_params(None, 0)
        self.api.get_json(params | ({self.size_param: "1"} if params else {}), dict)

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        """Return the records of the list, which is requested once a run."""
        yield from self._found.values() if self._is_read else self.read_list(context)
        self._is_read = True

    def read_list(self, context: Context | None) -> Iterator[Record]:
        """Request the list, and return its rows without duplicates."""
        self._found = {}
        duplicates = 0
        progress = Progress(self.name, self.api.policy.limiter, self.services.writer)
        with self.services.reporter.task(progress.snapshot):
            for attempt in range(_MAX_PASSES):
                before, self._seen, self._has_moved = len(self._found), {}, False
                self._overlap = self._total = 0
                for record in self._request_pages(context):
                    known = self._found.setdefault(self.record_key(record), record)
                    if known is record:
                        # The SDK changes objects in place; later rows are compared with this one.
                        yield {name: copy(value) for name, value in record.items()}
                    duplicates += known != record and not attempt
                missing, fresh = self._total - len(self._found), len(self._found) - before
                if not missing or not (self._has_moved or (missing > 0 and fresh)):
                    break
            else:
                message = (
                    f"The order of the list of {self.name} changes, or Zoho returns the same rows "
                    "of the list again; run again later"
                )
                raise ZohoVoiceError(message)
        self.converter.log_undeclared()
        if duplicates:
            message = "%d rows have a duplicate id, but other values; keeping the first row"
            self.logger.warning(message, duplicates)
        if missing > 0:
            message = "meta.total is %d but only %d distinct rows were returned"
            self.logger.warning(message, self._total, len(self._found))

    def _request_pages(self, context: Context | None) -> Iterator[Record]:
        """Request the list from its first page to its last."""
        try:
            yield from self.request_records(context)
        except InvalidParameterError as error:
            is_size = error.rejected == "size" or (error.rejected and self.size_param == "offset")
            if is_size and not self._seen and self.page_size > _MIN_PAGE_SIZE:
                self.page_size //= 2
                yield from self._request_pages(context)
                return
            if not (error.rejected and (len(self._seen) == 1 or (self.rejects_end and self._seen))):
                raise
            # It raises an error, unless it is the offset that is rejected.
            self.api.get_json(self.get_url_params(context, 0), dict)
            if not self.size_param:  # whether it has pages is not documented
                message = "Zoho returned %d %s and rejected the next page; there may be more"
                self.logger.warning(message, len(self._seen), self.name)

    def convert_rows(self, rows: Iterable[Any]) -> list[Record]:
        """Convert the rows of a page; an error names their place in the list."""
        name, convert = f"the list of {self.name}", self.converter.convert
        return [*convert_rows(rows, convert, len(self._found), name)]

    # --- the SDK's request loop ---

    @override
    def get_new_paginator(self) -> RowOffsetPaginator:
        return RowOffsetPaginator(lambda: self._row_count)

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        page = {"from": str(next_page_token), self.size_param: str(self.page_size)}
        return page if self.size_param else {}

    @override
    def validate_response(self, response: requests.Response) -> None:
        self._rows = self.api.parse_json(response, self.parse_page)
        keys = dict.fromkeys(map(self.record_key, self._rows))
        known = [key for key in self._seen if key in keys]
        # A new row moves all others by one.
        self._has_moved |= known != list(keys)[: len(known)] or len(known) < self._overlap
        if keys and len(known) == len(keys):
            # If offsets count from 1, a single row may be the last row again.
            is_end = list(keys) == list(self._seen)[-1:]
            self._has_moved |= not is_end
            self._can_overlap &= is_end
            self._rows = []
        self._seen |= keys
        repeated = self._overlap if known and known[0] == next(iter(keys)) else 0
        self._overlap = int(len(self._rows) > 1 and self._can_overlap and not self.rejects_end)
        self._row_count = len(self._rows) - self._overlap if self.size_param else 0
        self._rows = self._rows[repeated:]  # it may have changed since the last page

    @override
    def parse_response(self, response: requests.Response) -> Iterator[Record]:
        yield from self._rows

    def parse_page(self, body: dict[str, Any]) -> list[Record]:
        """Parse a response to records, or raise `UnexpectedResponseError`."""
        rows, total = parse_rows(body, self.envelope, len(self._found))
        self._total = self._total or total or 0  # rows that arrive later are for the next run
        return self.convert_rows(rows)
