"""A network for tests: a server behind TLS, and a proxy, both on the loopback interface."""

import socket
import ssl
import threading
from contextlib import suppress
from typing import Any, Self

import trustme

from tap_zohovoice._compat import override
from zoho_voice_sandbox import Sandbox

_PATIENCE = 20.0  # seconds; longer than any test
_PIECE = 65_536


class Gate:
    """Passes on what comes to a port of this machine, or, of 0, to the one that it says."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.opened = 0
        self._target = port
        self._tls = tls
        self._server = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in accept
        self._server.close()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def open(self, client: socket.socket) -> socket.socket | None:
        """Open the way onward for a client; None: there is none."""
        del client
        return socket.create_connection(("127.0.0.1", self._target), _PATIENCE)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        self.opened += 1
        client.settimeout(_PATIENCE)
        with suppress(OSError), client:
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            onward = self.open(client)
            if onward is None:
                return
            with client, onward:
                back = threading.Thread(target=_copy, args=(onward, client), daemon=True)
                back.start()
                _copy(client, onward)
                back.join(_PATIENCE)


class Proxy(Gate):
    def __init__(self, answer: str = "200 Connection established") -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self._answer = answer

    @property
    def tunnels(self) -> list[str]:
        """Where tunnels were wanted to, in order."""
        return [lines[0].split()[1] for lines in self.asked]

    @override
    def open(self, client: socket.socket) -> socket.socket | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = client.recv(1)
            if not piece:
                return None
            head += piece
        self.asked.append(head.decode().splitlines())
        client.sendall(f"HTTP/1.1 {self._answer}\r\n\r\n".encode())
        if not self._answer.startswith("200"):
            return None
        _, _, port = self.tunnels[-1].rpartition(":")
        return socket.create_connection(("127.0.0.1", int(port)), _PATIENCE)


class Stub(Gate):
    """A server that gives every request the same answer."""

    def __init__(self, status: str, body: str = "") -> None:
        super().__init__()
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close"
        self._answer = f"{head}\r\n\r\n{body}".encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @override
    def open(self, client: socket.socket) -> socket.socket | None:
        client.recv(_PIECE)
        client.sendall(self._answer)
        return None


def tls(authority: trustme.CA, *names: str, **validity: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **validity).configure_cert(context)
    return context


def gate(box: Sandbox, context: ssl.SSLContext) -> Gate:
    """Return a way to a sandbox by TLS."""
    return Gate(int(box.url.rpartition(":")[2]), context)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
