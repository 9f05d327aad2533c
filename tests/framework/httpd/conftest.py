"""Servers on port 0 and a client that sees octets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.server import Server

from ..pki import Pki


@dataclass
class Running:
    """A server that serves in a thread of its own."""

    server: Server
    thread: threading.Thread
    raised: list[BaseException] = field(default_factory=list)

    def connect(self, timeout_s: float = 10) -> Client:
        """Open a connection to it."""
        address = self.server.bind_addr
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout_s)
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
        else:
            sock = socket.create_connection(address, timeout=timeout_s)
        return Client(sock)

    def exchange(self, data: bytes, *, shut: bool = False) -> bytes:
        """Send *data* on a new connection and read until the server closes."""
        with self.connect() as client:
            client.send(data)
            if shut:
                client.finish()
            return client.read_all()


@dataclass
class Reply:
    """One answer as it came in."""

    status: int
    head: bytes
    headers: dict[str, str]
    body: bytes


class Client:
    """A raw HTTP client."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # octets are to arrive one by one
        self.held = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of it; a server that has refused already may have closed."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def finish(self) -> None:
        """End the input; a server that has refused already may have closed."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def get(self, target: str = "/", extra: str = "", method: str = "GET") -> Reply:
        """One request and its answer."""
        self.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{extra}\r\n".encode("latin-1"))
        return self.reply(is_head=method == "HEAD")

    def read_all(self) -> bytes:
        """Everything until the server closes."""
        parts = [self.held]
        self.held = b""
        with suppress(ConnectionResetError):
            while piece := self.sock.recv(65536):
                parts.append(piece)
        return b"".join(parts)

    def _fill(self) -> None:
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError(f"closed after {self.held!r}")
        self.held += piece

    def reply(self, *, is_head: bool = False) -> Reply:
        """Read one answer."""
        while b"\r\n\r\n" not in self.held:
            self._fill()
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        if is_head or status in (204, 304) or status < 200:
            return Reply(status, head, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Reply(status, head, headers, self._chunks())
        if "content-length" not in headers:
            return Reply(status, head, headers, self.read_all())
        length = int(headers["content-length"])
        while len(self.held) < length:
            self._fill()
        body, self.held = self.held[:length], self.held[length:]
        return Reply(status, head, headers, body)

    def _chunks(self) -> bytes:
        parts = []
        while True:
            while b"\r\n" not in self.held:
                self._fill()
            size_line, _, self.held = self.held.partition(b"\r\n")
            size = int(size_line, 16)
            while len(self.held) < size + 2:
                self._fill()
            parts.append(self.held[:size])
            self.held = self.held[size + 2 :]
            if not size:
                return b"".join(parts)

    def is_closed(self) -> bool:
        """Wait for the server's close; False when it sends something instead, or nothing for a while."""
        try:
            return not self.held and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def hello(message: Message) -> Answer:
    """A responder for tests that look at something else."""
    message.entering("hello")
    return b"200 OK", [(b"Content-Type", b"text/plain")], [b"hello"], None


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate with its key in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return both


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority for certificates."""
    return Pki(tmp_path_factory.mktemp("pki"))


def eventually(is_so: Callable[[], bool], steps: int = 500) -> bool:
    """Wait for something that is about to happen; False if it does not.

    Bounded in steps, not by the clock: after a pause of the whole process (a collection of garbage, a machine that was
    halted) the others get their time, too.
    """
    for _ in range(steps):
        if is_so():
            return True
        time.sleep(0.01)
    return is_so()


Serve = Callable[..., Running]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers; all of them are stopped after the test, and must have ended well."""
    started: list[Running] = []

    def start(respond: Any = hello, *, bind: Any = ("127.0.0.1", 0), threads: int = 4, **limits: Any) -> Running:
        server = Server(bind, respond, limits=Limits(**limits), threads=threads)
        server.prepare()
        raised: list[BaseException] = []

        def run() -> None:
            try:
                server.serve()
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run, daemon=True)
        running = Running(server, thread, raised)
        thread.start()
        started.append(running)
        return running

    yield start
    for running in started:
        running.server.stop(5)
        running.thread.join(5)
        assert not running.thread.is_alive()
