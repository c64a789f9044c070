"""Bodies as they arrive, from a server that says whatever a test wants."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from tap_zohovoice.http.body import content_length, iter_body, read_body
from tap_zohovoice.http.session import PlainSession
from tests.support.cli import FakeClock

if TYPE_CHECKING:
    from collections.abc import Generator

CONTENT = b"".join(b"%d," % number for number in range(100_000))
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@contextmanager
def saying(answer: bytes) -> Generator[str]:
    """Answer one request with bytes, and hang up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                try:
                    connection.sendall(answer)
                except OSError:
                    return  # nobody wants all of it

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            thread.join(10)


def fetch(answer: bytes, clock: FakeClock | None = None) -> bytes:
    clock = clock or FakeClock()
    with saying(answer) as url, requests.get(url, stream=True, timeout=10) as response:
        return b"".join(iter_body(response, clock, clock.monotonic(), 60))


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "x-gzip", "deflate"])
def test_a_whole_body_comes_decoded(encoding: str) -> None:
    packed = {"": CONTENT, "identity": CONTENT, "deflate": zlib.compress(CONTENT)}
    body = packed.get(encoding) or gzip.compress(CONTENT)
    head = OK + (b"Content-Encoding: %s\r\n" % encoding.encode() if encoding else b"")
    assert fetch(head + b"\r\n" + body) == CONTENT


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_compressed_body_without_its_end_is_an_error(kept: int) -> None:
    body = gzip.compress(CONTENT)[:kept]
    with pytest.raises(requests.RequestException):
        fetch(OK + b"Content-Encoding: gzip\r\n\r\n" + body)


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip"])
def test_bytes_that_cannot_be_decoded_are_no_body(encoding: bytes) -> None:
    with pytest.raises(requests.RequestException):
        fetch(OK + b"Content-Encoding: " + encoding + b"\r\n\r\n" + CONTENT)


def test_a_little_that_means_a_lot_comes_in_small_pieces() -> None:
    answer = OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(50_000_000))
    clock = FakeClock()
    with saying(answer) as url, requests.get(url, stream=True, timeout=10) as response:
        sizes = [len(piece) for piece in iter_body(response, clock, 0.0, 10**9)]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 64 * 1024


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_body_of_a_hundred_megabytes_is_not_taken_in(is_packed: bool) -> None:
    head, body = b"", bytes(100_000_000)
    if is_packed:
        head, body = b"Content-Encoding: gzip\r\n", gzip.compress(body, 1)
    clock = FakeClock()
    tracemalloc.start()
    with (
        saying(OK + head + b"\r\n" + body) as url,
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
def test_a_body_that_is_shorter_than_told_is_cut_off(missing: int) -> None:
    head = OK + b"Content-Length: %d\r\n\r\n" % (len(CONTENT) + missing)
    clock = FakeClock()
    with (
        saying(head + CONTENT) as url,
        requests.get(url, stream=True, timeout=10) as response,
        pytest.raises(requests.RequestException),
    ):
        read_body(response, clock, 60)


def test_only_the_length_of_a_plain_body_is_believed() -> None:
    response = requests.Response()
    response.headers.update({"Content-Length": "12"})
    assert content_length(response) == 12
    response.headers.update({"Content-Encoding": "gzip"})
    assert content_length(response) is None


@pytest.mark.parametrize("text", ["", "-1", "1, 1", "many", "9" * 5000])
def test_a_length_that_is_none_is_not_believed(text: str) -> None:
    response = requests.Response()
    response.headers.update({"Content-Length": text})
    assert content_length(response) is None


@pytest.mark.parametrize(
    "location", [b"http://[bad", b"/\xff\xfe", b"http://127.0.0.1:1/elsewhere", b""]
)
def test_a_redirect_is_an_answer_that_is_neither_followed_nor_read(location: bytes) -> None:
    head = b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: " + location + b"\r\n\r\n"
    session = PlainSession()
    with (
        saying(head + bytes(20_000_000)) as url,
        session.get(url, stream=True, timeout=10, allow_redirects=False) as response,
    ):
        assert response.status_code == 302
        assert response.raw.tell() == 0
        assert response.next is None
