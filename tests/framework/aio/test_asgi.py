"""ASGI applications grafted beside pages: raw ones, and a real framework's."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import cherrypy
from cherrypy.aio.asgi.graft import ASGIGraft, is_asgi
from cherrypy.aio.asgi.lifespan import Lifespan, LifespanFailed
from cherrypy.process.wspbus import Bus

from .conftest import WAIT_S, Live, rooted


@pytest.fixture(autouse=True)
def _engine_as_before() -> Iterator[None]:
    """Stop and forget the applications whose lifespans a test has tied to the process's engine."""
    before = set(cherrypy.engine.listeners["start"])
    yield
    for listener in cherrypy.engine.listeners["start"] - before:
        lifespan = getattr(listener, "__self__", None)
        if isinstance(lifespan, Lifespan):
            lifespan.unsubscribe(cherrypy.engine)


def http_only(page: Any) -> Any:
    """Return an ASGI application that has *page* answer its HTTP requests."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http", "no lifespan here"
        await page(scope, receive, send)

    return app


async def reply(send: Any, body: bytes, status: int = 200, headers: Any = ()) -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Any) -> bytes:
    """Read a whole body."""
    parts = []
    while True:
        event = await receive()
        assert event["type"] == "http.request"
        parts.append(event["body"])
        if not event["more_body"]:
            return b"".join(parts)


def test_an_asgi_application_is_known_by_its_signature(live: Live) -> None:
    """Anything else is WSGI's; what cannot be told apart is grafted by its own name."""

    class Callable:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            """Answer."""

    def sync(scope: Any, receive: Any, send: Any) -> Any:
        return http_only(lambda *a: None)(scope, receive, send)

    app = http_only(None)
    known = [app, functools.partial(app), Callable(), Callable().__call__, Starlette()]
    unknown = [sync, Callable, lambda environ, start_response: [], cherrypy.Application(None), live.tree]

    assert [is_asgi(one) for one in known] == [True] * len(known)
    assert [is_asgi(one) for one in unknown] == [False] * len(unknown)
    live.tree.graft(app, "/known/")
    live.tree.graft_asgi(sync, "/told")
    live.tree.graft(sync, "/wsgi")
    assert isinstance(live.tree.apps["/known"], ASGIGraft)
    assert isinstance(live.tree.apps["/told"], ASGIGraft)
    assert live.tree.apps["/wsgi"] is sync


def test_the_scope_says_what_was_asked(live: Live) -> None:
    """The path with its mount point, decoded; fields in lower case; both ends of the connection."""
    scopes: list[Any] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await reply(send, b"hello", headers=[(b"X-Own", b"1")])

    live.tree.graft(http_only(page), "/mounted")
    live.mount(rooted(index=lambda: "page"))
    live.start()
    answer = live.get("/mounted/%C3%A9%20x?q=%20", X_Sent="A")
    (scope,) = scopes

    assert (answer.status, answer.body, answer.headers["x-own"]) == (200, b"hello", "1")
    assert answer.headers["content-length"] == "5"
    assert "date" in answer.headers
    assert live.get("/").body == b"page"
    assert scope["path"] == "/mounted/é x"
    assert scope["raw_path"] == b"/mounted/%C3%A9%20x"
    assert (scope["root_path"], scope["query_string"], scope["method"]) == ("/mounted", b"q=%20", "GET")
    assert (scope["scheme"], scope["http_version"], scope["type"]) == ("http", "1.1", "http")
    assert (b"x-sent", b"A") in scope["headers"]
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"] == ("127.0.0.1", live.port)


def test_trusted_proxies_say_where_a_request_comes_from(live: Live) -> None:
    """As for pages; others say nothing."""
    scopes: list[Any] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        scopes.append((scope["scheme"], scope["client"][0]))
        await reply(send, b"")

    live.tree.graft(http_only(page), "/a")
    live.start()
    said = {"X_Forwarded_For": "203.0.113.5", "X_Forwarded_Proto": "https"}
    live.get("/a", **said)
    live.site.server = SimpleNamespace(trusted_proxies=["127.0.0.1"])
    live.get("/a", **said)

    assert scopes == [("http", "127.0.0.1"), ("https", "203.0.113.5")]


