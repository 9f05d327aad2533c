"""Server-sent events: what is sent, and what becomes of streams that are silent, left or told to end."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.aio.sse import Event, last_event_id, render

from .conftest import WAIT_S, Client, Live, rooted


@pytest.mark.parametrize(
    ("item", "octets"),
    [
        ("text", b"data: text\n\n"),
        ("", b"data: \n\n"),
        ("two\nlines\r\nand\rmore\n", b"data: two\ndata: lines\ndata: and\ndata: more\ndata: \n\n"),
        ("é", b"data: \xc3\xa9\n\n"),
        (b"octets", b"data: octets\n\n"),
        ({"a": [1, "é"]}, b'data: {"a":[1,"\xc3\xa9"]}\n\n'),
        ([1, None], b"data: [1,null]\n\n"),
        (7, b"data: 7\n\n"),
        (Event("x", event="news", id=7, retry=50), b"event: news\nid: 7\nretry: 50\ndata: x\n\n"),
        (Event({"a": 1}), b'data: {"a":1}\n\n'),
        (Event(id=""), b"id: \n\n"),
    ],
)
def test_items_become_events(item: Any, octets: bytes) -> None:
    """Text line by line, data as JSON."""
    assert render(item) == octets


@pytest.mark.parametrize("event", [Event("x", event="a\nb"), Event("x", id="a\rb"), Event("x", id="a\0b")])
def test_no_field_smuggles_in_another(event: Event) -> None:
    """What may come from elsewhere cannot end its line."""
    with pytest.raises(ValueError, match="one line"):
        event.render()


def event_stream(page: Any, **settings: Any) -> Any:
    """Return *page* as a stream of events."""
    return cherrypy.tools.sse(**settings)(page)


class Listener:
    """A client of a stream: one chunk after the other."""

    def __init__(self, client: Client, target: str = "/", **headers: str) -> None:
        self.file = client.file
        client.ask(target, **headers)
        line = self.file.readline()
        self.status = int(line.split()[1])
        self.headers: dict[str, str] = {}
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.decode().rstrip().partition(": ")
            self.headers[name.lower()] = value

    def chunk(self) -> bytes:
        """Return the next chunk; empty at the clean end."""
        size = int(self.file.readline(), 16)
        data: bytes = self.file.read(size)
        self.file.readline()
        return data


def test_an_asynchronous_page_streams_events(live: Live) -> None:
    """With the fields that keep everybody from buffering; afterwards the connection goes on."""

    async def index() -> AsyncIterator[Any]:
        yield "one"
        await asyncio.sleep(0)
        yield Event({"two": cherrypy.request.path_info}, id=2)

    live.mount(rooted(index=event_stream(index, retry=100)))
    live.start()
    with live.connect() as client:
        replies = [client.get("/"), client.get("/")]

    for reply in replies:
        assert reply.body == b'retry: 100\n\ndata: one\n\nid: 2\ndata: {"two":"/"}\n\n'
        assert reply.headers["content-type"] == "text/event-stream;charset=utf-8"
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["x-accel-buffering"] == "no"
        assert "content-length" not in reply.headers


def test_a_plain_generator_streams_events_too(live: Live) -> None:
    """In a thread; and a page may return one event, or a list of them."""

    def index() -> Iterator[Any]:
        yield "one"
        yield {"two": 2}

    live.mount(
        rooted(
            index=event_stream(index),
            single=event_stream(lambda: Event("x", event="only")),
            several=event_stream(lambda: ["a", "b"]),
            none=event_stream(lambda: None),
        )
    )
    live.start()

    assert live.get("/").body == b'data: one\n\ndata: {"two":2}\n\n'
    assert live.get("/single").body == b"event: only\ndata: x\n\n"
    assert live.get("/several").body == b"data: a\n\ndata: b\n\n"
    assert live.get("/none").body == b""


def test_a_silent_stream_has_a_heartbeat_and_no_thread(live: Live) -> None:
    """Many streams that wait on one thread; comments show that they live."""
    event: Any = None

    async def index() -> AsyncIterator[str]:
        nonlocal event
        event = event or asyncio.Event()
        await event.wait()
        yield "done"

    async def wake() -> str:
        event.set()
        return "woken"

    live.mount(rooted(index=event_stream(index, heartbeat=0.02), wake=wake))
    live.start(threads=1)
    clients = [live.connect() for _ in range(10)]
    listeners = [Listener(client) for client in clients]
    beats = [[listener.chunk() for _ in range(3)] for listener in listeners]
    live.get("/wake")
    ends = []
    for listener in listeners:
        while (chunk := listener.chunk()) == b":\n\n":
            pass
        ends.append((chunk, listener.chunk()))
    for client in clients:
        client.close()

    assert beats == [[b":\n\n"] * 3] * 10
    assert ends == [(b"data: done\n\n", b"")] * 10


def test_the_last_event_id_is_at_hand(live: Live) -> None:
    """A client that connects anew says where it was."""

    async def index() -> AsyncIterator[str]:
        yield str(last_event_id())

    live.mount(rooted(index=event_stream(index)))
    live.start()

    assert live.get("/", Last_Event_ID="41").body == b":\n\ndata: 41\n\n"
    assert live.get("/").body == b":\n\ndata: None\n\n"


def test_a_refusal_has_its_own_status(live: Live) -> None:
    """Before the first event, and before a coroutine returns its generator; its page is no stream."""

    async def generator() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        if not cherrypy.request.login:
            raise cherrypy.HTTPError(403, "members only")
        yield "secret"

    async def coroutine() -> Any:
        await asyncio.sleep(0)
        raise cherrypy.HTTPRedirect("/login")

    def plain() -> Any:
        raise cherrypy.NotFound()

    live.mount(rooted(generator=event_stream(generator), coroutine=event_stream(coroutine), plain=event_stream(plain)))
    live.start()
    refused, moved, missing = (live.get(f"/{name}") for name in ("generator", "coroutine", "plain"))

    assert (refused.status, moved.status, missing.status) == (403, 303, 404)
    assert b"members only" in refused.body
    assert refused.headers["content-type"].startswith("text/html")
    assert "content-length" in refused.headers


def test_a_coroutine_may_return_the_generator(live: Live) -> None:
    """What it finds out first is settled before the head is sent."""

    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    async def index() -> Any:
        await asyncio.sleep(0)
        cherrypy.response.headers["X-Checked"] = "yes"
        return numbers()

    live.mount(rooted(index=event_stream(index)))
    reply = live.start().get("/")

    assert reply.headers["x-checked"] == "yes"
    assert reply.body == b":\n\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_a_client_that_leaves_ends_the_page(live: Live) -> None:
    """While it waits: ``finally`` runs, then on_end_request."""
    ended, closed = threading.Event(), threading.Event()

    async def index() -> AsyncIterator[str]:
        cherrypy.request.hooks.attach("on_end_request", closed.set)
        try:
            yield "first"
            await asyncio.sleep(WAIT_S * 10)
        finally:
            ended.set()

    live.mount(rooted(index=event_stream(index)))
    live.start()
    with live.connect() as client:
        listener = Listener(client)
        listener.chunk()
        client.close()

        assert ended.wait(WAIT_S)
        assert closed.wait(WAIT_S)


def test_a_stream_that_nobody_reads_is_ended(live: Live) -> None:
    """A HEAD has the fields of the stream; the page, which has begun, comes to its end."""
    ended = threading.Event()

    async def index() -> AsyncIterator[str]:
        try:
            await asyncio.sleep(WAIT_S * 10)
            yield "never"
        finally:
            ended.set()

    live.mount(rooted(index=event_stream(index)))
    reply = live.start().get("/", "HEAD")

    assert reply.headers["content-type"].startswith("text/event-stream")
    assert ended.wait(WAIT_S)


def test_a_drain_ends_streams_politely(live: Live) -> None:
    """A clean end at once: the client tries again, and finds another worker."""
    ended = threading.Event()

    async def index() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.sleep(WAIT_S * 10)
        finally:
            ended.set()

    live.mount(rooted(index=event_stream(index)))
    live.start()
    with live.connect() as client:
        listener = Listener(client)
        chunks = [listener.chunk(), listener.chunk()]
        drained: list[bool] = []
        draining = threading.Thread(target=lambda: drained.append(live.server.drain(WAIT_S)))
        draining.start()
        end = listener.chunk()
        client.close()
        draining.join(WAIT_S)

    assert chunks == [b":\n\n", b"data: first\n\n"]
    assert end == b""
    assert ended.is_set()
    assert drained == [True]


def test_a_session_is_free_while_a_stream_lasts(live: Live) -> None:
    """It is saved, and its lock released, before the first event."""
    go_on: Any = None

    async def index() -> AsyncIterator[str]:
        nonlocal go_on
        go_on = asyncio.Event()
        cherrypy.session["streams"] = "yes"
        yield "begun"
        await go_on.wait()
        yield str(cherrypy.session.get("streams"))

    async def beside() -> str:
        cherrypy.session.setdefault("seen", "yes")
        if go_on is not None:
            go_on.set()
        return "beside"

    live.mount(rooted(index=event_stream(index), beside=beside), config={"/": {"tools.sessions.on": True}})
    live.start()
    cookie = live.get("/beside").headers["set-cookie"].split(";")[0]
    with live.connect() as client:
        listener = Listener(client, Cookie=cookie)
        chunks = [listener.chunk(), listener.chunk()]
        beside_it = live.get("/beside", Cookie=cookie).body
        chunks += [listener.chunk(), listener.chunk()]

    assert beside_it == b"beside"
    assert chunks == [b":\n\n", b"data: begun\n\n", b"data: yes\n\n", b""]


def test_an_item_that_is_no_event_cuts_the_stream(live: Live) -> None:
    """The error is logged, and the client sees that the stream did not end."""

    async def index() -> AsyncIterator[Any]:
        yield "fine"
        yield object()

    live.mount(rooted(index=event_stream(index)))
    reply = live.start().get("/")

    assert reply.body == b":\n\ndata: fine\n\n"
    assert not reply.is_whole


def test_under_wsgi_a_thread_streams(live: Live) -> None:
    """Any server can; it costs that server's thread."""

    async def index() -> AsyncIterator[Any]:
        for number in range(3):
            await asyncio.sleep(0)
            yield {"number": number}

    app = live.mount(rooted(index=event_stream(index)))
    app.wsgiapp.pipeline.append(("nothing", lambda nextapp: nextapp))
    body = live.start().get("/").body
    numbers = [json.loads(line[6:])["number"] for line in body.decode().splitlines() if line.startswith("data: ")]

    assert numbers == [0, 1, 2]


@pytest.mark.parametrize(
    ("page", "key"),
    [
        (cherrypy.tools.sse(heartbeat="soon"), "tools.sse.heartbeat"),
        (cherrypy.tools.sse(heart=1), "tools.sse.heart"),
        (cherrypy.tools.websocket(max_size="big"), "tools.websocket.max_size"),
        (cherrypy.tools.websocket(origins=5), "tools.websocket.origins"),
    ],
)
def test_a_wrong_setting_is_named(live: Live, page: Any, key: str) -> None:
    """With its key, in the page that the developer sees."""
    live.mount(rooted(index=page(lambda: "x")))
    reply = live.start().get("/")

    assert reply.status == 500
    assert key.encode() in reply.body
