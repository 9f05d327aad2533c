"""From octets to a message that can run: heads, bodies, and refusals of what breaks the rules."""

from __future__ import annotations

import logging
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from cherrypy.http.bodyerrors import BodyError, BodyTooLarge
from cherrypy.httpd.body import EMPTY_BODY, BufferedBody
from cherrypy.httpd.chunks import ChunkDecoder
from cherrypy.httpd.connection import BODY, SPOOL
from cherrypy.httpd.errors import Refusal, bad_request
from cherrypy.httpd.heads import HeadMemory, repeat
from cherrypy.httpd.limits import BUFFERED_BODY_BYTES
from cherrypy.httpd.parser import HEAD_END, body_too_large, check_partial_head, parse_head, skip_empty_lines
from cherrypy.httpd.sending import render_error
from cherrypy.httpd.spool import NoRoom, Spool
from cherrypy.httpd.streambody import StreamBody
from cherrypy.httpd.writer import CONTINUE

if TYPE_CHECKING:
    from cherrypy.httpd.baton import Seat
    from cherrypy.httpd.connection import Connection
    from cherrypy.httpd.loop import Loop
    from cherrypy.httpd.message import Message

log = logging.getLogger(__name__)

#: PERF: of a body behind its head no more than this is copied twice, and hashed in search of a known head.
_HEAD_BYTES = 16384
_BODY_BYTES = 65536
_CUT_SHORT = bad_request(b"The request body ended before its announced end.")


