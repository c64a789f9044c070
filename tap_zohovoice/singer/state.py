"""Validation of Singer state and catalog."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.singer.json import within_depth

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    Bookmark = dict[str, Any]

_LOGGER = logging.getLogger("tap-zohovoice.state")
_KEY = "start_time"
_VALUE = "replication_key_value"


def load_catalog(catalog: object) -> Catalog | None:
    """Load a catalog from its JSON object; None and a loaded one are returned as they are.

    Raises:
        ConfigValidationError: If it is invalid.
    """
    if catalog is None or isinstance(catalog, Catalog):
        return catalog
    content: Any = catalog
    try:
        for entry in content["streams"]:
            dict(entry["schema"]["properties"])
        return Catalog.from_dict(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = "The catalog is invalid; create one with --discover"
        raise ConfigValidationError(message, errors=[message]) from error


def load_state(
    state: object, now: dt.datetime, partitions: Mapping[str, Sequence[Mapping[str, str]]]
) -> dict[str, Any]:
    """Load a state, with bookmarks in the form and bounds that the streams rely on.

    A stream with partitions has one bookmark in each. A bookmark of its own, which it had before it
    had partitions and which the SDK would ignore, seeds those that have none.

    Args:
        state: Singer state, a whole STATE message, or None.
        now: Current time, which no bookmark may exceed.
        partitions: Contexts of the partitions of each stream of the tap; empty if it has none.

    Returns:
        A state whose bookmarks are in the text form of records and not in the future.

    Raises:
        ConfigValidationError: If the state is invalid, or a bookmark is not a date-time.
    """
    if isinstance(state, dict) and state.get("type") == "STATE" and "value" in state:
        state = state["value"]
    bookmarks = (state or {}).get("bookmarks") or {} if isinstance(state, dict | None) else None
    if (
        not isinstance(bookmarks, dict)
        or not all(map(_is_valid_bookmark, bookmarks.values()))
        or not within_depth(bookmarks)
    ):
        message = "The state is invalid: bookmarks must be an object of objects"
        raise ConfigValidationError(message, errors=[message])
    loaded = {name: _without_markers(bookmark) for name, bookmark in bookmarks.items()}
    for name, contexts in partitions.items():
        if name in loaded:
            loaded[name] = _load_bookmark(name, loaded[name], now, contexts)
    return {"bookmarks": loaded}


def _is_valid_bookmark(bookmark: object) -> bool:
    """Return whether the SDK can read a bookmark."""
    if not isinstance(bookmark, dict):
        return False
    partitions = bookmark.get("partitions", [])
    return isinstance(partitions, list) and all(map(_is_valid_bookmark, partitions))


def _without_markers(bookmark: Bookmark) -> Bookmark:
    """Drop progress markers: the SDK wipes them at the start, and fails on unusual ones."""
    kept = {name: value for name, value in bookmark.items() if name != "progress_markers"}
    if "partitions" in kept:
        kept["partitions"] = [_without_markers(partition) for partition in kept["partitions"]]
    return kept


def _load_bookmark(
    stream: str, bookmark: Bookmark, now: dt.datetime, contexts: Sequence[Mapping[str, str]]
) -> Bookmark:
    # The SDK would read every partition that is in the state, so only the stream's own stay.
    stored = bookmark.pop("partitions", [])
    seed = _validate(stream, bookmark, now)
    if not contexts:
        return seed
    partitions = []
    for context in contexts:
        found: Bookmark = next((item for item in stored if item.get("context") == context), {})
        partition = _validate(stream, found, now)
        if partition.get(_VALUE) is None and seed.get(_VALUE) is not None:
            partition = {"replication_key": _KEY, _VALUE: seed[_VALUE]}
        partitions.append({**partition, "context": dict(context)})
    return {"partitions": partitions}


def _validate(stream: str, bookmark: Bookmark, now: dt.datetime) -> Bookmark:
    """Return a bookmark, or what is left of it where it has another replication key."""
    if bookmark.get(_VALUE) is None:
        return bookmark
    if bookmark.get("replication_key") != _KEY:
        _LOGGER.warning(
            "The bookmark of %s has another replication key; reading from start_date", stream
        )
        return {name: bookmark[name] for name in bookmark if not name.startswith("replication_")}
    try:
        moment = parse_date(bookmark[_VALUE])
    except (TypeError, ValueError) as error:
        message = f"The bookmark of {stream} in the state is not a date-time"
        raise ConfigValidationError(message, errors=[message]) from error
    if moment > now:
        _LOGGER.warning(
            "The bookmark of %s (%s) is in the future; using the current time", stream, moment
        )
        moment = now
    return {**bookmark, _VALUE: format_timestamp(moment)}
