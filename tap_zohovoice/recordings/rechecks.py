"""Second requests of files of unknown size, which may have been downloaded too early."""

import datetime as dt

from tap_zohovoice._time import format_timestamp

_SETTLING_TIME = dt.timedelta(minutes=10)
"""How long after its download a file is requested once more, at the least."""


class Rechecks:
    """Which files to request once more, before their calls leave the lookback.

    Calls come in the order of their start, so that a single timestamp shows which ones are done:
    the files of calls up to `verified_until` need no further request. Those of calls before
    `oldest` are not requested again. All timestamps are in the form of records.
    """

    def __init__(self, verified_until: str, oldest: str, lookback: dt.timedelta) -> None:
        self.verified_until = verified_until
        self._after = max(verified_until, oldest)
        self._lookback = lookback
        self._has_provisional = False

    def may_grow(self, start_time: str, downloaded_at: dt.datetime | None) -> bool:
        """Return whether a stored file may have grown since its download, if that is known."""
        return start_time > self._after and self.was_in_lookback(start_time, downloaded_at)

    def was_in_lookback(self, start_time: str, at: dt.datetime | None) -> bool:
        """Return whether a call was in the lookback at a time; true if that is unknown."""
        age = dt.timedelta(0) if at is None else at - dt.datetime.fromisoformat(start_time)
        return age < self._lookback

    def is_due(self, downloaded_at: dt.datetime | None, now: dt.datetime) -> bool:
        """Return whether a file that was still written has had the time to be completed."""
        return downloaded_at is None or now - downloaded_at >= _SETTLING_TIME

    def record(self, start_time: str, *, is_provisional: bool) -> None:
        """Record whether a later run must request a file of a call once more."""
        if is_provisional:
            self._has_provisional = True
            before = dt.datetime.fromisoformat(start_time) - dt.timedelta(microseconds=1)
            self.verified_until = min(self.verified_until, format_timestamp(before))
        elif not self._has_provisional:
            self.verified_until = max(self.verified_until, start_time)
