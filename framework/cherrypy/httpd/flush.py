"""Sending what a client did not take at once: octets in memory, then a piece of a file."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cherrypy.httpd.connection import Connection

_SENDFILE_BYTES = 1048576
#: Read at once where the kernel cannot send a file by itself.
_READ_BYTES = 65536


class PendingFile:
    """A piece of a file that still has to go out.

    It borrows the application's descriptor, unless it *is_own*, and gets one of its own when the exchange ends before
    the piece is sent (``keep``): the application may close its file as soon as the handler is through. Law: only who
    owns the connection sends from it, or closes it: its number may be another file's the next moment.
    """

    __slots__ = ("_is_own", "fd", "left", "offset")

    def __init__(self, fd: int, offset: int, left: int, *, is_own: bool = False) -> None:
        self.fd = fd
        self.offset = offset
        self.left = left
        self._is_own = is_own

    def keep(self) -> None:
        """Go on without the application's descriptor."""
        if not self._is_own:
            self.fd = os.dup(self.fd)
            self._is_own = True

    def close(self) -> None:
        """Give a descriptor of its own back."""
        fd, self.fd = self.fd, -1
        if fd >= 0 and self._is_own:
            try:  # noqa: SIM105 (PERF: suppress takes 22 instructions of the interpreter more)
                os.close(fd)
            except OSError:
                pass


def send_pending(connection: Connection) -> int | None:
    """Send as much of ``connection.out`` and ``connection.file`` as the socket takes now.

    Returns the octets sent; ``connection.out`` is None when nothing is left. None when the client has gone or the file
    has become shorter than it was.
    """
    sent = 0
    try:
        if connection.out:
            if connection.file is None or connection.listener.tls:
                sent = connection.send(connection.out)
            else:
                # PERF: in one packet with the file's beginning, and one wake-up of the client
                sent = connection.sock.send(connection.out, socket.MSG_MORE)  # type: ignore[call-arg]
            connection.out = connection.out[sent:]
            if connection.out:
                return sent
        file = connection.file
        while file is not None and file.left:
            if connection.listener.tls:
                data = os.pread(file.fd, min(file.left, _READ_BYTES), file.offset)
                count = connection.send(data) if data else 0
            else:
                count = os.sendfile(connection.sock.fileno(), file.fd, file.offset, min(file.left, _SENDFILE_BYTES))
            if count == 0:
                return None
            file.offset += count
            file.left -= count
            sent += count
            if sent >= _SENDFILE_BYTES and file.left:
                return sent  # others want their turn
    except BlockingIOError:
        return sent
    except OSError:
        return None
    if connection.file is not None:
        connection.file.close()
        connection.file = None
    connection.out = None
    return sent
