"""Long request bodies, read as files while they arrive, or after that.

Such a body is read off the connection while the handler asks; or, if too many threads wait for clients already, the
poll set receives it before the handler runs, which finds no difference: an error comes where it would have come anyway.

An incomplete body never looks complete: what does not arrive raises a ``BodyError``, and goes on raising it.
"""

from __future__ import annotations

import io
import select
import socket
from time import monotonic
from typing import TYPE_CHECKING

from cherrypy.http.bodyerrors import BodyError, BodyIncomplete, BodyTimeout
from cherrypy.httpd.body import Body, BufferedBody
from cherrypy.httpd.chunks import ChunkDecoder
from cherrypy.httpd.waits import LONGEST_POLL_S, CutOff, Waits

if TYPE_CHECKING:
    from cherrypy.httpd.connection import Connection
    from cherrypy.httpd.spool import Room, Spool

_PIECE_BYTES = 65536
#: A wait that nobody is told of.
_BRIEFLY_S = 0.002
#: Received into memory in one go; others want their turn.
_TAKE_BYTES = 1048576
_TOO_SLOW = "the client sends its request body too slowly"


class StreamBody(Body):
    """A long body, with a deadline by rate: received by the thread that runs the handler, or by the poll set before.

    Args:
        connection: where the octets come from; its ``limits`` hold.
        data: the part of the body that has been received (and decoded) already.
        missing_bytes: octets still to come; of no meaning with a *decoder*.
        decoder: takes a chunked body apart and knows its end.
        expects_continue: send ``100 Continue`` before the first wait.
        waits: where a thread that waits says so.

    Attributes:
        received_bytes: of the body as it is coded.
        trailers: see ``Body``.
        rest: what came behind the body.
    """

    def __init__(
        self,
        connection: Connection,
        data: bytes,
        missing_bytes: int,
        decoder: ChunkDecoder | None,
        expects_continue: bool,
        waits: Waits | None = None,
    ) -> None:
        self._waits = waits
        self._share: list[bool] = []  # one item while the thread that has this body may wait for its client
        self._spool: Spool | None = None
        self._room: Room | None = None
        self._view: memoryview | None = None  # where the body goes, rather than into the buffer
        self._filled = 0
        self._connection = connection
        self._decoder = decoder
        self._missing = missing_bytes
        self._waited_s = 0.0
        self.received_bytes = len(data)
        self._error: BodyError | None = None
        self._is_lost = False
        self._buffer = data
        self.expects_continue = expects_continue
        self.trailers = decoder.trailers if decoder else []
        self.rest = b""

    @property
    def complete(self) -> bool:
        """True when the last octet has been received, read by the application or not."""
        return self._decoder.done if self._decoder else self._missing == 0

    @property
    def is_read(self) -> bool:
        """True when it is complete, and the application has had all of it."""
        return self.complete and not self._buffer and self._spool is None

    @property
    def missing_bytes(self) -> int | None:
        """How much is still to come; None when only the chunks will tell."""
        return None if self._decoder and not self._decoder.done else self._missing

    @property
    def _is_more(self) -> bool:
        return self._spool is not None or self._is_lost or not self.complete

    @property
    def failed(self) -> bool:
        """True after any error: the connection cannot be used again."""
        return self._error is not None

    def read(self, size: int | None = -1) -> bytes:
        """Up to *size* octets (all of them unless the body ends before), or all that remain.

        Raises:
            BodyError: too large, too slow, malformed or cut short.
        """
        held = len(self._buffer)
        if self._decoder is None and self._spool is None and not self._is_lost:
            wanted = held + self._missing
            if size is not None and 0 <= size < wanted:
                wanted = size
            if wanted - held >= _PIECE_BYTES:
                return self._read_long(wanted)
        parts = [self._buffer]
        while (size is None or size < 0 or held < size) and self._is_more:
            self._buffer = b""
            self._receive()
            parts.append(self._buffer)
            held += len(self._buffer)
        self._buffer = b""
        if size is not None and 0 <= size < held:
            # PERF: cut before they are joined, or all is copied twice (reads of 1 MiB took a third longer)
            last = parts[-1]
            cut = len(last) - (held - size)
            self._buffer = last[cut:]
            parts[-1] = last[:cut]
        return b"".join(parts)

    def _read_long(self, size: int) -> bytes:
        # PERF: into memory of its own, see ``Room``: 16 MiB were copied four times, by pieces that are joined twice.
        file = io.BytesIO(bytes(size))
        with file.getbuffer() as view:
            data, self._buffer = self._buffer, b""
            self._begin_filling(view, data)
            try:
                while self._filled < size:
                    self._receive()
            finally:
                self._view = None
        return file.read()

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
            if not self._is_more or held == bound:
                return b"".join(parts)
            self._receive()

    def welcome(self) -> None:
        """Tell a client that waits for it to go on, whether or not anybody will read.

        Raises:
            OSError: the client has gone.
        """
        if self.expects_continue:
            self.expects_continue = False
            self._connection.send_continue(self._waits)

    def take_some(self) -> bytes | None:
        """Take what is there of the body, without waiting; None when nothing has come, ``b""`` at its end.

        For readers that wait elsewhere: for readability, ``patience_s`` at most, and then say so by ``has_waited``.

        Raises:
            BodyError: as ``read`` does.
        """
        while not self._buffer and self._is_more:
            if self._take_from_spool():
                continue
            try:
                self.receive_now()
            except BlockingIOError:
                return None
        data, self._buffer = self._buffer, b""
        return data

    @property
    def patience_s(self) -> float:
        """How long the client may still be waited for; less than nothing when it is too slow."""
        limits = self._connection.limits
        allowed_s = limits.body_grace_s + self.received_bytes / max(limits.body_rate_bytes_per_s, 1e-9)
        return min(allowed_s, limits.body_s) - self._waited_s

    def has_waited(self, seconds: float, is_readable: bool) -> None:
        """Charge a wait to the client's account.

        Raises:
            BodyTimeout: it ended without anything to read.
        """
        self._waited_s += seconds
        if not is_readable:
            self.expire()
            raise BodyTimeout(_TOO_SLOW)

    def expire(self) -> None:
        """The client's time is over."""
        self._error = BodyTimeout(_TOO_SLOW)

    # What the poll set does with it

    def stream(self) -> None:
        """A thread may wait for the client, until the body is there or ``end`` is called."""
        self._share.append(True)

    def receive_into(self, spool: Spool) -> None:
        """From now on ``receive_now`` is called instead, and everything goes into *spool*."""
        self._spool = spool

    def receive_into_room(self, room: Room) -> None:
        """From now on ``receive_now`` is called instead, and everything goes into *room*, which has the right size."""
        data, self._buffer = self._buffer, b""
        self._begin_filling(room.view, data)
        self._room = room

    def _begin_filling(self, view: memoryview, data: bytes) -> None:
        view[: len(data)] = data
        self._view = view
        self._filled = len(data)

    def begin_reading(self) -> Body:
        """All has been received, or an error has come: the application may have it, by what is returned.

        Raises:
            NoRoom: a part of it could not be kept.
        """
        if self._spool is not None:
            self._spool.rewind()
        room, self._room = self._room, None
        if room is not None:
            self._view = None
            room.close()
            if self.complete:
                return BufferedBody(room.file)
            self._buffer = room.file.read(self.received_bytes)
        return self

    def end(self) -> None:
        """The request is over: free what the body holds. To read on is an error then, unless all has been read."""
        self.return_share()
        if self._spool is not None:
            self._spool.close()
            self._spool = None
            self._is_lost = True
            self._error = self._error or BodyIncomplete("the request is over")
        if self._room is not None:
            self._view = None
            self._room.close()
            self._room = None

    def return_share(self) -> None:
        """No thread waits for this body any more."""
        try:
            self._share.pop()
        except IndexError:
            return
        if self._waits is not None:
            self._waits.body_over()

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
        """Take more of the body, waiting for it if need be."""
        if self._take_from_spool():
            return
        while True:
            try:
                self.receive_now()
            except BlockingIOError:
                self._wait()
                continue
            return

    def _take_from_spool(self) -> bool:
        """Take the next piece out of the spool, or give that back at its end; False without one."""
        spool = self._spool
        if spool is None:
            return False
        self._buffer = spool.read(_PIECE_BYTES)
        if not self._buffer:
            self._spool = None
            spool.close()
        return True

    def receive_now(self) -> None:
        """Take more of the body if it is there.

        Raises:
            BlockingIOError: nothing is there yet.
            BodyError: as ``read`` does; from now on that raises it, too.
            NoRoom: it cannot be kept.
        """
        if self._error is not None:
            raise self._error
        try:
            self.welcome()
            if self._view is not None:
                self._fill(self._view)
                return
            data = self._connection.receive()
            if not data:
                raise _closed_inside()
            self._accept(data)
        except BlockingIOError:
            raise
        except BodyError as error:
            self._error = error
            raise
        except OSError as error:
            self._error = BodyIncomplete(f"the connection broke inside the request body: {error}")
            raise self._error from error

    def _fill(self, view: memoryview) -> None:
        start = self._filled
        sock = self._connection.sock
        count = sock.recv_into(view[start : start + _TAKE_BYTES])
        if not count:
            raise _closed_inside()
        self._filled = start + count
        self.received_bytes += count
        self._missing -= count
        if not isinstance(sock, socket.socket) and self._filled == len(view):
            self._take_held(sock.take_held())
        if self._share and not self._missing:
            self.return_share()

    def _take_held(self, data: bytes) -> None:
        """Take what is behind the end of a view in a record of TLS: more of the body, then what comes behind that."""
        piece = data[: self._missing]
        self.rest = data[len(piece) :]
        self.received_bytes += len(piece)
        self._missing -= len(piece)
        self._buffer = piece

    def _wait(self) -> None:
        """Wait for readability, charging the wait to the client's account."""
        left_s = self.patience_s
        start = monotonic()
        try:
            is_readable = self._wait_readable(left_s)
        except CutOff:
            self._error = BodyTimeout("too many threads wait for clients that send their bodies slowly")
            raise self._error from None
        self.has_waited(monotonic() - start, is_readable)

    def _wait_readable(self, timeout_s: float) -> bool:
        if self._waits is not None:
            # PERF: most waits are too short for anybody to come in the place of this thread, and to make a bell for
            return self._poll(min(timeout_s, _BRIEFLY_S)) or self._waits.wait(
                self._connection, select.POLLIN, timeout_s - _BRIEFLY_S
            )
        return self._poll(timeout_s)

    def _poll(self, timeout_s: float) -> bool:
        poll = select.poll()
        poll.register(self._connection.fd, select.POLLIN)
        return bool(timeout_s > 0 and poll.poll(min(timeout_s, LONGEST_POLL_S) * 1000))

    def _accept(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if self._decoder:
            piece = self._decoder.feed(data)
            if self._decoder.done:
                self.rest = self._decoder.take_rest()
        else:
            piece = data[: self._missing]
            self.rest = data[self._missing :]
            self._missing -= len(piece)
        if self._spool is not None:
            self._spool.write(piece)
        else:
            self._buffer += piece
        if self._share and self.complete:
            self.return_share()


def _closed_inside() -> BodyIncomplete:
    return BodyIncomplete("the client closed the connection inside its request body")
