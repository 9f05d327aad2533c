"""How many may wait for a thread: requests that come while all threads are inside handlers, and 503 for the rest.

Nobody polls then, so nobody sees them: they wait in the kernel. The watcher, which knows that nobody polls, looks every
few milliseconds instead, takes in who comes, and sends away those who are too many for too long. It runs no request.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING

from cherrypy.httpd.baton import Baton, Seat
from cherrypy.httpd.connection import HEAD, LINGER, Connection
from cherrypy.httpd.errors import Refusal

if TYPE_CHECKING:
    from cherrypy.httpd.loop import Loop

log = logging.getLogger(__name__)

_EVENTS = 4096


class QueueDepth:
    """The queue in front of a server's threads.

    Args:
        loop: whose connections wait.
        baton: held while this looks.
        find_thread: starts one thread more if there may be more; True if it did.
    """

    def __init__(self, loop: Loop, baton: Baton, find_thread: Callable[[], bool]) -> None:
        self._loop = loop
        self._baton = baton
        self._find_thread = find_thread
        self._seat = Seat(baton)
        self._since: dict[Connection, float] = {}  # in the order in which they were first seen waiting

    def look(self) -> bool:
        """Called by the watcher while all threads are busy; True: somebody takes the baton, or look again soon."""
        if self._find_thread():
            return True
        limits = self._loop.limits
        if limits.queued < 0 or self._baton.over:
            return False
        if self._baton.take(self._seat, 0):
            try:
                self._send_away()
            except Exception:
                log.exception("the queue could not be looked at")  # the watcher has more to do than this
            finally:
                self._baton.release()
        return True

    def _send_away(self) -> None:
        loop = self._loop
        if loop.poll_set.closed:
            return
        loop.now = now = monotonic()
        waiting: dict[Connection, float] = {}
        fresh: list[Connection] = []
        for fd, _ in loop.poll_set.poll(0, _EVENTS):
            connection = loop.connections.get(fd)
            if connection is None:
                if fd in loop.acceptor.by_fd:
                    loop.acceptor.accept(fd)
            elif connection.state == LINGER:
                loop.remains.linger(connection, self._seat)
            elif connection.state == HEAD and not connection.queued:
                fresh.append(connection)
        known = self._since
        fresh_set = set(fresh)
        for connection, since in known.items():
            if connection in fresh_set:
                waiting[connection] = since
        for connection in fresh:
            if connection not in known and not self._has_left(connection):
                waiting[connection] = now
        limits = loop.limits
        for connection, since in list(islice(waiting.items(), limits.queued, None)):
            if now - since >= limits.queue_s:
                del waiting[connection]
                self._refuse(connection)
        self._since = waiting

    def _has_left(self, connection: Connection) -> bool:
        """Look whether there is a request at all, or only the end; a TLS connection does not tell."""
        sock = connection.sock
        if not isinstance(sock, socket.socket):
            return False
        try:
            gone = not sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            gone = True
        if gone:
            self._loop.drop(connection)
        return gone

    def _refuse(self, connection: Connection) -> None:
        loop = self._loop
        loop.acceptor.refused += 1
        log.info("no thread for a request peer=%s waiting=%d", connection.peer, loop.limits.queued)
        retry_after = b"%d" % loop.limits.retry_after_s
        loop.receiver.refuse(
            connection,
            Refusal(b"503 Service Unavailable", b"All threads are busy.", ((b"Retry-After", retry_after),)),
        )
