"""The short way and the long way through WSGI cannot be told apart from outside."""

from __future__ import annotations

import gc
import io
import sys
import threading
import weakref
from typing import Any
from wsgiref.validate import validator

import pytest

import cherrypy
from cherrypy.app import plainpage
from cherrypy.app.application import Application

from .plainsite import ARGUMENTS, DATA, PATHS, QUERIES, Root


def make_application(script_name: str = "") -> Application:
    """The pages of the other test, as an application."""
    application = Application(
        Root(), script_name, {"/": {"environment_of_the_test": 1, "request.show_tracebacks": False}}
    )
    application.log.screen = False
    application.log.access_log.propagate = False  # pytest reads every log: most requests would have a reader
    return application


def ask(application: Any, path: str, query: str = "", **fields: Any) -> tuple[str, list[tuple[str, str]], bytes]:
    """Send one environ; status, headers but the date, and body come back."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "example.test",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "5",
        "HTTP_HOST": "example.test",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **fields,
    }
    seen: list[Any] = []
    answer = application(environ, lambda status, headers, exc_info=None: seen.append((status, headers)))
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    status, headers = seen[-1]
    return status, [field for field in headers if field[0] != "Date"], body


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each request that began the short way has ended there."""
    taken: list[bool] = []
    original = plainpage.serve

    def serve(*args: Any) -> Any:
        finished = original(*args)
        taken.append(finished is not None)
        return finished

    monkeypatch.setattr(plainpage, "serve", serve)
    return taken


CASES = [(path, "") for path in [*(f"/{name}" for name in PATHS), "/", "/shelf", "/shelf/", "/absent", *ARGUMENTS]]
CASES += [(path, query) for path in ("/item/7", "/number/7", "/nothing", "/") for query in QUERIES]
CASES += [("/data", f"what={what}") for what in DATA]


@pytest.mark.parametrize("fields", [{}, {"HTTP_ACCEPT_CHARSET": "iso-8859-1"}], ids=["plain", "charset"])
@pytest.mark.parametrize(("path", "query"), CASES)
def test_both_ways_give_the_same_answer(
    monkeypatch: pytest.MonkeyPatch, path: str, query: str, fields: dict[str, str]
) -> None:
    """Whatever a page does."""
    application = make_application()
    short = [ask(application, path, query, **fields) for _ in range(3)]
    monkeypatch.setattr(Application, "answer_shortly", None)

    assert short == [ask(application, path, query, **fields)] * 3


@pytest.mark.parametrize(("path", "query"), [("/", ""), ("/item/7", "a=b"), ("/data", "")])
def test_plain_pages_go_the_short_way(ways: list[bool], path: str, query: str) -> None:
    """From the second request on."""
    application = make_application()
    for _ in range(3):
        ask(application, path, query)

    assert ways == [True, True]


@pytest.mark.parametrize(
    "fields",
    [
        {"REQUEST_METHOD": "HEAD"},
        {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "0"},
        {"CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(b"abc")},
        {"SERVER_PROTOCOL": "HTTP/1.0"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"HTTP_HOST": ""},
        {"wsgi.url_encoding": "utf-8"},
    ],
)
def test_anything_else_goes_the_long_way(ways: list[bool], fields: dict[str, Any]) -> None:
    """What is not plain."""
    application = make_application()
    for _ in range(3):
        ask(application, "/", **fields)

    assert ways == []


@pytest.mark.parametrize("fields", [{}, {"REQUEST_METHOD": "HEAD"}], ids=["the short way", "the long way"])
def test_whoever_asks_is_told_which_page_runs(ways: list[bool], fields: dict[str, Any]) -> None:
    """In the thread of the request, before the page; handlers without code are told by their class."""
    told: list[Any] = []

    class Pages:
        @cherrypy.expose
        def index(self) -> str:
            told.append("the page")
            return "x"

    application = Application(Pages())
    for _ in range(2):
        ask(application, "/", **{"cherrypy.entering": told.append, **fields})
    ask(application, "/absent", **{"cherrypy.entering": told.append, **fields})

    assert told == [Pages.index.__code__, "the page"] * 2 + [cherrypy.NotFound]
    assert ways == ([] if fields else [True])


def test_a_request_knows_where_it_came_from() -> None:
    """Client, server, login, headers and environ."""

    class Where:
        @cherrypy.expose
        def index(self) -> str:
            request = cherrypy.request
            seen = [request.remote.ip, request.remote.port, request.remote.name, request.local.name, request.local.port]
            seen += [request.login, request.scheme, request.base, request.multiprocess, request.multithread]
            return repr([*seen, sorted(request.headers.items()), request.wsgi_environ["SERVER_NAME"]])

    application = Application(Where())
    fields = {"REMOTE_USER": "alice", "REMOTE_HOST": "client.test", "wsgi.url_scheme": "https", "HTTP_X_A": "b"}
    first = ask(application, "/", **fields)

    assert [ask(application, "/", **fields) for _ in range(2)] == [first, first]
    assert (
        b"'192.0.2.1', 5, 'client.test', 'example.test', 80, 'alice', 'https', 'https://example.test', True" in first[2]
    )


def test_pep_3333_is_kept() -> None:
    """The standard library's checker finds nothing."""
    application = make_application()
    for _ in range(3):
        assert ask(validator(application), "/", CONTENT_LENGTH="")[0] == "200 OK"


def test_routes_die_with_their_application() -> None:
    """Nothing is kept of applications that are gone."""
    application = make_application()
    for _ in range(3):
        ask(application, "/")
    gone = weakref.ref(application)
    del application
    gc.collect()

    assert gone() is None


def test_requests_that_would_be_mixed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has patched the library since: greenlets of one thread would share what a thread has."""
    monkeypatch.setattr(threading, "local", type("local", (), {}))

    with pytest.raises(RuntimeError, match="patch before anything else is imported"):
        ask(make_application(), "/")
