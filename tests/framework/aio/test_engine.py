"""A whole process: the engine starts and stops the event loop with everything that runs on it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .conftest import WAIT_S, Client

PROGRAM = """
import asyncio, sys, threading
import cherrypy

class Root:
    @cherrypy.expose
    async def index(self):
        await asyncio.sleep(0)
        cherrypy.tree.background = asyncio.create_task(self.forever())
        return "hello"

    async def forever(self):
        try:
            await asyncio.sleep(3600)
        finally:
            print("background cancelled", flush=True)

    @cherrypy.expose
    async def leave(self):
        cherrypy.engine.exit()
        return "left"

    @cherrypy.expose
    @cherrypy.tools.sse()
    async def events(self):
        yield "one"
        await asyncio.sleep(3600)

    @cherrypy.expose
    @cherrypy.tools.websocket()
    async def echo(self, ws):
        async for message in ws:
            await ws.send(message)

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            print(event["type"], flush=True)
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})

def ready():
    # when the engine has started: an exit before that is an emergency
    cherrypy.engine.unsubscribe("main", ready)
    print(cherrypy.server.bound_addr[1], flush=True)

cherrypy.config.update({"server.socket_port": 0, "log.screen": False, "engine.autoreload.on": False})
cherrypy.tree.graft(asgi, "/asgi")
cherrypy.engine.subscribe("main", ready)
cherrypy.engine.subscribe("exit", lambda: print("threads", len(threading.enumerate()), flush=True), 95)
cherrypy.quickstart(Root())
"""


class Running:
    """The program, served."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.lines = [self.process.stdout.readline().strip()]
        self.port = int(self._next())

    def _next(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str, float]:
        """Wait for the end; return the exit code, what was printed, and how long it took."""
        start = time.monotonic()
        out, _ = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out, time.monotonic() - start


@pytest.fixture
def running() -> Iterator[Running]:
    """Give the program; it is killed if a test leaves it behind."""
    program = Running()
    yield program
    program.process.kill()
    program.process.communicate()


def test_a_signal_ends_everything_politely(running: Running) -> None:
    """Conversations hear 1001, streams end, background tasks are cancelled, lifespans shut down: all of it at once."""
    with Client(("127.0.0.1", running.port)) as client, Client(("127.0.0.1", running.port)) as streaming:
        bodies = [client.get("/").body, client.get("/asgi").body]
        streaming.ask("/events")
        streaming.file.readline()
        with connect(f"ws://127.0.0.1:{running.port}/echo", open_timeout=WAIT_S) as ws:
            ws.send("x")
            ws.recv(WAIT_S)
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(WAIT_S)
        rest = streaming.file.read()
    code, out, took_s = running.end()

    assert bodies == [b"hello", b"asgi"]
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert rest.endswith(b"0\r\n\r\n")
    assert code == 0
    assert "background cancelled" in out
    assert "lifespan.shutdown" in out
    assert took_s < 4
    assert running.lines == ["lifespan.startup"]


def test_a_coroutine_may_end_its_own_process(running: Running) -> None:
    """It is answered first; the engine does not wait for itself."""
    with Client(("127.0.0.1", running.port)) as client:
        reply = client.get("/leave")
    code, _, took_s = running.end()

    assert reply.body == b"left"
    assert code == 0
    assert took_s < 8
