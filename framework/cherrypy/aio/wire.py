"""The socket of a connection that is AWAY, read and written on the event loop, TLS or not.

Law: all methods run on the loop's thread. ``release`` before the connection comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cherrypy.httpd.connection import ClientGone, Connection

_RECEIVE_BYTES = 65536
#: Input that is taken in ahead, behind which the socket is left alone.
_AHEAD_BYTES = 65536
#: Octets, with so many added for each piece, after which others get their turn although the socket would take or give
#: more. SECURITY: one client that is fast enough would have the event loop for itself.
_TURN_BYTES = 262144
_PIECE_BYTES = 2048


class Wire:
    """One connection on the event loop.

    Attributes:
        sent_bytes: octets that the socket took.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sent_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._fd = connection.fd
        self._turn = 0

    async def send(self, data: bytes) -> None:
        """Send everything, waiting for the client as long as it keeps up the least rate.

        Raises:
            ClientGone: it has closed, or takes too little for too long.
        """
        connection = self.connection
        limits = connection.limits
        await self.give_way(len(data))
        view = memoryview(data)
        waited_s = 0.0
        sent = 0
        while sent < len(data):
            try:
                count = connection.send(view[sent:])
            except BlockingIOError:
                allowed_s = limits.write_grace_s + sent / max(limits.write_rate_bytes_per_s, 1e-9)
                start = self._loop.time()
                if waited_s >= allowed_s or not await self._wait(self._loop.add_writer, allowed_s - waited_s):
                    raise ClientGone("the client takes its answer too slowly") from None
                waited_s += self._loop.time() - start
            except OSError as error:
                raise ClientGone(str(error)) from error
            else:
                sent += count
                self.sent_bytes += count

    async def give_way(self, octets: int) -> None:
        """Account for *octets* that come or go; now and then let others have their turn."""
        self._turn += octets + _PIECE_BYTES
        if self._turn > _TURN_BYTES:
            self._turn = 0
            await asyncio.sleep(0)

    async def wait_readable(self, timeout_s: float | None) -> bool:
        """Wait for input; False when *timeout_s* is over."""
        return await self._wait(self._loop.add_reader, timeout_s)

    async def receive(self, timeout_s: float | None = None) -> bytes | None:
        """Some octets, those taken in ahead first; ``b""`` at the end of input, None when *timeout_s* is over."""
        connection = self.connection
        if connection.buffer:
            data, connection.buffer = connection.buffer, b""
            return data
        while True:
            try:
                data = connection.recv(_RECEIVE_BYTES)
                await self.give_way(len(data))
                return data
            except BlockingIOError:
                if not await self.wait_readable(timeout_s):
                    return None
            except OSError:
                return b""

    async def _wait(self, add: Callable[..., object], timeout_s: float | None) -> bool:
        """Wait for the socket; False when *timeout_s* is over."""
        ready = self._loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        is_reader = add == self._loop.add_reader
        add(self._fd, wake)
        try:
            if timeout_s is None:
                await ready
            else:
                await asyncio.wait((ready,), timeout=timeout_s)
            return ready.done()
        finally:
            if is_reader:
                self._loop.remove_reader(self._fd)
            else:
                self._loop.remove_writer(self._fd)

    def watch(self, gone: Callable[[], object]) -> None:
        """Call *gone* when the client closes its sending side; meanwhile its next requests are taken in."""

        def look() -> None:
            connection = self.connection
            try:
                data = connection.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            connection.buffer += data
            if not data or len(connection.buffer) > _AHEAD_BYTES:
                self._loop.remove_reader(self._fd)
            if not data:
                gone()

        self._loop.add_reader(self._fd, look)

    def release(self) -> None:
        """Let the event loop forget the socket."""
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
