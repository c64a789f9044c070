"""Requests of pages, in the largest size that the server accepts."""

from dataclasses import replace

from tap_zohovoice.exceptions import (
    RateLimitLockoutError,
    RequestFailedError,
    RetriesExhaustedError,
    ZohoVoiceError,
)
from tap_zohovoice.extract.limits import DEFAULT_SIZE, LIKELY_LIMITS, ServerLimits
from tap_zohovoice.http.retry import MAX_ATTEMPTS, SIZE_ATTEMPTS, TRIAL_LIMITS
from tap_zohovoice.pagination import Flow, Page, PageRequest

_DOCUMENTED_SIZE = 100
"""The size in the documentation's sample request; clients use larger ones."""
_LARGER_SIZES = (1_000, 500)
"""Sizes to try where a window has more rows than a page of `DEFAULT_SIZE`; none is documented."""
_LEAST_SIZE = 25
"""The smallest size to request after failures that do not name the size."""


class PageRequester:
    """Requests pages in the largest size that the server accepts, or smaller if it rejects one.

    A rejection need not name what is rejected. So a size that may be the reason is lowered, and
    tried again later. Sizes are tried after a full page, where more rows are certain to follow: a
    response without rows, or with no more than before, means that the size is not granted.
    """

    proven = 0  # the largest size for which the server has returned rows, in any stream

    def __init__(self, size: int | None) -> None:
        self._least = size or DEFAULT_SIZE  # needs no trial
        self._granted: int | None = None  # a larger size, once the server has granted it
        self._failed: list[int] = []  # sizes that failed, perhaps by chance; to try again
        self._larger = [] if size else list(_LARGER_SIZES)  # to try
        self._has_full_page = False  # whether more rows than the least size may follow
        self._was_silent = False  # whether the last first page had no rows
        self._large_end = LIKELY_LIMITS[0]  # likely, or observed by the last failure
        self.limits = ServerLimits(self._least)

    def request(self, request: PageRequest, *, has_rows: bool, is_long: bool) -> Flow[Page]:
        """Request a page, in a larger size only if `has_rows`: if rows are certain to be there.

        Other requests verify that a window has no rows if it `is_long`.
        """
        page = (yield from self._try_larger(request)) if has_rows else None
        if page is None:
            page = yield from self._request_granted(request)
        size = _LEAST_SIZE if self._is_unproven and not is_long else self._least
        if not page.rows and not request.offset and page.size > size:  # it may have hidden rows
            page = yield replace(request, size=size)
            while page.rows and self.lower_unproven():
                pass
            if page.rows:
                self._lower_granted()
        self._was_silent = not page.rows and not request.offset
        self.limits.size = self._size
        self.limits.observe(request.offset, page)
        return page

    def lower_unproven(self) -> bool:
        """Lower a size that may have caused a failure, to try it later; return whether it was."""
        if not self._is_unproven:
            return False
        failed = self._least
        self._least = max(min(failed // 2, _DOCUMENTED_SIZE), _LEAST_SIZE)
        while failed > self._least:
            self._failed.append(failed)
            failed //= 2
        return True

    def halve(self) -> bool:
        """Halve the size, for good; return whether it could be."""
        if self._lower_granted():
            return True
        if self._least == 1:
            return False
        self._least //= 2
        self._failed, self._larger = [], []
        return True

    def remember(self, size: int) -> None:
        """Begin with a size that was granted before; larger ones need no trial."""
        if self._larger and size > 0:
            self._larger = [larger for larger in self._larger if larger <= size]
            self._least = max(min(size, self._least), _DOCUMENTED_SIZE)

    @property
    def found(self) -> int:
        """The largest size that is granted; 0 while that is not known."""
        if self._granted:
            return self._granted
        return 0 if self._larger or self._failed else min(self.proven, self._least)

    @property
    def _size(self) -> int:
        return self._granted or self._least

    @property
    def _is_unproven(self) -> bool:
        """Whether a failure may be due to the size, since none was accepted."""
        return self.proven < self._least and self._least > _LEAST_SIZE

    def _request_granted(self, request: PageRequest) -> Flow[Page]:
        """Request a page, and smaller ones as long as the size may be the reason of a failure."""
        attempts = 0
        while True:
            size = self._clip(request.offset, self._size)
            if not request.offset and self._was_silent:  # a small page is enough
                size = _LEAST_SIZE if self._is_unproven else self._least
            limits = {"earlier_attempts": attempts}
            if self._is_unproven:
                attempts = min(attempts + SIZE_ATTEMPTS, MAX_ATTEMPTS - 1)
                limits["max_attempts"] = attempts
            try:
                page = yield replace(
                    request, size=size, retry_limits=request.retry_limits or limits
                )
            except ZohoVoiceError as error:
                if not self._lower(request.offset, size, error):
                    raise
                has_failed = isinstance(error, RetriesExhaustedError)
                attempts = (attempts or MAX_ATTEMPTS // 2) if has_failed else 0
            else:
                break
        while page.rows and size < self._size and self.lower_unproven():
            pass  # that size may have hidden rows
        if page.rows and size == self._size:
            self.proven = max(self.proven, size)
            left = 0 if page.total is None else page.total - request.offset - len(page.rows)
            self._has_full_page = len(page.rows) >= self._least and not 0 < left <= self._least
            if self._failed and not request.offset:
                return (yield from self._try_larger(request)) or page
        return page

    def _lower(self, offset: int, size: int, error: ZohoVoiceError) -> bool:
        """Lower the size if it may have caused a failure; return whether it could be."""
        if not isinstance(error, RequestFailedError):
            is_unclear = type(error) is ZohoVoiceError and error.summary  # such as a redirect
            if is_unclear and self._is_unproven and self._least > _DOCUMENTED_SIZE:
                self._least, self._failed, self._larger = _DOCUMENTED_SIZE, [], []
                return True  # one smaller page is tried
            return False
        is_size = error.rejected_param == "size"
        if is_size and self.proven < self._least and self.halve():
            return True
        # Days may be the reason of a value that is invalid. An error without a summary is a failure
        # to get a token.
        if error.summary and not error.is_invalid_value and self.lower_unproven():
            return True
        may_be_size = is_size or isinstance(error, RetriesExhaustedError)
        return may_be_size and not self._is_beyond(offset, size) and self._lower_granted()

    def _lower_granted(self) -> bool:
        """Lower a size that was granted but fails now; return whether there was one."""
        if not (granted := self._granted):
            return False
        smaller = (size for size in _LARGER_SIZES if size < granted)
        self._granted, self._larger = next(smaller, None), []
        return True

    def _try_larger(self, request: PageRequest) -> Flow[Page | None]:
        """Request existing rows in a larger size; None: it is not accepted."""
        while size := self._larger_size(request.offset):
            page = Page([], None, size)
            try:
                page = yield replace(request, size=size, retry_limits=TRIAL_LIMITS)
            except ZohoVoiceError as error:
                has_failed = isinstance(error, RequestFailedError)
                if isinstance(error, RateLimitLockoutError) or not (has_failed or error.summary):
                    raise
            if not self._granted:
                self._observe_trial(request.offset, page)
            elif not page.rows:
                self._large_end = request.offset + self._least
                return None
            if page.rows:
                return page
        return None

    def _larger_size(self, offset: int) -> int | None:
        """Return the size to try at an offset, if there is one."""
        if self._granted:
            size = self._clip(offset, self._granted)
            return size if size > self._least and self._is_beyond(offset, size) else None
        sizes = self._failed or self._larger
        is_possible = sizes and self._has_full_page and self._clip(offset, sizes[0]) == sizes[0]
        return sizes[0] if is_possible else None

    def _observe_trial(self, offset: int, page: Page) -> None:
        rows = len(page.rows)
        if rows > self._least and self._failed:  # it failed by chance
            self._least, self._failed = page.size, []
            self._has_full_page = False  # this one may have been the last
        elif rows > self._least:
            self._granted = page.size
        elif rows and (page.total or 0) <= offset + rows:
            return  # it may be the end of the window
        elif self._failed:
            self._failed, self._larger = self._failed[1:], []
        else:
            self._larger = self._larger[1:]

    def _clip(self, offset: int, size: int) -> int:
        """Return the size of a page that ends where offsets may end, but at least the least one."""
        end = max(self._large_end, self.limits.confirmed_end)
        return min(size, max(end - offset, self._least))

    def _is_beyond(self, offset: int, size: int) -> bool:
        """Return whether no request that far has returned rows yet."""
        return offset > 0 and offset + size > self.limits.confirmed_end
