"""Request bodies as files: nothing, and a body that has been received whole. Long ones are in ``streambody.py``."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence


class Body:
    """A request body without any octets, and the interface of all bodies."""

    trailers: Sequence[tuple[bytes, bytes]] = ()
    """Fields of a chunked body's trailer section; complete once the body has been read to its end."""

    def read(self, size: int | None = -1) -> bytes:
        """Up to *size* octets, or all that remain; ``b""`` only at the end of a complete body."""
        return b""

    def readline(self, limit: int | None = -1) -> bytes:
        """One line with its line feed, at most *limit* octets of it."""
        return b""

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """All lines, or as many as make up *hint* octets."""
        lines: list[bytes] = []
        total = 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def close(self) -> None:
        """Nothing to release; the connection outlives its bodies."""


#: The body of every request that has none.
EMPTY_BODY = Body()


class BufferedBody(Body):
    """A body that has been received whole: its octets, or a file with them."""

    def __init__(self, data: bytes | io.BytesIO, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        file = io.BytesIO(data) if isinstance(data, bytes) else data
        self.read = file.read  # type: ignore[method-assign, assignment]
        self.readline = file.readline  # type: ignore[method-assign, assignment]
        self.trailers = trailers
