"""Accepting connections: in bursts, with a cap, and past the moment when the process has no descriptor left."""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
from contextlib import suppress
from heapq import nsmallest
from typing import TYPE_CHECKING

from cherrypy.http.proxyproto import HEADER_BYTES, ProxyHeaderError, parse_proxy_header
from cherrypy.httpd.connection import BODY, GREETING, HANDSHAKE, HEAD, LINGER, Connection
from cherrypy.httpd.sending import render_error
from cherrypy.httpd.tls import PLAIN_ON_TLS, TLS, PlainText, TLSSocket

if TYPE_CHECKING:
    from cherrypy.httpd.listener import Listener
    from cherrypy.httpd.loop import Loop

log = logging.getLogger(__name__)

#: Accepted in one go before other connections get their turn.
_BURST = 64
_PAUSE_S = 0.25
_COUNTED = 4096
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_PEER = ("", 0)


class Acceptor:
    """The listening side of the poll set.

    Attributes:
        by_fd: listeners in the poll set, by descriptor.
        paused: True while accepting waits for descriptors to come free.
        accepted: connections accepted so far.
        errors: what went wrong with sockets before there was a request: accepting, setting up, TLS handshakes.
        refused: connections answered with 503 because of the cap, or closed because of where they come from.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.by_fd: dict[int, Listener] = {}
        self.paused = False
        self.accepted = 0
        self.refused = 0
        self.errors = 0
        self._resume_at = 0.0
        self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def add(self, listener: Listener) -> None:
        """Poll an open listener from now on."""
        assert listener.sock is not None
        fd = listener.sock.fileno()
        self.by_fd[fd] = listener
        self._loop.poll_set.register(fd, select.EPOLLIN)

    def close(self) -> None:
        """Listen no longer."""
        for fd, listener in self.by_fd.items():
            with suppress(OSError, ValueError):
                self._loop.poll_set.unregister(fd)
            listener.close()
        self.by_fd.clear()
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1

    def accept(self, fd: int) -> None:
        """Take the connections that wait on one listener."""
        listener = self.by_fd[fd]
        sock = listener.sock
        if sock is None:
            return
        for _ in range(_BURST):
            try:
                client, peer = sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self.errors += 1
                if error.errno in _NO_DESCRIPTORS:
                    self._survive(sock, error)
                    return
                continue  # that client has gone again (ECONNABORTED and its kin)
            self.accepted += 1
            try:
                self._admit(client, peer, listener)
            except OSError as error:
                self.errors += 1
                log.debug("connection lost while it was set up peer=%s reason=%s", peer, error)
                client.close()

    def _admit(self, client: socket.socket, peer: object, listener: Listener) -> None:
        loop = self._loop
        limits = loop.limits
        client.setblocking(False)
        if len(loop.connections) >= limits.connections and not self._drop_idlest():
            self._turn_away(client)
            return
        address = (peer[0], peer[1]) if isinstance(peer, tuple) else _NO_PEER
        greeting = listener.greeting_of(address[0])
        if greeting == "refuse":
            log.warning("no PROXY header is taken from peer=%s", address)
            self.refused += 1
            client.close()
            return
        connection = Connection(client, address, listener, limits)
        connection.deadline = loop.now + limits.head_s
        connection.last = limits.requests == 1
        if greeting == "header":
            connection.state = GREETING
        elif listener.tls:
            self._begin_tls(connection, listener.tls)
        # in this order: a connection that cannot be polled must not be counted for ever
        loop.poll_set.register(connection.fd, select.EPOLLIN)
        loop.connections[connection.fd] = connection

    def _begin_tls(self, connection: Connection, tls: TLS) -> None:
        assert isinstance(connection.sock, socket.socket)
        connection.use(tls.wrap(connection.sock))
        connection.state = HANDSHAKE
        connection.deadline = self._loop.now + self._loop.limits.handshake_s

    def greet(self, connection: Connection) -> bool:
        """Read the PROXY header; False when the connection must go.

        Not an octet behind the header is taken, since it may belong to a TLS handshake.
        """
        sock = connection.sock
        assert isinstance(sock, socket.socket)
        try:
            fresh = sock.recv(HEADER_BYTES, socket.MSG_PEEK)
            held = connection.buffer
            found = parse_proxy_header(held + fresh) if fresh else None
            if found is None:
                connection.buffer = held + sock.recv(len(fresh)) if fresh else b""
                return bool(fresh)
            sock.recv(found.size - len(held))
        except BlockingIOError:
            return True
        except (OSError, ProxyHeaderError) as error:
            log.warning("no PROXY header from peer=%s reason=%s", connection.peer, error)
            return False
        connection.buffer = b""
        if found.peer is not None:
            connection.peer = found.peer
        connection.state = HEAD
        if connection.listener.tls:
            self._begin_tls(connection, connection.listener.tls)
        return True

    def shake_hands(self, connection: Connection) -> str:
        """Go on with a TLS handshake.

        Returns ``"done"``, ``"read"`` or ``"write"`` for what it waits for, or ``"refused"`` when it failed: the client
        has been told why, by an alert or, if it speaks plain HTTP, in plain, and is to have time to read that.
        """
        sock = connection.sock
        assert isinstance(sock, TLSSocket)
        try:
            return sock.handshake()
        except PlainText:
            connection.use(sock.plain())
            with suppress(OSError):
                connection.send(render_error(b"400 Bad Request", PLAIN_ON_TLS))
            return "refused"
        except OSError as error:
            self.errors += 1
            log.debug("TLS handshake failed peer=%s reason=%s", connection.peer, error)
            connection.use(sock.plain())
            return "refused"

    def _drop_idlest(self) -> bool:
        """Make room by closing connections that are idle longest; False when none is.

        A few at once (1 in 256), since finding them costs a look at all: under a flood that look is shared.
        """
        idle = [
            connection
            for connection in self._loop.connections.values()
            if connection.state in (HEAD, LINGER) and not connection.buffer and connection.served
        ]
        if not idle:
            return False
        count = 1 + len(self._loop.connections) // 256
        for connection in nsmallest(count, idle, key=lambda connection: connection.deadline):
            self._loop.drop(connection)
        return True

    def _turn_away(self, client: socket.socket) -> None:
        self.refused += 1
        retry_after = b"%d" % self._loop.limits.retry_after_s
        with suppress(OSError):
            client.send(
                render_error(b"503 Service Unavailable", b"The server is full.", ((b"Retry-After", retry_after),))
            )
            client.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            client.recv(65536)  # what is read cannot cause a reset
        client.close()

    def _survive(self, sock: socket.socket, error: OSError) -> None:
        """No descriptor is left: turn one client away with the reserve, free an idle one, pause."""
        log.error("cannot accept reason=%s connections=%d", error.strerror, len(self._loop.connections))
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1
            with suppress(OSError):
                client, _ = sock.accept()
                client.setblocking(False)
                self._turn_away(client)
        self._drop_idlest()
        with suppress(OSError):
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        # A level-triggered listener would be reported without end while nothing can be done about it.
        for fd in self.by_fd:
            with suppress(OSError):
                self._loop.poll_set.unregister(fd)
        self.paused = True
        self._resume_at = self._loop.now + _PAUSE_S

    def count_waiting(self) -> int:
        """Count connections with input that nobody has looked at, those not accepted yet included; from any thread.

        What the kernel tells: of Unix sockets only whether somebody waits.
        """
        try:
            events = self._loop.poll_set.poll(0, _COUNTED)
        except (OSError, ValueError):  # closed by now
            return 0
        count = 0
        for fd, _ in events:
            connection = self._loop.connections.get(fd)
            listener = self.by_fd.get(fd)
            if connection is not None:
                count += connection.state in (HEAD, BODY)
            elif listener is not None:
                count += listener.count_waiting()
        return count

    def resume(self, now: float) -> None:
        """Listen again after a pause."""
        if not self.paused or now < self._resume_at:
            return
        self.paused = False
        if self._reserve < 0 and self.by_fd:
            with suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        for fd in self.by_fd:
            self._loop.poll_set.register(fd, select.EPOLLIN)
