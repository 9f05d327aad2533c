"""The short way (``plainpage``) for requests that come through WSGI: under gunicorn, uWSGI or any other server."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from cherrypy.app import plainfile, plainpage
from cherrypy.app.application import Application
from cherrypy.app.route import FILES, Route, Routes
from cherrypy.app.unmade import begun
from cherrypy.httpd.files import OwnedFile
from cherrypy.httpd.message import HTTP_11, Answer
from cherrypy.httpd.writer import RepeatedFields
from cherrypy.lib.filehead import WISHES
from cherrypy.wsgi import sendfile
from cherrypy.wsgi.app import BEGUN, ENTERING, header_fields

# What a request that goes the short way may not have: a body, another life before, an encoding of its own.
_STRANGE = frozenset({"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "cherrypy.previous_request", "wsgi.url_encoding"})
# Further what is nearly always there, and of one value, where it is there at all: the value.
_USUAL = {"ACTUAL_SERVER_PROTOCOL": "HTTP/1.1"}
_LOOKED_AT = _STRANGE | _USUAL.keys()
# PERF: gunicorn drops both in favour of its own, after having checked them: 25 us of 230 for a plain page
_GUNICORNS_OWN = (b"Server", b"Date")
# {(name, value) in bytes: the same as text}: most headers are the same for many responses. Bounded, short values only.
_texts: dict[tuple[bytes, bytes], tuple[str, str]] = {}
_TEXTS_LIMIT = 2048


class EnvironMessage:
    """An environ, seen as a message of the native server."""

    __slots__ = ("environ", "names_charset", "query")

    version = HTTP_11
    batch = None
    headers = ()  # whoever needs one of them looks at the environ before

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.query: str = environ.get("QUERY_STRING", "")
        self.names_charset = "HTTP_ACCEPT_CHARSET" in environ

    @property
    def body(self) -> Any:
        """The empty body."""
        return self.environ["wsgi.input"]

    def entering(self, key: object) -> None:
        """Tell whoever has put himself into the environ which page runs now."""
        announce = self.environ.get(ENTERING)
        if announce is not None:
            announce(key)


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
        or not get("HTTP_HOST")
        or app.__class__ is not Application
        or not (environ.keys().isdisjoint(_LOOKED_AT) or _is_usual(get))
    ):
        return None
    message = EnvironMessage(environ)
    script_name = get("SCRIPT_NAME")
    path = get("PATH_INFO", "")
    if script_name:
        path = script_name.rstrip("/") + path
    route, page, arguments = _find(app, path)
    if route is None or not message.query.isascii():
        return None
    finished: Answer | None
    if route.kind is FILES:
        if WISHES.any_in_environ(environ):
            return None
        finished = plainfile.serve(route, message, path, _introduce)
        if finished is None:
            return None
    else:
        finished = plainpage.serve(route, page, arguments, message, path, _introduce)
        if finished is None:
            environ[BEGUN] = begun()
            return None
    status, fields, body, _ = finished
    if body.__class__ is OwnedFile:
        body = sendfile.send(io.FileIO(body.take(), "rb"), body.count, environ)
    start_response(
        "200 OK" if status == b"200 OK" else status.decode("latin-1"), _as_text(fields, "gunicorn.socket" in environ)
    )
    return body


def _is_usual(get: Any) -> bool:
    """True if an environ (*get* from it) has nothing of ``_STRANGE`` but empty values, as uWSGI has them."""
    for name in _STRANGE:
        if get(name):
            return False
    return all(get(name, value) == value for name, value in _USUAL.items())


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


def _as_text(fields: list[tuple[bytes, bytes]], is_for_gunicorn: bool) -> list[tuple[str, str]]:
    """Return *fields* as WSGI wants them, in a list that is the server's to change."""
    if fields.__class__ is not RepeatedFields:
        return _texts_of(fields, is_for_gunicorn)
    text = fields.texts.get(is_for_gunicorn)
    if text is None:
        text = fields.texts[is_for_gunicorn] = _texts_of(fields, is_for_gunicorn)
    return text.copy()


def _texts_of(fields: list[tuple[bytes, bytes]], is_for_gunicorn: bool) -> list[tuple[str, str]]:
    if is_for_gunicorn:
        fields = [field for field in fields if field[0] not in _GUNICORNS_OWN]
    return [_texts.get(field) or _text_of(field) for field in fields]


def _text_of(field: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = field
    text = name.decode("latin-1"), value.decode("latin-1")
    if len(value) < 64:
        if len(_texts) >= _TEXTS_LIMIT:
            _texts.clear()
        _texts[field] = text
    return text
