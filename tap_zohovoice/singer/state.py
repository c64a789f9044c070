"""Validation of Singer state and catalog."""

import datetime as dt
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from singer_sdk.singerlib import Catalog, CatalogEntry, Metadata, Schema, StreamMetadata

from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.exceptions import InvalidInputError
from tap_zohovoice.singer.json import within_depth

Bookmark = dict[str, Any]  # with some of the members below
_LOGGER = logging.getLogger("tap-zohovoice.state")
NEWEST = "newest_start_time"  # start of the newest emitted call
FAILURES = "open_failures"  # keys whose last record is an error
LATEST = "latest_emitted"  # start of the newest item that has a record without an error
VERIFIED_UNTIL = "files_verified_until"  # no file of a call up to this start is requested again
IN_BOTH = "in_both_lists"  # whether archived messages are among the others
_MEMBER_TYPES: dict[str, type] = {FAILURES: list, LATEST: str, VERIFIED_UNTIL: str, IN_BOTH: bool}
_CLOCK_SKEW = dt.timedelta(minutes=5)  # a bookmark this far in the future causes no warning
_VALUE = "replication_key_value"
_UNSELECTED = {"false", "0", "no", "off", ""}  # texts, in lower case
# Names under which messages, loaders and Meltano have a state; a partial one overrides the rest.
_WRAPPERS = (
    *("value", "state", "singer_state"),
    *("completed", "completed_state", "partial", "partial_state"),
)


def load_catalog(catalog: Any, streams: Sequence[Any]) -> Catalog | None:  # noqa: ANN401 - any JSON
    """Load a catalog; names, keys, types and replication of the streams stay their own."""
    if catalog is None:
        return None
    try:
        is_loaded = isinstance(catalog, Catalog)
        loaded = catalog if is_loaded else Catalog.from_dict({"streams": catalog["streams"]})
        for metadata in (each for entry in loaded.values() for each in entry.metadata.values()):
            for name in ("selected", "selected_by_default"):
                if isinstance(flag := getattr(metadata, name), str):  # any text would select
                    setattr(metadata, name, flag.strip().lower() not in _UNSELECTED)
        own = {stream.name: stream for stream in streams}
        for name, entry in [*loaded.items()]:
            if name in own:
                _use_own_definition(entry, own[name])
                _warn_of_unknown_fields(entry, own[name])
            elif loaded.pop(name).metadata.root.selected:
                _LOGGER.warning("%.60r in the catalog is not a stream of the tap", name)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        message = "The catalog is invalid; create one with --discover"
        raise InvalidInputError(message) from error
    return loaded


def _warn_of_unknown_fields(entry: CatalogEntry, stream: Any) -> None:  # noqa: ANN401 - a class
    known = {("properties", field) for field in stream.schema["properties"]}
    for breadcrumb, metadata in entry.metadata.items():
        if breadcrumb and metadata.selected is False and breadcrumb[:2] not in known:
            message = "%s: %.60r in the catalog is not a field of the stream; it hides nothing"
            _LOGGER.warning(message, stream.name, ".".join(breadcrumb))


def _use_own_definition(entry: CatalogEntry, stream: Any) -> None:  # noqa: ANN401 - a class
    """Replace values of a catalog with which the SDK would lose rows."""
    name, keys, replication_key = stream.name, [*stream.primary_keys], stream.replication_key
    method = "INCREMENTAL" if replication_key else "FULL_TABLE"
    own: dict[str, Any] = {"stream": name, "replication_key": replication_key}
    own |= dict.fromkeys(("key_properties", "table_key_properties"), keys)
    own |= dict.fromkeys(("replication_method", "forced_replication_method"), method)
    if entry.metadata:  # without an entry of the stream, the SDK selects none of its fields
        default = StreamMetadata(selected_by_default=stream.selected_by_default)
        entry.metadata.setdefault((), default)
    for place in (entry, entry.metadata.get(())):
        for field, value in own.items():
            if getattr(place, field, None) not in (None, value):
                message = "%s: %s in the catalog is ignored; it cannot be changed"
                _LOGGER.warning(message, name, field.replace("_", "-"))
            if hasattr(place, field):
                setattr(place, field, value)
    entry.schema.type, entry.schema.required = "object", None
    properties: Any = entry.schema.properties
    for field, schema in stream.schema["properties"].items():
        given, own_schema = properties.get(field), Schema.from_dict(schema)
        is_key = field in {*keys, replication_key}
        if given and (given.type, given.format) != (own_schema.type, own_schema.format):
            _LOGGER.warning("%s: the type of %s in the catalog is ignored", name, field)
        if given or is_key:
            properties[field] = own_schema
        if is_key and ("properties", field) in entry.metadata:
            entry.metadata["properties", field].inclusion = Metadata.InclusionType.AUTOMATIC


def load_state(state: object, now: dt.datetime, streams: Sequence[Any]) -> dict[str, Any]:
    """Load a state, and validate and normalize its bookmarks.

    A stream with partitions has one bookmark in each. A bookmark of its own, which it had before it
    had partitions and which the SDK would ignore, seeds those that have none. The state may also be
    a STATE message, or as Meltano wraps it.
    """
    try:
        bookmarks: Any = _unwrap(state) if within_depth(state) else None
        loaded = {name: _without_markers(bookmark) for name, bookmark in bookmarks.items()}
    except (AttributeError, KeyError, TypeError) as error:
        message = "The state is invalid: bookmarks must be an object with one object per stream"
        raise InvalidInputError(message) from error
    for stream in (each for each in streams if each.name in loaded):
        loaded[stream.name] = _load_bookmark(stream, loaded[stream.name], now)
    return {"bookmarks": loaded}


def _unwrap(state: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the bookmarks of a state; `KeyError` if it has none in a known place."""
    if not state and isinstance(state, dict | None):
        return {}
    if "bookmarks" in state:
        return {} if state["bookmarks"] is None else state["bookmarks"]
    found = [_unwrap(state[name]) for name in _WRAPPERS if name in state]
    if not found:
        raise KeyError
    return {name: value for bookmarks in found for name, value in bookmarks.items()}


def _without_markers(bookmark: Bookmark) -> Bookmark:
    """Drop members of a wrong type, and progress markers: the SDK fails on unusual ones."""
    kept: Bookmark = {
        name: value
        for name, value in bookmark.items()
        if name != "progress_markers" and isinstance(value, _MEMBER_TYPES.get(name, object))
    }
    if "partitions" in kept:
        items = [item for item in kept["partitions"] if isinstance(item.get("context"), dict)]
        kept["partitions"] = [*map(_without_markers, items)]
    return kept


def _load_bookmark(stream: Any, bookmark: Bookmark, now: dt.datetime) -> Bookmark:  # noqa: ANN401 - a class
    stored = {str(item["context"]): item for item in bookmark.pop("partitions", [])}
    if not stream.replication_key:
        return bookmark
    seed, contexts = _validate(stream, bookmark, now), stream.fixed_partitions
    if contexts == ():
        return seed
    if contexts is None:
        return {"partitions": [_validate(stream, item, now) for item in stored.values()]}
    # The SDK would read every partition in the state, so unknown ones are removed.
    partitions = []
    for context in contexts:
        partition = _validate(stream, stored.get(str(context), {}), now)
        if partition.get(_VALUE) is None and seed.get(_VALUE):
            partition = {"replication_key": stream.replication_key, _VALUE: seed[_VALUE]}
        partitions.append({**partition, "context": dict(context)})
    return {"partitions": partitions}


def _validate(stream: Any, bookmark: Bookmark, now: dt.datetime) -> Bookmark:  # noqa: ANN401 - a class
    """Return a valid bookmark; one with another replication key loses its value."""
    name, key = stream.name, stream.replication_key
    newest = bookmark.pop(NEWEST, None)
    with suppress(TypeError, ValueError):
        bookmark[NEWEST] = format_timestamp(parse_date(newest))
    if bookmark.get(_VALUE) is None and bookmark.get(key):  # as taps without the SDK have it
        bookmark[_VALUE] = bookmark[key]
    if bookmark.get(_VALUE) is None:
        return bookmark
    if bookmark.get("replication_key", key) != key:
        message = "The bookmark of %s has another replication key; reading from start_date"
        _LOGGER.warning(message, name)
        return {key: bookmark[key] for key in bookmark if not key.startswith("replication_")}
    try:
        moment = parse_date(bookmark[_VALUE])
    except (TypeError, ValueError) as error:
        message = f"The bookmark of {name} in the state is not a date-time"
        raise InvalidInputError(message) from error
    bookmark |= {"replication_key": key, _VALUE: format_timestamp(moment)}
    lower_future_bookmark(name, bookmark, now)
    return bookmark


def lower_future_bookmark(stream: str, bookmark: Bookmark, now: dt.datetime) -> None:
    """Lower a bookmark of the future to the newest call that was emitted."""
    # The clock was ahead when it was written, and calls may have been added since.
    value, newest, latest = bookmark.get(_VALUE), bookmark.get(NEWEST), format_timestamp(now)
    if value is None or value <= latest:
        return
    if value <= format_timestamp(now + _CLOCK_SKEW):
        bookmark[_VALUE] = latest
        return
    if newest and newest <= latest:
        bookmark[_VALUE] = newest
        start = "the newest call that was emitted"
    else:
        del bookmark[_VALUE]
        start = "start_date"
    message = "The bookmark of %s (%s) is in the future; reading again from %s"
    _LOGGER.warning(message, stream, value, start)
