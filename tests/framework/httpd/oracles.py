"""Two other parsers of HTTP/1.1, brought to one form: h11 (pure Python) and httptools (llhttp, the parser of Node.js).

Each function reads the first request in its octets and returns a ``Reading``, ``"refused"`` or ``"incomplete"``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import h11
import httptools

from cherrypy.httpd.limits import Limits

from .wire import play

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Reading:
    """What a parser makes of a request: *headers* with lower-case names, in order, without Host.

    ``keep_alive`` is None where a parser does not say.
    """

    method: bytes
    target: bytes
    headers: Fields
    body: bytes
    keep_alive: bool | None


Outcome = Reading | Literal["refused", "incomplete"]

LIMITS = Limits()


def _fields(pairs: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Names in lower case; without Host, which an absolute-form target replaces, and names that are never passed on.

    httptools leaves the blanks behind a value to its callers, h11 puts the name of a coding in lower case.
    """
    made = [(bytes(name).lower(), bytes(value).rstrip(b" \t")) for name, value in pairs]
    made = [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in made]
    return tuple(field for field in made if field[0] != b"host" and b"_" not in field[0])


def agree(one: Outcome, other: Outcome) -> bool:
    """True when both say the same, as far as both say anything."""
    if isinstance(one, Reading) and isinstance(other, Reading) and None in (one.keep_alive, other.keep_alive):
        one, other = replace(one, keep_alive=None), replace(other, keep_alive=None)
    return one == other


def by_us(data: bytes) -> Outcome:
    """Our own receiver; what follows the first request is not looked at."""
    events = play([data], LIMITS)
    if not events:
        return "incomplete"
    if events[0][0] == "refused":
        return "refused"
    _, method, target, _, headers, body, _, keep_alive = events[0]
    return Reading(method.encode(), target.encode("latin-1"), _fields(headers), body, keep_alive)


def by_h11(data: bytes) -> Outcome:
    """The parser of h11; it never keeps HTTP/1.0 connections."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
    connection.receive_data(data)
    request: h11.Request | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return "incomplete"
    except h11.RemoteProtocolError:
        return "refused"
    assert request is not None
    keep_alive = connection.their_state is not h11.MUST_CLOSE if request.http_version != b"1.0" else None
    return Reading(request.method, request.target, _fields(request.headers), body, keep_alive)


class _Callbacks:
    """Collects what httptools tells; trailers come by ``on_header``, too."""

    def __init__(self) -> None:
        self.parser: httptools.HttpRequestParser | None = None
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.keep_alive = False
        self.in_head = self.is_complete = False

    def on_message_begin(self) -> None:
        if not self.is_complete:
            self.in_head = True

    def on_url(self, url: bytes) -> None:
        if not self.is_complete:
            self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.in_head = False

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self.body += data

    def on_message_complete(self) -> None:
        if not self.is_complete:
            self.is_complete = True
            assert self.parser is not None
            self.method = self.parser.get_method()
            self.version = self.parser.get_http_version()
            self.keep_alive = self.parser.should_keep_alive()


def by_httptools(data: bytes) -> Outcome:
    """The parser of httptools, which keeps an HTTP/1.0 connection that says both ``close`` and ``keep-alive``; whatever
    it says after the first complete request does not count.
    """
    told = _Callbacks()
    told.parser = httptools.HttpRequestParser(told)
    try:
        told.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        if not told.is_complete:
            return "refused"
    if not told.is_complete:
        return "incomplete"
    headers = _fields(told.headers)
    options = b",".join(value.lower() for name, value in headers if name == b"connection")
    undecided = told.version == "1.0" and b"close" in options and b"keep-alive" in options
    return Reading(told.method, told.target, headers, told.body, None if undecided else told.keep_alive)
