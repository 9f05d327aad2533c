"""What one request costs inside a framework: ``python inside.py wsgi|native ROUNDS NUMBER``, under any CherryPy.

No sockets. As WSGI, a request is an environ handed to the tree and its answer read and closed; natively, it is a parsed
message handed to the responder of the native server. Prints {page: [microseconds of each round]} as JSON.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import cherry_app

import cherrypy

# page: (path, query, what must be in the answer)
PAGES = {
    "hello": ("/", "", b"Hello, world!"),
    "item": ("/item/7", "colour=blue", b"item 7 is blue"),
    "json": ("/data", "", b'"nested"'),
}
HEADERS = [("Host", "127.0.0.1:8080"), ("User-Agent", "wrk/4.1.0"), ("Accept", "*/*")]


def environ(path: str, query: str) -> dict[str, Any]:
    """What a WSGI server hands over for a small GET."""
    made = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "ACTUAL_SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "50000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    return {**made, **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in HEADERS}}


def by_wsgi(path: str, query: str) -> Any:
    """Return a function that makes one request through the tree."""
    template = environ(path, query)
    tree = cherrypy.tree

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        assert status == "200 OK"

    def ask() -> bytes:
        answer = tree(template.copy(), start_response)
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        return body

    return ask


class Connection:
    """What the responder reads of a connection."""

    peer = ("192.0.2.1", 50000)
    local = ("127.0.0.1", 8080)
    scheme = "http"


class Message:
    """What the responder reads of a message."""

    method = "GET"
    version = (1, 1)
    headers = [(name.encode(), value.encode()) for name, value in HEADERS]
    body = io.BytesIO()
    has_body = names_charset = False
    batch = None
    connection = Connection()

    def __init__(self, path: str, query: str) -> None:
        self.target = f"{path}?{query}"
        self.path = path
        self.query = query

    @staticmethod
    def entering(key: object) -> None:
        """Forget which page runs."""


def natively(path: str, query: str) -> Any:
    """Return a function that makes one request through the native responder."""
    from cherrypy.app.server import Server  # the rival has no such module

    respond: Any = Server.current_responder()
    message = Message(path, query)

    def ask() -> bytes:
        _, _, body, close = respond(message)
        whole = b"".join(body)
        if close is not None:
            close()
        return whole

    return ask


def main() -> None:
    """Measure every page in turn, round by round."""
    way, rounds, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    cherrypy.config.update(cherry_app.QUIET)
    cherrypy.tree.mount(cherry_app.Root(), "/")
    make = natively if way == "native" else by_wsgi
    calls = {page: make(path, query) for page, (path, query, _) in PAGES.items()}
    costs: dict[str, list[float]] = {page: [] for page in PAGES}
    for page, (_, _, expected) in PAGES.items():
        for _ in range(20):
            answer = calls[page]()
            assert expected in answer, answer
    for _ in range(rounds):
        for page, ask in calls.items():
            begin = time.process_time()
            for _ in range(number):
                ask()
            costs[page].append((time.process_time() - begin) / number * 1e6)
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
