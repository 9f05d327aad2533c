"""Applications as WSGI callables, and the middleware around them."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

import cherrypy


def call(app: Any, path: str = "/", **environ: Any) -> tuple[str, dict[str, str], bytes]:
    """Call a WSGI application."""
    full: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **environ}
    full.setdefault("wsgi.input", io.BytesIO())
    setup_testing_defaults(full)
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started.append((status, dict(headers)))
        return lambda data: None

    pieces = app(full, start_response)
    try:
        body = b"".join(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    return (*started[-1], body)


class Root:
    """Pages for WSGI."""

    @cherrypy.expose
    def index(self, **params: str) -> str:
        return f"{cherrypy.request.script_name}|{cherrypy.request.path_info}|{params}"

    @cherrypy.expose
    def inside(self) -> str:
        raise cherrypy.InternalRedirect("/", "a=1")

    @cherrypy.expose
    def circle(self) -> str:
        raise cherrypy.InternalRedirect("/circle")

    @cherrypy.expose
    def environ(self) -> str:
        return str(cherrypy.request.wsgi_environ["SERVER_PORT"])

    @cherrypy.expose
    def broken_stream(self) -> Any:
        yield b"begun"
        raise ValueError("in the middle")

    broken_stream._cp_config = {"response.stream": True}

    @cherrypy.expose
    def text_header(self) -> str:
        cherrypy.request.hooks.attach("on_end_resource", lambda: cherrypy.response.header_list.append(("text", "text")))
        return ""

    @cherrypy.expose
    def default(self, *args: str) -> str:
        return repr(args)


@pytest.fixture
def app(site: Any) -> Any:
    """Give an application that is mounted nowhere."""
    return cherrypy.Application(Root(), "")


def test_it_is_strictly_wsgi(app: Any) -> None:
    """The validator of wsgiref has nothing to say."""
    status, headers, body = call(validator(app))

    assert (status, headers["Content-Length"], body) == ("200 OK", "5", b"|/|{}")


def test_an_internal_redirect(app: Any) -> None:
    """A GET with the new query."""
    assert call(app, "/inside", REQUEST_METHOD="POST", CONTENT_LENGTH="0")[2] == b"|/|{'a': '1'}"


def test_an_internal_circle(app: Any) -> None:
    """500, by the exception trapper."""
    status, _, body = call(app, "/circle")

    assert status == "500 Internal Server Error"
    assert b"visited the same URL twice: '/circle'" in body


def test_an_error_in_a_stream_is_not_put_into_it(app: Any) -> None:
    """start_response gets the exception and may raise it."""

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info:
            raise exc_info[1]
        return lambda data: None

    full: dict[str, Any] = {"PATH_INFO": "/broken_stream"}
    setup_testing_defaults(full)
    pieces = iter(app(full, start_response))

    assert next(pieces) == b"begun"
    with pytest.raises(ValueError, match="in the middle"):
        next(pieces)


def test_headers_must_be_bytes(app: Any) -> None:
    """A hook that puts text into header_list is told so."""
    status, _, body = call(app, "/text_header")

    assert status == "500 Internal Server Error"
    assert b"response.header_list key 'text' is not a byte string." in body


def test_paths_are_decoded(app: Any) -> None:
    """From latin-1 octets to UTF-8; what is no UTF-8 stays."""
    assert call(app, "/\xc3\xa9")[2].decode() == "('é',)"
    assert call(app, "/\xe9")[2].decode() == "('é',)"


def test_the_script_name_may_come_from_the_environ(site: Any) -> None:
    """script_name None."""
    app = cherrypy.Application(Root(), None)

    assert call(app, "/", SCRIPT_NAME="/anywhere")[2] == b"/anywhere|/|{}"


def test_middleware_from_configuration(site: Any) -> None:
    """Later ones stand nearer to the application; they take arguments."""

    class Around:
        def __init__(self, nextapp: Any, mark: bytes = b"?") -> None:
            self.nextapp, self.mark = nextapp, mark

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return [self.mark + b"".join(self.nextapp(environ, start_response)) + self.mark]

    config = {"/": {"wsgi.pipeline": [("outer", Around), ("inner", Around)], "wsgi.outer.mark": b"!"}}
    site.mount(Root(), config=config)

    reply = site("/")

    assert reply.body == b"!?|/|{}?!"


def test_virtual_hosts() -> None:
    """By Host, or by what a proxy says it was."""

    def named(name: bytes) -> Any:
        return lambda environ, start_response: [name]

    host = cherrypy.wsgi.VirtualHost(named(b"default"), {"a.test": named(b"a")})

    assert host({"HTTP_HOST": "a.test"}, None) == [b"a"]
    assert host({"HTTP_HOST": "x", "HTTP_X_FORWARDED_HOST": "a.test"}, None) == [b"a"]
    assert host({"HTTP_HOST": "x"}, None) == [b"default"]
