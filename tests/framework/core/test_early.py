"""What listeners and dispatchers do to a request before its life begins."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cherrypy

from ..conftest import Site

order: list[str] = []


def noting(name: str) -> Callable[..., None]:
    """Return a hook that notes that it ran."""

    def run(**arguments: Any) -> None:
        order.append(name)

    return run


class SetUp(cherrypy.Tool):
    """A tool that attaches its hook for each request anew."""

    def _setup(self) -> None:
        cherrypy.request.hooks.attach("before_finalize", noting("set up"))


class Dispatcher(cherrypy.dispatch.Dispatcher):
    """Attaches hooks before and after the dispatch."""

    def __call__(self, path_info: str) -> None:
        cherrypy.request.hooks.attach("before_finalize", noting("before dispatch"))
        super().__call__(path_info)
        cherrypy.request.hooks.attach("before_finalize", noting("after dispatch"))


box = cherrypy._cptools.Toolbox("early")
box.static = cherrypy.Tool("before_finalize", noting("static"))
box.setup = SetUp("before_finalize", noting("never"))


class Root:
    """Pages with and without tools."""

    @cherrypy.expose
    def plain(self, **arguments: str) -> str:
        return f"{getattr(cherrypy.request, 'note', None)} {arguments} {cherrypy.request.params}"

    @cherrypy.expose
    @cherrypy.config(**{"early.static.on": True})
    def tool(self) -> str:
        return "tool"

    @cherrypy.expose
    @cherrypy.config(**{"early.setup.on": True, "early.static.on": True})
    def both(self) -> str:
        return "both"


@pytest.fixture
def pages(site: Site) -> Site:
    """The pages at '', and behind the dispatcher at /dispatched."""
    order.clear()
    for script_name, config in (("", {}), ("/dispatched", {"/": {"request.dispatch": Dispatcher()}})):
        application = site.mount(Root(), script_name, config)
        application.toolboxes = {**application.toolboxes, "early": box}
    return site


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Subscribe to before_request for one test."""
    listeners: list[Callable[[], Any]] = []

    def subscribe(listener: Callable[[], Any]) -> None:
        listeners.append(listener)
        cherrypy.engine.subscribe("before_request", listener)

    yield subscribe
    for listener in listeners:
        cherrypy.engine.unsubscribe("before_request", listener)


def by_wsgi(site: Site, target: str) -> tuple[int, bytes]:
    """Ask through the tree; status and body."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": target.partition("?")[0],
        "QUERY_STRING": target.partition("?")[2],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "site.test",
        "SERVER_PORT": "80",
        "HTTP_HOST": "site.test",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
    }
    seen: list[str] = []
    answer: Any = site.tree(environ, lambda status, headers, exc_info=None: seen.append(status))
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return int(seen[-1][:3]), body


def natively(site: Site, target: str) -> tuple[int, bytes]:
    """Ask the responder of the native server; status and body."""
    status, _, pieces, close = site.respond(site.message(target, "GET", {}, b"", (1, 1)))
    body = b"".join(pieces)
    if close is not None:
        close()
    return int(status[:3]), body


WAYS = pytest.mark.parametrize("ask", [natively, by_wsgi])


@WAYS
def test_a_listener_finds_the_request_that_begins(pages: Site, listen: Any, ask: Any) -> None:
    """Plugins put things on it; what they do to the parameters does not count, since those are still to be read."""

    def note() -> None:
        cherrypy.request.note = cherrypy.request.app.script_name + "!"
        cherrypy.request.params["extra"] = "1"
        cherrypy.response.headers["X-Noted"] = "1"

    before = [ask(pages, "/plain?a=1") for _ in range(3)]
    listen(note)

    assert before == [(200, b"None {'a': '1'} {'a': '1'}")] * 3
    assert [ask(pages, "/plain?a=1") for _ in range(3)] == [(200, b"! {'a': '1'} {'a': '1'}")] * 3
    assert cherrypy.serving.__dict__ == {}


@WAYS
def test_a_failing_listener_is_answered_with_500(pages: Site, listen: Any, ask: Any) -> None:
    """And leaves no request behind."""

    def fail() -> None:
        raise ValueError("a plugin's fault")

    ask(pages, "/plain")
    listen(fail)
    status, body = ask(pages, "/plain")

    assert status == 500
    assert body.startswith(b"Unrecoverable error in the server.")
    assert cherrypy.serving.__dict__ == {}


@WAYS
@pytest.mark.parametrize(
    ("target", "hooks"),
    [
        ("/plain", ["listener"]),
        ("/tool", ["listener", "static"]),
        ("/both", ["listener", "set up", "static"]),
        ("/dispatched/plain", ["listener", "before dispatch", "after dispatch"]),
        ("/dispatched/tool", ["listener", "before dispatch", "after dispatch", "static"]),
        ("/dispatched/both", ["listener", "before dispatch", "after dispatch", "set up", "static"]),
    ],
)
def test_early_hooks_stand_before_those_of_the_configuration(
    pages: Site, listen: Any, ask: Any, target: str, hooks: list[str]
) -> None:
    """Of one priority, in every request alike, and none of them twice."""
    listen(lambda: cherrypy.request.hooks.attach("before_finalize", noting("listener")))
    for _ in range(3):
        ask(pages, target)

    assert order == hooks * 3
