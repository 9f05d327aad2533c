"""Files as bodies of answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

_READ_BYTES = 65536


class FileSlice:
    """A piece of an open file as an answer's body; goes out by ``sendfile`` where the connection allows.

    Args:
        file: open binary file with a real descriptor; the answer's ``close`` has to close it.
        offset: first octet to send.
        count: how many octets to send; also to be declared as Content-Length.
    """

    __slots__ = ("count", "file", "offset")

    def __init__(self, file: BinaryIO, offset: int, count: int) -> None:
        self.file = file
        self.offset = offset
        self.count = count

    def fileno(self) -> int:
        """The file's descriptor."""
        return self.file.fileno()

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of 64 KiB, for connections that cannot ``sendfile`` (TLS)."""
        self.file.seek(self.offset)
        left = self.count
        while left > 0:
            piece = self.file.read(min(left, _READ_BYTES))
            if not piece:
                return
            left -= len(piece)
            yield piece


class OwnedFile:
    """A whole file, just opened, as an answer's body: who sends the answer closes it.

    PERF: no file object, and the answer may wait for others of its turn: see ``sending.send_owned_file``.

    Args:
        descriptor: open for reading, at its beginning.
        count: how many octets to send; also declared as Content-Length.
    """

    __slots__ = ("_descriptor", "count")

    def __init__(self, descriptor: int, count: int) -> None:
        self._descriptor = descriptor
        self.count = count

    def take(self) -> int:
        """Return the descriptor, which the caller has to close; -1 if somebody has done that before."""
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    def close(self) -> None:
        """Close the file, unless somebody has taken it."""
        if self._descriptor >= 0:
            os.close(self.take())

    __del__ = close  # an answer may be dropped on its way to the server

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of 64 KiB, for those who cannot send a file."""
        with open(self.take(), "rb") as file:
            left = self.count
            while left > 0 and (piece := file.read(min(left, _READ_BYTES))):
                left -= len(piece)
                yield piece
