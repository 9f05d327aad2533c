"""The two ways from a process to a hub: over the host's socket, or, when it is alone, to one of its own."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Protocol

from kirsch.errors import ControlError
from kirsch.link import wire
from kirsch.link.frame import LINE_LIMIT_BYTES, LineCutter
from kirsch.link.hub import Hub
from kirsch.link.memory import now
from kirsch.link.seat import Seat

log = logging.getLogger(__name__)

READ_BYTES = 65536
FIRST_RETRY_S = 0.02
LONGEST_RETRY_S = 2.0
WRITE_TIMEOUT_S = 10.0
"""How long a sender waits for a hub that is behind, before the line is cut and made anew."""


class Line(Protocol):
    """A way to a hub."""

    def open(self, hello: Callable[[], wire.Hello], hear: Callable[[bytes], object]) -> None:
        """Begin; *hello* says who we are at each beginning, *hear* gets every line of the hub."""

    def send(self, frame: wire.Frame) -> bool:
        """Put a frame on its way; False if there is no hub right now."""

    def poke(self) -> None:
        """Have the hub look at the time."""

    def close(self) -> None:
        """End."""


class Alone:
    """A hub of one's own, in the same process: the cluster of one."""

    def __init__(self) -> None:
        self.hub = Hub(socket.gethostname(), now=now, wall=time.time)
        self._lock = threading.RLock()
        self._seat: Seat | None = None

    def open(self, hello: Callable[[], wire.Hello], hear: Callable[[bytes], object]) -> None:
        """Join it."""
        with self._lock:
            greeting = hello()
            self._seat = self.hub.join(greeting.member, greeting.opened, hear)

    def send(self, frame: wire.Frame) -> bool:
        """Give it a frame."""
        with self._lock:
            if self._seat is None:
                return False
            self.hub.receive(self._seat, wire.encode(frame))
            return True

    def poke(self) -> None:
        """Have it look at the time."""
        with self._lock:
            self.hub.timers.tick()

    def close(self) -> None:
        """Leave it."""
        with self._lock:
            if self._seat is not None:
                self.hub.gone(self._seat.id)
                self._seat = None


class SocketLine:
    """The line to the hub of this host; made anew whenever it breaks."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.breaks = 0
        """How often it has broken."""
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, hello: Callable[[], wire.Hello], hear: Callable[[bytes], object]) -> None:
        """Connect, again and again, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, args=(hello, hear), name="kirsch-line", daemon=True)
        self._thread.start()

    def send(self, frame: wire.Frame) -> bool:
        """Write a frame; waits while the hub does not read, which is how it slows senders down."""
        line = wire.encode(frame)
        with self._lock:
            if self._socket is None:
                return False
            try:
                self._socket.sendall(line)
            except OSError as error:
                # part of the line may be out: nothing more can be said here
                log.warning("bus: the line to the hub broke: %s", error)
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                self._socket = None
                return False
            return True

    def poke(self) -> None:
        """Nothing: that hub has a clock."""

    def close(self) -> None:
        """End it."""
        self._over.set()
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _run(self, hello: Callable[[], wire.Hello], hear: Callable[[bytes], object]) -> None:
        delay_s = FIRST_RETRY_S
        while not self._over.is_set():
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as line:
                    line.connect(self.path)
                    limit = struct.pack("ll", int(WRITE_TIMEOUT_S), 0)
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
                    delay_s = self._talk(line, hello, hear, delay_s)
            except (OSError, ControlError) as error:
                log.debug("bus: no hub at %s: %s", self.path, error)
            with self._lock:
                self._socket = None
            # all members of a host lose their hub at once: they need not come back at once
            self._over.wait(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, LONGEST_RETRY_S)

    def _talk(
        self, line: socket.socket, hello: Callable[[], wire.Hello], hear: Callable[[bytes], object], delay_s: float
    ) -> float:
        with self._lock:
            line.sendall(wire.encode(hello()))
            self._socket = line
        cutter = LineCutter(16 * LINE_LIMIT_BYTES)
        while data := line.recv(READ_BYTES):
            delay_s = FIRST_RETRY_S
            for one in cutter.feed(data):
                hear(one)
        self.breaks += 1
        return delay_s
