"""What is past its deadline: looked at again and again by the holder of the baton, and what a stop closes."""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING

from cherrypy.httpd.connection import BODY, BUSY, GREETING, HANDSHAKE, HEAD, LINGER, SPOOL, WRITE, Connection
from cherrypy.httpd.errors import Refusal

if TYPE_CHECKING:
    from cherrypy.httpd.loop import Loop

_TOO_LATE = Refusal(b"408 Request Timeout", b"The request did not come in time.")


def _has_input(connection: Connection) -> bool:
    """True if there is something to read (or the end) that nobody has looked at; a TLS connection does not tell."""
    try:
        return isinstance(connection.sock, socket.socket) and connection.sock.recv(1, socket.MSG_PEEK) is not None
    except OSError:
        return False


class Deadlines:
    """Closes connections for the holder of the baton; nothing here runs a request, so the baton is never lost."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def timeout_s(self) -> float | None:
        """How long a poll may take now; None: for ever."""
        loop = self._loop
        if loop.ready:
            return 0
        if not loop.connections and not loop.acceptor.paused and not loop.server.leaving:
            return None  # nothing has a deadline: sleep until somebody connects
        return max(loop.sweep_at - monotonic(), 0.001)

    def sweep(self) -> None:
        """Close what is past its deadline."""
        loop = self._loop
        limits = loop.limits
        now = loop.now
        shortest = min(limits.head_s, limits.idle_s, limits.body_grace_s, limits.write_grace_s, limits.linger_s)
        shortest = min(shortest, limits.body_s)
        loop.sweep_at = now + min(max(shortest / 4, 0.02), 1.0)
        loop.acceptor.resume(now)
        for connection in list(loop.connections.values()):
            if connection.deadline <= now and connection.state != BUSY:
                self._expire(connection)
        if loop.server.stopping:
            self._stop()

    def _expire(self, connection: Connection) -> None:
        loop = self._loop
        state = connection.state
        if (state in (BODY, SPOOL) or (state == HEAD and not connection.buffer)) and _has_input(connection):
            return  # the client was in time: it waits for its turn, behind those whom one poll reports
        if state == HEAD:
            if connection.buffer or not connection.served:
                if not connection.queued:
                    loop.receiver.refuse(connection, _TOO_LATE)
            elif not loop.server.draining:
                loop.drop(connection)
        elif state == BODY:
            loop.receiver.refuse(connection, _TOO_LATE)
        elif state == SPOOL:
            loop.receiver.give_up(connection)
        else:
            loop.drop(connection, abruptly=state == WRITE)

    def _stop(self) -> None:
        """Leave: listen no longer, close what is idle; the last connection to go ends the server."""
        loop = self._loop
        loop.acceptor.close()
        for connection in list(loop.connections.values()):
            if connection.state in (HEAD, GREETING, HANDSHAKE, LINGER) and not connection.buffer:
                loop.drop(connection)
        if not loop.connections:
            loop.server.end()
        loop.sweep_at = min(loop.sweep_at, loop.now + 0.05)
