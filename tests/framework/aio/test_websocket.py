"""WebSockets with a real client: conversations, handshakes, ends."""

from __future__ import annotations

import asyncio
import functools
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import cherrypy
from cherrypy.aio.websocket import WebSocket, WebSocketClosed
from cherrypy.httpd.listener import Listener
from cherrypy.httpd.tls import TLS, make_context

from .conftest import WAIT_S, Live, rooted


def dial(live: Live, target: str = "/", **options: Any) -> ClientConnection:
    """Open a WebSocket."""
    return connect(f"ws://127.0.0.1:{live.port}{target}", open_timeout=WAIT_S, close_timeout=WAIT_S, **options)


def socketed(page: Any, **settings: Any) -> Any:
    """Return *page* as a WebSocket's."""
    return cherrypy.tools.websocket(**settings)(page)


async def echo(ws: WebSocket, *path: str, **params: str) -> None:
    """Send back what comes."""
    async for message in ws:
        await ws.send(message)


def test_a_page_converses(live: Live) -> None:
    """Text and octets arrive as they were sent; path and parameters reach the page; the request stays current."""

    async def default(ws: WebSocket, *path: str, **params: str) -> None:
        async for message in ws:
            tail = f" {'/'.join(path)} {params['q']} {cherrypy.request.path_info}"
            await ws.send(message + tail if isinstance(message, str) else message[::-1])

    live.mount(rooted(default=socketed(default)))
    live.start()
    with dial(live, "/a/b?q=1") as ws:
        ws.send("é")
        text = ws.recv(WAIT_S)
        ws.send(b"abc")
        octets = ws.recv(WAIT_S)

    assert text == "é a/b 1 /a/b"
    assert octets == b"cba"
    assert ws.protocol.close_code == 1000


def test_conversations_hold_no_thread(live: Live) -> None:
    """Many of them on one thread, and a plain page beside them."""
    live.mount(rooted(echo=socketed(echo), index=lambda: "plain"))
    live.start(threads=1)
    with ExitStack() as stack:
        sockets = [stack.enter_context(dial(live, "/echo")) for _ in range(20)]
        plain = live.get("/").body
        for number, ws in enumerate(sockets):
            ws.send(str(number))
        answers = [ws.recv(WAIT_S) for ws in sockets]
        in_flight = live.server.stats().in_flight

    assert plain == b"plain"
    assert answers == [str(number) for number in range(20)]
    assert in_flight >= 20


def test_a_large_message_in_both_directions(live: Live) -> None:
    """Compressed or not."""
    live.mount(rooted(echo=socketed(echo, max_size=1 << 22), flat=socketed(echo_flat, compression=False)))
    live.start()
    text = "äb" * 500_000
    with dial(live, "/echo", max_size=None) as ws:
        ws.send(text)
        back = ws.recv(WAIT_S)
        extensions = ws.protocol.extensions
    with dial(live, "/flat", max_size=None) as ws:
        ws.send(b"x" * 1_000_000)
        flat = ws.recv(WAIT_S)

        assert not ws.protocol.extensions
    assert back == text
    assert extensions
    assert flat == b"x" * 1_000_000


async def echo_flat(ws: WebSocket) -> None:
    """Another page, for other settings."""
    async for message in ws:
        await ws.send(message)


def test_fragments_and_pings_in_between(live: Live) -> None:
    """A message in pieces is one message, and a ping between them is answered at once."""
    live.mount(rooted(index=socketed(echo)))
    live.start()
    with dial(live) as ws:
        pong: list[Any] = []

        def pieces() -> Any:
            yield "one "
            pong.append(ws.ping())
            yield "two "
            yield "three"

        ws.send(pieces())
        message = ws.recv(WAIT_S)

        assert pong[0].wait(WAIT_S)
    assert message == "one two three"


def test_the_page_may_ping_and_close(live: Live) -> None:
    """A ping tells how long the answer took; a close waits for the client's, with code and reason."""
    seen: dict[str, Any] = {}

    async def index(ws: WebSocket) -> None:
        seen["latency"] = await ws.ping()
        await ws.close(4001, "enough")
        seen["closed"] = ws.is_closed, ws.close_code, ws.close_reason
        with pytest.raises(WebSocketClosed) as caught:
            await ws.send("late")
        seen["error"] = caught.value.code
        seen["rest"] = [message async for message in ws]

    live.mount(rooted(index=socketed(index)))
    live.start()
    with dial(live) as ws, pytest.raises(ConnectionClosed) as caught:
        ws.recv(WAIT_S)

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "enough")
    assert 0 < seen["latency"] < WAIT_S
    assert seen["closed"] == (True, 4001, "enough")
    assert (seen["error"], seen["rest"]) == (4001, [])


