"""Request bodies as files: nothing, a buffered one, and one that is read off the connection while the handler asks.

An incomplete body never looks complete: what does not arrive raises a ``BodyError``, and goes on raising it.
"""

from __future__ import annotations

import io
import select
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from cherrypy.http.bodyerrors import BodyError, BodyIncomplete, BodyMalformed, BodyTimeout, BodyTooLarge
from cherrypy.httpd.chunks import ChunkDecoder

if TYPE_CHECKING:
    from cherrypy.httpd.connection import Connection

__all__ = [
    "Body",
    "BodyError",
    "BodyIncomplete",
    "BodyMalformed",
    "BodyTimeout",
    "BodyTooLarge",
    "BufferedBody",
    "EMPTY_BODY",
    "StreamBody",
]


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
    """A body that has been received whole."""

    def __init__(self, data: bytes, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        file = io.BytesIO(data)
        self.read = file.read  # type: ignore[method-assign, assignment]
        self.readline = file.readline  # type: ignore[method-assign, assignment]
        self.trailers = trailers


class StreamBody(Body):
    """A body that is read off the connection by the thread that runs the handler, with a deadline by rate.

    Args:
        connection: where the octets come from; its ``limits`` hold.
        data: the part of the body that has been received (and decoded) already.
        missing_bytes: octets still to come; of no meaning with a *decoder*.
        decoder: takes a chunked body apart and knows its end.
        expects_continue: send ``100 Continue`` before the first wait.
    """

    def __init__(
        self,
        connection: Connection,
        data: bytes,
        missing_bytes: int,
        decoder: ChunkDecoder | None,
        expects_continue: bool,
    ) -> None:
        self._connection = connection
        self._decoder = decoder
        self._missing = missing_bytes
        self._waited_s = 0.0
        self._received_bytes = len(data)
        self._error: BodyError | None = None
        self._buffer = data
        self.expects_continue = expects_continue
        self.trailers = decoder.trailers if decoder else []
        self.rest = b""

    @property
    def complete(self) -> bool:
        """True when the last octet has been received, read by the application or not."""
        return self._decoder.done if self._decoder else self._missing == 0

    @property
    def missing_bytes(self) -> int | None:
        """How much is still to come; None when only the chunks will tell."""
        return None if self._decoder and not self._decoder.done else self._missing

    @property
    def failed(self) -> bool:
        """True after any error: the connection cannot be used again."""
        return self._error is not None

    def read(self, size: int | None = -1) -> bytes:
        """Up to *size* octets (all of them unless the body ends before), or all that remain.

        Raises:
            BodyError: too large, too slow, malformed or cut short.
        """
        parts = [self._buffer]
        held = len(self._buffer)
        while (size is None or size < 0 or held < size) and not self.complete:
            self._buffer = b""
            self._receive()
            parts.append(self._buffer)
            held += len(self._buffer)
        data = b"".join(parts)
        if size is None or size < 0:
            self._buffer = b""
            return data
        self._buffer = data[size:]
        return data[:size]

    def readline(self, limit: int | None = -1) -> bytes:
        """One line with its line feed, at most *limit* octets of it."""
        bound = limit if limit is not None and limit >= 0 else None
        parts: list[bytes] = []
        held = 0
        while True:
            data, self._buffer = self._buffer, b""
            end = data.find(b"\n") + 1
            if bound is not None and (end or len(data)) > bound - held:
                end = bound - held
                self._buffer = data[end:]
                return b"".join([*parts, data[:end]])
            if end:
                self._buffer = data[end:]
                return b"".join([*parts, data[:end]])
            parts.append(data)
            held += len(data)
            if self.complete or held == bound:
                return b"".join(parts)
            self._receive()

    def welcome(self) -> None:
        """Tell a client that waits for it to go on, whether or not anybody will read.

        Raises:
            OSError: the client has gone.
        """
        if self.expects_continue:
            self.expects_continue = False
            self._connection.send_continue()

    def take_some(self) -> bytes | None:
        """Take what is there of the body, without waiting; None when nothing has come, ``b""`` at its end.

        For readers that wait elsewhere: for readability, ``patience_s`` at most, and then say so by ``has_waited``.

        Raises:
            BodyError: as ``read`` does.
        """
        while not self._buffer and not self.complete:
            try:
                self._receive_now()
            except BlockingIOError:
                return None
        data, self._buffer = self._buffer, b""
        return data

    @property
    def patience_s(self) -> float:
        """How long the client may still be waited for; less than nothing when it is too slow."""
        limits = self._connection.limits
        allowed_s = limits.body_grace_s + self._received_bytes / max(limits.body_rate_bytes_per_s, 1e-9)
        return allowed_s - self._waited_s

    def has_waited(self, seconds: float, is_readable: bool) -> None:
        """Charge a wait to the client's account.

        Raises:
            BodyTimeout: it ended without anything to read.
        """
        self._waited_s += seconds
        if not is_readable:
            self._error = BodyTimeout("the client sends its request body too slowly")
            raise self._error

    def throw_away(self, data: bytes) -> bool:
        """Take *data* as a piece of the body that nobody will read; False when it breaks the coding."""
        try:
            self._accept(data)
        except BodyError as error:
            self._error = error
            return False
        self._buffer = b""
        return True

    def _receive(self) -> None:
        """Wait for more of the body and take it; at least one octet is received, or an error raised."""
        while True:
            try:
                self._receive_now()
            except BlockingIOError:
                self._wait()
                continue
            return

    def _receive_now(self) -> None:
        """Take more of the body if it is there; BlockingIOError if not."""
        if self._error is not None:
            raise self._error
        try:
            self.welcome()
            data = self._connection.receive()
            if not data:
                raise BodyIncomplete("the client closed the connection inside its request body")
            self._accept(data)
        except BlockingIOError:
            raise
        except BodyError as error:
            self._error = error
            raise
        except OSError as error:
            self._error = BodyIncomplete(f"the connection broke inside the request body: {error}")
            raise self._error from error

    def _wait(self) -> None:
        """Wait for readability, charging the wait to the client's account."""
        left_s = self.patience_s
        poll = select.poll()
        poll.register(self._connection.fd, select.POLLIN)
        start = monotonic()
        is_readable = bool(left_s > 0 and poll.poll(left_s * 1000))
        self.has_waited(monotonic() - start, is_readable)

    def _accept(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._decoder:
            self._buffer += self._decoder.feed(data)
            if self._decoder.done:
                self.rest = self._decoder.take_rest()
        else:
            piece = data[: self._missing]
            self.rest = data[self._missing :]
            self._missing -= len(piece)
            self._buffer += piece