@pytest.mark.parametrize("size", [0, 1, 65536, 70_000, 300_000, 2_000_000])
def test_bodies_of_any_size_come_in_and_go_out(live: Live, size: int) -> None:
    """Also pipelined ones, and in chunks; the next request starts behind them."""

    async def page(scope: Any, receive: Any, send: Any) -> None:
        body = await read(receive)
        await reply(send, body)

    live.tree.graft(http_only(page), "/a")
    live.start()
    body = b"x" * size
    with live.connect() as client:
        sending = threading.Thread(target=lambda: [client.ask("/a", "POST", body + b"%d" % n) for n in range(3)])
        sending.start()
        bodies = [client.reply().body for _ in range(3)]
        sending.join(WAIT_S)
    with live.connect() as client:
        head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sock.sendall(
            head + b"%x\r\n%b\r\n0\r\n\r\n" % (size or 1, body or b"x") + b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        chunked, behind = client.reply().body, client.reply().status

    assert bodies == [body + b"%d" % n for n in range(3)]
    assert (chunked, behind) == (body or b"x", 200)


def test_answers_stream_at_the_applications_pace(live: Live) -> None:
    """Chunked without a length, whole with one; many at once on one thread."""
    gates: list[Any] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/a/open":
            for gate in gates:
                gate.set()
            await reply(send, b"")
            return
        gate = asyncio.Event()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        gates.append(gate)
        await gate.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    live.tree.graft(http_only(page), "/a")
    live.start(threads=1)
    clients = [live.connect() for _ in range(10)]
    for client in clients:
        client.ask("/a")
        client.file.peek(1)
    while len(gates) < 10:
        live.get("/none")
    live.get("/a/open")
    replies = [client.reply() for client in clients]
    for client in clients:
        client.close()

    assert {one.body for one in replies} == {b"one two"}
    assert {one.headers["transfer-encoding"] for one in replies} == {"chunked"}


def test_head_and_declared_lengths(live: Live) -> None:
    """A HEAD has no body; more than declared is cut; less ends the connection."""

    async def page(scope: Any, receive: Any, send: Any) -> None:
        length = scope["query_string"]
        await reply(send, b"12345", headers=[(b"content-length", length)])

    live.tree.graft(http_only(page), "/a")
    live.start()
    with live.connect() as client:
        head, exact, long = (client.get("/a?5", "HEAD"), client.get("/a?5"), client.get("/a?7"))

        with pytest.raises(EOFError):
            client.get("/a?5")
    assert (head.headers["content-length"], head.body) == ("5", b"")
    assert (exact.body, long.body) == (b"12345", b"12345")
    assert live.get("/a?3").status == 500


@pytest.mark.parametrize("when", ["before", "between", "never"])
def test_errors_are_logged_and_never_look_like_answers(live: Live, caplog: pytest.LogCaptureFixture, when: str) -> None:
    """Before the head it is a plain 500; behind it the answer is cut; no answer at all is a 500 too."""

    async def page(scope: Any, receive: Any, send: Any) -> None:
        if when == "never":
            return
        if when == "between":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("broken inside")

    live.tree.graft(http_only(page), "/a")
    live.start()
    with caplog.at_level(logging.ERROR):
        answer = live.get("/a")

    assert b"broken inside" not in answer.body
    if when == "between":
        assert (answer.status, answer.body, answer.is_whole) == (200, b"half", False)
    else:
        assert answer.status == 500
    if when != "never":
        assert "broken inside" in caplog.text


def test_a_client_that_leaves_is_a_disconnect(live: Live) -> None:
    """Who waits for it hears it; who goes on sending gets an OSError."""
    heard: list[Any] = []
    over = threading.Event()

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        heard.append((await receive())["type"])
        try:
            await send({"type": "http.response.body", "body": b"y"})
        except OSError as error:
            heard.append(type(error).__name__)
        over.set()

    live.tree.graft(http_only(page), "/a")
    live.start()
    with live.connect() as client:
        client.ask("/a")
        client.file.read(1)
        client.close()

        assert over.wait(WAIT_S)
    assert heard == ["http.disconnect", "ClientGone"]


def test_a_stop_cancels_what_does_not_end(live: Live) -> None:
    """At its deadline."""
    begun, cancelled = threading.Event(), threading.Event()

    async def page(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(WAIT_S * 10)
        finally:
            cancelled.set()

    live.tree.graft(http_only(page), "/a")
    live.start()
    with live.connect() as client:
        client.ask("/a")
        assert begun.wait(WAIT_S)
        finished = live.server.stop(0.1)

        assert cancelled.wait(WAIT_S)
    assert not finished


def test_the_lifespan_is_the_engines() -> None:
    """Started before the server, stopped after it; its state is in every scope."""
    events: list[str] = []
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        while True:
            event = await receive()
            events.append(event["type"])
            scope["state"]["pool"] = "open"
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return

    bus = Bus()
    bus.subscribe("start", lambda: events.append("server"), priority=75)
    bus.subscribe("stop", lambda: events.append("server ends"), priority=25)
    lifespan = Lifespan(app, "/a")
    lifespan.subscribe(bus)
    bus.start()
    state = dict(lifespan.state)
    bus.stop()
    bus.start()
    bus.stop()

    once = ["lifespan.startup", "server", "server ends", "lifespan.shutdown"]
    assert events == once * 2
    assert state == {"pool": "open"}


def test_a_failed_start_stops_the_engine() -> None:
    """With the application's own words."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    lifespan = Lifespan(app, "/a")
    with pytest.raises(LifespanFailed, match="no database"):
        lifespan.start()


def test_an_application_without_lifespan_is_served_all_the_same(live: Live) -> None:
    """It raises at the scope, or returns: both mean that it has none."""

    async def returning(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await reply(send, b"returned")

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, b"raised")

    live.tree.graft(returning, "/returning")
    live.tree.graft(http_only(page), "/raising")
    live.start()

    assert live.get("/returning").body == b"returned"
    assert live.get("/raising").body == b"raised"


HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def starlette() -> Starlette:
    """Return an application of a real framework."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"greeting": "hello"}

    async def index(request: Request) -> JSONResponse:
        form = await request.form() if request.method == "POST" else {}
        return JSONResponse(
            {
                "greeting": request.state.greeting,
                "url": str(request.url_for("item", number=7)),
                "form": dict(form),
            }
        )

    async def item(request: Request) -> StreamingResponse:
        async def numbers() -> AsyncIterator[str]:
            for number in range(request.path_params["number"]):
                yield f"{number} "

        return StreamingResponse(numbers(), media_type="text/plain")

    async def fail(request: Request) -> JSONResponse:
        raise ValueError("broken")

    async def echo(socket: WebSocket) -> None:
        await socket.accept(subprotocol="v1", headers=[(b"x-mood", b"good")])
        async for text in socket.iter_text():
            await socket.send_text(f"{socket.state.greeting} {text}")

    async def refuse(socket: WebSocket) -> None:
        await socket.close()

    async def farewell(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_bytes(b"octets")
        await socket.close(4000, "enough")

    return Starlette(
        routes=[
            Route("/", index, methods=["GET", "POST"]),
            Route("/item/{number:int}", item, name="item"),
            Route("/fail", fail),
            WebSocketRoute("/echo", echo),
            WebSocketRoute("/refuse", refuse),
            WebSocketRoute("/farewell", farewell),
        ],
        lifespan=lifespan,
    )


def test_a_real_framework_works_below_its_mount_point(live: Live) -> None:
    """Routes, URLs, forms, streams, state, errors."""
    live.tree.graft(starlette(), "/star")
    live.mount(rooted(index=lambda: "page"))
    live.start()
    index = live.get("/star/")
    posted = live.get("/star/", "POST", b"a=1&b=2", Content_Type="application/x-www-form-urlencoded")
    streamed = live.get("/star/item/3")

    assert index.body == b'{"greeting":"hello","url":"http://site.test/star/item/7","form":{}}'
    assert posted.status in (200, 500)  # forms need a further package of theirs
    assert streamed.body == b"0 1 2 "
    assert live.get("/star/none").status == 404
    assert live.get("/star/fail").status == 500
    assert live.get("/").body == b"page"


def test_a_real_frameworks_websockets(live: Live) -> None:
    """Accepted with subprotocol and fields, refused with 403, closed with a code, gone with the server."""
    live.tree.graft(starlette(), "/star")
    live.start()
    base = f"ws://127.0.0.1:{live.port}/star"
    with connect(f"{base}/echo", subprotocols=["v1"], open_timeout=WAIT_S) as ws:  # type: ignore[list-item]
        ws.send("you")
        echoed, agreed = ws.recv(WAIT_S), ws.subprotocol
        assert ws.response is not None
        mood = ws.response.headers["x-mood"]
    refused = live.get("/star/refuse", **HANDSHAKE)
    with connect(f"{base}/farewell", open_timeout=WAIT_S) as ws:
        octets = ws.recv(WAIT_S)
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(WAIT_S)
    draining = threading.Thread(target=live.server.drain, args=(WAIT_S,))
    with connect(f"{base}/echo", subprotocols=["v1"], open_timeout=WAIT_S) as ws:  # type: ignore[list-item]
        ws.send("you")
        ws.recv(WAIT_S)
        draining.start()
        with pytest.raises(ConnectionClosed) as gone:
            ws.recv(WAIT_S)
    draining.join(WAIT_S)
    malformed = live.get("/star/echo", Upgrade="websocket").status

    assert (echoed, agreed, mood) == ("hello you", "v1", "good")
    assert refused.status == 403
    assert octets == b"octets"
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "enough")
    assert gone.value.rcvd is not None
    assert gone.value.rcvd.code == 1001
    assert malformed == 400


def test_under_wsgi_it_is_501(live: Live) -> None:
    """A WSGI server has neither the loop nor the socket; the text says so."""
    live.tree.graft(http_only(None), "/a")
    live.site.tree = lambda environ, start_response: live.tree(environ, start_response)  # type: ignore[assignment]
    reply = live.start().get("/a")

    assert reply.status == 501
    assert b"native" in reply.body or b"own server" in reply.body
