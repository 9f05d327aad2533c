"""The holding server: where slots point while a pool has no worker. Requests wait here, for a bounded time.

It is a tunnel, not a proxy: the head of a request is read, held until a worker is there, and passed on with
``Connection: close`` added, so that nginx keeps no connection that leads through the supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from kirsch.link import uwsgi
from kirsch.supervise.process import is_dying

log = logging.getLogger(__name__)

HOLD_S = 15.0
HELD_LIMIT = 512
RETRY_AFTER_S = 5
HEAD_LIMIT_BYTES = 65536
HEAD_TIMEOUT_S = 10.0
LOOK_EVERY_S = 0.02
COPY_BYTES = 65536
#: At a hand-over, what a request gets beyond its waiting time.
HAND_OVER_MARGIN_S = 5.0

_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_MORE_FOLLOWS = (b"\r\ncontent-length:", b"\r\ntransfer-encoding:", b"\r\nupgrade:")

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PAGE = (
    b"<!doctype html><meta charset=utf-8><title>One moment</title>"
    b"<p>This service is starting. Please try again in a few seconds.\n"
)


class HoldingServer:
    """Holds the requests of one pool.

    Args:
        path: the Unix socket to listen on.
        find_worker: returns the socket of a worker that serves, None while there is none.
        hold_s: how long a request waits; a change counts for those who wait already.
        limit: how many may wait.
    """

    def __init__(
        self, path: str, find_worker: Callable[[], str | None], *, hold_s: float = HOLD_S, limit: int = HELD_LIMIT
    ) -> None:
        self.path = path
        self.find_worker = find_worker
        self.hold_s = hold_s
        self.limit = limit
        self.held = 0
        """Requests that wait right now."""
        self.refused = 0
        """Requests that were sent away with 503 since the start."""
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def start(self, listening: socket.socket | None = None) -> None:
        """Listen; on a socket that listens here already, if there is one."""
        if listening is None:
            Path(self.path).unlink(missing_ok=True)
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            listening.bind(self.path)
        # as any stream socket: from Python 3.13 on, start_unix_server would remove the path at the end
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=HEAD_LIMIT_BYTES, backlog=1024)

    async def hand_over(self) -> int:
        """Accept no more, let who is here finish, and return a descriptor on which the others queue."""
        assert self._server is not None
        kept = os.dup(self._server.sockets[0].fileno())
        self._server.close()
        if self._lines:
            await asyncio.wait(self._lines, timeout=self.hold_s + HAND_OVER_MARGIN_S)
        for line in tuple(self._lines):
            line.cancel()
        self._server = None
        return kept

    async def stop(self) -> None:
        """Stop listening, and cut what is left."""
        if self._server is None:
            return
        self._server.close()
        for line in tuple(self._lines):
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)
        self._server = None
        Path(self.path).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            await self._hold(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a held connection broke: %s", error)
        finally:
            self._lines.discard(task)
            writer.close()

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(_read_head(reader), HEAD_TIMEOUT_S)
        began = time.monotonic()
        # no more than twice: a request that kills its worker must not kill them all
        for may_fail in (is_repeatable(head), False):
            line = await self._reach_worker(began)
            if line is None:
                self.refused += 1
                writer.write(_refusal())
                await writer.drain()
                return
            if await _tunnel(head, (reader, writer), line) or not may_fail:
                return

    async def _reach_worker(self, began: float) -> Line | None:
        """Connect to a worker, as soon as there is one; None when the time or the room for waiting is over."""
        line = await _connect(self.find_worker())
        if line is not None or self.held >= self.limit:
            return line
        self.held += 1
        try:
            while line is None and time.monotonic() < began + self.hold_s:
                await asyncio.sleep(LOOK_EVERY_S)
                line = await _connect(self.find_worker())
            return line
        finally:
            self.held -= 1


def is_repeatable(head: bytes) -> bool:
    r"""True when a request may be sent again after its worker died without a word: safe, and all of it is here.

    >>> is_repeatable(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), is_repeatable(b"POST / HTTP/1.1\r\nHost: h\r\n\r\n")
    (True, False)
    """
    if uwsgi.size_of(head) is not None:
        variables = uwsgi.unpack(head)
        is_safe = variables.get("REQUEST_METHOD", "").encode() in _REPEATABLE
        return is_safe and not variables.get("CONTENT_LENGTH")
    method, _, fields = head.partition(b" ")
    has_more = any(name in fields.lower() for name in _MORE_FOLLOWS)
    return method in _REPEATABLE and not has_more


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    """Read all of a request but its body, whichever protocol nginx speaks to the pool."""
    begin = await reader.readexactly(uwsgi.HEAD_BYTES)
    size = uwsgi.size_of(begin)
    return begin + await (reader.readuntil(b"\r\n\r\n") if size is None else reader.readexactly(size))


async def _connect(path: str | None) -> Line | None:
    if path is None:
        return None
    try:
        line = await asyncio.open_unix_connection(path)
    except OSError:
        return None  # it has died, which is about to be noticed
    if is_dying(_listener_of(line[1])):
        line[1].close()  # nothing was sent: another one may have it
        return None
    return line


def _listener_of(writer: asyncio.StreamWriter) -> int:
    """Return the process that listens at the other end."""
    credentials = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


async def _tunnel(head: bytes, client: Line, worker: Line) -> bool:
    """Pass a request and its answer on; False when no octet of an answer came."""
    reader, writer = client
    out_reader, out = worker
    try:
        out.write(_close_after(head))
        to_worker = asyncio.create_task(_copy_to_end(reader, out))
        try:
            return await _copy(out_reader, writer) > 0  # the answer ends with the connection
        finally:
            to_worker.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await to_worker
    finally:
        out.close()


async def _copy_to_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _copy(reader, writer)
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Pass on what comes; return how many octets. A reset is an end: whoever reads counts what was promised."""
    count = 0
    with contextlib.suppress(ConnectionResetError):
        while data := await reader.read(COPY_BYTES):
            count += len(data)
            writer.write(data)
            await writer.drain()
    return count


def _close_after(head: bytes) -> bytes:
    """Have the worker close after its answer; a request that has a Connection field (to switch protocols) keeps it."""
    if uwsgi.size_of(head) is not None:
        return head  # always its connection's only one
    line, _, fields = head.partition(b"\r\n")
    if b"\r\nconnection:" in b"\r\n" + fields.lower():
        return head
    return line + b"\r\nConnection: close\r\n" + fields


def _refusal() -> bytes:
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\n"
        b"Retry-After: %d\r\nX-Kirsch-Worker: holding\r\n"
        b"Cache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
    ) % (RETRY_AFTER_S, len(_PAGE), _PAGE)
