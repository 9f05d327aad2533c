"""The client's socket for an application that goes on with a protocol of its own.

``request.rfile.rfile.raw._sock`` is how such applications came by it; who asks for it, has it. The answer of that
request, a 101, still goes out by the server, and ``on_end_request`` runs behind it; then the server forgets the
connection without closing it.

COMPAT: ws4py 0.6, which Salt's API uses as well. ``tools.websocket`` needs none of this (docs/async.md).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

from cherrypy.aio.upgrade import with_upgrade
from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.httpd.away import Away, Handover, Owner
from cherrypy.httpd.body import Body
from cherrypy.httpd.exchange import ending
from cherrypy.httpd.sending import END, RESET
from cherrypy.httpd.writer import Framing


class NoBody(Body):
    """The body of requests without one; the way to the socket of the request that is being served."""

    @property
    def rfile(self) -> Body:
        """Itself: there is nothing around the connection's file."""
        return self

    @property
    def raw(self) -> Body:
        """Itself, as the raw stream below a buffered one."""
        return self

    @property
    def _sock(self) -> socket.socket:
        return take_socket(serving.request._message.connection)

    def detach(self) -> None:
        """Nothing to let go of: the socket that was taken is the application's own."""


#: For all of them: it knows the request by who asks.
NO_BODY = NoBody()


def take_socket(connection: Any) -> socket.socket:
    """Return a blocking socket to the client of *connection*, which belongs to the caller.

    Raises:
        HTTPError: 501 over TLS, whose session stays the server's; 400 if the client did not wait for the answer.
    """
    if connection.listener.tls:
        raise HTTPError(501, "The socket of a TLS connection cannot be taken over; tools.websocket works over TLS.")
    if connection.buffer:
        raise HTTPError(400, "Another protocol begins with the answer, not before it.")
    own = connection.sock
    taken: socket.socket = own.dup()
    taken.setblocking(True)
    connection.last = True
    connection.use(_Departing(own))
    return taken


class _Departing:
    """The server's end of a socket that was taken: sends the answer, and ends without a word to the client."""

    def __init__(self, sock: socket.socket) -> None:
        self.dup = sock.dup
        self.family = sock.family
        self.fileno = sock.fileno
        self.getsockname = sock.getsockname
        self.setsockopt = sock.setsockopt
        self.getsockopt = sock.getsockopt
        self.send = sock.send
        self.recv = sock.recv
        self.close = sock.close

    def shutdown(self, how: int) -> None:
        """Refuse: the client talks to somebody else now."""
        raise OSError("the socket was taken over")


def is_taken(connection: Any) -> bool:
    """True when the socket of *connection* belongs to the application."""
    return connection.sock.__class__ is _Departing


class Departure(Handover):
    """The body of a 101 whose socket was taken: nothing."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def take(self, framing: Framing, close: Callable[[], object] | None) -> Owner:
        """Return who sends the head."""
        return _Farewell(with_upgrade(framing[0]), close)


class _Farewell(Owner):
    """Sends the head of the 101, and gives the connection back to be forgotten."""

    reads = True

    def __init__(self, head: bytes, close: Callable[[], object] | None) -> None:
        self._head = head
        self._close = close

    def begin(self, away: Away) -> None:
        """Send: a few hundred octets, the first on this socket for now."""
        try:
            sent = away.connection.send(self._head)
        except OSError:
            sent = 0
        away.come_back(ending(END if sent == len(self._head) else RESET, self._close, sent))
