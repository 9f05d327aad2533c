"""The short way (``plainpage``) for requests that come through WSGI: under gunicorn, uWSGI or any other server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cherrypy.app import plainpage
from cherrypy.app.application import Application
from cherrypy.app.route import FILES, Route, Routes
from cherrypy.app.unmade import begun
from cherrypy.wsgi.app import BEGUN, header_fields

# What a request that goes the short way may not have: a body, another life before, an encoding of its own.
_STRANGE = ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "cherrypy.previous_request", "wsgi.url_encoding")
# {(name, value) in bytes: the same as text}: most headers are the same for many responses. Bounded, short values only.
_texts: dict[tuple[bytes, bytes], tuple[str, str]] = {}
_TEXTS_LIMIT = 2048


class EnvironMessage:
    """An environ, seen as a message of the native server."""

    __slots__ = ("body", "environ", "names_charset", "query")

    version = (1, 1)
    batch = None

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.query: str = environ.get("QUERY_STRING", "")
        self.body: Any = environ["wsgi.input"]
        self.names_charset = "HTTP_ACCEPT_CHARSET" in environ

    def entering(self, key: object) -> None:
        """Nobody here remembers which pages block."""


class _Fields:
    """The headers in an environ, as pairs of text, for whoever looks at them."""

    __slots__ = ("environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return header_fields(self.environ)


def answer(app: Application, environ: dict[str, Any], start_response: Any) -> Iterable[bytes] | None:
    """Answer a plain GET; None if the long way has to be gone (on): *environ* then tells it what has begun."""
    get = environ.get
    if (
        environ["REQUEST_METHOD"] != "GET"
        or get("SERVER_PROTOCOL") != "HTTP/1.1"
        or get("ACTUAL_SERVER_PROTOCOL", "HTTP/1.1") != "HTTP/1.1"
        or not get("HTTP_HOST")
        or app.__class__ is not Application
    ):
        return None
    for name in _STRANGE:
        if get(name):
            return None
    message = EnvironMessage(environ)
    path = get("SCRIPT_NAME", "").rstrip("/") + get("PATH_INFO", "")
    route, page, arguments = _find(app, path)
    if route is None or route.kind is FILES or not message.query.isascii():
        return None
    finished = plainpage.serve(route, page, arguments, message, path, _introduce)
    if finished is None:
        environ[BEGUN] = begun()
        return None
    status, header_list, body, _ = finished
    start_response(
        "200 OK" if status == b"200 OK" else status.decode("latin-1"),
        [_texts.get(pair) or _as_text(pair) for pair in header_list],
    )
    return body


def _find(app: Application, path: str) -> tuple[Route | None, Any, tuple[str, ...]]:
    """Return the route for *path*, its page, and the arguments in the path; (None, None, ()) for the long way."""
    routes: Routes | None = app.routes
    if routes is None:
        routes = app.routes = Routes()
    route, arguments = routes.find(path)
    page = None if route is None else route.page()
    if page is None:
        if not path.isascii() or app._script_name is None or not path.startswith(app._script_name):
            return None, None, ()
        route, arguments = routes.learn(None, app, path, is_as_sent="%" not in path)
        page = None if route is None else route.page()
    return (None, None, ()) if page is None else (route, page, arguments)


def _introduce(request: Any, message: EnvironMessage) -> None:
    """Let *request* know where it came from, like ``AppResponse.run``; hosts and headers are made if someone looks."""
    environ = message.environ
    get = environ.get
    request.wsgi_environ = environ
    request._source = _Fields(environ)
    scheme = get("wsgi.url_scheme", "http")
    if scheme != "http":
        request.scheme = scheme
    login = get("LOGON_USER") or get("REMOTE_USER")
    if login:
        request.login = login
    if not environ["wsgi.multithread"]:
        request.multithread = environ["wsgi.multithread"]
    if environ["wsgi.multiprocess"]:
        request.multiprocess = environ["wsgi.multiprocess"]


def _as_text(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = pair
    text = name.decode("latin-1"), value.decode("latin-1")
    if len(value) < 64:
        if len(_texts) >= _TEXTS_LIMIT:
            _texts.clear()
        _texts[pair] = text
    return text
