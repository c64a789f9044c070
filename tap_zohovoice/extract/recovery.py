"""Recovery from requests for windows that the server rejects, or that fail."""

import datetime as dt
import logging

from tap_zohovoice.exceptions import InvalidParameterError, RateLimitedError, RequestFailedError
from tap_zohovoice.extract.window_reader import WindowReader
from tap_zohovoice.extract.windows import DAY, SHORT_RANGE_DAYS, DateWindow, WindowPlanner
from tap_zohovoice.http.retry import DEFAULT_LIMITS, FEW_ATTEMPTS, RetryLimits
from tap_zohovoice.pagination import Flow, PageRequest

_LOGGER = logging.getLogger("tap-zohovoice.windows")
_FEW_ROWS = 10  # of a request that must not fail because of its size
_MAX_REFUSALS = 5  # texts, each of which is tested once; a text may have an id of its own each time


class Recovery:
    """Finds out which part of a request is rejected, and plans requests without it.

    Where a response does not name it, a few rows of a recent day show whether the API works.
    """

    def __init__(self, windows: WindowReader, planner: WindowPlanner, today: dt.date) -> None:
        self._windows = windows
        self._planner = planner
        self._today = today
        self._recent = today - 3 * DAY
        self._refusals: set[str] = set()  # texts that do not name what is rejected
        self._retries_size = False
        self._least_days = 2  # 1, if a single day was accepted where two days were rejected
        self._range_days = planner.range_days  # when a page was read last
        self._has_read = False  # a page, or the answer whether old days are rejected
        self._knows_past = False  # that answer

    def observe(self) -> None:
        """Observe that a page was read."""
        self._has_read = True
        if self._retries_size:  # days were not the only reason, and maybe none
            self._least_days = min(self._least_days, self._planner.range_days)
            self._planner.range_days = self._range_days
        self._retries_size, self._range_days = False, self._planner.range_days

    @property
    def _min_days(self) -> int:
        """Fewest days; where two are accepted, one may have no rows, without an error."""
        return min(self._planner.min_days, self._least_days)

    def plan_retry(self, window: DateWindow, error: RequestFailedError) -> Flow[bool]:
        """Plan fewer days or rows after a failure; return whether to request the window again."""
        is_value, pages = isinstance(error, InvalidParameterError), self._windows.pages
        if not is_value and (error.concerns_all or not (yield from self._accepts(self._recent))):
            return False
        is_first = is_value and not error.rejected and error.summary not in self._refusals
        is_first = is_first and len(self._refusals) < _MAX_REFUSALS
        # What looks like a lockout is none only if a smaller request succeeds.
        if is_first or isinstance(error.__cause__, RateLimitedError):
            self._refusals.add(error.summary)  # if the same request is rejected again
            is_accepted = yield from self._accepts(self._recent)
            if is_first or not is_accepted:
                return is_accepted
        # A few rows show whether a page size fails that another list was granted.
        may_be_size = error.rejected != "dates" and pages.proven and not self._has_read
        if may_be_size:
            may_be_size = yield from self._accepts(window.first, last=window.last)
        if may_be_size and pages.withdraw():
            return True
        plan = self._avoid_value(window, error.rejected) if is_value else self._avoid_days(window)
        if (yield from plan):
            return True
        self._retries_size = pages.halve()
        return self._retries_size

    def _avoid_value(self, window: DateWindow, rejected: str) -> Flow[bool]:
        """Plan a request without the value that is rejected; return whether that is possible."""
        is_planned = rejected != "dates" and self._windows.pages.lower_unproven()
        if rejected != "size":
            is_planned = (yield from self._avoid_future(window)) or is_planned
            is_planned = is_planned or (yield from self._skip_rejected_past(window))
        if is_planned:
            return True
        is_long = window.days > self._min_days
        if not (is_long or self._has_read):
            is_long = yield from self._needs_single_days()
        return is_long and self._planner.halve(window)

    def _avoid_days(self, window: DateWindow) -> Flow[bool]:
        """Plan fewer days; return whether that is possible."""
        if window.days > SHORT_RANGE_DAYS:
            self._planner.range_days = SHORT_RANGE_DAYS
            return True
        if window.days > self._min_days:
            return self._planner.halve(window)
        # A server that fails for a day because it is in the future fails for later ones too.
        is_future = window.last >= self._today and not (yield from self._accepts(window.last + DAY))
        return is_future and (yield from self._avoid_future(window))

    def _avoid_future(self, window: DateWindow) -> Flow[bool]:
        """Request no day of the future, or single days if only those are accepted."""
        is_tested = window.days <= self._planner.longest_days
        if not is_tested and self._planner.is_extending and (yield from self._needs_single_days()):
            return self._planner.halve(window)
        return self._planner.avoid_future(window)

    def _needs_single_days(self) -> Flow[bool]:
        """Return whether the server accepts a single recent day, but not two."""
        recent = self._recent
        is_accepted = yield from self._accepts(recent)
        return not is_accepted and (yield from self._accepts(recent, last=recent))

    def _skip_rejected_past(self, window: DateWindow) -> Flow[bool]:
        """Find the oldest day that the server accepts, if it rejects the first ones as too old."""
        rejected, accepted = window.first, self._recent
        # Rows of a longer window do not show it: a server may reject only a range of old days.
        is_settled = self._knows_past or rejected >= accepted or self._planner.longest_days
        if is_settled or not (yield from self._accepts(accepted)):
            return False
        self._has_read = self._knows_past = True
        if (yield from self._accepts(rejected)):
            return False
        while (accepted - rejected).days > 1:
            middle = rejected + (accepted - rejected) // 2
            is_accepted = yield from self._accepts(middle)
            rejected, accepted = (rejected, middle) if is_accepted else (middle, accepted)
        # In an outage or a lockout, which may end at any moment, both days get the same response.
        is_accepted = yield from self._accepts(accepted)
        if not is_accepted or (yield from self._accepts(rejected, DEFAULT_LIMITS)):
            return False
        _LOGGER.warning("Zoho rejects days before %s; reading the calls from then on", accepted)
        self._planner.start_at(accepted)
        return True

    def _accepts(
        self, day: dt.date, retry_limits: RetryLimits = FEW_ATTEMPTS, last: dt.date | None = None
    ) -> Flow[bool]:
        """Return whether the server accepts a request for a few rows of a day, or until another."""
        window = DateWindow(day, last or day + DAY)
        try:
            params = self._windows.params_of(window)
            yield PageRequest(0, _FEW_ROWS, params, str(window), retry_limits)
        except RequestFailedError as error:
            if retry_limits == DEFAULT_LIMITS and not isinstance(error, InvalidParameterError):
                raise  # a day that fails may have calls
            if isinstance(error.__cause__, RateLimitedError) and day != self._recent:
                yield from self._accepts(self._recent)  # raises the error of a lockout
            return False
        return True
