"""An ASGI application as something that a site can mount."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from cherrypy.aio import handshake
from cherrypy.aio.asgi.http import HTTPExchange, status_line
from cherrypy.aio.asgi.lifespan import Lifespan
from cherrypy.aio.asgi.scope import Origin, headers_of
from cherrypy.aio.asgi.websocket import WebSocketExchange
from cherrypy.httpd.away import Deferred
from cherrypy.httpd.message import Answer, Message

_NO_WSGI = b"An ASGI application needs the framework's own server; this request came through another one."


#: What an ASGI 3 application is: ``async def app(scope, receive, send)``.
ASGIApplication = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


def is_asgi(app: Any) -> bool:
    """True for what is an ASGI 3 application by its signature: a coroutine function, or an object whose call is one."""
    while isinstance(app, functools.partial):
        app = app.func
    if inspect.isclass(app):
        return False
    call = getattr(type(app), "__call__", None)  # noqa: B004 (what it is, not whether there is one)
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call)


class ASGIGraft:
    """*app*, mounted at *script_name*.

    Attributes:
        lifespan: starts and stops it.
    """

    def __init__(self, app: Any, script_name: str) -> None:
        self.app = app
        self.script_name = script_name
        self.lifespan = Lifespan(app, script_name or "/")

    def serve(self, message: Message, origin: Origin) -> Answer:
        """Answer one request of the native server.

        Raises:
            Deferred: always, unless it is a handshake that is wrong.
        """
        headers = headers_of(message) if any(name.lower() == b"upgrade" for name, _ in message.headers) else {}
        if handshake.asks_for_websocket(headers):
            fault = handshake.find_fault(headers, message)
            if fault is not None:
                status, text, fields = fault
                pairs = [(name.encode("ascii"), value.encode("ascii")) for name, value in fields.items()]
                return status_line(status), [*pairs, (b"Content-Type", b"text/plain")], [text.encode("ascii")], None
            raise Deferred(WebSocketExchange(self.app, message, self.script_name, origin, self.lifespan))
        raise Deferred(HTTPExchange(self.app, message, self.script_name, origin, self.lifespan))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Say that WSGI servers cannot run it."""
        start_response("501 Not Implemented", [("Content-Type", "text/plain"), ("Content-Length", str(len(_NO_WSGI)))])
        return [_NO_WSGI]
