"""The server's receiving half without sockets: pieces of input go in, events come out.

The real ``Receiver``, parser, chunk decoder and bodies run here; only the loop and the socket are stand-ins. What comes
out does not depend on time, so that two ways to cut the same input can be compared, and a fuzzer can run it fast.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from cherrypy.http.bodyerrors import BodyError
from cherrypy.httpd.baton import Baton
from cherrypy.httpd.connection import BODY, HEAD, SPOOL, Connection
from cherrypy.httpd.crew import Crew
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.listener import Listener
from cherrypy.httpd.message import Message
from cherrypy.httpd.receive import Receiver
from cherrypy.httpd.spool import Spools
from cherrypy.httpd.streambody import StreamBody
from cherrypy.httpd.waits import Waits

#: ``("request", method, target, version, headers, body, trailers, keep_alive)``, ``("refused", status)``.
Event = tuple[Any, ...]


class _Socket:
    """Gives piece after piece, then the end of input; takes all output."""

    family = socket.AF_UNIX

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = deque(piece for piece in pieces if piece)
        self.sent: list[bytes] = []

    def fileno(self) -> int:
        return -1

    def recv(self, size: int) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.popleft()
        if len(piece) > size:
            self.pieces.appendleft(piece[size:])
        return piece[:size]

    def recv_into(self, view: memoryview) -> int:
        piece = self.recv(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def take_held(self) -> bytes:
        return b""

    def send(self, data: bytes) -> int:
        self.sent.append(bytes(data))
        return len(data)


class _Seat:
    bytes_in = 0


class _Wire:
    """In the place of the loop: runs the receiver over one connection, and is the application as well."""

    def __init__(self, pieces: Iterable[bytes], limits: Limits) -> None:
        self.limits = limits
        self.now = 0.0
        self.events: list[Event] = []
        self.over = False
        self.sock: Any = _Socket(pieces)
        self.spools = Spools(limits)
        self.waits = Waits(Crew(Baton(), lambda seat, patience_s: None), limits, 1)
        self.connection = Connection(self.sock, ("", 0), Listener(("127.0.0.1", 0)), limits)

    def play(self) -> list[Event]:
        """Take all input."""
        receiver = Receiver(self)  # type: ignore[arg-type]
        connection = self.connection
        seat: Any = _Seat()
        requests = 0
        while not self.over:
            if connection.state == BODY:
                receiver.read_body(connection, seat)
            elif connection.state == SPOOL:
                receiver.read_spool(connection, seat)
            elif len(self.events) > requests:
                requests = len(self.events)
                receiver.go_on(connection, seat)
            else:
                receiver.read_head(connection, seat)
        return self.events

    def run(self, connection: Connection, message: Message, seat: object) -> bool:
        """Read the body, note the request; called by the receiver."""
        connection.state = HEAD
        body = message.body
        try:
            data = body.read()
        except BodyError as error:
            self._refused(error.status)
            return True
        if isinstance(body, StreamBody):
            body.end()
            connection.buffer = body.rest
            connection.message = None
        facts = message.method, message.target, message.version, tuple(message.headers)
        self.events.append(("request", *facts, data, tuple(body.trailers), message.keep_alive))
        self.over = not message.keep_alive
        return False

    def leave(self, connection: Connection) -> None:
        """The receiver has refused a request: take its status from its answer."""
        self._refused(int(self.sock.sent[-1].split(b" ", 2)[1]))

    def _refused(self, status: int) -> None:
        self.events.append(("refused", status))
        self.over = True

    def drop(self, connection: Connection) -> None:
        """The input has come to its end."""
        self.over = True


def play(pieces: Iterable[bytes], limits: Limits) -> list[Event]:
    """Return the events of one connection whose client sends *pieces*, then closes."""
    return _Wire(pieces, limits).play()


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut *data* at *places*; places outside of it are taken modulo its length."""
    if not data:
        return []
    bounds = [0, *sorted({place % len(data) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]
