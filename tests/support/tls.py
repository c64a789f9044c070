"""A network for tests: a server behind TLS, and a proxy, both on the loopback interface."""

import socket
import ssl
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, Self

import trustme

from tap_zohovoice._compat import override
from zoho_voice_sandbox import Sandbox

_PATIENCE = 20.0  # seconds; longer than any test
_PIECE = 65_536


class Gate(ThreadingTCPServer):
    """Passes on what comes to a port of this machine to another one."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), BaseRequestHandler)
        self.port = int(self.server_address[1])
        self.opened = 0
        self._target = port
        self._tls = tls

    @override
    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    @override
    def server_close(self) -> None:  # at the end of a block
        self.shutdown()
        super().server_close()

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        self.opened += 1
        request.settimeout(_PATIENCE)
        with suppress(OSError):
            client = self._tls.wrap_socket(request, server_side=True) if self._tls else request
            if onward := self.open(client):
                with client, onward:
                    back = threading.Thread(target=_copy, args=(onward, client), daemon=True)
                    back.start()
                    _copy(client, onward)
                    back.join(_PATIENCE)

    def open(self, _client: socket.socket, /) -> socket.socket | None:
        """Open the way onward for a client, if there is one."""
        return socket.create_connection(("127.0.0.1", self._target), _PATIENCE)


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
    def open(self, client: socket.socket, /) -> socket.socket | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = client.recv(1)
            if not piece:
                return None
            head += piece
        self.asked.append(head.decode().splitlines())
        client.sendall(f"HTTP/1.1 {self._answer}\r\n\r\n".encode())
        self._target = int(self.tunnels[-1].rpartition(":")[2])
        return super().open(client) if self._answer.startswith("200") else None


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
        target.shutdown(socket.SHUT_WR)
