"""From octets to a message that can run: heads, small bodies, and refusals of what breaks the rules."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cherrypy.http.bodyerrors import BodyError, BodyTooLarge
from cherrypy.httpd.body import EMPTY_BODY, BufferedBody, StreamBody
from cherrypy.httpd.chunks import ChunkDecoder
from cherrypy.httpd.connection import BODY
from cherrypy.httpd.errors import Refusal, bad_request
from cherrypy.httpd.exchange import render_error
from cherrypy.httpd.limits import BUFFERED_BODY_BYTES
from cherrypy.httpd.parser import HEAD_END, body_too_large, check_partial_head, parse_head, skip_empty_lines

if TYPE_CHECKING:
    from cherrypy.httpd.baton import Seat
    from cherrypy.httpd.connection import Connection
    from cherrypy.httpd.loop import Loop
    from cherrypy.httpd.message import Message

_RECEIVE_BYTES = 65536


class Receiver:
    """Reads connections for the holder of the baton; methods answer True when running a request has cost the baton."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._limits = loop.limits

    def read_head(self, connection: Connection, seat: Seat) -> bool:
        """React to input where a head is expected."""
        if connection.queued:
            return False  # what its buffer holds comes first
        try:
            data = connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.drop(connection)
            return False
        seat.bytes_in += len(data)
        if connection.buffer:
            data = connection.buffer + data
        return self._advance(connection, data, seat)

    def go_on(self, connection: Connection, seat: Seat) -> bool:
        """Look whether the buffer of a connection, left over from its last request, holds another one."""
        return self._advance(connection, connection.buffer, seat) if connection.buffer else False

    def _advance(self, connection: Connection, data: bytes, seat: Seat) -> bool:
        """Go on with *data*, all that is there, which starts where a head starts."""
        limits = self._limits
        try:
            end = data.find(HEAD_END)
            if end < 1 or end > limits.head_bytes or data[0] == 13:
                held = data  # with its empty lines, or a client could send them one by one without end
                data = skip_empty_lines(data, limits)
                end = data.find(HEAD_END)
                if end < 0 or end > limits.head_bytes:
                    check_partial_head(data, limits)
                    self._wait_for_more(connection, held)
                    return False
            message = parse_head(data[:end], limits)
            message.connection = connection
            connection.partial = False
            if not message.has_body:
                message.body = EMPTY_BODY
                connection.buffer = data[end + 4 :]
                return self._loop.run(connection, message, seat)
            connection.buffer = b""
            return self._begin_body(connection, message, data[end + 4 :], seat)
        except Refusal as refusal:
            self.refuse(connection, refusal)
            return False

    def _wait_for_more(self, connection: Connection, data: bytes) -> None:
        connection.buffer = data
        if not connection.partial and data:
            connection.partial = True
            connection.deadline = self._loop.now + self._limits.head_s

    def _begin_body(self, connection: Connection, message: Message, data: bytes, seat: Seat) -> bool:
        """Buffer a small body here; leave a large one to the thread that will run the handler."""
        if data:
            message.expects_continue = False
        connection.message = message
        connection.parts = []
        connection.taken = 0
        connection.missing = message.content_length or 0
        connection.decoder = ChunkDecoder(self._limits) if message.chunked else None
        connection.state = BODY
        connection.deadline = self._loop.now + self._limits.body_grace_s
        return self._take_body(connection, message, data, seat)

    def read_body(self, connection: Connection, seat: Seat) -> bool:
        """React to input where the rest of a small body is expected."""
        try:
            data = connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        message = connection.message
        if not data or message is None:
            self._loop.drop(connection)
            return False
        seat.bytes_in += len(data)
        connection.deadline += len(data) / max(self._limits.body_rate_bytes_per_s, 1e-9)
        try:
            return self._take_body(connection, message, data, seat)
        except Refusal as refusal:
            self.refuse(connection, refusal)
            return False

    def _take_body(self, connection: Connection, message: Message, data: bytes, seat: Seat) -> bool:
        decoder = connection.decoder
        if decoder is None:
            piece, rest = data[: connection.missing], data[connection.missing :]
            connection.missing -= len(piece)
            complete = connection.missing == 0
        else:
            piece = _decode(decoder, data)
            complete = decoder.done
            rest = decoder.take_rest() if complete else b""
        connection.parts.append(piece)
        connection.taken += len(piece)
        if complete:
            connection.buffer = rest
            message.body = BufferedBody(b"".join(connection.parts), decoder.trailers if decoder else ())
        elif message.expects_continue or connection.taken + connection.missing > BUFFERED_BODY_BYTES:
            so_far = b"".join(connection.parts)
            message.body = StreamBody(connection, so_far, connection.missing, decoder, message.expects_continue)
        else:
            return False
        connection.parts = []
        connection.message = connection.decoder = None
        return self._loop.run(connection, message, seat)

    def refuse(self, connection: Connection, refusal: Refusal) -> None:
        """Answer in the application's stead, once, and read nothing of this connection any more.

        SECURITY: after a syntax error nobody knows where the next request starts; whatever is behind it is not parsed.
        """
        connection.message = connection.decoder = None
        with suppress(OSError):
            # A few hundred octets: a client whose window is too small even for them has no claim on the text.
            connection.send(render_error(refusal.status, refusal.text, refusal.headers))
        self._loop.leave(connection)


def _decode(decoder: ChunkDecoder, data: bytes) -> bytes:
    try:
        return decoder.feed(data)
    except BodyTooLarge:
        raise body_too_large() from None
    except BodyError as error:
        raise bad_request(str(error).encode("ascii")) from None
