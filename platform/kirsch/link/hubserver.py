"""The hub's socket: lines of processes, each of which the kernel vouches for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec

from kirsch.errors import BusError, ControlError
from kirsch.link import wire
from kirsch.link.frame import LineCutter
from kirsch.link.hub import Hub
from kirsch.link.memory import now
from kirsch.link.seat import Seat

log = logging.getLogger(__name__)

#: How much may lie unsent for one member; beyond, its line is cut, and it comes again for what it had not answered.
UNSENT_BYTES = 64 * 2**20
READ_BYTES = 2**18
#: The alarm may be late by so much, and rings once for all that is due by then.
LATE_S = 0.005

Identify = Callable[[int, int, wire.Member], wire.Member]


class HubServer:
    """Listens for the members of a hub.

    Args:
        identify: given process id and user id as the kernel says them, and who the process says that it is, returns
            who it is, or raises ``BusError``.
    """

    def __init__(self, hub: Hub, path: str, identify: Identify) -> None:
        self.hub = hub
        self.path = path
        self.identify = identify
        self.lines: set[Line] = set()
        self._server: asyncio.Server | None = None
        self.buffer = memoryview(bytearray(READ_BYTES))
        """Where the line that is being read has its octets, for as long as it reads."""
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._unwritten: list[Line] = []
        self._processes: dict[str, int] = {}
        """Descriptors that tell the end of a member's process."""

    async def start(self, listening: socket.socket | None = None, mode: int = 0o600) -> None:
        """Listen, on *listening* if that does so already."""
        if listening is None:
            Path(self.path).unlink(missing_ok=True)
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            # SECURITY: the mode is right from the first moment, not after a chmod
            mask = os.umask(0o777 & ~mode)
            try:
                listening.bind(self.path)
            finally:
                os.umask(mask)
        self._server = await asyncio.get_running_loop().create_server(lambda: Line(self), sock=listening, backlog=1024)
        self.watch_time()

    async def hand_over(self) -> int:
        """Let everybody go, who will come again, and return a descriptor on which they queue."""
        assert self._server is not None
        kept = os.dup(self._server.sockets[0].fileno())
        await self._close()
        return kept

    async def stop(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            Path(self.path).unlink(missing_ok=True)
            await self._close()

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server = None
        if self._alarm is not None:
            self._alarm.cancel()
        self._write()
        for line in tuple(self.lines):
            line.close()
        for member in tuple(self._processes):
            self._forget_process(member)
        await asyncio.sleep(0)  # the lines go out and are closed

    def watch_process(self, member: wire.Member) -> None:
        """See the end of a member's process, whatever has become of its line by then."""
        if member.id not in self._processes:
            with contextlib.suppress(OSError):
                pidfd = self._processes[member.id] = os.pidfd_open(member.pid)
                asyncio.get_running_loop().add_reader(pidfd, self._on_death, member.id)

    def _on_death(self, member: str) -> None:
        self._forget_process(member)
        self.hub.gone(member)
        self.watch_time()

    def _forget_process(self, member: str) -> None:
        pidfd = self._processes.pop(member)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)

    def watch_time(self) -> None:
        """Wake when the hub has something to do."""
        due = self.hub.timers.next_due()
        if due is None or self._server is None:
            return
        if self._alarm is not None:
            if self._alarm_at <= due:
                return  # it looks again then
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = asyncio.get_running_loop().call_later(max(0.0, due - now()) + LATE_S, self._ring)

    def write_soon(self, line: Line) -> None:
        """Write what a line has to say together with what else it gets to say in this turn of the loop."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self._write)
        self._unwritten.append(line)

    def _write(self) -> None:
        lines, self._unwritten = self._unwritten, []
        for line in lines:
            line.write()

    def _ring(self) -> None:
        self._alarm = None
        self.hub.timers.tick()
        self.watch_time()


class Line(asyncio.BufferedProtocol):
    """The connection of one member."""

    def __init__(self, server: HubServer) -> None:
        self.server = server
        self.hub = server.hub
        self.seat: Seat | None = None
        self._cutter = LineCutter(server.hub.limits.message_bytes)
        self._pid = 0
        self._uid = -1
        self._said: list[bytes] = []
        self._put: Callable[[bytes], object] = self._say

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look who it is."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.server.lines.add(self)
        peer = transport.get_extra_info("socket")
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self._pid, self._uid, _ = struct.unpack("3i", credentials)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Read into what all lines share: an allocation for each read would cost more than the read."""
        return self.server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Give every line to the hub."""
        try:
            for line in self._cutter.feed(bytes(self.server.buffer[:nbytes])):
                if self.seat is None:
                    self._greet(line)
                else:
                    self.hub.receive(self.seat, line)
        except (BusError, ControlError, msgspec.MsgspecError) as error:
            self.hub.wrong["stranger" if self.seat is None else "too_large"] += 1
            who = self.seat.id if self.seat is not None else f"process {self._pid} of user {self._uid}"
            log.warning("bus: the line of %s is cut: %s", who, error)
            self.close()
            return
        self.server.watch_time()

    def connection_lost(self, error: Exception | None) -> None:
        """Its process may come back; if it has ended, it will not."""
        self.server.lines.discard(self)
        if self.seat is not None:
            self.hub.away(self.seat, self._put)
            self.server.watch_time()

    def close(self) -> None:
        """Cut it."""
        self._transport.close()

    def _greet(self, line: bytes) -> None:
        frame = wire.read_from_peer(line)
        if not isinstance(frame, wire.Hello):
            raise BusError(f"{type(frame).__name__} before Hello", kind="stranger")
        member = self.server.identify(self._pid, self._uid, frame.member)
        self.seat = self.hub.join(
            msgspec.structs.replace(member, host=self.hub.host, pid=self._pid), frame.opened, self._put
        )
        self.server.watch_process(self.seat.member)

    def _say(self, line: bytes) -> None:
        if not self._said:
            self.server.write_soon(self)
        self._said.append(line)

    def write(self) -> None:
        """Put on the line what was said since the last time."""
        said, self._said = self._said, []
        if self._transport.is_closing():
            return
        self._transport.write(b"".join(said))
        if self._transport.get_write_buffer_size() > UNSENT_BYTES:
            log.warning("bus: the line of %s is cut: it does not read", self.seat.id if self.seat else self._pid)
            self._transport.abort()
