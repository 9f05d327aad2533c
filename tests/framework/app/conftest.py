"""A real server on a free port, over a site of one page, and a client for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cherrypy.app.server import Server
from cherrypy.process.wspbus import Bus


def site_app(environ: Any, start_response: Any) -> list[bytes]:
    """Stand for the tree."""
    raise AssertionError("the native path does not go through here")


class Client:
    """Asks the server; ``/slow`` is answered once ``release`` is set, and says so by ``entered``."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.entered = threading.Event()
        self.release = threading.Event()

    def respond(self, message: Any) -> Any:
        """Stand for the site: "hello" everywhere, at /size how much came in, at /version the protocol."""
        if message.path == "/slow":
            message.entering("slow")
            self.entered.set()
            self.release.wait(10)
        if message.path == "/size":
            return b"200 OK", [], [str(len(message.body.read())).encode()], None
        if message.path == "/version":
            return b"200 OK", [], [b"%d.%d" % message.version], None
        return b"200 OK", [(b"Content-Type", b"text/plain")], [b"hello"], None

    site_app = staticmethod(site_app)

    def ask(self, path: str = "/", body: bytes = b"", fields: str = "") -> tuple[str, bytes]:
        """Return (status line, body) of one request on a connection of its own."""
        with self.connect() as client:
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            method = "POST" if body else "GET"
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}{length}\r\n"
            client.sendall(head.encode() + body)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        top, _, rest = answer.partition(b"\r\n\r\n")
        return top.split(b"\r\n")[0].decode(), rest

    def connect(self) -> socket.socket:
        """Return the client's end of a new connection."""
        address = self.server.bound_addr
        if isinstance(address, str):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(10)
            client.connect(address)
            return client
        return socket.create_connection(address, timeout=10)


@pytest.fixture
def server() -> Iterator[Server]:
    """Give one on a bus of its own and a free port; it is stopped at the end."""
    made = Server()
    made.bus = Bus()
    made.socket_port = 0
    made.shutdown_timeout = 3
    yield made
    if made.running:
        made.stop()


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Give a client of *server*, which serves the client's own site."""
    made = Client(server)
    monkeypatch.setattr(Server, "current_responder", staticmethod(lambda: made.respond))
    monkeypatch.setattr(Server, "current_app", staticmethod(lambda: made.site_app))
    yield made
    made.release.set()
