"""What stands around an application: the pipeline, its order, its arguments, and each standard piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.conf.namespaces import UnknownKeyWarning, _warned
from cherrypy.wsgi import AppResponse, CPWSGIApp, ExceptionTrapper, InternalRedirector, VirtualHost

Answer = tuple[str, dict[str, str], bytes]


class Root:
    """Pages."""

    @cherrypy.expose
    def index(self, **params: str) -> str:
        return f"index {params}"

    @cherrypy.expose
    def twice(self, n: str = "0") -> str:
        raise cherrypy.InternalRedirect("/twice?n=1" if n == "0" else "/")

    @cherrypy.expose
    def circle(self, n: int = 0) -> str:
        raise cherrypy.InternalRedirect(f"/circle?n={(int(n) + 1) % 2}")


class Around:
    """Middleware that puts a mark around the body."""

    def __init__(self, nextapp: Any, mark: str = "?") -> None:
        self.nextapp, self.mark = nextapp, mark.encode()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        """Serve one request."""
        pieces = self.nextapp(environ, lambda status, headers, exc_info=None: start_response(status, []))
        try:
            return [self.mark, *pieces, self.mark]
        finally:
            getattr(pieces, "close", list)()


def failing(environ: Any, start_response: Any) -> Any:
    """Fail."""
    raise ZeroDivisionError("on purpose")


def test_the_standard_pipeline() -> None:
    """Errors outside, redirects inside; every application has a list of its own."""
    app = cherrypy.Application(Root())
    wsgiapp: Any = app.wsgiapp

    assert CPWSGIApp.pipeline == [("ExceptionTrapper", ExceptionTrapper), ("InternalRedirector", InternalRedirector)]
    assert wsgiapp.pipeline == CPWSGIApp.pipeline
    assert wsgiapp.pipeline is not CPWSGIApp.pipeline
    assert (CPWSGIApp.head, CPWSGIApp.config, CPWSGIApp.response_class) == (None, {}, AppResponse)
    assert wsgiapp.config is not CPWSGIApp.config


def test_a_pipeline_may_be_given(ask: Callable[..., Answer]) -> None:
    """It extends the standard one, at the inner end."""
    wsgiapp = CPWSGIApp(cherrypy.Application(Root()), [("around", Around)])

    assert [name for name, _ in wsgiapp.pipeline] == ["ExceptionTrapper", "InternalRedirector", "around"]
    assert ask(wsgiapp)[2] == b"?index {}?"
    assert isinstance(wsgiapp.head, ExceptionTrapper)


def test_later_middleware_is_nearer_to_the_application(site: Any, ask: Callable[..., Answer]) -> None:
    """Arguments come from ``wsgi.NAME.ARGUMENT``."""
    config = {
        "wsgi.pipeline": [("outer", Around), ("inner", Around)],
        "wsgi.outer.mark": "1",
        "wsgi.inner.mark": "2",
    }
    site.mount(Root(), config={"/": config})

    assert ask(site.tree)[2] == b"12index {}21"
    assert site("/").body == b"12index {}21"


def test_the_pipeline_is_made_once_and_anew_after_a_change(ask: Callable[..., Answer]) -> None:
    """The first request makes it; a further key forgets it."""
    app = cherrypy.Application(Root(), config={"/": {"wsgi.pipeline": [("around", Around)]}})
    ask(app)
    head = app.wsgiapp.head
    ask(app)
    same = app.wsgiapp.head is head
    app.wsgiapp.namespace_handler("around.mark", "!")

    assert same
    assert ask(app)[2] == b"!index {}!"


def test_the_standard_pieces_take_arguments(ask: Callable[..., Answer]) -> None:
    """By their names, like others."""
    app = cherrypy.Application(Root(), config={"/": {"wsgi.InternalRedirector.recursive": True}})

    assert app.wsgiapp.config == {"InternalRedirector": {"recursive": True}}
    assert ask(app, "/twice")[2] == b"index {}"


def test_the_response_class_may_be_replaced(site: Any, ask: Callable[..., Answer]) -> None:
    """``wsgi.response_class`` runs the request."""

    class Shouting(AppResponse):
        def __next__(self) -> bytes:
            return super().__next__().upper()

    site.mount(Root(), config={"/": {"wsgi.response_class": Shouting}})

    assert ask(site.tree)[2] == b"INDEX {}"
    assert site("/").body == b"INDEX {}"


def test_an_application_can_be_wrapped_as_a_whole(site: Any, ask: Callable[..., Answer]) -> None:
    """Whatever stands on the tree is a WSGI application."""
    site.tree.graft(Around(cherrypy.Application(Root(), None)), "/wrapped")

    assert ask(site.tree, "/wrapped/")[2] == b"?index {}?"


def test_a_chain_of_internal_redirects(site: Any, ask: Callable[..., Answer]) -> None:
    """Each is a request of its own; on_end_request runs for all."""
    seen: list[str] = []
    note = {"hooks.on_end_request": lambda: seen.append(cherrypy.request.query_string)}
    app = cherrypy.Application(Root(), "", {"/": note})

    assert ask(app, "/twice", b"a=1", REQUEST_METHOD="POST", CONTENT_TYPE="text/plain")[2] == b"index {}"
    assert len(seen) == 3


def test_a_circle_of_redirects_names_the_url(ask: Callable[..., Answer]) -> None:
    """The second visit is one too many."""
    status, _, body = ask(cherrypy.Application(Root()), "/circle")

    assert status == "500 Internal Server Error"
    assert b"InternalRedirector visited the same URL twice: '/circle?n=1'" in body


def test_a_recursive_redirector_lets_circles_be() -> None:
    """Until the application ends them."""
    visits: list[str] = []
    request = cherrypy.serving.request

    def app(environ: Any, start_response: Any) -> list[bytes]:
        visits.append(environ["QUERY_STRING"])
        if len(visits) < 4:
            redirect = cherrypy.InternalRedirect("/x", "a=1")
            redirect.request = type("Closed", (), {"close": lambda self: None})()
            raise redirect
        return [environ["REQUEST_METHOD"].encode(), environ["wsgi.input"].read()]

    pieces = InternalRedirector(app, recursive=True)(
        {"REQUEST_METHOD": "POST", "PATH_INFO": "/y", "QUERY_STRING": ""}, None
    )  # type: ignore[arg-type]

    assert pieces == [b"GET", b""]
    assert visits == ["", "a=1", "a=1", "a=1"]
    assert cherrypy.serving.request is request


def test_the_trapper_answers_with_the_bare_minimum(ask: Callable[..., Answer], caplog: Any) -> None:
    """And logs; status, type and traceback are those of the last resort."""
    status, headers, body = ask(ExceptionTrapper(failing))

    assert (status, headers["Content-Type"]) == ("500 Internal Server Error", "text/plain")
    assert body.startswith(b"Unrecoverable error in the server.")
    assert headers["Content-Length"] == str(len(body))
    assert any("on purpose" in record.getMessage() for record in caplog.records)


def test_the_trapper_lets_some_errors_through(ask: Callable[..., Answer]) -> None:
    """KeyboardInterrupt and SystemExit; others by ``throws``."""

    def interrupted(environ: Any, start_response: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(ExceptionTrapper(interrupted))
    with pytest.raises(ZeroDivisionError):
        ask(ExceptionTrapper(failing, throws=(ZeroDivisionError,)))


@pytest.mark.parametrize("begun", [False, True])
def test_an_error_in_a_stream_goes_to_the_server(begun: bool) -> None:
    """Before the first piece it can still be answered; afterwards the server gets the error and ends the connection."""
    said: list[Any] = []
    closed: list[bool] = []

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            if begun:
                yield b"one"
            raise ZeroDivisionError

        def close(self) -> None:
            closed.append(True)

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        said.append(status)
        if begun and exc_info:
            raise exc_info[1]
        return lambda data: None

    def app(environ: Any, start: Any) -> Stream:
        start("200 OK", [])
        return Stream()

    pieces = ExceptionTrapper(app)({}, start_response)
    if begun:
        with pytest.raises(ZeroDivisionError):
            list(pieces)
    else:
        assert b"".join(pieces).startswith(b"Unrecoverable error in the server.")
    pieces.close()

    assert said == ["200 OK", "500 Internal Server Error"]
    assert closed == [True]


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"\xfa", 7), ("text", b"x"), (b"x", "text"), (2, b"x")],
    ids=["value 7", "name", "value", "number"],
)
def test_a_header_that_is_no_bytes_is_named(ask: Callable[..., Answer], key: Any, value: Any) -> None:
    """A hook behind finalize put it there."""

    def spoil() -> None:
        cherrypy.serving.response.header_list.append((key, value))

    status, _, body = ask(cherrypy.Application(Root(), "", {"/": {"hooks.on_end_resource": spoil}}))

    assert status == "500 Internal Server Error"
    if isinstance(key, bytes):
        assert f"response.header_list value {value!r} is not a byte string.".encode() in body
    else:
        assert f"response.header_list key {key!r} is not a byte string.".encode() in body


def test_a_status_that_is_no_bytes_is_named(ask: Callable[..., Answer]) -> None:
    """Likewise."""

    def spoil() -> None:
        cherrypy.serving.response.output_status = "200 OK"

    body = ask(cherrypy.Application(Root(), "", {"/": {"hooks.on_end_resource": spoil}}))[2]

    assert b"response.output_status is not a byte string." in body


@pytest.mark.parametrize(
    ("environ", "answer"),
    [
        ({"HTTP_HOST": "a.test"}, b"a"),
        ({"HTTP_HOST": "A.test:8080"}, b"a"),
        ({"HTTP_HOST": "b.test"}, b"default"),
        ({"HTTP_HOST": "b.test", "HTTP_X_FORWARDED_HOST": "a.test"}, b"a"),
        ({"HTTP_HOST": "a.test", "HTTP_X_FORWARDED_HOST": "b.test"}, b"default"),
        ({}, b"default"),
    ],
)
def test_a_virtual_host_is_chosen_by_host(environ: dict[str, str], answer: bytes) -> None:
    """Of the proxy, if it says one; capitals and ports make no difference."""
    hosts = VirtualHost(lambda e, s: [b"default"], {"a.test": lambda e, s: [b"a"]})

    assert hosts(environ, lambda *args: None) == [answer]


def test_a_virtual_host_may_ignore_proxies() -> None:
    """Where clients reach the server themselves."""
    hosts = VirtualHost(lambda e, s: [b"default"], {"a.test": lambda e, s: [b"a"]}, use_x_forwarded_host=False)

    assert hosts({"HTTP_HOST": "b.test", "HTTP_X_FORWARDED_HOST": "a.test"}, lambda *args: None) == [b"default"]
    assert (VirtualHost.use_x_forwarded_host, VirtualHost.default, VirtualHost(failing).domains) == (True, None, {})


def test_closing_an_answer_ends_its_request(site: Any) -> None:
    """Also when the client went away in the middle of it: body closed, on_end_request run, thread left clean."""
    seen: list[str] = []

    class Stream:
        @cherrypy.expose
        @cherrypy.config(**{"response.stream": True})
        def index(self) -> Iterator[bytes]:
            try:
                yield b"one"
                yield b"two"
            finally:
                seen.append("closed")

    app = cherrypy.Application(Stream(), "", {"/": {"hooks.on_end_request": lambda: seen.append("ended")}})
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "x", "wsgi.input": None}
    pieces = app({**environ, "wsgi.multithread": True, "wsgi.multiprocess": False}, lambda *args: lambda data: None)
    first = next(iter(pieces))
    pieces.close()

    assert (first, seen, cherrypy.serving.__dict__) == (b"one", ["closed", "ended"], {})


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("pipeline", "Around", r"wsgi\.pipeline must be a list of \(name, middleware\) pairs; not 'Around'"),
        ("pipeline", 5, r"wsgi\.pipeline must be a list"),
        ("pipeline", [Around], r"wsgi\.pipeline must be a list"),
        ("pipeline", [("name", "Around")], r"wsgi\.pipeline must be a list"),
        ("response_class", "x", r"wsgi\.response_class must be a callable .*; not 'x'"),
        ("pipelin", [("name", Around)], r"wsgi\.pipelin must be wsgi\.pipeline, wsgi\.response_class or wsgi\.NAME"),
    ],
)
def test_a_wrong_key_of_the_pipeline_is_named(key: str, value: Any, allowed: str) -> None:
    """When the application is made, not at a request."""
    with pytest.raises(ValueError, match=allowed):
        cherrypy.Application(Root(), "", {"/": {f"wsgi.{key}": value}})


def test_an_argument_that_middleware_does_not_take_is_named(ask: Callable[..., Answer]) -> None:
    """With its key."""
    config = {"wsgi.pipeline": [("around", Around)], "wsgi.around.mrak": "!"}

    with pytest.raises(TypeError, match=r"cannot be made with wsgi\.around\.mrak: .* 'mrak'"):
        ask(cherrypy.Application(Root(), "", {"/": config}))


def test_arguments_for_middleware_that_is_not_there_are_said(ask: Callable[..., Answer]) -> None:
    """With the name that was probably meant."""
    _warned.discard("wsgi.arround.mark")
    config = {"wsgi.pipeline": [("around", Around)], "wsgi.arround.mark": "!"}

    with pytest.warns(UnknownKeyWarning, match=r"'wsgi\.arround\.mark'"):
        assert ask(cherrypy.Application(Root(), "", {"/": config}))[2] == b"?index {}?"
