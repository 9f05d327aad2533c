"""The protocol vectors of tests/vectors/httpd: what is sent, who says how it is to be taken, and what may come of it.

A vector is one line of JSON:

    name      unique within its file
    source    the RFC section, the specification, or the weakness of another server that it is taken from
    send      octets, as latin-1
    allowed   sequences of status codes, one of which must come back; more than one only where time decides
    seen      (method, path, body) of every request that reaches the application, in order
    open      the connection can be used again
    server    what it is sent to: "plain" (the default), "small" (low limits), "proxy", "tls"
    first     further facts of the first request seen: query, target, version, host, headers, trailers, peer
    tail      false if the vector ends inside a message, so that what follows would be a part of it
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import Message

FOLDER = Path(__file__).parents[2] / "vectors" / "httpd"

#: By the name of a vector's server.
LIMITS = {
    "plain": Limits(body_bytes=1_000_000),
    "small": Limits(
        request_line_bytes=64,
        field_bytes=48,
        head_bytes=200,
        fields=5,
        empty_lines=2,
        body_bytes=16,
        chunk_line_bytes=20,
        trailer_bytes=40,
    ),
    "proxy": Limits(),
    "tls": Limits(),
}


@dataclass(frozen=True)
class Vector:
    """One vector, as described above."""

    id: str
    name: str
    source: str
    send: bytes
    allowed: list[list[int]]
    seen: list[list[str]]
    open: bool
    server: str = "plain"
    first: dict[str, Any] = field(default_factory=dict)
    tail: bool = True


def load() -> list[Vector]:
    """All vectors, in the order of files and lines."""
    return [
        Vector(**{**case, "id": f"{path.stem}: {case['name']}", "send": case["send"].encode("latin-1")})
        for path in sorted(FOLDER.glob("*.json"))
        for case in json.loads(path.read_text())
    ]


def describe(message: Message) -> list[str]:
    """Read the body of a request, and say what reached the application.

    Raises:
        BodyError: the body does not come to its end.
    """
    return [message.method, message.path, message.body.read().decode("latin-1")]


def describe_more(message: Message) -> dict[str, Any]:
    """Facts for ``first``, after ``describe``."""

    def text(fields: Any) -> list[list[str]]:
        return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in fields]

    headers = text(message.headers)
    return {
        "query": message.query,
        "target": message.target,
        "version": list(message.version),
        "host": {name.lower(): value for name, value in headers}.get("host"),
        "headers": headers,
        "trailers": text(message.body.trailers),
        "peer": list(message.connection.peer),
    }
