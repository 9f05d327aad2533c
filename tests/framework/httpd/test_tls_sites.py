"""Sites over TLS whose answers come from the event loop: one thread watches the session, another one writes to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

import cherrypy
from cherrypy.httpd.listener import Listener
from cherrypy.httpd.tls import TLS, make_context

from ..pki import Pki
from .conftest import Client, Running, Serve

PIECE = b"0123456789" * 5_000
PIECES = 100


class Pages:
    """Coroutines."""

    def __init__(self) -> None:
        self.began, self.left = threading.Event(), threading.Event()

    @cherrypy.expose
    async def index(self) -> str:
        await asyncio.sleep(0)
        return f"{cherrypy.request.scheme} {cherrypy.request.wsgi_environ['SSL_TLS_SNI']}"

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    async def stream(self) -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield PIECE
            await asyncio.sleep(0)

    @cherrypy.expose
    @cherrypy.tools.sse()
    async def events(self) -> AsyncIterator[Any]:
        yield "one"
        await asyncio.sleep(0)
        yield {"two": 2}

    @cherrypy.expose
    async def wait(self) -> str:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return ""


@pytest.fixture
def pages(site: Any) -> Pages:
    """What is served."""
    found = Pages()
    site.mount(found)
    return found


@pytest.fixture
def live(serve: Serve, site: Any, pki: Pki, pages: Pages) -> Running:
    """The site, over TLS."""
    context = make_context(pki.issue("localhost", file="sites").both)
    return serve(site.respond, bind=[Listener(("127.0.0.1", 0), tls=TLS(context))])


def test_coroutines_know_the_session(live: Running, pki: Pki) -> None:
    """As any page does, one after the other on one connection."""
    with Client(pki.connect(live.server.bind_addr)) as client:
        assert [client.get().body for _ in range(2)] == [b"https localhost"] * 2


def test_a_stream_while_its_client_goes_on_sending(live: Running, pki: Pki) -> None:
    """What comes in meanwhile is read by another thread than the one that writes; all is answered, in order."""
    with Client(pki.connect(live.server.bind_addr)) as client:
        for _ in range(3):
            client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            for _ in range(200):
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

            assert client.reply().body == PIECE * PIECES
            assert {client.reply().body for _ in range(200)} == {b"https localhost"}


def test_events(live: Running, pki: Pki) -> None:
    """Each as soon as it is there; the connection goes on."""
    with Client(pki.connect(live.server.bind_addr)) as client:
        for _ in range(2):
            assert client.get("/events").body == b':\n\ndata: one\n\ndata: {"two":2}\n\n'


@pytest.mark.parametrize("says_so", [True, False])
def test_a_client_that_leaves_ends_its_page(live: Running, pki: Pki, pages: Pages, says_so: bool) -> None:
    """With a close_notify or without one."""
    sock = pki.connect(live.server.bind_addr)
    sock.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    assert pages.began.wait(10)
    if says_so:
        sock.setblocking(False)
        with suppress(OSError):  # the server need not answer with its own
            sock.unwrap()
    else:
        sock.close()

    assert pages.left.wait(10)
    sock.close()
