"""Base class of the streams that are read for each row of another list."""

from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

from singer_sdk.helpers.types import Context

from tap_zohovoice._compat import override
from tap_zohovoice.client import BookmarkedStream
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.streams.directory import ListStream


class OwnedStream(BookmarkedStream):
    """A stream with one partition and one bookmark for each owner, a row of another list."""

    selected_by_default = False
    fixed_partitions = None
    owner_key: ClassVar[str]
    owner_stream: ClassVar[type[ListStream]]
    owner_field: ClassVar[str]  # field of that stream that holds the id
    filter_param: ClassVar[str] = ""  # of the list of calls; source: documentation of `zv/logs`

    @cached_property
    def _owners(self) -> ListStream:
        streams = self.tap.streams.values()
        return next(stream for stream in streams if isinstance(stream, self.owner_stream))

    @property
    def _named_owners(self) -> str:
        """Ids of the owners that the user's filters name, with commas; empty for all."""
        return self.services.settings.filters.get(self.filter_param, "")

    @property
    @override
    def partitions(self) -> list[dict[str, str]]:
        """One for each owner."""
        if not self.is_connection_test:
            self.services.check_scopes()
        elif not self.selected_by_default:
            return []
        ids = self._named_owners.split(",")
        if not self._named_owners:
            ids = [record[self.owner_field] for record in self._owners.cached_records]
        return [{self.owner_key: owner} for owner in dict.fromkeys(filter(None, ids))]

    @override
    def check_access(self) -> None:
        if not self._named_owners:
            self._owners.check_access()

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if context:  # without owners, the SDK requests records without a context
            yield from super().get_records(context)
