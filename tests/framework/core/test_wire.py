"""Request bodies over a real connection: what a page decides before they come, and what happens when they do not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.httpd.server import Server

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
TAIL = b"\r\n--XX--\r\n"


class Pages:
    """Takes uploads."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    @cherrypy.expose
    def index(self, file: Any = None) -> str:
        self.ran.append("index")
        return f"size={len(file.file.read())}"


@pytest.fixture
def connect(site: Any) -> Iterator[Callable[[], socket.socket]]:
    """Serve the site; gives a function that opens a connection."""
    server = Server(("127.0.0.1", 0), site.respond)
    thread = threading.Thread(target=server.serve)
    server.prepare()
    site.server.httpserver = server
    thread.start()
    yield lambda: socket.create_connection(server.bind_addr, timeout=10)
    server.stop(5)
    thread.join(10)

    assert not thread.is_alive()


def post(length: int | None, *more: str) -> bytes:
    """Return the head of an upload."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = ["POST / HTTP/1.1", "Host: a", "Content-Type: multipart/form-data; boundary=XX", framing, *more]
    return "\r\n".join([*lines, "", ""]).encode()


def read_all(client: socket.socket) -> bytes:
    """Return everything until the server closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def read_until(client: socket.socket, end: bytes) -> bytes:
    """Return what comes up to *end*."""
    data = b""
    while end not in data:
        piece = client.recv(65536)
        assert piece, data
        data += piece
    return data


def test_an_upload_that_a_hook_refuses_is_never_asked_for(site: Any, connect: Any) -> None:
    """No ``100 Continue``, the answer at once, and the end of the connection."""

    def refuse() -> None:
        raise cherrypy.HTTPError(403, "not you")

    pages = Pages()
    site.mount(pages, config={"/": {"hooks.before_request_body": refuse}})
    with connect() as client:
        client.sendall(post(10_000_000, "Expect: 100-continue"))
        answer = read_all(client)

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"100 Continue" not in answer
    assert pages.ran == []


def test_an_upload_beyond_maxbytes_is_never_asked_for(site: Any, connect: Any) -> None:
    """The declared length is enough."""
    site.mount(Pages(), config={"/": {"request.body.maxbytes": 1000}})
    with connect() as client:
        client.sendall(post(1001, "Expect: 100-continue"))

        assert read_all(client).startswith(b"HTTP/1.1 413 ")


def test_an_upload_that_nobody_refuses_is_asked_for(site: Any, connect: Any) -> None:
    """When the form is read, and not before the hook has looked."""
    order: list[str] = []
    site.mount(Pages(), config={"/": {"hooks.before_request_body": lambda: order.append("hook")}})
    body = HEAD + b"x" * 100 + TAIL
    with connect() as client:
        client.sendall(post(len(body), "Expect: 100-continue", "Connection: close"))
        first = read_until(client, CONTINUE)
        client.sendall(body)
        answer = read_all(client)

    assert (first, order) == (CONTINUE, ["hook"])
    assert answer.endswith(b"size=100")


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_chunked_upload(site: Any, connect: Any, size: int) -> None:
    """No length is needed."""
    site.mount(Pages())
    body = HEAD + b"x" * size + TAIL
    with connect() as client:
        client.sendall(post(None, "Connection: close"))
        for at in range(0, len(body), 50_000):
            piece = body[at : at + 50_000]
            client.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        client.sendall(b"0\r\n\r\n")

        assert read_all(client).endswith(b"size=%d" % size)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_goes_away_leaves_nothing(site: Any, connect: Any, framing: str) -> None:
    """The page is not run, the temporary file is closed, the request ends."""
    ended = threading.Event()
    begun = threading.Event()
    made: list[Any] = []
    pages = Pages()

    class Watched(cherrypy._cpreqbody.Part):
        def make_file(self) -> Any:
            made.append(super().make_file())
            begun.set()
            return made[-1]

    config = {"request.body.part_class": Watched, "hooks.on_end_request": ended.set}
    site.mount(pages, config={"/": config})
    with connect() as client:
        content = HEAD + b"x" * 200_000
        if framing == "length":
            # more than is received into memory before there is a request
            client.sendall(post(9_000_000) + content)
        else:
            client.sendall(post(None) + b"%x\r\n" % 1_000_000 + content)
        assert begun.wait(10)
    assert ended.wait(10)

    assert pages.ran == []
    assert [file.closed for file in made] == [True]


def test_a_finished_page_does_not_wait_for_its_reader(site: Any, connect: Any) -> None:
    """The request is over before the answer is out: a slow reader keeps no request, no session, no thread."""
    over = threading.Event()

    class Large:
        @cherrypy.expose
        def index(self) -> bytes:
            return b"x" * 20_000_000

    site.mount(Large())
    cherrypy.engine.subscribe("after_request", over.set)
    try:
        with connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

            assert over.wait(10)
    finally:
        cherrypy.engine.unsubscribe("after_request", over.set)


def test_a_stream_ends_with_its_client(site: Any, connect: Any) -> None:
    """The client goes away in the middle: the generator is closed, then on_end_request runs."""
    ended = threading.Event()
    order: list[str] = []

    class Endless:
        @cherrypy.expose
        @cherrypy.config(**{"response.stream": True})
        def index(self) -> Iterator[bytes]:
            try:
                while True:
                    yield b"x" * 65536
            finally:
                order.append("closed")

    def end() -> None:
        order.append("ended")
        ended.set()

    site.mount(Endless(), config={"/": {"hooks.on_end_request": end}})
    with connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        read_until(client, b"xxx")

    assert ended.wait(10)
    assert order == ["closed", "ended"]
