"""Pages of one window: which offset to request next, and whether all rows were received."""

import logging
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from tap_zohovoice.exceptions import (
    InvalidParameterError,
    RequestFailedError,
    WindowTooLargeError,
)
from tap_zohovoice.extract.legs import CallRows
from tap_zohovoice.extract.limits import ServerLimits
from tap_zohovoice.extract.window_pass import WindowPass
from tap_zohovoice.extract.windows import TARGET_FILL
from tap_zohovoice.pagination import Flow, Page

Split = Literal["days", "types", "cut", "nothing"]
"""What to request instead of a window: fewer days, or one type of calls; `cut` if it is cut off."""

_LOGGER = logging.getLogger("tap-zohovoice.windows")
_MAX_REREADS = 3
MAX_DELETED = 25  # calls that may be deleted during a run
TRACK_TOTAL_HITS_CAP = 10_000  # at which search engines stop counting by default
_MAX_STALE_PAGES = 30  # with hardly a new row; fewer may be due to calls that arrive meanwhile
_ROUND_PAGE = 50  # servers cap pages at round numbers, so a page of such a length may be capped
_ROUND_LIMITS = 100, 128  # multiples of these or of 10: a list of such a length may be cut off


@dataclass(eq=False)
class PageFlow:
    """Reads one window to its end.

    `request_page` requests the page at an offset, `split` is what to request instead of too many
    rows. Calls that started before `cutoff` (timestamp) are not needed, but windows have some.
    """

    request_page: Callable[..., Flow[Page]]
    limits: ServerLimits
    _: KW_ONLY
    split: Split = "nothing"
    name: str
    cutoff: str = ""
    calls: CallRows = field(default_factory=CallRows, init=False)
    is_silent = False  # whether no rows are expected
    _pass: WindowPass = field(init=False)
    _longest = 1  # rows of a page
    _has_ended = _has_looked_ahead = False

    @property
    def is_end_certain(self) -> bool:
        """Whether all rows were received, or the end is not likely to be a limit of offsets."""
        if self._pass.passed_cutoff:
            return True
        rows = self._pass.row_count
        if self._pass.has_trusted_total:
            is_suspect = rows in self.limits.suspect_totals and self.split != "nothing"
            return not is_suspect or rows < self.limits.deepest_row
        # A list may lack its last row, or have one that was added.
        nearby = [(rows + by) % round_limit for by in (-1, 0, 1) for round_limit in _ROUND_LIMITS]
        is_round = rows % 10 == 0 or not all(nearby)
        lacks_page = max(self._pass.totals, default=0) > rows + self._longest
        is_end = self._has_ended and not is_round and not lacks_page
        return is_end or rows < self.limits.proven_window_rows

    def read_window(self) -> Flow[CallRows]:
        """Read the window, again if rows are missing or moved, and return its rows.

        Raises:
            WindowTooLargeError: If fewer days, or one type of calls, must be requested.
            InvalidParameterError: If the server rejects the window or the size.
            ZohoVoiceError: If the end of the window cannot be reached.
        """
        before: WindowPass | None = None
        for _ in range(1 + _MAX_REREADS):
            this = self._pass = WindowPass(self.limits, self.cutoff)
            yield from self._read_pass()
            # Rows whose order changes may have the same order once, by chance.
            keeps_order = this.is_firm and (before is None or this.has_order_of(before))
            if this.is_complete(len(self.calls.kept), keeps_order=keeps_order):
                return self.calls
            if before is not None:
                is_repeated = before.is_firm and this.seen.keys() == before.seen.keys()
                if keeps_order and is_repeated and this.totals:
                    self.limits.total_is_reliable = False
                    _LOGGER.warning(
                        "%s: meta.total is %d but only %d distinct calls were returned, twice; "
                        "continuing and ignoring meta.total",
                        *(self.name, min(this.totals), len(self.calls.kept)),
                    )
                    return self.calls
                if not this.is_firm or self.limits.needs_single_pages:
                    break
            before = this
        raise self._reject_order()

    def _reject_order(self) -> WindowTooLargeError:
        self.limits.require_single_pages()
        return WindowTooLargeError(max(self._pass.totals, default=None))

    def _read_pass(self) -> Flow[None]:
        """Read from the first row to the last."""
        first = yield from self._get(0)
        total = first.total or 0
        is_capped = len(first.rows) < total == TRACK_TOTAL_HITS_CAP
        most = {"days": self.limits.max_window_rows, "types": self.limits.checkpoint_rows}
        if is_capped or total > most.get(self.split, total):
            raise WindowTooLargeError(total)
        offset, page = 0, first if first.rows else None
        while page is not None:
            self._add(page, offset)
            if self._pass.stale_pages > _MAX_STALE_PAGES:
                raise self._reject_order()  # but a single page has all rows, in any order
            if self._pass.passed_cutoff or self._is_last(page, offset):
                break
            offset, page = yield from self._get_next(offset, page)
        self._pass.is_single_page = self._pass.row_count == len(first.rows)
        if self._pass.is_single_page and not self._pass.passed_cutoff:
            self.limits.proven_page_rows = max(self.limits.proven_page_rows, self._pass.row_count)

    def _get_next(self, offset: int, page: Page) -> Flow[tuple[int, Page | None]]:
        """Get the page after a page with its offset; None at the end."""
        end = offset + len(page.rows)
        if not self._pass.has_trusted_total:
            if offset:  # so the page before it was a full one
                self.limits.full_page_rows = self._longest
            if self.split in {"days", "types"}:
                yield from self._check_length()
        # The last row is requested again: if it is not where it was, rows have moved.
        overlap = self._pass.choose_overlap(page)
        offset = end - overlap
        is_end = not overlap and len(page.rows) < page.size
        following = yield from self._get(offset, is_end=is_end)
        is_known = bool(following.rows) and following.rows[0].logid in self._pass.seen
        if overlap and not is_known:
            return (yield from self._step_back(offset, following))
        if following.rows:
            is_over = self._is_over(following, offset, overlap, is_end=is_end)
            self._pass.check_seam(page, following, self.calls.kept)
            return offset, None if is_over else following
        self._check_unexpected_end(offset, following)
        return offset, None

    def _is_over(self, page: Page, offset: int, overlap: int, *, is_end: bool) -> bool:
        """Return whether a page repeats the last rows, since calls arrived before them.

        Behind the end, a server may return any rows again, such as those of the last page; beyond
        a limit of offsets, an earlier page, for which `WindowTooLargeError` is raised.
        """
        ids = [row.logid for row in page.rows]
        if len(ids) == overlap or not self._pass.seen.keys() >= set(ids):
            return False
        seen, longest = [*self._pass.seen], min(page.size, self.limits.longest_page_rows)
        if is_end or (len(ids) < longest and seen[-len(ids) :] == ids):
            return True
        start = seen.index(ids[0])
        if len(ids) > overlap and seen[start : start + len(ids)] == ids:
            self.limits.deepest_row = self.limits.confirmed_end = offset + overlap
            raise self._reject_offset(offset)
        return False

    def _check_length(self) -> Flow[None]:
        """Check that a window without a total is not too large, by a request for a later row."""
        found, most = len(self.calls.kept), self.limits.max_window_rows
        if found > most:
            raise WindowTooLargeError(None)
        is_longest = found > 2 * self.limits.proven_window_rows and self.split == "days"
        if self._has_looked_ahead or not (is_longest or found > most // 10):
            return
        self._has_looked_ahead = True
        offset = int(TARGET_FILL * most) if is_longest else most
        page = yield from self.request_page(offset, is_probe=True)
        if any(row.logid not in self.calls.kept for row in page.rows):
            raise WindowTooLargeError(None)

    def _get(self, offset: int, *, is_end: bool = False) -> Flow[Page]:
        try:
            had_rows = not offset and len(self.calls.kept) > MAX_DELETED
            is_probe = self.is_silent and not offset
            page = yield from self.request_page(offset, is_probe=is_probe, had_rows=had_rows)
        except RequestFailedError as error:
            if is_end and not error.concerns_all:  # there may be no such row
                return Page([], None, self.limits.size)
            # Some search engines respond with a server error beyond their limit, even if the rows
            # end before it.
            is_beyond = offset + self.limits.size > self.limits.confirmed_end
            if not offset or not (is_beyond or isinstance(error, InvalidParameterError)):
                raise
            raise self._reject_offset(offset) from error
        self._longest = max(self._longest, len(page.rows))
        # A total of 0 behind other rows counts the rows of its own page.
        if page.total is not None and (page.total or page.rows or not offset):
            self._pass.totals.append(page.total)
        return page

    def _reject_offset(self, offset: int) -> WindowTooLargeError:
        self.limits.reject_offset(offset)
        return WindowTooLargeError(min(self._pass.totals, default=None))

    def _add(self, page: Page, offset: int) -> None:
        # Rows of an overlap, and those of an earlier pass, may have changed since.
        repeated = set(self._pass.ids[-self._pass.overlap :])
        self.calls.add(page.rows, lambda key: key in self._pass.seen and key not in repeated)
        self._pass.add(page, offset)

    def _is_last(self, page: Page, offset: int) -> bool:
        """Return whether a page ends the window."""
        length = len(page.rows)
        # A short page may be a capped one. Only a page with nothing but the overlap is the end.
        self._has_ended = bool(offset) and length == self._pass.overlap < self._longest
        if offset + length != page.total:  # more rows than the total prove that it is wrong
            return page.total is None and self._has_ended
        # A total may count only the rows of its page, or those up to its end, until one does not,
        # or its end is verified. A page as long as the longest may have been capped.
        limits = self.limits
        longest = limits.longest_page_rows - (not limits.total_exceeds_page)
        is_verified = not offset and length <= min(limits.proven_page_rows, longest)
        is_counted = limits.total_exceeds_end or self._has_ended or is_verified
        is_full = length >= page.size or (offset > 0 and length >= self._longest)
        return is_counted and not is_full and length % _ROUND_PAGE != 0

    def _step_back(self, offset: int, page: Page) -> Flow[tuple[int, Page | None]]:
        """Go back from a seam to a known row, after rows before the seam vanished."""
        lower, back, self._pass.has_shifted = offset, page, True
        while lower and not any(row.logid in self._pass.seen for row in back.rows):
            lower = max(lower - max(self._longest - 1, 1), 0)
            back = yield from self._get(lower)
        if not back.rows:
            return offset, None
        self._pass.check_order(back)
        if page.rows:
            return lower, back  # what lies between the two pages is not known
        # If there is a row now, there may be more after it; but a server that returns nothing at
        # an offset does so each time.
        if lower + len(back.rows) <= offset or offset not in self._pass.empty_offsets:
            self._pass.empty_offsets.add(offset)
            return lower, back
        self._add(back, lower)
        if offset + page.size > self.limits.confirmed_end:  # the row there was received
            raise self._reject_offset(offset)
        return offset, None

    def _check_unexpected_end(self, offset: int, page: Page) -> None:
        """Check that offsets do not end at an empty page: its offset may be below the total.

        They may if no deeper one returned rows, and pages had no room for more, or a round length.
        """
        total = page.total or min(self._pass.totals, default=0)
        is_early = offset < total and self.limits.total_is_reliable
        had_room = offset + 1 < page.size and len(self._pass.seen) % _ROUND_PAGE
        if is_early and offset + page.size > self.limits.confirmed_end and not had_room:
            raise self._reject_offset(offset)
