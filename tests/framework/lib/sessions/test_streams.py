"""Sessions on the native server, over a socket: clients that go away, internal redirects."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app.native import NativeResponder
from cherrypy.app.server import Server
from cherrypy.app.tree import Tree
from cherrypy.lib import sessions
from cherrypy.process.wspbus import Bus


class Root:
    """Pages that take their time, and tell how far they are."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.over = threading.Event()

    @cherrypy.expose
    def index(self) -> str:
        """Count visits."""
        cherrypy.session["n"] = cherrypy.session.get("n", 0) + 1
        return str(cherrypy.session["n"])

    @cherrypy.expose
    def redirect(self) -> str:
        """Count ten visits and lead on."""
        cherrypy.session["n"] = cherrypy.session.get("n", 0) + 10
        raise cherrypy.InternalRedirect("/")

    @cherrypy.expose
    def upload(self) -> bytes:
        """Read what the client sends."""
        return bytes(cherrypy.request.body.read())

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def endless(self) -> Iterator[bytes]:
        """A stream with no end."""
        cherrypy.session["n"] = 100
        try:
            while True:
                self.entered.set()
                yield b"x" * 65536
        finally:
            self.over.set()

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def events(self) -> Iterator[bytes]:
        """A stream that is done with its session before it begins."""
        cherrypy.session["n"] = 200
        cherrypy.session.save()
        yield b"first"
        self.entered.set()
        self.leave.wait(5)
        yield b"last"


class Client:
    """Asks a server, always with the cookie that it was given first."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookie = ""
        first = self("/")
        assert b"Set-Cookie: " in first, first
        self.cookie = first.split(b"Set-Cookie: ")[1].split(b";")[0].decode()

    def send(self, request: str) -> socket.socket:
        """Send a request's head, return the connection."""
        assert isinstance(self.server.bound_addr, tuple)
        client = socket.create_connection(self.server.bound_addr, timeout=10)
        client.sendall(f"{request}\r\nHost: x\r\nConnection: close\r\nCookie: {self.cookie}\r\n\r\n".encode())
        return client

    def __call__(self, path: str) -> bytes:
        """Return the whole answer."""
        with self.send(f"GET {path} HTTP/1.1") as client:
            return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.fixture
def root() -> Root:
    """The pages."""
    return Root()


@pytest.fixture
def client(
    root: Root, serve: Callable[..., Any], store_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A client of the native server, with every store in turn."""
    app = serve(root, sessions__locking="early", sessions__lock_timeout=5, **store_settings).app
    tree = Tree()
    tree.mount(app, "")
    server = Server()
    server.bus = Bus()
    server.socket_port = 0
    server.shutdown_timeout = 1
    responder = NativeResponder(SimpleNamespace(tree=tree, server=server))
    monkeypatch.setattr(Server, "current_responder", staticmethod(lambda: responder))
    server.start()
    yield Client(server)
    root.leave.set()
    server.stop()


def test_a_client_that_leaves_a_stream_frees_the_lock(client: Client, root: Root) -> None:
    """And what the page had set is saved."""
    stream = client.send("GET /endless HTTP/1.1")
    assert stream.recv(100).startswith(b"HTTP/1.1 200")
    stream.close()

    assert root.over.wait(10)
    assert client("/").endswith(b"101")


def test_a_client_that_breaks_off_its_upload_frees_the_lock(client: Client) -> None:
    """The session was locked before the body was read."""
    upload = client.send("POST /upload HTTP/1.1\r\nContent-Length: 1000000")
    upload.sendall(b"x" * 1000)
    upload.close()

    assert client("/").endswith(b"2")


def test_an_internal_redirect_takes_the_session_along(client: Client) -> None:
    """On the native server as through WSGI."""
    assert client("/redirect").endswith(b"12")
    assert client("/").endswith(b"13")


def test_a_stream_that_saves_first_holds_no_lock(client: Client, root: Root) -> None:
    """Server-sent events and downloads: the client's other requests go on meanwhile."""
    stream = client.send("GET /events HTTP/1.1")
    assert root.entered.wait(5)

    assert client("/").endswith(b"201")
    assert client("/").endswith(b"202")
    root.leave.set()
    assert b"last" in b"".join(iter(lambda: stream.recv(65536), b""))
    assert client("/").endswith(b"203")
    stream.close()


def test_a_page_waits_for_the_stream_that_still_has_its_session(client: Client, root: Root) -> None:
    """As documented: without ``save()`` the lock is held to the stream's end."""
    stream = client.send("GET /endless HTTP/1.1")
    assert root.entered.wait(5)
    answers: list[bytes] = []
    other = threading.Thread(target=lambda: answers.append(client("/")))
    other.start()
    other.join(0.05)
    assert answers == []
    stream.close()
    other.join(10)

    assert answers[0].endswith(b"101")
    assert sessions.RamSession.locks is not None
