"""Stream maps of deselected streams, which few runs need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk.exceptions import MappingError
from singer_sdk.mapper import PluginMapper, RemoveRecordTransform, StreamMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.singerlib.catalog import CatalogEntry


class LazyStreamMaps(dict[str, list[StreamMap]]):
    """The stream maps of a mapper; those of deselected streams are made when `--test` selects them.

    Their maps are not validated, so one that is invalid emits no record.

    Args:
        mapper: The mapper, with the maps of the selected streams.
        deselected: Catalog entries of the others.
    """

    def __init__(self, mapper: PluginMapper, deselected: Mapping[str, CatalogEntry]) -> None:
        super().__init__(mapper.stream_maps)
        self._mapper = mapper
        self._deselected = deselected

    def __missing__(self, name: str) -> list[StreamMap]:
        """Make the maps of a deselected stream."""
        entry = self._deselected[name]
        schema = entry.schema.to_dict()
        try:
            self._mapper.register_raw_stream_schema(name, schema, entry.key_properties)
        except (MappingError, NotImplementedError, ValueError):
            self[name] = [RemoveRecordTransform(name, schema, None, None)]
        return self[name]