@pytest.mark.parametrize(
    ("code", "reason"), [(1005, ""), (1006, ""), (999, ""), (2000, ""), (5000, ""), (1000, "x" * 124)]
)
def test_a_wrong_farewell_is_refused_where_it_is_made(live: Live, code: int, reason: str) -> None:
    """Reserved codes and long reasons raise; nothing of them is sent."""

    async def index(ws: WebSocket) -> None:
        with pytest.raises(ValueError, match="WebSocket"):
            await ws.close(code, reason)
        await ws.send("still there")

    live.mount(rooted(index=socketed(index)))
    live.start()
    with dial(live) as ws:
        assert ws.recv(WAIT_S) == "still there"


def test_the_client_closes_and_the_page_hears_it(live: Live) -> None:
    """Its code and reason are there; a page that waits for something else is not cancelled at once."""
    seen: dict[str, Any] = {}
    over = threading.Event()

    async def index(ws: WebSocket) -> None:
        await ws.send("hello")
        try:
            await ws.receive()
        except WebSocketClosed as closed:
            seen["closed"] = closed.code, closed.reason
        await asyncio.sleep(0.01)
        over.set()

    live.mount(rooted(index=socketed(index)))
    live.start()
    with dial(live) as ws:
        ws.recv(WAIT_S)
        ws.close(4321, "bye")

    assert over.wait(WAIT_S)
    assert seen["closed"] == (4321, "bye")


def test_a_client_that_vanishes_is_1006(live: Live) -> None:
    """No farewell came."""
    codes: list[int] = []
    over = threading.Event()

    async def index(ws: WebSocket) -> None:
        await ws.send("hello")
        try:
            await ws.receive()
        except WebSocketClosed as closed:
            codes.append(closed.code)
        over.set()

    live.mount(rooted(index=socketed(index)))
    live.start()
    with dial(live) as ws:
        ws.recv(WAIT_S)
        ws.socket.shutdown(socket.SHUT_RDWR)

        assert over.wait(WAIT_S)
    assert codes == [1006]


def test_a_silent_client_is_pinged_and_given_up(live: Live) -> None:
    """Without an answer in time the conversation ends with 1011."""
    codes: list[int | None] = []
    over = threading.Event()

    async def index(ws: WebSocket) -> None:
        async for _ in ws:
            pass
        codes.append(ws.close_code)
        over.set()

    page = socketed(index, ping_interval=0.05, ping_timeout=0.05, close_timeout=0.05)
    live.mount(rooted(index=page))
    live.start()
    with live.connect() as client:
        client.ask("/", **HANDSHAKE)

        assert client.reply().status == 101
        assert over.wait(WAIT_S)
    assert codes == [1011]


HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_a_page_may_refuse_before_it_accepts(live: Live) -> None:
    """HTTPError, redirects, cookies and headers work until the first accept, send or receive."""

    async def refuse(ws: WebSocket) -> None:
        await asyncio.sleep(0)
        raise cherrypy.HTTPError(403, "members only")

    async def late(ws: WebSocket) -> None:
        await ws.accept()
        raise cherrypy.HTTPError(403)

    async def broken(ws: WebSocket) -> None:
        await ws.accept()
        raise ValueError("broken")

    async def polite(ws: WebSocket) -> None:
        cherrypy.response.headers["X-Mood"] = "good"
        cherrypy.response.cookie["seen"] = "yes"
        await ws.accept("chosen")
        await ws.send("hello")

    live.mount(
        rooted(refuse=socketed(refuse), late=socketed(late), broken=socketed(broken), polite=socketed(polite)),
    )
    live.start()
    with pytest.raises(InvalidStatus) as refused:
        dial(live, "/refuse")
    codes = []
    for path in ("/late", "/broken"):
        with dial(live, path) as ws, pytest.raises(ConnectionClosed) as caught:
            ws.recv(WAIT_S)
        codes.append(caught.value.rcvd and caught.value.rcvd.code)
    with dial(live, "/polite", subprotocols=["chosen"]) as ws:  # type: ignore[list-item]
        assert ws.response is not None
        headers = ws.response.headers
        agreed = ws.subprotocol

    assert refused.value.response.status_code == 403
    assert b"members only" in (refused.value.response.body or b"")
    assert codes == [1008, 1011]
    assert headers["X-Mood"] == "good"
    assert "seen=yes" in headers["Set-Cookie"]
    assert agreed == "chosen"


