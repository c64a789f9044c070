"""Requests of pages, in the largest size that the server accepts."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RateLimitLockoutError,
    RequestFailedError,
    RetriesExhaustedError,
    ZohoVoiceError,
)
from tap_zohovoice.extract.limits import DEFAULT_SIZE, TRUSTED_DAYS, ServerLimits
from tap_zohovoice.http.retry import DEFAULT_LIMITS, FEW_ATTEMPTS, TRIAL_LIMITS
from tap_zohovoice.pagination import Flow, Page, PageRequest

_DOCUMENTED_SIZE = 100  # of the documentation's sample request; clients use larger ones
_LARGER_SIZES = (1_000, 500)  # to try where more rows than `DEFAULT_SIZE` follow; not documented
_LEAST_SIZE = 25  # to request after failures that do not name the size
_MEMBER = "page_size"  # of a bookmark: the largest size granted, and when it was found
_WEEK = "%G-W%V"  # a week; in another one, larger pages are tried again


class PageRequester:
    """Requests pages in the largest size that the server accepts, in all streams of a run.

    A rejection need not name what is rejected. So a size that may be the reason is lowered, and
    tried again later. Sizes are tried after a full page, where more rows are certain to follow: a
    response without rows, or with no more than before, means that the size is not granted.
    """

    def __init__(self, size: int | None) -> None:
        self._wish = size or DEFAULT_SIZE
        self.size = self._base = self._wish  # in use, and that of first pages at least
        self._untried = [] if size else [*_LARGER_SIZES]
        self._is_fixed = bool(size)
        self._least = _LEAST_SIZE  # where no rows are expected, or hidden by a larger size
        self.proven = 0  # the largest size for which the server has returned rows
        self._has_full_page = False  # whether more rows than the base may follow

    def request(self, request: PageRequest, limits: ServerLimits) -> Flow[Page]:
        """Request a page, whatever size the request has."""
        page, is_probe = None, request.is_probe
        if request.offset and not is_probe:  # the page before was full: more rows are certain
            page = yield from self._try_larger(request, limits)
        if page is None:
            page = yield from self._request_granted(request, limits)
        if not request.offset:
            if not page.rows:
                page = yield from self._verify_silence(request, page, limits)
            if not is_probe:
                limits.was_silent = not page.rows
        self._observe(request, page)
        if not request.offset and self._untried and self._untried[0] <= self._wish:
            page = (yield from self._try_larger(request, limits)) or page  # failed by chance before
        limits.size = self.size
        limits.observe(request.offset, page)
        return page

    def lower_unproven(self) -> bool:
        """Lower a size that may have caused a failure, to try it later; return whether it was."""
        if not self._is_unproven:
            return False
        failed = self._base
        self.size = self._base = max(min(failed // 2, _DOCUMENTED_SIZE), _LEAST_SIZE)
        while failed > self._base:
            self._untried.append(failed)
            failed //= 2
        self._untried.sort(key=lambda size: (size > self._wish, -size))
        return True

    def halve(self) -> bool:
        """Halve the size, for good; return whether it could be."""
        if self._lower_granted():
            return True
        if self._base == 1:
            return False
        self.size = self._base = self._base // 2
        self._untried = []
        return True

    def withdraw(self) -> bool:
        """Lower a size that was granted, to try it later; return whether it could be."""
        is_large, self.size, self.proven = self.size > self._base, self._base, 0
        return is_large or self.lower_unproven()

    def restore(self, state: Mapping[str, Any], started: dt.datetime) -> None:
        """Begin with the size of an earlier run of the same week; larger ones need no trial."""
        match state.get(_MEMBER):
            case [int(size), week] if week == f"{started:{_WEEK}}" and self._untried and size > 0:
                self._untried = [larger for larger in self._untried if larger <= size]
                self.size = self._base = max(min(size, self._base), _DOCUMENTED_SIZE)

    def store(self, state: dict[str, Any], started: dt.datetime) -> None:
        """Store the largest size that is granted, once that is known."""
        if self.proven and not (self._is_fixed or self._untried):
            state[_MEMBER] = [min(self.proven, self.size), f"{started:{_WEEK}}"]

    @property
    def _is_unproven(self) -> bool:
        """Whether a failure may be due to the size, since none as large was accepted."""
        return self.proven < self._base and self._base > _LEAST_SIZE

    @property
    def _small_size(self) -> int:
        """The size that is sufficient where no rows are expected."""
        return self._least if self._is_unproven else self._base

    def _observe(self, request: PageRequest, page: Page) -> None:
        """Observe which size has returned rows, and whether more than the base may follow."""
        if page.rows:
            while page.size < self._base and self.lower_unproven():
                pass  # that size may hide rows
            self.proven = max(self.proven, page.size)
        left = 0 if page.total is None else page.total - request.offset - len(page.rows)
        self._has_full_page = len(page.rows) >= self._base and not 0 < left <= self._base

    def _try_larger(self, request: PageRequest, limits: ServerLimits) -> Flow[Page | None]:
        """Request existing rows in a size that was not tried yet; None: it is not accepted."""
        while self._untried and self._has_full_page:
            size = self._untried[0]
            if self._clip(request.offset, size, limits) < size:
                return None
            page = Page([], None, size)
            try:
                page = yield replace(request, size=size, retry_limits=TRIAL_LIMITS)
            except ZohoVoiceError as error:
                if error.concerns_all or isinstance(error, RateLimitLockoutError):
                    raise
            rows = len(page.rows)
            if rows > self.size:
                self.size, self._base = size, min(size, self._wish)
                self._untried = [other for other in self._untried if other > size]
            elif not rows or (page.total or 0) > request.offset + rows:  # not the end of the window
                self._untried = [other for other in self._untried if other < size]
            if rows:
                return page
        return None

    def _request_granted(self, request: PageRequest, limits: ServerLimits) -> Flow[Page]:
        """Request a page, and smaller ones as long as the size may be the reason of a failure."""
        offset, is_probe = request.offset, request.is_probe
        is_silent = not offset and (is_probe or limits.was_silent)
        while True:
            size = self._small_size if is_silent else self._clip(offset, self.size, limits)
            # No request that far has returned rows yet, so the offset may be the reason.
            is_beyond = offset > 0 and offset + size > limits.confirmed_end
            may_be_offset = is_beyond and size > self._base and not is_probe
            retry_limits = FEW_ATTEMPTS if self._is_unproven else DEFAULT_LIMITS
            if may_be_offset or (offset and is_probe):
                retry_limits = TRIAL_LIMITS
            try:
                page = yield replace(request, size=size, retry_limits=retry_limits)
            except ZohoVoiceError as error:
                if may_be_offset and isinstance(error, RequestFailedError):
                    limits.large_end = offset + self._base
                elif size < self._base and _may_reject_size(error):
                    is_silent = False
                elif not self._lower_after(error, is_beyond=is_beyond):
                    raise
            else:
                if page.rows or not may_be_offset:
                    return page
                limits.large_end = offset + self._base

    def _verify_silence(self, request: PageRequest, page: Page, limits: ServerLimits) -> Flow[Page]:
        """Request a window without rows in a small page too: a larger one may hide rows."""
        days = [dt.date.fromisoformat(request.params[name]) for name in ("fromDate", "toDate")]
        # The lookback of the next run covers a few days, even if the size is granted no more.
        is_safe = page.size <= self._base and (days[1] - days[0]).days < TRUSTED_DAYS
        is_expected = request.is_probe or limits.was_silent or (is_safe and not limits.deepest_row)
        size = self._small_size if is_expected else min(self._least, self._base)
        if page.size <= size:
            return page
        try:
            page = yield replace(request, size=size)
        except InvalidParameterError as error:
            if not _may_reject_size(error):
                raise
            self._least = self._base  # what the server does not grant, it rejects
        if page.rows:
            self._lower_granted()
            self.proven = 0
        return page

    def _lower_after(self, error: ZohoVoiceError, *, is_beyond: bool) -> bool:
        """Lower the size if it may have caused a failure; return whether it could be."""
        if not isinstance(error, RequestFailedError):
            is_unclear = type(error) is ZohoVoiceError and not error.concerns_all  # a redirect
            can_try = self._base > _DOCUMENTED_SIZE  # one smaller page
            return is_unclear and can_try and self.lower_unproven()
        is_size = error.rejected == "size"
        if is_size and self.proven < self._base and self.halve():
            return True
        # Days may be the reason of a value that is invalid.
        if not (error.concerns_all or error.rejected) and self.lower_unproven():
            return True
        may_be_size = is_size or isinstance(error, RetriesExhaustedError)
        return may_be_size and not is_beyond and self._lower_granted()

    def _lower_granted(self) -> bool:
        """Lower a size that was granted but fails now; return whether there was one."""
        if self.size == self._base:
            return False
        smaller = (size for size in _LARGER_SIZES if self._base < size < self.size)
        self.size, self._untried = next(smaller, self._base), []
        if self.size == self._base:
            self.proven = 0  # the server has changed, and may grant even less
        return True

    def _clip(self, offset: int, size: int, limits: ServerLimits) -> int:
        """Return the size of a page that ends where offsets may end, but at least the base."""
        end = max(limits.large_end, limits.confirmed_end)
        return min(size, max(end - offset, self._base))


def _may_reject_size(error: ZohoVoiceError) -> bool:
    return isinstance(error, InvalidParameterError) and error.rejected != "dates"
