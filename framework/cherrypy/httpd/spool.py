"""Long bodies that the poll set receives: in memory first, then in an unnamed temporary file.

Writing to a file may wait for a disk, though hardly ever: what is written lands in the page cache, as it does under
nginx, which receives bodies in the same way.
"""

from __future__ import annotations

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
        held_bytes: octets of bodies, in memory and in files.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held_bytes = 0
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
