"""The health gate against a small server of our own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from kirsch.errors import GateFailed
from kirsch.link import uwsgi
from kirsch.release.gate import Question, Reply, pass_gate, public_questions, put_question, worker_questions
from kirsch.release.status import Pool, Status, Worker
from kirsch.spec import App, HostPaths, Listen, Maintenance, Stack


class Answers(BaseHTTPRequestHandler):
    """/ answers 200, /missing/ 404, /broken/ 500, /late/ 503 once and then 200."""

    seen: list[str] = []

    def do_GET(self) -> None:
        """Answer by path."""
        late = 200 if "/late/" in self.seen else 503
        self.seen.append(self.path)
        status = {"/": 200, "/missing/": 404, "/broken/": 500, "/late/": late}[self.path]
        body = f"status {status} for {self.headers['Host']}".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """A port that answers."""
    Answers.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def with_mounts(stack: Stack, port: int, *mounts: str) -> Stack:
    """The stack with an app on each of *mounts*, on that port."""
    apps = {f"app{number}": App(name=f"app{number}", entry="a:b", mount=mount) for number, mount in enumerate(mounts)}
    vhost = msgspec.structs.replace(
        stack.vhosts["main"],
        names=("shop.example",),
        apps=tuple(apps),
        listen=(Listen(address="127.0.0.1", port=port),),
    )
    return msgspec.structs.replace(stack, apps=apps, vhosts={"main": vhost})


def asked(stack: Stack, port: int, *mounts: str) -> tuple[Question, ...]:
    """What is asked through nginx for that."""
    return public_questions(with_mounts(stack, port, *mounts))


def test_every_mount_is_asked(stack: Stack, port: int) -> None:
    """A page that is not there is the application's own affair: somebody answered."""
    assert pass_gate(asked(stack, port, "/", "/missing")) == 2
    assert Answers.seen == ["/", "/missing/"]


def test_host_is_the_name_of_the_vhost(stack: Stack, port: int) -> None:
    """So that the right vhost answers, on whatever address it listens."""
    (question,) = public_questions(with_mounts(stack, port, "/"))

    assert put_question(question).body == "status 200 for shop.example"


def test_server_error_shuts_the_gate(stack: Stack, port: int) -> None:
    """The error names the address and shows the page."""
    with pytest.raises(GateFailed, match=r"/broken/.*answers 500") as caught:
        pass_gate(asked(stack, port, "/broken"), patience_s=0)

    assert "status 500" in caught.value.output


def test_gate_has_patience(stack: Stack, port: int) -> None:
    """A moment of 503 is forgiven."""
    assert pass_gate(asked(stack, port, "/late"), patience_s=20) == 1


def test_nobody_there_shuts_the_gate(stack: Stack) -> None:
    """A dead port is an answer too: it does not answer."""
    with pytest.raises(GateFailed, match="does not answer"):
        pass_gate(asked(stack, 1, "/"), patience_s=0)


def test_wildcard_names_are_asked_by_one_of_them(stack: Stack) -> None:
    """*.shop.example has no name of its own."""
    vhost = msgspec.structs.replace(stack.vhosts["main"], names=("*.shop.example",))

    assert public_questions(msgspec.structs.replace(stack, vhosts={"main": vhost}))[0].host == "any.shop.example"


class UnixServer(ThreadingHTTPServer):
    """The same over a Unix socket."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        """Bind without asking for the name of the host."""
        self.socket.bind(self.server_address)


def test_every_worker_is_asked_on_its_own_socket(stack: Stack, tmp_path: Path) -> None:
    """An answer through nginx may come from an old worker on a kept connection; this one cannot."""
    paths = HostPaths(root=str(tmp_path), run=str(tmp_path))
    (tmp_path / "workers").mkdir()
    workers = [Worker(name="web.1", pid=11, state="ready"), Worker(name="web.2", pid=12, state="draining")]
    status = Status(stack="shop", pid=1, pools=[Pool(name="web", workers=workers)])
    (question,) = worker_questions(with_mounts(stack, 1, "/"), status, paths)
    server = UnixServer(paths.worker_socket("web", 1, 11), Answers)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    reply = put_question(question)
    server.shutdown()
    thread.join()
    server.server_close()

    assert reply.body == "status 200 for shop.example"
    assert str(question) == "web.1: GET /"


def test_a_worker_that_speaks_uwsgi_is_asked_in_it(stack: Stack, tmp_path: Path) -> None:
    """Its answer is one of HTTP's, which ends with the connection."""
    spoken = msgspec.structs.replace(stack.pools["web"], engine="uwsgi", protocol="uwsgi")
    stack = msgspec.structs.replace(with_mounts(stack, 1, "/"), pools={"web": spoken})
    status = Status(
        stack="shop", pid=1, pools=[Pool(name="web", workers=[Worker(name="web.1", pid=11, state="ready")])]
    )
    paths = HostPaths(root=str(tmp_path), run=str(tmp_path))
    (tmp_path / "workers").mkdir()
    (question,) = worker_questions(stack, status, paths)
    seen = []

    def answer(listener: socket.socket) -> None:
        line, _ = listener.accept()
        with line:
            seen.append(uwsgi.unpack(line.recv(65536)))
            line.sendall(b"HTTP/1.1 200 OK\r\n\r\nwell")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(question.socket))
        listener.listen()
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        reply = put_question(question)
        thread.join()

    assert (reply.status, reply.body) == (200, "well")
    assert (seen[0]["REQUEST_METHOD"], seen[0]["PATH_INFO"], seen[0]["HTTP_HOST"]) == ("GET", "/", "shop.example")


def test_failing_application_does_not_use_up_patience(stack: Stack) -> None:
    """A 500 of the application's own will not heal in ten seconds: the old release must come back soon."""
    answers = iter([Reply(500, "database gone")] * 100)
    began = time.monotonic()
    with pytest.raises(GateFailed, match="answers 500"):
        pass_gate(asked(stack, 1, "/"), ask=lambda question: next(answers))

    assert time.monotonic() - began < 5


def test_a_vhost_that_is_meant_to_be_silent_is_not_asked(stack: Stack, port: int) -> None:
    """Under maintenance it answers 503 to everybody, left out it answers nobody: neither is the release's fault."""
    served = with_mounts(stack, port, "/")
    closed = msgspec.structs.replace(served.vhosts["main"], maintenance=Maintenance())
    under_maintenance = msgspec.structs.replace(served, vhosts={"main": closed})

    assert len(public_questions(served)) == 1
    assert public_questions(served, {"main"}) == ()
    assert public_questions(under_maintenance) == ()
