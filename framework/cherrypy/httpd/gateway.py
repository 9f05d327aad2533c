"""A WSGI application as a responder (PEP 3333).

The environment has what CherryPy's documents list. An answer that a WSGI application yields in one piece of the
declared length goes out whole, in one send with its head; anything else is streamed.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any
from urllib.parse import unquote_to_bytes

from cherrypy.http.grammar import LENGTH
from cherrypy.httpd.message import Answer, Message

log = logging.getLogger(__name__)

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# Names as sent -> key in the environment; bounded, since clients choose the names.
_keys: dict[bytes, str] = {}
_KEYS_SIZE = 1024
#: Hop-by-hop fields that PEP 3333 takes out of an application's hands.
_HOP_BY_HOP = frozenset({"transfer-encoding", "keep-alive", "te", "trailer", "upgrade", "proxy-authenticate"})


class WSGIGateway:
    """Runs a WSGI callable.

    Args:
        app: the callable; the attribute may be replaced while the server serves.
        server_name: SERVER_NAME where the local address does not say better.
        software: SERVER_SOFTWARE.
        multiprocess: other processes run the same application.
        version: ``wsgi.version``; ``("u", 0)`` decodes the path as UTF-8.
        mount: SCRIPT_NAME; the path must start with it.
        errors: stream for ``wsgi.errors``; the process's standard error without it.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        server_name: str = "",
        software: str = "kirsch",
        multiprocess: bool = False,
        version: tuple[Any, int] = (1, 0),
        mount: str = "",
        errors: Any = None,
    ) -> None:
        self.app = app
        self.server_name = server_name
        self.software = software
        self.multiprocess = multiprocess
        self.version = version
        self.mount = mount.rstrip("/")
        self.errors = errors

    def __call__(self, message: Message) -> Answer:
        """Answer one request."""
        path = message.path
        # Which view will run is the application's secret; method and the first part of the path are a fair guess.
        message.entering((self.app, message.method, path[: path.find("/", 1) + 1] or path))
        call = _Call(message.method == "HEAD")
        result = self.app(self.environ(message), call.start_response)
        return call.answer(result)

    def environ(self, message: Message) -> Environ:
        """The environment of one request: PEP 3333's keys, CherryPy's, CGI's."""
        connection = message.connection
        local = connection.local
        peer = connection.peer
        name, port = (local[0], str(local[1])) if isinstance(local, tuple) else (local, "")
        protocol = f"HTTP/{message.version[0]}.{message.version[1]}"
        path = decode_path(message.path)
        script = self.mount
        environ: Environ = {
            "ACTUAL_SERVER_PROTOCOL": "HTTP/1.1",
            "PATH_INFO": path[len(script) :] if script and path.startswith(script) else path,
            "QUERY_STRING": message.query,
            "REMOTE_ADDR": peer[0],
            "REMOTE_PORT": str(peer[1]) if peer[1] else "",
            "REQUEST_METHOD": message.method,
            "REQUEST_URI": message.target,
            "SCRIPT_NAME": script,
            "SERVER_NAME": self.server_name or name,
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": protocol,
            "SERVER_SOFTWARE": self.software,
            "wsgi.version": self.version,
            "wsgi.input": message.body,
            "wsgi.errors": self.errors or sys.stderr,
            "wsgi.input_terminated": True,
            "wsgi.multiprocess": self.multiprocess,
            "wsgi.multithread": True,
            "wsgi.run_once": False,
            "wsgi.url_scheme": connection.scheme,
        }
        if peer[0] == "" and (credentials := connection.peercreds()):
            environ["X_REMOTE_PID"], environ["X_REMOTE_UID"], environ["X_REMOTE_GID"] = map(str, credentials)
        if connection.scheme == "https":
            environ.update(connection.tls_environ())
        if self.version[0] == "u":
            _decode_utf8(environ)
        _add_fields(environ, message.headers)
        return environ


def decode_path(path: str) -> str:
    """Percent-decode a raw path into WSGI's latin-1 text; an encoded slash stays as it is, or it would separate.

    ``"/a%20b%2Fc"`` gives ``"/a b%2Fc"``.
    """
    if "%" not in path:
        return path
    pieces = path.replace("%2f", "%2F").split("%2F")
    return "%2F".join(unquote_to_bytes(piece.encode("latin-1")).decode("latin-1") for piece in pieces)


def _decode_utf8(environ: Environ) -> None:
    environ["wsgi.url_encoding"] = "utf-8"
    try:
        for key in ("PATH_INFO", "SCRIPT_NAME", "QUERY_STRING"):
            environ[key] = environ[key].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        environ["wsgi.url_encoding"] = "ISO-8859-1"


def _add_fields(environ: Environ, fields: list[tuple[bytes, bytes]]) -> None:
    """Add the request's fields; repeated ones are joined, cookies by semicolon."""
    for name, value in fields:
        try:
            key = _keys[name]
        except KeyError:
            key = _learn_key(name)
        text = value.decode("latin-1")
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ', '}{text}"
        environ[key] = text


def _learn_key(name: bytes) -> str:
    key = name.decode("ascii").upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    if len(_keys) >= _KEYS_SIZE:
        _keys.clear()
    _keys[name] = key
    return key


class _Call:
    """One call of the application: what it said through ``start_response`` and ``write``."""

    __slots__ = ("headers", "is_head", "length", "started", "status", "written")

    def __init__(self, is_head: bool) -> None:
        self.is_head = is_head
        self.started = False
        self.status = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        self.written: list[bytes] = []

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """PEP 3333's ``start_response``; until the first octet is sent, ``exc_info`` may replace what was said."""
        if exc_info is None and self.started:
            raise AssertionError("start_response was called twice without exc_info")
        if not isinstance(status, str):
            raise TypeError(f"a WSGI status is a str, not {type(status).__name__}")
        self.started = True
        self.status = status.encode("latin-1")
        self.length = None
        self.headers = []
        for name, value in headers:
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError(f"WSGI response header {name!r} and its value must be str")
            lowered = name.lower()
            if lowered in _HOP_BY_HOP:
                continue
            octets = value.encode("latin-1")
            if lowered == "content-length":
                self.length = int(octets) if LENGTH.fullmatch(octets) else None
            self.headers.append((name.encode("latin-1"), octets))
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's ``write``: kept, and sent before what the iterable yields."""
        if not isinstance(data, bytes):
            raise TypeError(f"write takes bytes, not {type(data).__name__}")
        self.written.append(data)

    def answer(self, result: Iterable[bytes]) -> Answer:
        """Turn what the application returned into an answer; whole when it can be seen to be whole."""
        close = getattr(result, "close", None)
        try:
            body = self._body(result)  # first: a generator calls start_response only now
        except BaseException:
            if close is not None:
                close()
            raise
        return self.status, self.headers, body, close

    def _body(self, result: Iterable[bytes]) -> Iterable[bytes]:
        if self.started and isinstance(result, list | tuple):
            return [*self.written, *result] if self.written else result
        pieces = iter(result)
        # The first piece tells whether start_response was called, and often it is the only one.
        first: bytes | None = None
        for piece in pieces:
            if not isinstance(piece, bytes):
                raise TypeError(f"a WSGI application yields bytes, not {type(piece).__name__}")
            if piece:
                first = piece
                break
        if not self.started:
            raise AssertionError("the application yielded before it called start_response")
        if first is None:
            return self.written
        self.written.append(first)
        if self.length is not None and (self.is_head or self.length == sum(map(len, self.written))):
            return self.written
        return _chain(self.written, pieces)


def _chain(written: list[bytes], pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from written
    yield from pieces
