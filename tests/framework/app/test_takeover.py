"""Applications that take the client's socket and go on with a protocol of their own, as ws4py does."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app.native import NativeResponder
from cherrypy.app.takeover import take_socket
from cherrypy.app.tree import Tree
from cherrypy.core.hooks import HookMap
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.server import Server

WAIT_S = 10
HANDSHAKE = b"GET /talk HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"


class Site:
    """A site whose /talk hands its socket to ``taken`` when the answer is out; /claim says 101 and takes nothing."""

    def __init__(self) -> None:
        self.taken: queue.Queue[socket.socket] = queue.Queue()
        site = self

        def take() -> None:
            request, response = cherrypy.serving.request, cherrypy.serving.response
            file = request.rfile.rfile
            sock = file.raw._sock
            response.stream = True
            response.status = "101 Switching Protocols"
            response.headers["Upgrade"] = "echo"

            def hand_over() -> None:
                file.detach()
                site.taken.put(sock)

            hooks: HookMap = request.hooks
            hooks.attach("on_end_request", hand_over)

        class Root:
            @cherrypy.expose
            def index(self) -> str:
                return "a page"

            @cherrypy.expose
            @cherrypy.config(**{"hooks.before_request_body": take})
            def talk(self) -> None:
                pass

            @cherrypy.expose
            @cherrypy.config(**{"hooks.on_end_request": lambda: None})
            def claim(self) -> None:
                cherrypy.response.status = 101

        tree = Tree()
        tree.mount(Root(), "", {"/": {"request.show_tracebacks": False}})
        site_of = SimpleNamespace(tree=tree, server=SimpleNamespace(trusted_proxies=None))
        self.server = Server(("127.0.0.1", 0), NativeResponder(site_of), limits=Limits(), threads=2)
        self.server.prepare()
        self.thread = threading.Thread(target=self.server.serve, daemon=True)
        self.thread.start()

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.server.bind_addr, timeout=WAIT_S)

    def stop(self) -> None:
        """Serve no longer."""
        self.server.stop(WAIT_S)
        self.thread.join(WAIT_S)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a site that is served."""
    monkeypatch.setattr(cherrypy.log, "screen", False)
    served = Site()
    yield served
    served.stop()
    assert not served.thread.is_alive()


def read_head(client: socket.socket) -> bytes:
    """Read up to the empty line, and nothing beyond."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        octet = client.recv(1)
        if not octet:
            break
        head += octet
    return head


def test_socket_talks_on_after_the_answer(site: Site) -> None:
    """Who takes the socket has it behind the 101, both ways, and the server is out of it."""
    with site.connect() as client:
        client.sendall(HANDSHAKE)
        head = read_head(client)
        with site.taken.get(timeout=WAIT_S) as own:
            client.sendall(b"ping")
            heard = own.recv(4)
            own.sendall(b"pong")
            answer = client.recv(4)

    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nUpgrade: echo\r\n" in head
    assert head.lower().count(b"\r\nconnection:") == 1
    assert b"\r\nConnection: Upgrade\r\n" in head
    assert (heard, answer) == (b"ping", b"pong")


def test_taken_socket_outlives_the_server(site: Site) -> None:
    """The server neither waits at its stop for a connection that was taken, nor closes it."""
    with site.connect() as client:
        client.sendall(HANDSHAKE)
        read_head(client)
        with site.taken.get(timeout=WAIT_S) as own:
            site.stop()
            own.sendall(b"still here")
            heard = client.recv(10)

    assert heard == b"still here"


def test_closing_a_taken_socket_tells_the_client(site: Site) -> None:
    """Nobody else holds the connection open once its new owner closes it."""
    with site.connect() as client:
        client.sendall(HANDSHAKE)
        read_head(client)
        site.taken.get(timeout=WAIT_S).close()
        rest = client.recv(1)

    assert rest == b""


def test_other_connections_are_served_meanwhile(site: Site) -> None:
    """A descriptor that was given away is not mistaken for that of a later connection."""
    pages = []
    with site.connect() as client:
        client.sendall(HANDSHAKE)
        read_head(client)
        with site.taken.get(timeout=WAIT_S) as own:
            for _ in range(3):
                with site.connect() as other:
                    other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    pages.append(b"".join(iter(lambda other=other: other.recv(4096), b"")))  # type: ignore[misc]
            own.sendall(b"x")
            heard = client.recv(1)

    assert [page.rpartition(b"\r\n\r\n")[2] for page in pages] == [b"a page"] * 3
    assert heard == b"x"


def test_101_without_taking_the_socket_is_refused(site: Site) -> None:
    """A page that announces another protocol and leaves the connection to the server gets a 500."""
    with site.connect() as client:
        client.sendall(HANDSHAKE.replace(b"/talk", b"/claim"))
        head = read_head(client)

    assert head.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    ("tls", "buffer", "status"),
    [(object(), b"", 501), (None, b"too early", 400)],
    ids=["over TLS", "octets behind the handshake"],
)
def test_socket_that_cannot_be_taken(tls: Any, buffer: bytes, status: int) -> None:
    """Over TLS the session is the server's; what came too early would be lost."""
    connection = SimpleNamespace(listener=SimpleNamespace(tls=tls), buffer=buffer, last=False)

    with pytest.raises(cherrypy.HTTPError) as error:
        take_socket(connection)
    assert error.value.code == status
    assert connection.last is False
