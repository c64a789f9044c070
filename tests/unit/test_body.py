"""Unit tests of reading response bodies, against a server that sends any bytes."""

import gzip
import io
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from urllib3 import HTTPResponse

from tap_zohovoice._compat import override
from tap_zohovoice.http.body import content_length, iter_body, read_body
from tap_zohovoice.http.session import PlainSession
from tests.support.cli import FakeClock

CONTENT = b"".join(b"%d," % number for number in range(100_000))
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@contextmanager
def serving(answer: bytes) -> Generator[str]:
    """Answer one request with these bytes, and close the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                try:
                    connection.sendall(answer)
                except OSError:
                    return  # the client closed the connection first

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            thread.join(10)


def fetch(answer: bytes, clock: FakeClock | None = None) -> bytes:
    clock = clock or FakeClock()
    with serving(answer) as url, requests.get(url, stream=True, timeout=10) as response:
        return b"".join(iter_body(response, clock, clock.monotonic(), 60))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", CONTENT),
        ("gzip", gzip.compress(CONTENT)),
        ("X-GZip", gzip.compress(CONTENT)),
        ("deflate", zlib.compress(CONTENT)),
        ("deflate, gzip", gzip.compress(zlib.compress(CONTENT))),
        ("aws-chunked, gzip", gzip.compress(CONTENT)),
        ("UTF-8", CONTENT),
        ("none", CONTENT),
        ("aws-chunked", CONTENT),
        ("gzip;q=1.0", gzip.compress(CONTENT)),
        ('"gzip"', gzip.compress(CONTENT)),
        ("", CONTENT),
    ],
)
def test_body_is_decompressed_if_coding_is_known(encoding: str, body: bytes) -> None:
    head = OK + (b"Content-Encoding: %s\r\n" % encoding.encode() if encoding else b"")
    assert fetch(head + b"\r\n" + body) == CONTENT


def test_body_that_drips_ends_by_its_deadline() -> None:
    """A server that sends a byte now and then keeps every single read within its timeout."""
    clock = FakeClock()

    class Dripping(io.RawIOBase):
        @override
        def readable(self) -> bool:
            return True

        @override
        def readinto(self, buffer: Any) -> int:
            clock.sleep(1)
            buffer[:4] = b"drop"
            return 4

    response = requests.Response()
    response.raw = HTTPResponse(io.BufferedReader(Dripping()), preload_content=False)
    with pytest.raises(requests.Timeout):
        read_body(response, clock, 60)
    assert 60 <= sum(clock.slept) <= 62


def test_slow_body_may_take_the_time_of_its_size() -> None:
    clock = FakeClock()

    class Steady(io.BytesIO):
        @override
        def read1(self, size: int | None = -1) -> bytes:
            clock.sleep(1)
            return super().read1(5_000)

    response = requests.Response()
    response.raw = HTTPResponse(Steady(CONTENT), preload_content=False)
    assert read_body(response, clock, 5) == CONTENT
    assert len(clock.slept) > 100


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_truncated_compressed_body_is_an_error(kept: int) -> None:
    body = gzip.compress(CONTENT)[:kept]
    with pytest.raises(requests.RequestException):
        fetch(OK + b"Content-Encoding: gzip\r\n\r\n" + body)


@pytest.mark.parametrize("rest", [b"", bytes(512), b"\r\n"])
@pytest.mark.parametrize("sizes", [(70_000,), (0, 1, 300_000), (65_536, 65_536)])
def test_all_members_of_a_gzip_body_are_read(sizes: tuple[int, ...], rest: bytes) -> None:
    file = io.BytesIO(CONTENT)
    body = b"".join(gzip.compress(file.read(size)) for size in (*sizes, -1))
    assert fetch(OK + b"Content-Encoding: gzip\r\n\r\n" + body + rest) == CONTENT


def test_members_are_found_where_reads_divide_them() -> None:
    class Bytewise(io.BytesIO):
        @override
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(1)

    response = requests.Response()
    response.headers["Content-Encoding"] = "gzip"
    body = gzip.compress(CONTENT[:5000]) + gzip.compress(CONTENT[5000:6000]) + b"\0\x1f\x8b"
    response.raw = HTTPResponse(Bytewise(body), preload_content=False)
    assert read_body(response, FakeClock(), 60) == CONTENT[:6000]


@pytest.mark.parametrize("kept", [1, 5, 1000, -1])
def test_truncated_second_member_is_an_error(kept: int) -> None:
    body = gzip.compress(CONTENT) + gzip.compress(CONTENT)[:kept]
    with pytest.raises(requests.RequestException):
        fetch(OK + b"Content-Encoding: gzip\r\n\r\n" + body)


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip", b"gzip, br"])
def test_body_that_cannot_be_decompressed_is_an_error(encoding: bytes) -> None:
    with pytest.raises(requests.RequestException):
        fetch(OK + b"Content-Encoding: " + encoding + b"\r\n\r\n" + CONTENT)


def test_highly_compressed_body_comes_in_small_chunks() -> None:
    answer = OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(50_000_000))
    clock = FakeClock()
    with serving(answer) as url, requests.get(url, stream=True, timeout=10) as response:
        sizes = [len(chunk) for chunk in iter_body(response, clock, 0.0, 10**9)]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 64 * 1024


@pytest.mark.parametrize("is_packed", [False, True])
def test_body_of_100_megabytes_is_rejected(is_packed: bool) -> None:
    head, body = b"", bytes(100_000_000)
    if is_packed:
        head, body = b"Content-Encoding: gzip\r\n", gzip.compress(body, 1)
    clock = FakeClock()
    tracemalloc.start()
    with (
        serving(OK + head + b"\r\n" + body) as url,
        requests.get(url, stream=True, timeout=10) as response,
    ):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(requests.RequestException):
            read_body(response, clock, 60)
        peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 50_000_000


@pytest.mark.parametrize("missing", [1, 1000])
def test_body_shorter_than_content_length_is_an_error(missing: int) -> None:
    head = OK + b"Content-Length: %d\r\n\r\n" % (len(CONTENT) + missing)
    clock = FakeClock()
    with (
        serving(head + CONTENT) as url,
        requests.get(url, stream=True, timeout=10) as response,
        pytest.raises(requests.RequestException),
    ):
        read_body(response, clock, 60)


def test_content_length_is_of_uncompressed_bodies_alone() -> None:
    response = requests.Response()
    response.headers.update({"Content-Length": "12"})
    assert content_length(response) == 12
    response.headers.update({"Content-Encoding": "UTF-8"})
    assert content_length(response) == 12
    response.headers.update({"Content-Encoding": "gzip"})
    assert content_length(response) is None
    response.headers.update({"Content-Encoding": "", "Transfer-Encoding": "chunked"})
    assert content_length(response) is None


@pytest.mark.parametrize("text", ["", "-1", "1, 1", "many", "9" * 5000])
def test_invalid_content_length_is_unknown(text: str) -> None:
    response = requests.Response()
    response.headers.update({"Content-Length": text})
    assert content_length(response) is None


@pytest.mark.parametrize(
    "location", [b"http://[bad", b"/\xff\xfe", b"http://127.0.0.1:1/elsewhere", b""]
)
def test_redirect_is_neither_followed_nor_read(location: bytes) -> None:
    head = b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: " + location + b"\r\n\r\n"
    session = PlainSession()
    with (
        serving(head + bytes(20_000_000)) as url,
        session.get(url, stream=True, timeout=10, allow_redirects=False) as response,
    ):
        assert response.status_code == 302
        assert response.raw.tell() == 0
        assert response.next is None
