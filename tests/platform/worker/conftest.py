"""A voice to speak with, the process as it was, and workers that really run."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kirsch.link.order import Limits, Order
from kirsch.scoreboard import Scoreboard
from kirsch.spec import App
from kirsch.spec.stack import dump_json
from kirsch.worker.voice import Voice

SHOP = """
import os, sys, threading, time, cherrypy
told = threading.Event()
cherrypy.engine.subscribe("drain", told.set)
class Root:
    @cherrypy.expose
    def until_told(self): return "told" if told.wait(30) else "never told"
    @cherrypy.expose
    def index(self): return os.getcwd()
    @cherrypy.expose
    def sleep(self, s): time.sleep(float(s)); return "slept"
    @cherrypy.expose
    @cherrypy.tools.drain(timeout=0.2)
    def briefly(self, s): time.sleep(float(s)); return "never seen"
    @cherrypy.expose
    @cherrypy.tools.drain(timeout=60)
    def patiently(self, file):
        while not os.path.exists(file): time.sleep(0.01)
        return "finished"
    @cherrypy.expose
    def base(self): return f"{cherrypy.request.base} {cherrypy.request.remote.ip}"
    @cherrypy.expose
    def stop(self): cherrypy.engine.exit(); return "stopping"
def endless():
    while True:
        yield b"x" * 1000
        time.sleep(0.001)
def wsgi(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/endless":
        return endless()
    if environ["PATH_INFO"] == "/spawn":
        os.system("sleep 12 >/dev/null 2>&1 &")
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]
"""


@pytest.fixture
def make_voice(tmp_path: Path) -> Callable[..., Voice]:
    """Returns a voice for an order about *tmp_path*, of a worker that says "ready"."""

    def make(**order: Any) -> Voice:
        board = str(tmp_path / "board")
        Scoreboard.create(board, 1, 6)
        folder = str(tmp_path)
        made: dict[str, Any] = {
            "stack": "s",
            "pool": "web",
            "seat": 1,
            "record": 1,
            "generation": 3,
            "release": "r7",
            "release_dir": folder,
            "shared_dir": folder,
            "socket_dir": folder,
            "scoreboard": board,
            "apps": (),
        } | order
        voice = Voice(Order(**made))
        voice.enter("ready")
        return voice

    return make


@pytest.fixture
def voice(make_voice: Callable[..., Voice]) -> Voice:
    return make_voice()


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Working directory, ``sys.path``, modules and environment are put back."""
    path, here, environ, modules = list(sys.path), os.getcwd(), dict(os.environ), set(sys.modules)
    yield
    sys.path[:] = path
    os.chdir(here)
    os.environ.clear()
    os.environ.update(environ)
    for name in set(sys.modules) - modules:
        if "under_test" in name:
            del sys.modules[name]


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def is_last(self) -> bool:
        """True where the connection ends with it."""
        return str(self.headers["Connection"]).lower() == "close"


class Started:
    """A running worker."""

    def __init__(self, folder: str, apps: tuple[App, ...], **order: Any) -> None:
        self.board = Scoreboard.create(f"{folder}/b", 2, 8)
        self.read, write = os.pipe()
        self.order = made = Order(
            stack="s",
            pool="web",
            seat=1,
            record=1,
            generation=7,
            release="r1",
            release_dir=folder,
            shared_dir=folder,
            socket_dir=folder,
            scoreboard=f"{folder}/b",
            apps=apps,
            report_fd=write,
            **{"threads": 2, "limits": Limits(drain_s=5)} | order,
        )
        path = Path(folder, "order.json")
        path.write_bytes(dump_json(made))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kirsch.worker", str(path)], pass_fds=(write,), stderr=subprocess.PIPE
        )
        os.close(write)
        self.reports = os.fdopen(self.read, "rb")

    def ready(self) -> str:
        """Wait until it serves; return where."""
        report = self.wait_until("ready", "failed")
        assert report["state"] == "ready", report
        return str(report["socket"])

    def wait_until(self, *states: str) -> dict[str, Any]:
        """Return the first report of one of *states*."""
        for line in self.reports:
            report: dict[str, Any] = json.loads(line)
            if report["state"] in states:
                return report
        raise AssertionError(f"it ended: {self.process.communicate()}")

    def wait_until_inside(self) -> None:
        """Return once it is inside of a request."""
        while not self.board.read(1).running:
            assert self.process.poll() is None

    def connect(self, path: str) -> socket.socket:
        """Open a connection to the worker's socket."""
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(10)
        line.connect(path)
        return line

    def ask(
        self, line: socket.socket, target: str = "/", method: str = "GET", body: bytes | None = None, host: str = "h"
    ) -> Answer:
        """Ask on an open connection."""
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n"
        head += f"Content-Length: {len(body)}\r\n" if body is not None else ""
        line.sendall(head.encode("latin-1") + b"\r\n" + (body or b""))
        answer = http.client.HTTPResponse(line, method=method)
        answer.begin()
        return Answer(answer.status, answer.headers, answer.read())

    def fetch(
        self, path: str, target: str = "/", method: str = "GET", body: bytes | None = None, host: str = "h"
    ) -> Answer:
        """Ask once."""
        with self.connect(path) as line:
            return self.ask(line, target, method, body, host)

    @staticmethod
    def body_of(answer: bytes) -> bytes:
        """The body of a whole answer in raw octets, which is not in chunks."""
        assert b"chunked" not in answer
        return answer.partition(b"\r\n\r\n")[2]

    def end(self) -> int:
        """Have it drain; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def get(self, path: str, target: str, extra: str = "") -> bytes:
        """Ask once; the whole answer."""
        with self.connect(path) as line:
            line.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{extra}\r\n".encode())
            data = b""
            while piece := line.recv(65536):
                data += piece
        return data


@pytest.fixture
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="kw", dir="/tmp") as made:
        Path(made, "shop_under_test.py").write_text(SHOP)
        yield made


@pytest.fixture
def start_worker(folder: str) -> Iterator[Callable[..., Started]]:
    """Returns a starter of workers: apps, and what their orders say besides."""
    made: list[Started] = []

    def starter(*apps: App, **order: Any) -> Started:
        made.append(Started(folder, apps or (App(name="shop", entry="shop_under_test:Root"),), **order))
        return made[-1]

    yield starter
    for worker in made:
        worker.process.kill()
        worker.process.communicate()
        worker.reports.close()