class Receiver:
    """Reads connections for the holder of the baton; methods answer True when running a request has cost the baton."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._limits = loop.limits
        self._heads = HeadMemory()
        self._known_head = self._heads.get

    def read_head(self, connection: Connection, seat: Seat) -> bool:
        """React to input where a head is expected."""
        if connection.queued:
            return False  # what its buffer holds comes first
        try:
            data = connection.recv(_HEAD_BYTES)
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
        known = self._known_head(data)
        if known is not None:
            message = repeat(known)
            message.connection = connection
            message.body = EMPTY_BODY
            connection.partial = False
            connection.buffer = b""
            return self._loop.run(connection, message, seat)
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
                connection.buffer = rest = data[end + 4 :]
                if message.is_repeatable and not rest:
                    self._heads.add(data, message)
                return self._loop.run(connection, message, seat)
            connection.buffer = b""
            return self._begin_body(connection, message, data[end + 4 :], seat)
        except Refusal as refusal:
            self.refuse(connection, refusal, data)
            return False

    def _wait_for_more(self, connection: Connection, data: bytes) -> None:
        connection.buffer = data
        if not connection.partial and data:
            connection.partial = True
            connection.deadline = self._loop.now + self._limits.head_s

    def _begin_body(self, connection: Connection, message: Message, data: bytes, seat: Seat) -> bool:
        """Buffer a small body here; leave a long one to the thread that will run the handler, or to ``_spool``."""
        if data:
            message.expects_continue = False
        connection.message = message
        connection.parts = []
        connection.taken = 0
        connection.missing = message.content_length or 0
        connection.decoder = ChunkDecoder(self._limits) if message.chunked else None
        connection.state = BODY
        limits = self._limits
        connection.body_end = self._loop.now + limits.body_s
        connection.deadline = self._loop.now + min(limits.body_grace_s, limits.body_s)
        return self._take_body(connection, message, data, seat)

    def read_body(self, connection: Connection, seat: Seat) -> bool:
        """React to input where the rest of a small body is expected."""
        try:
            data = connection.recv(_BODY_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            self._loop.drop(connection)
            return False
        message = connection.message
        assert message is not None
        if not data:
            self.refuse(connection, _CUT_SHORT)
            return False
        seat.bytes_in += len(data)
        self._credit(connection, len(data))
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
            waits = self._loop.waits
            body = StreamBody(connection, so_far, connection.missing, decoder, message.expects_continue, waits)
            message.body = body
            if self._find_room(connection, body):
                return self.read_spool(connection, seat)  # there is more than was asked for, as a rule
            if waits.may_stream():
                body.stream()
            elif self._spool(connection, body):
                return False
        else:
            return False
        connection.parts = []
        connection.message = connection.decoder = None
        return self._loop.run(connection, message, seat)

    def _credit(self, connection: Connection, count: int) -> None:
        """Give a client time for the *count* octets of body that have come."""
        later = connection.deadline + count / max(self._limits.body_rate_bytes_per_s, 1e-9)
        connection.deadline = min(later, connection.body_end)

    def _find_room(self, connection: Connection, body: StreamBody) -> bool:
        """Begin to receive a long body into memory; False if there is not enough, or nobody knows how much it takes."""
        if body.expects_continue or connection.decoder is not None:
            return False
        room = self._loop.spools.find_room(connection.taken + connection.missing)
        if room is None:
            return False
        body.receive_into_room(room)
        self._await_rest(connection, body)
        return True

    def _spool(self, connection: Connection, body: StreamBody) -> bool:
        """Begin to receive a long body here; False if a thread must do it, since even ``100 Continue`` has to wait."""
        if body.expects_continue:
            try:
                connection.send(CONTINUE)
            except OSError:
                return False
            body.expects_continue = False
        body.receive_into(Spool(self._loop.spools))
        self._await_rest(connection, body)
        return True

    def _await_rest(self, connection: Connection, body: StreamBody) -> None:
        connection.parts = []
        connection.decoder = None
        connection.incoming = body
        connection.state = SPOOL

    def read_spool(self, connection: Connection, seat: Seat) -> bool:
        """React to input where the rest of a long body is expected.

        The handler runs when all of it is there, or an error has come: that is the handler's to meet, where it would
        have met it if it had read the body off the network.
        """
        body, message = connection.incoming, connection.message
        assert body is not None
        assert message is not None
        before = body.received_bytes
        try:
            with suppress(BodyError):
                body.receive_now()
            count = body.received_bytes - before
            seat.bytes_in += count
            self._credit(connection, count)
            if not body.complete and not body.failed:
                return False
            message.body = body.begin_reading()
        except BlockingIOError:
            return False
        except NoRoom as error:
            log.warning("no room for a request body peer=%s reason=%s", connection.peer, error)
            retry_after = (b"Retry-After", b"%d" % self._limits.retry_after_s)
            text = b"The server has no room for this request body."
            self.refuse(connection, Refusal(b"503 Service Unavailable", text, (retry_after,)))
            return False
        connection.incoming = connection.message = None
        connection.buffer = body.rest
        return self._loop.run(connection, message, seat)

    def give_up(self, connection: Connection) -> None:
        """A long body is too slow: its handler is told so, in the loop's next turn."""
        assert connection.incoming is not None
        connection.incoming.expire()
        connection.deadline = inf
        connection.queued = True
        self._loop.ready.append(connection)

    def refuse(self, connection: Connection, refusal: Refusal, data: bytes = b"") -> None:
        """Answer in the application's stead, once, and read nothing of this connection any more.

        *data* is how the refused request begins, if it is not all in the buffer.

        SECURITY: after a syntax error nobody knows where the next request starts; whatever is behind it is not parsed.
        """
        message = connection.message
        is_head = (data or connection.buffer).startswith(b"HEAD ") if message is None else message.method == "HEAD"
        answer = render_error(refusal.status, refusal.text, refusal.headers)
        connection.forget_request()
        with suppress(OSError):
            # A few hundred octets: a client whose window is too small even for them has no claim on the text.
            connection.send(answer[: -len(refusal.text)] if is_head else answer)
        self._loop.leave(connection)


def _decode(decoder: ChunkDecoder, data: bytes) -> bytes:
    try:
        return decoder.feed(data)
    except BodyTooLarge:
        raise body_too_large() from None
    except BodyError as error:
        raise bad_request(str(error).encode("ascii")) from None
