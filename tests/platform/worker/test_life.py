"""A worker process by itself: started by hand, heard through its pipe, ended by a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.link.order import SHED_SIGNAL, Limits, Order
from kirsch.scoreboard import Scoreboard
from kirsch.spec import App
from kirsch.spec.stack import dump_json

SHOP = """
import os, sys, time, cherrypy
class Root:
    @cherrypy.expose
    def index(self): return os.getcwd()
    @cherrypy.expose
    def sleep(self, s): time.sleep(float(s)); return "slept"
    @cherrypy.expose
    def base(self): return f"{cherrypy.request.base} {cherrypy.request.remote.ip}"
    @cherrypy.expose
    def stop(self): cherrypy.engine.exit(); return "stopping"
def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]
"""


class Started:
    """A running worker."""

    def __init__(self, folder: str, apps: tuple[App, ...], **order: Any) -> None:
        self.board = Scoreboard.create(f"{folder}/b", 2, 8)
        self.read, write = os.pipe()
        made = Order(
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

    def wait_until(self, *states: str) -> dict[str, Any]:
        """Return the first report of one of *states*."""
        for line in self.reports:
            report: dict[str, Any] = json.loads(line)
            if report["state"] in states:
                return report
        raise AssertionError(f"it ended: {self.process.communicate()}")

    def connect(self, path: str) -> socket.socket:
        """Open a connection to the worker's socket."""
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(10)
        line.connect(path)
        return line

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
def start(folder: str) -> Iterator[Any]:
    made: list[Started] = []

    def starter(*apps: App, **order: Any) -> Started:
        made.append(Started(folder, apps or (App(name="shop", entry="shop_under_test:Root"),), **order))
        return made[-1]

    yield starter
    for worker in made:
        worker.process.kill()
        worker.process.communicate()
        worker.reports.close()


def test_it_serves_when_it_says_so(start: Any, folder: str) -> None:
    """Own socket with a tight mode, applications beside each other, the record on the scoreboard."""
    worker = start(
        App(name="shop", entry="shop_under_test:Root"), App(name="old", entry="shop_under_test:wsgi", mount="/old")
    )
    report = worker.wait_until("ready", "failed")

    assert report["socket"] == f"{folder}/web.1.{worker.process.pid}.sock"
    assert os.stat(report["socket"]).st_mode & 0o177 == 0
    assert worker.get(report["socket"], "/").endswith(folder.encode())
    assert worker.get(report["socket"], "/old/a%20b").endswith(b"/old|/a b")
    assert worker.get(report["socket"], "/readyz").startswith(b"HTTP/1.1 200")
    assert worker.board.read(1).state == "ready"
    assert worker.board.read(1).pid == worker.process.pid
    assert worker.board.read(1).counters.finished == 2


def test_it_believes_the_proxy_in_front(start: Any) -> None:
    """Nginx is the only one who reaches the socket."""
    worker = start()
    path = worker.wait_until("ready", "failed")["socket"]
    extra = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"

    assert worker.get(path, "/base", extra).endswith(b"https://shop.example 192.0.2.7")


def test_sigterm_drains(start: Any) -> None:
    """What runs is finished, a kept connection gets its last answer with close, then it leaves with 0."""
    worker = start()
    path = worker.wait_until("ready", "failed")["socket"]
    kept = worker.connect(path)
    kept.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    first = kept.recv(65536)
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(worker.get(path, "/sleep?s=1")))
    thread.start()
    while not worker.board.read(1).running:
        pass
    worker.process.send_signal(signal.SIGTERM)
    worker.wait_until("draining")
    not_ready = worker.get(path, "/readyz")
    thread.join()
    kept.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    last = kept.recv(65536)
    rest = kept.recv(65536)
    kept.close()

    assert b"connection: close" not in first.lower()
    assert not_ready.startswith(b"HTTP/1.1 503")
    assert answers[0].endswith(b"slept")
    assert last.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in last.lower()
    assert rest == b""
    assert worker.wait_until("stopped")
    assert worker.process.wait(10) == 0
    assert not os.path.exists(path)


def test_draining_has_an_end(start: Any) -> None:
    """A request that outlasts drain_s is left behind."""
    worker = start(limits=Limits(drain_s=0.5))
    path = worker.wait_until("ready", "failed")["socket"]
    line = worker.connect(path)
    line.sendall(b"GET /sleep?s=60 HTTP/1.1\r\nHost: h\r\n\r\n")
    while not worker.board.read(1).running:
        pass
    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(15) == 0

    line.close()


def test_it_sheds_what_it_has_when_told_to(start: Any) -> None:
    """A connection that was open ends with its next answer, and is not closed before; a new one is kept."""
    worker = start()
    path = worker.wait_until("ready", "failed")["socket"]

    def ask(line: socket.socket) -> bytes:
        line.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        return line.recv(65536)

    with worker.connect(path) as early:
        answers = [ask(early)]
        worker.process.send_signal(SHED_SIGNAL)
        while b"Connection: close" not in answers[-1]:
            answers.append(ask(early))
        with worker.connect(path) as late:
            kept = [ask(late) for _ in range(2)]

        assert early.recv(1) == b""
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers + kept)
    assert not [answer for answer in kept if b"Connection: close" in answer]


def test_an_import_error_is_told_whole(start: Any, folder: str) -> None:
    """Step, one line, the application's part of the traceback, status 3; the whole in the log."""
    Path(folder, "bad_under_test.py").write_text("value = 1\nimport nothing_at_all_here\n")
    worker = start(App(name="a", entry="bad_under_test:x"))
    report = worker.wait_until("ready", "failed")

    assert report["state"] == "failed"
    assert report["step"] == "import bad_under_test:x"
    assert report["message"] == "ModuleNotFoundError: No module named 'nothing_at_all_here'"
    assert report["traceback"].splitlines()[1].endswith('bad_under_test.py", line 2, in <module>')
    assert "importlib" not in report["traceback"]
    assert worker.process.wait(10) == 3
    assert b"<frozen importlib" in worker.process.stderr.read()
    assert worker.board.read(1).state == "failed"
    assert not [name for name in os.listdir(folder) if name.endswith(".sock")]


def test_it_outlives_whoever_listened(start: Any) -> None:
    """A closed report pipe is no reason to stop, nor to fail when it drains."""
    worker = start()
    path = worker.wait_until("ready", "failed")["socket"]
    worker.reports.close()

    assert worker.get(path, "/").startswith(b"HTTP/1.1 200")

    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(10) == 0


def test_a_server_that_stops_by_itself_is_a_failure(start: Any) -> None:
    """An application that ends the bus ends the worker with a status that says so, and its parent replaces it."""
    worker = start()
    path = worker.wait_until("ready", "failed")["socket"]
    worker.get(path, "/stop")

    assert worker.wait_until("failed")["step"] == "serve"
    assert worker.process.wait(10) == 3


def test_threads_of_the_application_do_not_hold_it(start: Any, folder: str) -> None:
    """A thread that never ends is left behind."""
    Path(folder, "clingy_under_test.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n"
    )
    worker = start(App(name="a", entry="clingy_under_test:app"))
    worker.wait_until("ready", "failed")
    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(15) == 0


def test_an_engine_that_is_not_there_is_refused(start: Any) -> None:
    """With those that are."""
    worker = start(engine="uwsgi")
    report = worker.wait_until("failed")

    assert "allowed: native" in report["message"]
    assert worker.process.wait(10) == 3