def test_handshakes_that_are_none_get_their_status(live: Live) -> None:
    """426 with the field that says why, 400, 403 for pages of other sites; a tool before it may refuse too."""

    async def guarded(ws: WebSocket) -> None:
        raise AssertionError("the page must not begin")

    guarded = cherrypy.tools.auth_basic(realm="x", checkpassword=lambda *_: False)(guarded)
    live.mount(rooted(index=socketed(echo), guarded=socketed(guarded)))
    live.start()
    with live.connect() as client:
        plain = client.get("/")
        old = client.get("/", **{**HANDSHAKE, "Sec-WebSocket-Version": "8"})
        keyless = client.get("/", **{**HANDSHAKE, "Sec-WebSocket-Key": "x"})
        foreign = client.get("/", **HANDSHAKE, Origin="http://evil.test")
        locked = client.get("/guarded", **HANDSHAKE)
        own = client.get("/", **HANDSHAKE, Origin="http://site.test")

    assert (plain.status, plain.headers["upgrade"]) == (426, "websocket")
    assert (old.status, old.headers["sec-websocket-version"]) == (426, "13")
    assert [keyless.status, foreign.status, locked.status, own.status] == [400, 403, 401, 101]
    assert own.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert own.headers["connection"] == "Upgrade"
    assert "content-type" not in own.headers
    assert "content-length" not in own.headers


def test_subprotocols_are_agreed_upon(live: Live) -> None:
    """The page's preference among those offered."""

    async def index(ws: WebSocket) -> None:
        await ws.send(ws.subprotocol or "none")

    live.mount(rooted(index=socketed(index, subprotocols=["v2", "v1"])))
    live.start()
    with dial(live, subprotocols=["v1", "v2"]) as ws:  # type: ignore[list-item]
        both = ws.recv(WAIT_S), ws.subprotocol
    with dial(live) as ws:
        neither = ws.recv(WAIT_S), ws.subprotocol

    assert both == ("v2", "v2")
    assert neither == ("none", None)


def test_a_session_is_free_while_a_conversation_lasts(live: Live) -> None:
    """It is saved, and its lock released, with the 101; what it held stays readable."""

    async def talk(ws: WebSocket) -> None:
        cherrypy.session["talked"] = "yes"
        async for _ in ws:
            await ws.send(str(cherrypy.session.get("talked")))

    def index() -> str:
        cherrypy.session.setdefault("seen", "yes")
        return str(cherrypy.session.get("talked"))

    live.mount(rooted(talk=socketed(talk), index=index), config={"/": {"tools.sessions.on": True}})
    live.start()
    cookie = live.get("/").headers["set-cookie"].split(";")[0]
    with dial(live, "/talk", additional_headers={"Cookie": cookie}) as ws:
        beside = live.get("/", Cookie=cookie).body
        ws.send("?")
        inside = ws.recv(WAIT_S)

    assert beside == b"yes"
    assert inside == "yes"


def test_a_plain_function_converses_in_a_thread_of_its_own(live: Live) -> None:
    """The same methods, not to be awaited; more of them than the pool has threads."""

    def index(ws: Any, name: str) -> None:
        for message in ws:
            ws.send(f"{name} {cherrypy.request.path_info} {message}")
        ws.close()

    live.mount(rooted(index=socketed(index)))
    live.start(threads=1)
    with ExitStack() as stack:
        sockets = [stack.enter_context(dial(live, f"/?name={number}")) for number in range(5)]
        for ws in sockets:
            ws.send("hello")
        answers = [ws.recv(WAIT_S) for ws in sockets]

    assert answers == [f"{number} / hello" for number in range(5)]


def test_a_drain_says_that_the_server_goes_away(live: Live) -> None:
    """1001, and the server ends without waiting for its deadline; newcomers get it too."""
    live.mount(rooted(index=socketed(echo)))
    live.start()
    drained: list[bool] = []
    draining = threading.Thread(target=lambda: drained.append(live.server.drain(WAIT_S)))
    with dial(live) as first:
        first.send("x")
        first.recv(WAIT_S)
        draining.start()
        with pytest.raises(ConnectionClosed) as caught:
            first.recv(WAIT_S)
    draining.join(WAIT_S)
    with dial(live) as second, pytest.raises(ConnectionClosed) as again:
        second.recv(WAIT_S)

    assert drained == [True]
    assert [one.value.rcvd and one.value.rcvd.code for one in (caught, again)] == [1001, 1001]
    assert live.server.stop(WAIT_S)


