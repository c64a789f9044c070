"""HTTP session: bounded bodies, no redirects, cookies or interim responses."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pytest
import requests
from requests_mock import Mocker
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

from tap_zohovoice.http.session import PlainSession
from tests.support.cli import FakeClock
from tests.support.raw_server import raw_server


@pytest.fixture
def session(clock: FakeClock) -> PlainSession:
    return PlainSession(clock, 9)


def prepare(url: str, method: str = "GET") -> requests.PreparedRequest:
    return requests.Request(method, url).prepare()


def test_body_is_left_to_the_caller(session: PlainSession, requests_mock: Mocker) -> None:
    requests_mock.get("http://a/", content=b"body")
    response = session.send(prepare("http://a/"))
    assert requests_mock.request_history[0].timeout == 9
    assert response.raw.read() == b"body"


def test_first_date_of_each_url_is_kept(session: PlainSession, requests_mock: Mocker) -> None:
    for date, path in enumerate(("tokens", "logs?from=0", "logs?from=1")):
        requests_mock.get(f"http://a/{path}", headers={"Date": str(date)})
        session.send(prepare(f"http://a/{path}"))
    assert session.first_dates == {"http://a/tokens": "0", "http://a/logs": "1"}


def test_deadline_of_a_body_begins_at_its_request(
    session: PlainSession, clock: FakeClock, requests_mock: Mocker
) -> None:
    requests_mock.get("http://a/", content=b"body")
    for seconds in (8, 10):
        response = session.send(prepare("http://a/"))
        clock.time += seconds
        with pytest.raises(requests.ReadTimeout) if seconds > 9 else nullcontext():
            assert b"".join(session.iter_body(response)) == b"body"


def test_cookies_are_not_kept(session: PlainSession) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: tracking=1; Path=/\r\n\r\n"
    with raw_server(head) as server:
        for _ in range(2):
            session.get(server.url)
    assert len(server.received) == 2
    assert all(b"Cookie" not in request for request in server.received)
    assert len(session.cookies) == 0


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
ODD = b"HTTP/1.1 199 Odd\r\nContent-Length: 5\r\n\r\n"
OTHERS = [b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]


@pytest.mark.parametrize(
    "interim", [[INTERIM], [INTERIM] * 3, OTHERS[:1], [OTHERS[1], INTERIM], [ODD]], ids=len
)
def test_interim_responses_are_skipped(session: PlainSession, interim: Iterable[bytes]) -> None:
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    with raw_server(*interim, final) as server:
        response = session.send(prepare(server.url))
        assert (response.status_code, response.raw.read()) == (200, b"body")


def test_endless_interim_responses_end() -> None:
    with raw_server(INTERIM, repeat=10_000) as server, PlainSession(FakeClock(), 9) as session:
        response = session.send(prepare(server.url))
        assert response.status_code == 103
        response.close()


def test_connections_of_a_pool_keep_their_class() -> None:
    """Those of a SOCKS proxy take arguments of their own."""

    class ProxiedConnection(HTTPSConnection):
        pass

    class ProxiedPool(HTTPSConnectionPool):
        ConnectionCls: Any = ProxiedConnection

    adapter: Any = PlainSession(FakeClock(), 9).get_adapter("https://a/")
    adapter.poolmanager.pool_classes_by_scheme = {"https": ProxiedPool}
    pool = adapter.get_connection_with_tls_context(prepare("https://a/"), verify=True)
    assert issubclass(pool.ConnectionCls, ProxiedConnection)
