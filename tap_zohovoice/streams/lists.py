"""Base classes of the streams that read lists other than that of calls."""

from collections.abc import Generator, Iterator
from copy import copy
from functools import cached_property
from typing import Any, ClassVar

from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.exceptions import InvalidParameterError, ZohoVoiceError
from tap_zohovoice.pagination import PageRequest, convert_rows, parse_rows
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

    _overlap = 0  # rows that the next page has again, to show whether rows have moved
    _can_overlap = True  # unless the server rounds offsets down to whole pages
    _found: dict[str, Record]
    _seen: dict[str, None]  # keys of this pass over the list
    _has_moved = False  # whether rows changed their order in this pass
    _is_read = False
    _has_rows = False  # whether the check of the access returned a row

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

    @cached_property
    def _progress(self) -> Progress:  # of all partitions
        return Progress(self.name, self.api.policy.limiter, self.services.writer)

    @override
    def check_access(self) -> None:
        params = self.get_url_params(None, self.page_at(0, size=1))
        self._has_rows |= self.api.get_json(params, lambda body: bool(body.get(self.envelope)))

    @override
    def read_records(self, context: Context | None) -> Iterator[Record]:
        """Return the records of the list, which is requested once a run."""
        yield from self._found.values() if self._is_read else self.read_list(context)
        self._is_read = True

    def read_list(self, context: Context | None) -> Iterator[Record]:
        """Request the list, and return its rows without duplicates."""
        self._found = {}
        duplicates = 0
        with self.services.reporter.task(self._progress.snapshot):
            for attempt in range(_MAX_PASSES):
                before, self._seen, self._has_moved = len(self._found), {}, False
                self._overlap = self._total = 0
                for record in self.request_records(context):
                    known = self._found.setdefault(self.record_key(record), record)
                    if known is record:
                        # The SDK changes objects in place; later rows are compared with this one.
                        yield {name: copy(value) for name, value in record.items()}
                    duplicates += known != record and not attempt
                missing, fresh = self._total - len(self._found), len(self._found) - before
                # A list that had rows before is not empty.
                has_vanished = not self._seen and (self._found or self._has_rows)
                is_moving = missing and (self._has_moved or (missing > 0 and fresh))
                if not (has_vanished or is_moving):
                    break
            else:
                message = (
                    f"The order of the list of {self.name} changes, or Zoho returns the same rows "
                    "of the list again; run again later"
                )
                raise ZohoVoiceError(message)
        self._has_rows = False  # other lists of the stream may be empty
        self.converter.log_undeclared()
        if duplicates:
            message = "%d rows have a duplicate id, but other values; keeping the first row"
            self.logger.warning(message, duplicates)
        if missing > 0:
            message = "meta.total is %d but only %d distinct rows were returned"
            self.logger.warning(message, self._total, len(self._found))

    @override
    def read_pages(self) -> Generator[Any, Any, None]:
        """Read the list from its first page to its last."""
        offset = step = 0
        while True:
            try:
                rows = yield self.page_at(offset)
            except InvalidParameterError as error:
                can_lower = not self._seen and self.page_size > _MIN_PAGE_SIZE
                if can_lower and error.rejected in {"size", "other"}:
                    self.page_size //= 2
                    continue
                may_be_end = len(self._seen) == 1 or (self.rejects_end and self._seen)
                if not (error.rejected and may_be_end):
                    self.page_size = type(self).page_size  # it was not the reason
                    raise
                yield self.page_at(0)  # raises an error, unless it is the offset that is rejected
                self._log_end()
                return
            rows, repeated = self._check_seam(rows)
            step = self.next_step(rows, step)
            self._seen |= dict.fromkeys(map(self.record_key, rows))
            yield from rows[repeated:]  # what is left out may have changed since the last page
            if not step:
                return
            offset += step

    def page_at(self, offset: int, size: int = 0) -> PageRequest:
        """Return a request for a page."""
        return PageRequest(offset, size or self.page_size, {}, f"the list of {self.name}")

    def next_step(self, rows: list[Record], step: int) -> int:  # noqa: ARG002 - a hook
        """Return how many rows after a page the next one is; 0 if none follows.

        `rows` are those of the page, none if all are known; `step` led to it, 0 for the first.
        """
        return len(rows) - self._overlap if self.size_param else 0

    def _check_seam(self, rows: list[Record]) -> tuple[list[Record], int]:
        """Check whether rows have moved; return the rows of a page, and how many are repeated."""
        keys = dict.fromkeys(map(self.record_key, rows))
        known = [key for key in self._seen if key in keys]
        # A new row moves all others by one.
        self._has_moved |= known != list(keys)[: len(known)] or len(known) < self._overlap
        if keys and len(known) == len(keys):
            # If offsets count from 1, a single row may be the last row again. Where it is not
            # documented that a list has pages, rows that come again are all there is.
            is_tail = list(keys) == list(self._seen)[-len(keys) :]
            is_end = is_tail and (len(keys) == 1 or not self.size_param)
            if is_end and len(keys) > 1:
                self._log_end()
            self._has_moved |= not is_end
            self._can_overlap &= is_end
            rows = []
        repeated = self._overlap if known and known[0] == next(iter(keys)) else 0
        self._overlap = int(len(rows) > 1 and self._can_overlap and not self.rejects_end)
        return rows, repeated

    def _log_end(self) -> None:
        if not self.size_param:  # whether it has pages is not documented
            message = "Zoho returned %d %s, but no page after them; there may be more"
            self.logger.warning(message, len(self._seen), self.name)

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        page: PageRequest = next_page_token
        params = {"from": str(page.offset), self.size_param: str(page.size)}
        return params if self.size_param else {}

    @override
    def parse_page(self, request: PageRequest, body: dict[str, Any]) -> list[Record]:
        rows, total = parse_rows(body, self.envelope, len(self._found))
        self._total = self._total or total or 0  # rows that arrive later are for the next run
        return [*convert_rows(rows, self.converter.convert, len(self._found), request.name)]