def test_a_stop_cuts_off_a_page_that_does_not_end(live: Live) -> None:
    """The client is told first; then the deadline holds."""
    begun, cancelled = threading.Event(), threading.Event()

    async def index(ws: WebSocket) -> None:
        await ws.accept()
        begun.set()
        try:
            await asyncio.sleep(WAIT_S * 10)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    live.mount(rooted(index=socketed(index)))
    live.start()
    with dial(live) as ws:
        assert begun.wait(WAIT_S)
        live.server.stop(0.3)

        assert cancelled.wait(WAIT_S)
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(WAIT_S)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1001


def test_under_wsgi_it_is_501(live: Live) -> None:
    """Another server has the socket; the text says so."""
    app = live.mount(rooted(index=socketed(echo)))
    app.wsgiapp.pipeline.append(("nothing", lambda nextapp: nextapp))
    reply = live.start().get("/", **HANDSHAKE)

    assert reply.status == 501
    assert b"framework&#x27;s own server" in reply.body or b"framework's own server" in reply.body


@pytest.mark.parametrize("kind", ["function", "coroutine", "stand-in"])
def test_a_wrapper_is_never_left_out(live: Live, kind: str) -> None:
    """One that may be a guard cannot stand around a conversation: that is an error, not a hole."""
    ran: list[str] = []

    async def index(ws: WebSocket) -> None:
        ran.append("page")
        await ws.send("x")

    def stand_in() -> None:
        inner = cherrypy.request.handler
        cherrypy.request.handler = lambda: inner()

    def wrap(next_handler: Any) -> Any:
        return next_handler()

    async def wrap_later(next_handler: Any) -> Any:
        return await next_handler()

    tools = cherrypy._cptools.Toolbox("wrapping")
    tools.guard = {
        "function": cherrypy._cptools.HandlerWrapperTool(wrap),
        "coroutine": cherrypy._cptools.HandlerWrapperTool(wrap_later),
        "stand-in": cherrypy.Tool("before_handler", stand_in),
    }[kind]
    app = live.mount(rooted(index=socketed(index)), config={"/": {"wrapping.guard.on": True}})
    app.toolboxes = {**app.toolboxes, "wrapping": tools}
    reply = live.start().get("/", **HANDSHAKE)

    assert reply.status == 500
    assert ran == []


def test_decorated_pages_converse(live: Live) -> None:
    """A plain decorator around a coroutine may refuse; one that hides the coroutine is an error that says so."""

    def guarded(page: Any) -> Any:
        @functools.wraps(page)
        def check(ws: WebSocket, **params: str) -> Any:
            if "word" not in params:
                raise cherrypy.HTTPError(403)
            return page(ws)

        return check

    def hiding(page: Any) -> Any:
        return lambda ws: page(ws)

    live.mount(rooted(index=socketed(guarded(echo)), hidden=socketed(hiding(echo))))
    live.start()
    with dial(live, "/?word=open") as ws:
        ws.send("x")
        answer = ws.recv(WAIT_S)
    hidden = live.get("/hidden", **HANDSHAKE)

    assert answer == "x"
    assert live.get("/", **HANDSHAKE).status == 403
    assert hidden.status == 500
    assert b"functools.wraps" in hidden.body


def test_what_only_formats_results_is_no_hindrance(live: Live) -> None:
    """The encode tool, which is on everywhere, and json_out."""
    page = cherrypy.tools.json_out()(socketed(echo))
    live.mount(rooted(index=page))
    live.start()
    with dial(live) as ws:
        ws.send("x")

        assert ws.recv(WAIT_S) == "x"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give certificate and key of localhost."""
    assert shutil.which("openssl"), "openssl is needed to make a certificate"
    folder = tmp_path_factory.mktemp("tls")
    names = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-out", str(names[0]), "-keyout", str(names[1])], check=True, capture_output=True)
    return names


def test_over_tls(live: Live, certificate: tuple[Path, Path]) -> None:
    """The same conversation, in large messages both ways."""
    live.mount(rooted(index=socketed(echo, max_size=1 << 22, compression=False)))
    listener = Listener(("127.0.0.1", 0), tls=TLS(make_context(*map(str, certificate))))
    live.start(bind=[listener])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with connect(f"wss://127.0.0.1:{live.port}/", ssl=context, max_size=None, open_timeout=WAIT_S) as ws:
        answers = []
        for size in (1, 100_000, 3_000_000):
            ws.send(b"x" * size)
            answers.append(len(ws.recv(WAIT_S)))

    assert answers == [1, 100_000, 3_000_000]
