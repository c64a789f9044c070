"""Hypothesis strategies: accounts, servers, and what happens while they are read."""

from typing import Any

from hypothesis import strategies as st

from tests.support.simulated_account import DAY, MINUTE, SECOND, AccountSpec, Burst, Change
from zoho_voice_sandbox import Dialect

_YEAR = 365 * 1440
_MAX_UTC_OFFSET = 840


def bursts(most: int, span: int = 9 * _YEAR) -> st.SearchStrategy[tuple[Burst, ...]]:
    """Generate accounts: bursts, silences of years, many calls in one millisecond."""
    ages = st.one_of(
        st.integers(0, 3 * 1440), st.integers(0, min(60 * 1440, span)), st.integers(0, span)
    )
    gaps = st.sampled_from((0, 1, SECOND, MINUTE, 17 * MINUTE, 3 * 60 * MINUTE, DAY, 11 * DAY))
    few, some = st.integers(0, min(12, most)), st.integers(0, min(120, most))
    counts = st.one_of(few, some, st.integers(0, most))
    return st.lists(st.builds(Burst, ages, counts, gaps), max_size=6).map(tuple)


_PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "order": st.sampled_from(("newest", "oldest", "logid")),
    "utc_offset_minutes": st.one_of(
        st.just(0),
        st.sampled_from((-720, -480, 330, 345, 840)),
        st.integers(-48, 56).map((15).__mul__),
    ),
    "daylight_saving": st.booleans(),
    "to_date_inclusive": st.booleans(),
    "dates_named": st.booleans(),
    "size_over": st.sampled_from(("cap", "refuse")),
    "size_named": st.booleans(),
    "offset_over": st.sampled_from(("refuse", "empty", "error500", "cut", "empty_uncounted")),
    "offset_counts_size": st.booleans(),
    "offset_named": st.sampled_from(("none", "size", "from")),
}
ANY_SERVER: dict[str, st.SearchStrategy[Any]] = {
    "total": st.sampled_from(("exact", "absent", "stale_high", "stale_low", "capped")),
    "total_error": st.sampled_from((1, 3, 60)),
    "max_range_days": st.sampled_from((None, None, 1, 2, 3, 7, 31, 365)),
    "max_size": st.sampled_from((None, None, 10, 50, 100)),
    "max_offset": st.sampled_from((None, None, 100, 250, 1000)),
    "future_dates": st.sampled_from(("accepted", "refused")),
}
"""Fields of dialects with any limit and total."""
CHANGING_ORDERS: dict[str, st.SearchStrategy[Any]] = {
    "order": st.sampled_from(("shifting", "swapping", "replicas")),
    "order_seed": st.integers(0, 99),
    "order_reach": st.sampled_from((None, 1, 10)),
    "replicas": st.integers(2, 4),
}
"""Fields of dialects whose order changes from request to request."""
PAGE_TOTALS: dict[str, st.SearchStrategy[Any]] = {
    "total": st.just("page"),
    "max_size": st.sampled_from((None, 99, 60, 37)),
}
"""Fields of dialects whose total counts the rows of a page."""
ANSWERED_IN_PART: dict[str, st.SearchStrategy[Any]] = {
    "total": st.sampled_from(("exact", "absent")),
    "answered_days": st.sampled_from((7, 14, 30, 31, 45, 60, 90, 365)),
    "answered_end": st.sampled_from(("last", "first")),
}
"""Fields of dialects that answer the last or the first days of a range alone."""
KEPT_DAYS: dict[str, st.SearchStrategy[Any]] = {
    "retention_days": st.sampled_from((30, 90, 400, 1000)),
    "retention_refused": st.sampled_from(("start", "end")),
}
"""Fields of dialects that reject days that are too old, or leave them out."""
WRONG_STARTS: dict[str, st.SearchStrategy[Any]] = {
    "wrong_start": st.sampled_from(("seconds", "year_2000")),
    "wrong_start_every": st.sampled_from((20, 50, 200)),
}
"""Fields of dialects that send some times in seconds, or of a clock that was reset."""


def dialects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Dialect]:
    """Generate servers, without limits and with exact totals but for these fields."""
    return st.fixed_dictionaries(_PLAIN | fields).map(_build_dialect)


def _build_dialect(fields: dict[str, Any]) -> Dialect:
    # No zone is further east, daylight saving included.
    is_eastern = fields["utc_offset_minutes"] > _MAX_UTC_OFFSET - 60
    fields["daylight_saving"] = fields["daylight_saving"] and not is_eastern
    # A server that excludes `toDate` and accepts single days only could never return a row.
    if not fields["to_date_inclusive"] and fields.get("max_range_days") == 1:
        fields["max_range_days"] = 2
    return Dialect(**fields)


def is_knowable(scene: AccountSpec) -> bool:
    """Return whether any reader could know that it has not seen everything."""
    dialect = scene.dialect
    # Without a total, an end that is no end is found by asking for the days behind it, or for
    # half of them; by id, rows that no offset reaches can be of the other half.
    hides = dialect.max_offset is not None and dialect.offset_over not in {"refuse", "error500"}
    # Ends of less than a thousand are left out there: nobody has seen offsets end so soon.
    if hides and dialect.total in {"absent", "page"} and dialect.max_offset != 1000:
        return False
    # A total that is too low ends the reading: pages cannot be told from capped ones.
    is_low = dialect.total in {"stale_low", "capped"}
    return not (is_low and (hides or dialect.max_size == 10))


def changes(*kinds: str, after: int = 30, most: int = 5) -> st.SearchStrategy[tuple[Change, ...]]:
    change = st.builds(
        Change,
        after=st.integers(0, after),
        kind=st.sampled_from(kinds),
        place=st.one_of(st.integers(0, 20), st.integers(0, 5000)),
        count=st.integers(1, 5),
    )
    return st.lists(change, max_size=most).map(tuple)
