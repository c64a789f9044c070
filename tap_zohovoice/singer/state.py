"""State and catalog as they come in: what is wrong with them, in a plain line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.singer.json import within_depth

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

_LOGGER = logging.getLogger("tap-zohovoice.state")
_BOOKMARK = "replication_key_value"
_KEY = "start_time"


def load_catalog(catalog: object) -> Catalog | None:
    """Read a catalog.

    Args:
        catalog: A catalog, its JSON object, or None.

    Returns:
        The catalog.

    Raises:
        ConfigValidationError: If it is none.
    """
    if catalog is None or isinstance(catalog, Catalog):
        return catalog
    content: Any = catalog
    try:
        for entry in content["streams"]:
            dict(entry["schema"]["properties"])
        return Catalog.from_dict(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = "The catalog is no Singer catalog; make one with --discover"
        raise ConfigValidationError(message, errors=[message]) from error


def load_state(state: object, now: dt.datetime, streams: Collection[str]) -> dict[str, Any]:
    """Read a state, and bring its bookmarks into the form and bounds that the tap relies on.

    Args:
        state: Singer state, a whole STATE message as the tap writes it, or None.
        now: The present, which no bookmark may pass.
        streams: The names of the tap's streams.

    Returns:
        A state with bookmarks in the text form of records, none of them in the future.

    Raises:
        ConfigValidationError: If it is no Singer state, or a bookmark is no moment.
    """
    if isinstance(state, dict) and state.get("type") == "STATE" and "value" in state:
        state = state["value"]
    bookmarks = (state or {}).get("bookmarks") or {} if isinstance(state, dict | None) else None
    if (
        not isinstance(bookmarks, dict)
        or not all(map(_is_sound, bookmarks.values()))
        or not within_depth(bookmarks)
    ):
        message = "The state is no Singer state: bookmarks must be an object of objects"
        raise ConfigValidationError(message, errors=[message])
    settled = {name: _settled(bookmarks[name], is_ours=name in streams) for name in bookmarks}
    ours = {name: _checked(name, settled[name], now) for name in settled if name in streams}
    return {"bookmarks": {**settled, **ours}}


def _is_sound(bookmark: object) -> bool:
    """Tell whether the SDK can cope with a bookmark."""
    if not isinstance(bookmark, dict):
        return False
    partitions = bookmark.get("partitions", [])
    return isinstance(partitions, list) and all(map(_is_sound, partitions))


def _settled(bookmark: dict[str, Any], *, is_ours: bool) -> dict[str, Any]:
    """Leave out what another tap may have written: partitions would be gone through one by one.

    Markers of progress are of no use to anybody, since the SDK wipes them at the start of a run.
    """
    settled = {name: value for name, value in bookmark.items() if name != "progress_markers"}
    partitions = settled.pop("partitions", None)
    if partitions and not is_ours:
        settled["partitions"] = [_settled(partition, is_ours=is_ours) for partition in partitions]
    return settled


def _checked(stream: str, bookmark: dict[str, Any], now: dt.datetime) -> dict[str, Any]:
    if bookmark.get(_BOOKMARK) is None:
        return bookmark
    if bookmark.get("replication_key") != _KEY:
        _LOGGER.warning("The bookmark of %s is of another key; reading from the start", stream)
        return {name: bookmark[name] for name in bookmark if not name.startswith("replication_")}
    try:
        moment = parse_date(bookmark[_BOOKMARK])
    except (TypeError, ValueError) as error:
        message = f"The bookmark of {stream} in the state is no date-time"
        raise ConfigValidationError(message, errors=[message]) from error
    if moment > now:
        _LOGGER.warning(
            "The bookmark of %s (%s) is in the future; reading from the present", stream, moment
        )
        moment = now
    return {**bookmark, _BOOKMARK: format_timestamp(moment)}
