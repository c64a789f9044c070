"""Base class of the streams that read a whole list, page by page."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.pagination import SinglePagePaginator

from tap_zohovoice._compat import override
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.exceptions import ZohoVoiceError
from tap_zohovoice.pagination import RowOffsetPaginator, convert_row, parse_rows
from tap_zohovoice.schemas.directory import ListConverter, build_list_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    import requests
    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context
    from singer_sdk.pagination import BaseAPIPaginator

    from tap_zohovoice.schemas.conversion import Record
    from tap_zohovoice.schemas.types import Field
    from tap_zohovoice.services import Services


class ListStream(ZohoVoiceStream):
    """A stream that reads a whole list in each run; a subclass declares and describes the list."""

    selected_by_default = False
    schema: ClassVar[dict[str, Any]] = {}
    envelope: ClassVar[str]  # member of the response that holds the rows
    fields: ClassVar[tuple[Field, ...]]
    size_param: ClassVar[str] = "offset"  # empty if the list has no pages
    page_size: ClassVar[int] = 50
    """Rows to request at once: the documented maximum, or one that a similar list has."""
    aliases: ClassVar[Mapping[str, str]] = {}  # of key fields, for rows that lack them

    _row_count = 0
    _is_accessible = False

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        description = (cls.__doc__ or "").partition("\n")[0]
        cls.schema = build_list_schema(cls.fields, description, cls.scope)

    def __init__(self, tap: Tap, services: Services) -> None:
        super().__init__(tap, services)
        self._rows: list[Record] = []
        self._emitted: dict[str, Record] = {}
        self._total: int | None = None
        required = [*self.primary_keys]
        if self.replication_key:
            required.append(str(self.replication_key))
        self._converter = ListConverter(self.fields, required, self.aliases, self.logger)

    @classmethod
    def of(cls, tap: Tap) -> Self:
        """Return the stream of this class that a tap has."""
        return next(stream for stream in tap.streams.values() if isinstance(stream, cls))

    @override
    def check_access(self) -> None:
        if not self._is_accessible:  # other streams check it too
            self.api.get_json({**self.get_url_params(None, 0), **self._size(1)}, dict)
            self._is_accessible = True

    @cached_property
    def _cached_records(self) -> list[Record]:
        return list(self._read_records(None))

    def get_values(self, field: str) -> list[str]:
        """Return the values of a field, without null; the list is read once a run."""
        values = (record[field] for record in self._cached_records)
        return list(dict.fromkeys(value for value in values if value))

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if self.is_connection_test and not self.selected_by_default:
            return  # `--test` selects all streams, whether they are wanted or not
        self.services.check_access()
        is_read = "_cached_records" in self.__dict__
        records = iter(self._cached_records) if is_read else self._read_records(context)
        yield from islice(records, self.ABORT_AT_RECORD_COUNT)

    def _read_records(self, context: Context | None) -> Iterator[Record]:
        """Read the list, without rows that come again."""
        self._emitted.clear()
        self._total, duplicates = None, 0
        with self.reporting():
            for record in self.request_records(context):
                key = self.record_key(record)
                if key not in self._emitted:
                    self._emitted[key] = record
                    yield record
                else:
                    duplicates += self._emitted[key] != record
        self._converter.log_undeclared()
        if duplicates:
            self.logger.warning(
                "%d rows have a duplicate id, but other values; keeping the first row", duplicates
            )
        if not self.is_connection_test and (self._total or 0) > len(self._emitted):
            self.logger.warning(
                "meta.total is %d but only %d distinct rows were returned",
                self._total,
                len(self._emitted),
            )

    # --- the SDK's request loop ---

    @override
    def get_new_paginator(self) -> BaseAPIPaginator[Any]:
        if not self.size_param:
            return SinglePagePaginator()
        return RowOffsetPaginator(lambda: self._row_count, self.page_size)

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        if not self.size_param:
            return {}
        return {"from": str(next_page_token), **self._size(self.page_size)}

    @override
    def validate_response(self, response: requests.Response) -> None:
        self._rows = self.api.parse_json(response, self._parse_page)
        self._row_count = len(self._rows)
        self._check_progress()

    @override
    def parse_response(self, response: requests.Response) -> Iterable[Record]:
        yield from self._rows

    def _parse_page(self, body: dict[str, Any]) -> list[Record]:
        first = len(self._emitted)
        rows, total = parse_rows(body, self.envelope, first)
        self._total = max(total or 0, self._total or 0) or None
        name = f"the list of {self.name}"
        return [
            convert_row(row, self._converter.convert, index, name)
            for index, row in enumerate(rows, first)
        ]

    def _check_progress(self) -> None:
        """Check that a page has a row that did not come before.

        Raises:
            ZohoVoiceError: If it has none. One row alone may be the last one again, where rows
                count from 1.
        """
        keys = [self.record_key(record) for record in self._rows]
        is_last_again = len(keys) == 1 and keys == list(self._emitted)[-1:]
        if keys and all(key in self._emitted for key in keys):
            if is_last_again:
                self._rows, self._row_count = [], 0
                return
            message = (
                f"Zoho returns the same rows of the list of {self.name} again at another offset; "
                "run again later, and report it to Zoho's support if it persists"
            )
            raise ZohoVoiceError(message)

    def _size(self, size: int) -> dict[str, str]:
        return {self.size_param: str(size)} if self.size_param else {}
