"""HTTP session: no redirects, cookies or interim responses; bodies decompressed, bounded, whole."""

import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import requests
from requests_mock import Mocker
from urllib3 import HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

from tap_zohovoice._compat import override
from tap_zohovoice.http.session import PlainSession, read_whole
from tests.support.cli import FakeClock
from tests.support.raw_server import raw_server
from tests.unit.test_archive import little_memory


@pytest.fixture
def session(clock: FakeClock) -> PlainSession:
    return PlainSession(clock, 9)


def test_first_date_of_each_url_is_kept(session: PlainSession, requests_mock: Mocker) -> None:
    for date, path in enumerate(("tokens", "logs?from=0", "logs?from=1")):
        requests_mock.get(f"http://a/{path}", headers={"Date": str(date)})
        session.get(f"http://a/{path}")
    assert session.first_dates == {"http://a/tokens": "0", "http://a/logs": "1"}


def test_deadline_of_a_body_begins_at_its_request(
    session: PlainSession, clock: FakeClock, requests_mock: Mocker
) -> None:
    requests_mock.get("http://a/", content=b"body")
    for seconds in (8, 10):
        response = session.get("http://a/")
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
        response = session.get(server.url)
        assert (response.status_code, response.raw.read()) == (200, b"body")


def test_endless_interim_responses_end() -> None:
    with raw_server(INTERIM, repeat=10_000) as server, PlainSession(FakeClock(), 9) as session:
        response = session.get(server.url)
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
    request = requests.Request("GET", "https://a/").prepare()
    pool = adapter.get_connection_with_tls_context(request, verify=True)
    assert issubclass(pool.ConnectionCls, ProxiedConnection)


CONTENT = b"".join(b"%d," % number for number in range(100_000))
GZIPPED = gzip.compress(CONTENT)


class Steady(io.BytesIO):
    """A body of which some bytes come in each second."""

    def __init__(self, clock: FakeClock, per_second: int, body: bytes = CONTENT) -> None:
        super().__init__(body)
        self.clock, self.per_second = clock, per_second

    @override
    def read1(self, size: int | None = -1) -> bytes:
        self.clock.sleep(1)
        return super().read1(self.per_second)


def iter_body(raw: bytes | Steady, timeout: float = 60, **headers: str) -> Iterator[bytes]:
    """Read a body with these headers by the tap's session."""
    response = requests.Response()
    response.headers.update({name.replace("_", "-"): text for name, text in headers.items()})
    file = io.BytesIO(raw) if isinstance(raw, bytes) else raw
    response.raw = HTTPResponse(file, dict(response.headers), preload_content=False)
    clock = FakeClock() if isinstance(raw, bytes) else raw.clock
    session = PlainSession(clock, timeout)
    session.sent_at = clock.monotonic()
    return session.iter_body(response)


def read_body(raw: bytes | Steady, timeout: float = 60, **headers: str) -> bytes:
    return read_whole(iter_body(raw, timeout, **headers))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        *[(name, CONTENT) for name in ("identity", "UTF-8", "none", "aws-chunked", "")],
        *[(name, GZIPPED) for name in ("gzip", "X-GZip", "aws-chunked, gzip", "gzip;q=1.0")],
        ('"gzip"', GZIPPED),
        # Codings that were not asked for are left, for those that parse the body.
        *[(name, CONTENT) for name in ("br", "zstd", "deflate")],
        *[(name, CONTENT) for name in ("gzip", "gzip, br")],  # a proxy has decompressed it
    ],
)
def test_body_is_decompressed_if_coding_is_known(encoding: str, body: bytes) -> None:
    assert read_body(body, Content_Encoding=encoding) == CONTENT


def test_slow_body_may_take_time_by_size(clock: FakeClock) -> None:
    assert read_body(Steady(clock, 5_000), timeout=5) == CONTENT
    assert len(clock.slept) > 100


def test_body_that_drips_ends_by_its_deadline(clock: FakeClock) -> None:
    """A server that sends a byte now and then keeps every single read within its timeout."""
    with pytest.raises(requests.Timeout):
        read_body(Steady(clock, 4), timeout=60)
    assert 60 <= sum(clock.slept) <= 62


@pytest.mark.parametrize("rest", [b"", bytes(512)])
@pytest.mark.parametrize("sizes", [(70_000,), (0, 1, 300_000), (65_536, 65_536)])
def test_all_members_of_a_gzip_body_are_read(sizes: tuple[int, ...], rest: bytes) -> None:
    file = io.BytesIO(CONTENT)
    body = b"".join(gzip.compress(file.read(size)) for size in (*sizes, -1))
    assert read_body(body + rest, Content_Encoding="gzip") == CONTENT


def test_members_are_found_where_reads_divide_them(clock: FakeClock) -> None:
    body = gzip.compress(CONTENT[:5000]) + gzip.compress(CONTENT[5000:6000]) + bytes(3)
    steady = Steady(clock, 1, body)
    assert read_body(steady, timeout=10**6, Content_Encoding="gzip") == CONTENT[:6000]


@pytest.mark.parametrize(
    ("encoding", "body", "missing"),
    [
        *[("gzip", GZIPPED[:kept], 0) for kept in (5, 1000, -1)],
        *[("gzip", GZIPPED + GZIPPED[:kept], 0) for kept in (1, 5, 1000, -1)],
        ("gzip", GZIPPED[:-8] + bytes(8), 0),
        *[(encoding, b"\x1f" + CONTENT, 0) for encoding in ("gzip", "gzip, br")],
        *[("", CONTENT, missing) for missing in (1, 1000)],
    ],
    ids=lambda value: str(len(value)) if isinstance(value, bytes) else value,
)
def test_truncated_or_undecodable_body_is_an_error(
    encoding: str, body: bytes, missing: int
) -> None:
    length = str(len(body) + missing)
    with pytest.raises(requests.RequestException):
        read_body(body, Content_Encoding=encoding, Content_Length=length)


def test_highly_compressed_body_comes_in_small_chunks() -> None:
    body = gzip.compress(bytes(10_000_000))
    sizes = [len(chunk) for chunk in iter_body(body, Content_Encoding="gzip")]
    assert sum(sizes) == 10_000_000
    assert max(sizes) <= 64 * 1024


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_body_of_100_megabytes_is_rejected(encoding: str) -> None:
    body = bytes(100_000_000)
    body = gzip.compress(body, 1) if encoding == "gzip" else body
    with little_memory(50_000_000), pytest.raises(requests.RequestException):
        read_body(body, Content_Encoding=encoding)


@pytest.mark.parametrize(
    "location", [b"http://[bad", b"/\xff\xfe", b"http://127.0.0.1:1/elsewhere", b""]
)
def test_redirect_is_neither_followed_nor_read(session: PlainSession, location: bytes) -> None:
    head = b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: " + location + b"\r\n\r\n"
    with raw_server(head, bytes(20_000_000)) as server, session.get(server.url) as response:
        assert response.status_code == 302
        assert response.raw.tell() == 0
        assert response.next is None
