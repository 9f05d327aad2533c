"""Asynchronous generators as bodies: collected, or streamed without a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import cherrypy

from .conftest import WAIT_S, Live, rooted

STREAMED = {"/": {"response.stream": True}}


async def numbers() -> AsyncIterator[str]:
    """Yield three numbers and a header's worth of context."""
    for number in range(3):
        await asyncio.sleep(0)
        yield f"{number}{cherrypy.request.path_info}é "


def test_a_generator_is_collected_unless_it_is_to_be_streamed(live: Live) -> None:
    """As for plain generators: without ``response.stream`` the answer has a length."""
    live.mount(rooted(index=numbers))
    reply = live.start().get("/")

    assert reply.body == "0/é 1/é 2/é ".encode()
    assert reply.headers["content-length"] == "15"


def test_a_streamed_generator_comes_in_chunks(live: Live) -> None:
    """Text is encoded piece by piece, and the connection goes on afterwards."""
    live.mount(rooted(index=numbers), config=STREAMED)
    live.start()
    with live.connect() as client:
        replies = [client.get("/"), client.get("/")]

    assert [reply.body for reply in replies] == ["0/é 1/é 2/é ".encode()] * 2
    assert replies[0].headers["transfer-encoding"] == "chunked"
    assert replies[0].headers["content-type"] == "text/html;charset=utf-8"


def test_streams_hold_no_thread(live: Live) -> None:
    """One thread serves many streams that wait, and a plain page beside them."""
    go_on: Any = None
    waiting = threading.Semaphore(0)

    async def stream() -> AsyncIterator[bytes]:
        nonlocal go_on
        go_on = go_on or asyncio.Event()
        yield b"begun "
        waiting.release()
        await go_on.wait()
        yield b"ended"

    def index() -> str:
        return "plain"

    async def open_gate() -> str:
        go_on.set()
        return "open"

    live.mount(rooted(stream=stream, index=index, open=open_gate), config={"/stream": STREAMED["/"]})
    live.start(threads=1)
    clients = [live.connect() for _ in range(30)]
    for client in clients:
        client.ask("/stream")
    for _ in clients:
        assert waiting.acquire(timeout=WAIT_S)
    plain = live.get("/").body
    live.get("/open")
    bodies = {client.reply().body for client in clients}
    for client in clients:
        client.close()

    assert plain == b"plain"
    assert bodies == {b"begun ended"}


def test_a_coroutine_may_return_a_stream(live: Live) -> None:
    """What it has decided before, a header for example, is sent with it."""

    async def index() -> Any:
        await asyncio.sleep(0)
        cherrypy.response.headers["X-Decided"] = "yes"
        return numbers()

    live.mount(rooted(index=index), config=STREAMED)
    reply = live.start().get("/")

    assert reply.body.startswith(b"0/")
    assert reply.headers["x-decided"] == "yes"


def test_a_stream_that_fails_never_ends_cleanly(live: Live) -> None:
    """Before its first piece it is a 500, after it the last chunk is missing; the next request is answered."""

    async def early() -> AsyncIterator[bytes]:
        await asyncio.sleep(0)
        if cherrypy.request.params:
            yield b""
        raise ValueError("early")

    async def late() -> AsyncIterator[bytes]:
        yield b"first"
        raise ValueError("late")

    live.mount(rooted(early=early, late=late), config=STREAMED)
    live.start()
    cut = live.get("/late")

    assert live.get("/early").status == 500
    assert cut.body == b"first"
    assert not cut.is_whole


def test_a_client_that_leaves_ends_the_stream(live: Live) -> None:
    """The generator's ``finally`` runs, then on_end_request."""
    begun, ended, closed = threading.Event(), threading.Event(), threading.Event()

    async def index() -> AsyncIterator[bytes]:
        cherrypy.request.hooks.attach("on_end_request", closed.set)
        try:
            yield b"first"
            begun.set()
            await asyncio.sleep(WAIT_S * 10)
        finally:
            ended.set()

    live.mount(rooted(index=index), config=STREAMED)
    live.start()
    with live.connect() as client:
        client.ask("/")
        assert begun.wait(WAIT_S)
        client.close()

        assert ended.wait(WAIT_S)
        assert closed.wait(WAIT_S)


