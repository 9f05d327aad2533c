"""What an ASGI application is told of a connection.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from cherrypy.httpd.message import Message

Scope = dict[str, Any]

VERSIONS = {"version": "3.0", "spec_version": "2.4"}


@dataclass(frozen=True)
class Origin:
    """Where a request really comes from, as far as trusted proxies say: empty where they say nothing."""

    remote: str = ""
    scheme: str = ""


def scope_of(message: Message, root_path: str, origin: Origin, state: Mapping[str, Any] | None) -> Scope:
    """Return the scope of an HTTP request.

    ``path`` is decoded and begins with *root_path*, as the specification has it. *state* is the lifespan's.
    """
    connection = message.connection
    local, peer = connection.local, connection.peer
    client = (origin.remote, 0) if origin.remote else (peer if peer[0] else None)
    scope: Scope = {
        "type": "http",
        "asgi": VERSIONS,
        "http_version": f"{message.version[0]}.{message.version[1]}",
        "method": message.method,
        "scheme": origin.scheme or connection.scheme,
        "path": unquote_to_bytes(message.path.encode("latin-1")).decode("utf-8", "surrogateescape"),
        "raw_path": message.path.encode("latin-1"),
        "query_string": message.query.encode("latin-1"),
        "root_path": root_path,
        "headers": [(name.lower(), value) for name, value in message.headers],
        "client": client,
        "server": local if isinstance(local, tuple) else (local, None),
        "extensions": {},
    }
    if state is not None:
        scope["state"] = dict(state)
    return scope


def websocket_scope_of(scope: Scope, subprotocols: list[str]) -> Scope:
    """Return the scope of a WebSocket whose handshake has the HTTP *scope*."""
    scope = {**scope, "type": "websocket", "subprotocols": subprotocols}
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    del scope["method"]
    return scope


def headers_of(message: Message) -> dict[str, str]:
    """Return the fields of *message* by their names in the form 'Content-Type'; repeated ones are joined."""
    headers: dict[str, str] = {}
    for octets, value in message.headers:
        name = octets.decode("ascii").title().replace("Websocket", "WebSocket")
        text = value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers
