"""Long bodies that the poll set receives: in memory as long as there is room, else in an unnamed temporary file.

Writing to a file may wait for a disk, though hardly ever: what is written lands in the page cache, as it does under
nginx, which receives bodies in the same way.
"""

from __future__ import annotations

import io
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cherrypy.httpd.limits import Limits


class NoRoom(Exception):
    """There is no more room for bodies: ``limits.spool_bytes`` are held, or the disk is full."""


class Spools:
    """What all spools of a server hold together.

    Attributes:
        held_bytes: octets of bodies in spools, in memory and in files.
        room_bytes: octets of memory that are set aside for bodies of known length.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held_bytes = 0
        self.room_bytes = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        """Count *count* octets more, or less.

        Raises:
            NoRoom: they would be too many.
        """
        with self._lock:
            if count > 0 and self.held_bytes + count > self.limits.spool_bytes:
                raise NoRoom(f"{self.held_bytes} octets are held, spool_bytes={self.limits.spool_bytes}")
            self.held_bytes += count

    def find_room(self, size: int) -> Room | None:
        """Memory for a body of *size* octets; None if that is too much, now or in any case."""
        limits = self.limits
        if size > limits.body_memory_bytes:
            return None
        with self._lock:
            if self.room_bytes + size > limits.bodies_memory_bytes:
                return None
            self.room_bytes += size
        return Room(self, size)

    def give_back(self, size: int) -> None:
        """Count *size* octets less of what is set aside."""
        with self._lock:
            self.room_bytes -= size


class Room:
    """Memory for one body of known length: written by ``recv_into``, and read as a file.

    PERF: an octet is copied once, by the kernel. What a BytesIO holds is a bytes object, given out as it is when all of
    it is read at once. 1 MiB: 55 us; 130 to 330 us by pieces of 64 KiB that are joined, which touches twice the memory.
    """

    __slots__ = ("_size", "_spools", "file", "view")

    def __init__(self, spools: Spools, size: int) -> None:
        self._spools = spools
        self._size = size
        #: Has the octets as soon as the room is closed.
        self.file = io.BytesIO(bytes(size))
        #: To be written to.
        self.view = self.file.getbuffer()

    def close(self) -> None:
        """Let others have the room; what is in it belongs to whoever has the file."""
        self.view.release()
        size, self._size = self._size, 0
        self._spools.give_back(size)


class Spool:
    """The octets of one body: written by the holder of the baton, then read by whoever runs the handler.

    A file of its own closes once, whoever is first; the lock is for applications that read in several threads.
    """

    def __init__(self, spools: Spools) -> None:
        limits = spools.limits
        self._spools = spools
        self._size = 0
        self._lock = Lock()
        most = max(limits.spool_memory_bytes, 1)
        self._file = SpooledTemporaryFile(max_size=most, dir=limits.spool_directory)  # noqa: SIM115 - see close()

    def write(self, data: bytes) -> None:
        """Keep *data*.

        Raises:
            NoRoom: it cannot be kept.
        """
        self._spools.add(len(data))
        self._size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise NoRoom(str(error)) from error

    def rewind(self) -> None:
        """All is written: reading begins.

        Raises:
            NoRoom: a part of it could not be kept.
        """
        try:
            self._file.seek(0)
        except OSError as error:
            raise NoRoom(str(error)) from error

    def read(self, size: int) -> bytes:
        """Up to *size* octets; ``b""`` at the end, and once it is closed."""
        with self._lock:
            return b"" if self._file.closed else self._file.read(size)

    def close(self) -> None:
        """Give the room back."""
        with self._lock:
            if self._file.closed:
                return
            size, self._size = self._size, 0
            with suppress(OSError):  # what could not be written, as was said before
                self._file.close()
        self._spools.add(-size)
