"""State and catalog as they come in: what is wrong with them, in a plain line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from tap_zohovoice.casts import text_of
from tap_zohovoice.settings import parse_date

if TYPE_CHECKING:
    import datetime as dt

_LOGGER = logging.getLogger("tap-zohovoice.state")
_BOOKMARK = "replication_key_value"
_KEY = "start_time"


def checked_catalog(catalog: object) -> Catalog | None:
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


def checked_state(state: object, now: dt.datetime) -> dict[str, Any]:
    """Read a state, and bring its bookmarks into the form and bounds that the tap relies on.

    Args:
        state: Singer state, a whole STATE message as the tap writes it, or None.
        now: The present, which no bookmark may pass.

    Returns:
        A state with bookmarks in the text form of records, none of them in the future.

    Raises:
        ConfigValidationError: If it is no Singer state, or a bookmark is no moment.
    """
    if isinstance(state, dict) and state.get("type") == "STATE" and "value" in state:
        state = state["value"]
    bookmarks = (state or {}).get("bookmarks") or {} if isinstance(state, dict | None) else None
    if not isinstance(bookmarks, dict) or not all(
        isinstance(bookmark, dict) and isinstance(bookmark.get("partitions", []), list)
        for bookmark in bookmarks.values()
    ):
        message = "The state is no Singer state: bookmarks must be an object of objects"
        raise ConfigValidationError(message, errors=[message])
    return {"bookmarks": {name: _checked(name, bookmarks[name], now) for name in bookmarks}}


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
    return {**bookmark, _BOOKMARK: text_of(moment)}