def test_a_slow_reader_gets_it_all_and_holds_no_thread(live: Live) -> None:
    """The stream waits for the socket; the page is not asked for more than the client takes."""
    made = 0

    async def index() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(200):
            made += 1
            yield b"x" * 65536

    def other() -> str:
        return "other"

    live.mount(rooted(index=index, other=other), config={"/": STREAMED["/"], "/other": {"response.stream": False}})
    live.start(threads=1)
    with live.connect() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.ask("/")
        others = {live.get("/other").body for _ in range(5)}
        made_ahead = made
        reply = client.reply()

    assert others == {b"other"}
    assert made_ahead < 200
    assert len(reply.body) == 200 * 65536


def test_a_stream_that_never_waits_lets_others_run(live: Live) -> None:
    """However fast its client is."""
    stop = False
    turns = 0

    async def index() -> AsyncIterator[bytes]:
        while not stop:
            yield b"x" * 1000

    async def other() -> str:
        nonlocal stop, turns
        turns += 1
        stop = turns == 3
        return "other"

    live.mount(rooted(index=index, other=other), config={"/": STREAMED["/"], "/other": {"response.stream": False}})
    live.start()
    with live.connect() as client:
        client.ask("/")
        reading = threading.Thread(target=client.reply)
        reading.start()
        others = {live.get("/other").body for _ in range(3)}
        reading.join(WAIT_S)

    assert others == {b"other"}
    assert not reading.is_alive()


def test_a_client_that_takes_nothing_is_cut_off(live: Live) -> None:
    """The deadline by rate holds for streams too."""
    ended = threading.Event()

    async def index() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            ended.set()

    live.mount(rooted(index=index), config=STREAMED)
    live.start(write_grace_s=0.05, write_rate_bytes_per_s=1e9)
    with live.connect() as client:
        client.ask("/")

        assert ended.wait(WAIT_S)
        with pytest.raises((ConnectionResetError, ValueError)):
            client.reply()


def test_head_and_http_10_and_declared_lengths(live: Live) -> None:
    """A HEAD starts no stream; HTTP/1.0 gets it until the close; too much is cut, too little is seen to be."""
    started: list[str] = []

    async def index(length: str = "") -> AsyncIterator[bytes]:
        started.append(cherrypy.request.method)
        yield b"12345"
        yield b"67890"

    async def declared(length: str) -> Any:
        cherrypy.response.headers["Content-Length"] = length
        return index()

    live.mount(rooted(index=index, declared=declared), config=STREAMED)
    live.start()
    with live.connect() as client:
        client.sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        until_close = client.file.read()
    with live.connect() as client:
        head = client.get("/", "HEAD")
        exact, long = client.get("/declared?length=10"), client.get("/declared?length=7")
    with live.connect() as client:
        short = client.get("/declared?length=11")

    assert until_close.endswith(b"\r\n\r\n1234567890")
    assert (head.status, head.body) == (200, b"")
    assert (exact.body, long.body, short.body) == (b"1234567890", b"1234567", b"1234567890")
    assert "HEAD" not in started


def test_sync_wrappers_of_streams_still_work(live: Live) -> None:
    """The tool gzip iterates over the body in a thread, piece by piece."""
    live.mount(rooted(index=numbers), config={"/": {"response.stream": True, "tools.gzip.on": True}})
    reply = live.start().get("/", Accept_Encoding="gzip")

    assert reply.headers["content-encoding"] == "gzip"
    assert reply.body.startswith(b"\x1f\x8b")


def test_under_wsgi_a_stream_is_iterated_over(live: Live) -> None:
    """The thread waits for each piece."""
    app = live.mount(rooted(index=numbers), config=STREAMED)
    app.wsgiapp.pipeline.append(("nothing", lambda nextapp: nextapp))
    reply = live.start().get("/")

    assert reply.body == "0/é 1/é 2/é ".encode()
