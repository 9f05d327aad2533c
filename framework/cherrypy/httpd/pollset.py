"""The connections of a server, and what the poll set waits for on each of them.

Law: the methods are for the thread that owns the connection, see ``connection.py``; what a thread without the baton
does here, it does under the baton's mutex.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from cherrypy.httpd.connection import BUSY, LINGER, Connection

if TYPE_CHECKING:
    from cherrypy.httpd.baton import Baton, Seat
    from cherrypy.httpd.limits import Limits

READ, WRITABLE = select.EPOLLIN, select.EPOLLOUT


class PollSet:
    """All connections of one server, as the kernel watches them.

    Attributes:
        poll_set: the kernel's.
        connections: by descriptor.
        now: the clock (``time.monotonic``) as of the last poll.
    """

    def __init__(self, limits: Limits, baton: Baton) -> None:
        self.limits = limits
        self.baton = baton
        self.poll_set = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.now = monotonic()

    def leave(self, connection: Connection) -> None:
        """Close in good order: our side now, all of it once the client has closed or had time to read its answer.

        SECURITY: a close with unread input resets the connection, and the client may lose the answer on its way.

        Source: RFC 9112 section 9.6.
        """
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop(connection)
            return
        connection.state = LINGER
        connection.buffer = b""
        connection.taken = 0
        connection.deadline = self.now + self.limits.linger_s
        self.want(connection, READ)

    def drop(self, connection: Connection, *, abruptly: bool = False) -> None:
        """Close a connection for good."""
        self.connections.pop(connection.fd, None)
        if not connection.parked:
            with suppress(OSError, ValueError):
                self.poll_set.unregister(connection.fd)
        connection.close(abruptly=abruptly)

    def want_input(self, connection: Connection) -> None:
        """Watch for input only."""
        self.want(connection, READ)

    def want(self, connection: Connection, mask: int) -> None:
        """Watch for what *mask* says; back in the poll set, if it was parked."""
        if connection.parked:
            connection.parked = False
            self.poll_set.register(connection.fd, mask)
        elif mask != connection.mask:
            self.poll_set.modify(connection.fd, mask)
        connection.mask = mask

    def park(self, connection: Connection, seat: Seat) -> bool:
        """A busy connection became ready: take it out of the poll set until its thread hands it back."""
        with self.baton.mutex:
            if connection.state == BUSY and not connection.parked:
                self.poll_set.unregister(connection.fd)
                connection.parked = True
        return False
