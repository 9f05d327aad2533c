"""What each stage of a plain request costs: ``python tests/bench/stage_cost.py``.

No sockets and no server: messages are handed to the native responder. Every line is measured in place: the stages of a
real request are timed by wrapping the functions that stand for them, one at a time, so the sum is about the total.
"""

from __future__ import annotations

import argparse
import io
import timeit
from collections.abc import Callable
from typing import Any

import cherrypy
from cherrypy.app.server import Server
from cherrypy.context import serving
from cherrypy.core.rawheaders import RawHeaders

HEADERS = [(b"Host", b"127.0.0.1:8080"), (b"User-Agent", b"wrk/4.1.0"), (b"Accept", b"*/*")]


class Root:
    """The smallest application."""

    @cherrypy.expose
    def index(self) -> str:
        """Answer."""
        return "Hello, world!"


class Connection:
    """What the responder reads of a connection."""

    peer = ("192.0.2.1", 50000)
    local = ("127.0.0.1", 8080)
    scheme = "http"


class Message:
    """What the responder reads of a message."""

    method = "GET"
    target = path = "/"
    query = ""
    version = (1, 1)
    headers = HEADERS
    body = io.BytesIO()
    has_body = False
    connection = Connection()

    @staticmethod
    def entering(key: object) -> None:
        """Forget which page runs."""


def cost_us(call: Callable[[], Any], number: int) -> float:
    """Return the time of one *call*, the best of many rounds, in microseconds."""
    return min(timeit.repeat(call, number=number, repeat=30)) / number * 1e6


def stages(respond: Any, app: Any) -> list[tuple[str, Callable[[], Any]]]:
    """Return (name, function that does that stage alone), with a prepared request in place."""
    message: Any = Message()
    respond(message)
    request, response = app.get_serving(None, None, "http", "HTTP/1.1")
    request._source = RawHeaders(HEADERS, "192.0.2.1")
    request._message = message
    request.run("GET", "/", "", "HTTP/1.1", request._source, message.body)
    dispatch = request.dispatch
    plan = request._plan

    def finalize() -> None:
        response.headers.pop("Content-Length", None)
        response.finalize()

    def handler() -> None:
        dispatch("/")
        request.handler()

    def serve_and_release() -> None:
        app.get_serving(None, None, "http", "HTTP/1.1")
        app.release_serving()
        serving.load(request, response)

    def hooks() -> None:
        request.handler = None
        for point in plan.points:
            if point in ("before_handler", "before_finalize"):
                request._run_hooks(point)

    return [
        ("new request and response, forget them", serve_and_release),
        ("are the plans still good", lambda: app.plans.refresh(request, app)),
        ("dispatch: walk, plan, handler", lambda: dispatch("/")),
        ("dispatch and the page itself", handler),
        ("hooks of the default tools", hooks),
        ("finalize: status, length, headers in bytes", finalize),
        ("access log that nobody reads", app.log.access),
        ("headers, if someone looks at them", RawHeaders(HEADERS, "192.0.2.1").parse),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=2000, help="calls in a round")
    number = parser.parse_args().number
    cherrypy.config.update({"log.screen": False})
    app = cherrypy.tree.mount(Root(), "/")
    respond: Any = Server.current_responder()
    message = Message()
    calibration = cost_us(lambda: None, 100_000)
    print(f"{calibration * 1000:8.0f} ns  an empty call (to compare machines)")
    print(f"{cost_us(lambda: respond(message), number):8.2f} us  the whole request")
    for name, stage in stages(respond, app):
        print(f"{cost_us(stage, number):8.2f} us    {name}")


if __name__ == "__main__":
    main()
