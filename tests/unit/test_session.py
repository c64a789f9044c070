"""HTTP session: bounded bodies, released slots, no redirects, cookies or interim responses."""

from collections.abc import Iterable
from typing import Any

import pytest
import requests
from requests_mock import Mocker
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

from tap_zohovoice._compat import override
from tap_zohovoice.http.session import PlainSession, ThrottledSession
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tests.support.cli import FakeClock
from tests.support.raw_server import raw_server


@pytest.fixture
def limiter(clock: FakeClock) -> SlidingWindowLimiter:
    return SlidingWindowLimiter(30, 60, clock)


@pytest.fixture
def session(limiter: SlidingWindowLimiter, clock: FakeClock) -> ThrottledSession:
    limiter.acquire()
    return ThrottledSession(lambda _: limiter, clock)


def prepare(url: str, method: str = "GET") -> requests.PreparedRequest:
    return requests.Request(method, url).prepare()


def assert_released(limiter: SlidingWindowLimiter) -> None:
    with pytest.raises(IndexError):
        limiter.release()


def test_body_is_read_before_the_slot_is_released(
    session: ThrottledSession, limiter: SlidingWindowLimiter, requests_mock: Mocker
) -> None:
    requests_mock.get("http://a/", content=b"body")
    response = session.send(prepare("http://a/"), timeout=9)
    assert response.content == b"body"
    assert_released(limiter)


def test_streamed_body_is_left_to_the_caller(
    session: ThrottledSession, limiter: SlidingWindowLimiter
) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"body") as server:
        response = session.send(prepare(server.url), timeout=9, stream=True)
        assert_released(limiter)
        assert response.raw.read() == b"body"


@pytest.mark.parametrize("error", [requests.ConnectionError, requests.ReadTimeout, KeyError])
def test_slot_is_released_after_a_failure(
    session: ThrottledSession,
    limiter: SlidingWindowLimiter,
    requests_mock: Mocker,
    error: type[Exception],
) -> None:
    requests_mock.get("http://a/", exc=error)
    with pytest.raises(error):
        session.send(prepare("http://a/"), timeout=9)
    assert_released(limiter)


class TickingClock(FakeClock):
    """A clock on which each look takes three seconds."""

    @override
    def monotonic(self) -> float:
        self.time += 3
        return super().monotonic()


def test_body_that_drips_ends_within_the_deadline(limiter: SlidingWindowLimiter) -> None:
    limiter.acquire()
    session = ThrottledSession(lambda _: limiter, TickingClock())
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"
    with raw_server(head, b".", repeat=9999) as server, pytest.raises(requests.RequestException):
        session.send(prepare(server.url), timeout=9)
    assert_released(limiter)


def test_cookies_are_not_kept(session: ThrottledSession, limiter: SlidingWindowLimiter) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: tracking=1; Path=/\r\n\r\n"
    with raw_server(head, clients=2) as server:
        for _ in range(2):
            session.get(server.url, timeout=9)
            limiter.acquire()
    assert len(server.received) == 2
    assert all(b"Cookie" not in request for request in server.received)
    assert len(session.cookies) == 0


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
ODD = b"HTTP/1.1 199 Odd\r\nContent-Length: 5\r\n\r\n"
OTHERS = [b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]


@pytest.mark.parametrize(
    "interim", [[INTERIM], [INTERIM] * 3, OTHERS[:1], [OTHERS[1], INTERIM], [ODD]], ids=len
)
def test_interim_responses_are_skipped(session: ThrottledSession, interim: Iterable[bytes]) -> None:
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    with raw_server(*interim, final) as server:
        response = session.send(prepare(server.url), timeout=9)
    assert (response.status_code, response.content) == (200, b"body")


def test_endless_interim_responses_end() -> None:
    with raw_server(INTERIM, repeat=10_000) as server, PlainSession(FakeClock()) as session:
        response = session.send(prepare(server.url), timeout=9, stream=True)
        assert response.status_code == 103
        response.close()


def test_connections_of_a_pool_keep_their_class() -> None:
    """Those of a SOCKS proxy take arguments of their own."""

    class ProxiedConnection(HTTPSConnection):
        pass

    class ProxiedPool(HTTPSConnectionPool):
        ConnectionCls: Any = ProxiedConnection

    adapter: Any = PlainSession(FakeClock()).get_adapter("https://a/")
    adapter.poolmanager.pool_classes_by_scheme = {"https": ProxiedPool}
    pool = adapter.get_connection_with_tls_context(prepare("https://a/"), verify=True)
    assert issubclass(pool.ConnectionCls, ProxiedConnection)
