"""A site of its own on the native server, on port 0, and a client that sees octets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app.native import NativeResponder
from cherrypy.app.tree import Tree
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.server import Server

WAIT_S = 10


class Reply:
    """One answer as it came in."""

    def __init__(self, file: Any, method: str) -> None:
        line = file.readline()
        if not line:
            raise EOFError("the server closed the connection")
        self.status = int(line.split()[1])
        self.pairs: list[tuple[str, str]] = []
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(": ")
            self.pairs.append((name.lower(), value))
        self.headers = dict(self.pairs)
        self.is_whole = True
        self.body = b"" if method == "HEAD" or self.status < 200 or self.status in (204, 304) else self._body(file)

    def _body(self, file: Any) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(file.readline() or b"-1", 16):
                if size < 0:
                    self.is_whole = False
                    return b"".join(parts)
                parts.append(file.read(size))
                file.readline()
            file.readline()
            return b"".join(parts)
        if "content-length" in self.headers:
            body: bytes = file.read(int(self.headers["content-length"]))
            return body
        rest: bytes = file.read()
        return rest


class Client:
    """One connection."""

    def __init__(self, address: Any) -> None:
        self.sock = socket.create_connection(address, timeout=WAIT_S)
        self.file = self.sock.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self.file.close()
        self.sock.close()

    def ask(self, target: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> None:
        """Send a request."""
        fields = {"Host": "site.test", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.sock.sendall("\r\n".join(lines).encode("latin-1") + body)

    def reply(self, method: str = "GET") -> Reply:
        """Read an answer."""
        return Reply(self.file, method)

    def get(self, target: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        """Ask and read."""
        self.ask(target, method, body, **headers)
        return self.reply(method)


class Live:
    """A tree, served."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.site = SimpleNamespace(tree=self.tree, server=SimpleNamespace(trusted_proxies=None))
        self.server: Any = None
        self.thread: Any = None

    def mount(self, root: Any, script_name: str = "", config: Any = None) -> cherrypy.Application:
        """Mount *root*."""
        return self.tree.mount(root, script_name, config)

    def start(self, threads: int = 4, bind: Any = ("127.0.0.1", 0), **limits: Any) -> Live:
        """Serve."""
        self.server = Server(bind, NativeResponder(self.site), limits=Limits(**limits), threads=threads)
        self.server.prepare()
        self.thread = threading.Thread(target=self.server.serve, daemon=True)
        self.thread.start()
        return self

    def connect(self) -> Client:
        """Open a connection."""
        return Client(self.server.bind_addr)

    def get(self, target: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        """Ask on a connection of its own."""
        with self.connect() as client:
            return client.get(target, method, body, **headers)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.bind_addr[1])


@pytest.fixture
def live() -> Iterator[Live]:
    """Give a site that is not served yet; stopped after the test, with the process's configuration put back."""
    before = dict(cherrypy.config)
    screen = cherrypy.log.screen
    cherrypy.log.screen = False
    served = Live()
    yield served
    if served.server is not None:
        served.server.stop(WAIT_S)
        served.thread.join(WAIT_S)
        assert not served.thread.is_alive()
    cherrypy.log.screen = screen
    cherrypy.config.clear()
    dict.update(cherrypy.config, before)
    cherrypy.config.changed()
    cherrypy.serving.clear()


Rooted = Callable[..., Any]


def rooted(**pages: Any) -> Any:
    """Return a root object with *pages* as exposed methods, called without it."""

    class Root:
        pass

    for name, page in pages.items():
        page.exposed = True
        setattr(Root, name, staticmethod(page))
    return Root()
