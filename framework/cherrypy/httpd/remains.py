"""Input that nobody wants any more, read so that what comes behind it, or the last answer, is not lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cherrypy.httpd.connection import Connection
from cherrypy.httpd.sending import KEEP
from cherrypy.httpd.streambody import StreamBody

if TYPE_CHECKING:
    from cherrypy.httpd.baton import Seat
    from cherrypy.httpd.loop import Loop

_RECEIVE_BYTES = 65536
_LINGER_BYTES = 1048576


class Remains:
    """Reads connections for the holder of the baton; nothing here runs a request, so the baton is never lost."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def discard(self, connection: Connection, seat: Seat) -> bool:
        """Throw away the rest of a body that the application did not read."""
        message = connection.message
        data = self._take(connection, seat)
        if data is None or message is None or message.body.__class__ is not StreamBody:
            return False
        connection.taken += len(data)
        in_order = message.body.throw_away(data)
        if in_order and message.body.complete:
            connection.message = None
            connection.buffer = message.body.rest
            self._loop.settle_inside(connection, KEEP)
        elif not in_order or connection.taken > self._loop.limits.drain_bytes:
            connection.message = None
            self._loop.leave(connection)  # its answer may still be on its way: a close now would be a reset
        return False

    def linger(self, connection: Connection, seat: Seat) -> bool:
        """Read what a client sends although it has had its last answer, so that the answer reaches it."""
        data = self._take(connection, seat)
        if data is not None:
            connection.taken += len(data)
            if connection.taken > _LINGER_BYTES:
                self._loop.drop(connection)
        return False

    def _take(self, connection: Connection, seat: Seat) -> bytes | None:
        try:
            data = connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self._loop.drop(connection)
            return None
        seat.bytes_in += len(data)
        return data
