"""What a first run costs, for accounts of several sizes: requests, and hours at Zoho's limit.

Nothing is waited for and nothing is sent: the clock jumps over each wait, and a transport within
this process server. Everything else is the tap's own code: windows, pages, throttle, the judging
of answers and the waiting out of locks, and the making of records. Left out are the token, the
file that runs share, and the writing of messages.

The account is one of the sandbox: calls in office hours of five years, after a year without any.
The server answers within half a second, newest first, and locks whoever asks too often, as the
sandbox does; a run that it had to lock for that fails.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import os
import sys
from argparse import ArgumentParser
from bisect import bisect_left
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.auth import OAuthTokens, TokenEndpoint
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.tap import TapZohoVoice
from zoho_voice_sandbox import Dialect, History
from zoho_voice_sandbox.query import parse_query, run_query
from zoho_voice_sandbox.rate_limit import RateLimiter
from zoho_voice_sandbox.stats import EndpointStats

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Sequence

    from zoho_voice_sandbox.date_filter import TimeRange

NOW = 1_772_366_400.0
"""2026-03-01 12:00:00 UTC, when every run starts."""
FIRST, LAST = dt.date(2021, 1, 1), dt.date(2025, 12, 31)
"""Days of the first and the last call."""
LATENCY = 0.5
"""Seconds from a request to its answer."""
GRANTED = (100, 200, 1_000)
"""Rows of the largest page that the server grants; it cuts larger ones down."""
HEADER = """\
| calls | largest page | requests | hours | with a lock: requests | hours | ideal requests | hours |
|--:|--:|--:|--:|--:|--:|--:|--:|"""


class BrokenError(Exception):
    """The tap broke a promise."""


class JumpingClock(Clock):
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self._elapsed = 0.0

    @override
    def now(self) -> float:
        return NOW + self._elapsed

    @override
    def monotonic(self) -> float:
        return self._elapsed

    @override
    def sleep(self, seconds: float) -> None:
        self._elapsed += seconds


class SimulatedServer(BaseAdapter):
    """The server, in place of a connection to it.

    Attributes:
        requests: How many came.
        limits: How many of them were too many, or came during a lock.

    Args:
        starts: When the calls started, in milliseconds since the epoch, sorted.
        clock: The time.
        granted: Rows of the largest page.
        lock_at: The request that is answered by a lock that is not the tap's fault; 0: none.
    """

    def __init__(self, starts: array[int], clock: Clock, granted: int, lock_at: int) -> None:
        super().__init__()
        self.requests = 0
        self.limits = EndpointStats()
        self._starts = starts
        self._clock = clock
        self._dialect = Dialect(max_size=granted)
        self._lock_at = lock_at
        self._limiter = RateLimiter(clock, self.limits)

    @override
    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.requests += 1
        self._clock.sleep(LATENCY / 2)
        if self.requests == self._lock_at:
            self._limiter.lock(self._dialect)
        locked = self._limiter.hit(self._dialect) if self.requests != self._lock_at else 1
        response = requests.Response()
        response.request, response.url = request, request.url or ""
        response.status_code = 429 if locked else 200
        params = dict(parse_qsl(urlsplit(response.url).query))
        body = b'{"message":"too many requests"}' if locked else self._page(params)
        response.raw = HTTPResponse(BytesIO(body), preload_content=False)
        self._clock.sleep(LATENCY / 2)
        return response

    @override
    def close(self) -> None:
        pass

    def _page(self, params: dict[str, str]) -> bytes:
        now_ms = int(self._clock.now() * 1000)
        query = parse_query(params, self._dialect)
        page = run_query(query, self._dialect, now_ms, self._select)
        rows = ",".join(
            f'{{"logid":"{place}","start_time":"{self._starts[place]}"}}' for place in page.rows
        )
        return f'{{"meta":{{"total":{page.total}}},"logs":[{rows}]}}'.encode()

    def _select(self, selected: TimeRange) -> range:
        return range(*(bisect_left(self._starts, moment) for moment in selected))


class MadeUpTokens(OAuthTokens):
    """A token that is always good, and not asked for."""

    @override
    def access_token(self) -> str:
        return "made-up"


@dataclass(frozen=True)
class Run:
    """What a first run took.

    Attributes:
        requests: How many.
        hours: How long.
    """

    requests: int
    hours: float


def first_run(calls: int, granted: int, lock_at: int = 0) -> Run:
    """Let the tap read an account from its beginning.

    Args:
        calls: How many calls it has.
        granted: Rows of the largest page.
        lock_at: The request that is answered by a lock; 0: none.

    Returns:
        What that took.

    Raises:
        BrokenError: If the tap did not read every call once, or asked too often.
    """
    logging.disable(logging.WARNING)
    os.environ["XDG_STATE_HOME"] = os.devnull  # no file is shared with anybody
    clock = JumpingClock()

    class TapByClock(TapZohoVoice):
        pass

    TapByClock.clock = clock
    tap = TapByClock(config={"client_id": "made-up"}, validate_config=False)
    starts = History(seed=1, calls=calls, first=FIRST, last=LAST).starts(NOW)
    server = SimulatedServer(starts, clock, granted, lock_at)
    services = tap.services
    endpoint = TokenEndpoint(accounts_url="", clock=clock, timeout=0, user_agent="")
    services.tokens = MadeUpTokens(
        endpoint=endpoint, client_id="", client_secret="", refresh_token="", clock=clock
    )
    services.session.mount(services.settings.api_url, server)
    stream = tap.streams["call_logs"]
    if not isinstance(stream, CallLogsStream):
        raise TypeError
    rows = total = 0
    reader = stream.get_reader(services.settings.start, None)
    for chunk in stream.request_windows(reader, None):
        rows += len(chunk.rows)
        total += sum(int(row.logid) for row in chunk.rows)
    if rows != calls or total != calls * (calls - 1) // 2:
        message = f"{rows:,} of {calls:,} calls were read, or not each of them once"
        raise BrokenError(message)
    if server.limits.violations or server.limits.locked_calls:
        message = f"{server.limits.violations} requests were too many"
        raise BrokenError(message)
    return Run(server.requests, clock.monotonic() / 3600)


def line(calls: int, granted: int) -> str:
    """Measure what a first run costs, with and without a lock in its middle.

    Args:
        calls: How many calls the account has.
        granted: Rows of the largest page.

    Returns:
        A line of the table.
    """
    plain = first_run(calls, granted)
    locked = first_run(calls, granted, lock_at=plain.requests // 2)
    ideal = math.ceil(calls / granted)
    return (
        f"| {calls:,} | {granted} | {plain.requests:,} | {plain.hours:.2f} "
        f"| {locked.requests:,} | {locked.hours:.2f} | {ideal:,} | {ideal / 30 / 60:.2f} |"
    )


def lines(sizes: Sequence[int]) -> Iterable[str]:
    """Measure what first runs cost, several at a time.

    Args:
        sizes: How many calls the accounts have.

    Yields:
        The lines of the table.
    """
    with ProcessPoolExecutor() as pool:
        yield from pool.map(line, *zip(*product(sizes, GRANTED), strict=True))


def main() -> int:
    """Print the table, and say whether a file holds it.

    Returns:
        0 if it does, or if none was named.
    """
    parser = ArgumentParser(description=__doc__)
    sizes = [10_000, 100_000, 1_000_000]
    parser.add_argument("--calls", type=int, nargs="+", default=sizes)
    parser.add_argument("--check", type=Path, help="a file that must hold each line")
    args = parser.parse_args()
    held = args.check.read_text(encoding="utf-8").splitlines() if args.check else None
    print(HEADER, flush=True)
    missing = 0
    for found in lines(args.calls):
        print(found, flush=True)
        missing += held is not None and found not in held
    if missing:
        print(f"{args.check} does not hold {missing} of these lines", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
