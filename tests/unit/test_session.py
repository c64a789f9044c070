"""HTTP session: bounded bodies, released slots, no redirects, cookies or interim responses."""

import socket
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager

import pytest
import requests
from requests_mock import Mocker

from tap_zohovoice._compat import override
from tap_zohovoice.http.session import PlainSession, ThrottledSession
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tests.support.cli import FakeClock
from tests.support.token_server import TokenServer


@pytest.fixture
def limiter(clock: FakeClock) -> SlidingWindowLimiter:
    return SlidingWindowLimiter(30, 60, clock)


@pytest.fixture
def session(limiter: SlidingWindowLimiter, clock: FakeClock) -> ThrottledSession:
    limiter.acquire()
    return ThrottledSession(lambda _: limiter, clock)


@contextmanager
def server(*pieces: bytes, repeat: int = 1) -> Generator[str]:
    """Run a server that sends pieces to its first client, the last one many times."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65_536)
                try:
                    for piece in [*pieces[:-1], *[pieces[-1]] * repeat]:
                        client.sendall(piece)
                except OSError:
                    pass  # the client has had enough

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(20)
        assert not thread.is_alive()


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
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"body") as url:
        response = session.send(prepare(url), timeout=9, stream=True)
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
    with server(head, b".", repeat=9999) as url, pytest.raises(requests.RequestException):
        session.send(prepare(url), timeout=9)
    assert_released(limiter)


def test_cookies_are_not_kept(session: ThrottledSession, limiter: SlidingWindowLimiter) -> None:
    with TokenServer() as box:
        threading.Thread(target=box.serve_forever, daemon=True).start()
        box.headers = {"Set-Cookie": "tracking=1; Path=/"}
        for _ in range(2):
            session.post(f"{box.url}/a", data={"x": "y"}, timeout=9)
            limiter.acquire()
        box.shutdown()
    assert len(box.asked) == 2
    assert all("Cookie" not in headers for _, headers, _ in box.asked)
    assert len(session.cookies) == 0


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"


@pytest.mark.parametrize(
    "interim",
    [
        [INTERIM],
        [INTERIM] * 3,
        [b"HTTP/1.1 102 Processing\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", INTERIM],
        [b"HTTP/1.1 199 Odd\r\nContent-Length: 5\r\n\r\n"],
    ],
    ids=len,
)
def test_interim_responses_are_skipped(session: ThrottledSession, interim: Iterable[bytes]) -> None:
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    with server(*interim, final) as url:
        response = session.send(prepare(url), timeout=9)
    assert (response.status_code, response.content) == (200, b"body")


def test_endless_interim_responses_end() -> None:
    with server(INTERIM, repeat=10_000) as url, PlainSession() as session:
        response = session.send(prepare(url), timeout=9, stream=True)
        assert response.status_code == 103
        response.close()
