"""A server that sends any bytes, in pieces, whatever it is asked."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class RawServer:
    url: str
    received: list[bytes] = field(default_factory=list)  # the request of each client


@contextmanager
def raw_server(*pieces: bytes, repeat: int = 1) -> Generator[RawServer]:
    """Send pieces to each client, the last one many times, and close the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}/")

        def serve() -> None:
            with suppress(OSError):  # the block has ended
                while True:
                    client, _ = listener.accept()
                    with client, suppress(OSError):  # the client has had enough
                        server.received.append(client.recv(65_536))
                        for piece in [*pieces[:-1], *[pieces[-1]] * repeat]:
                            client.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(20)
        assert not thread.is_alive()
