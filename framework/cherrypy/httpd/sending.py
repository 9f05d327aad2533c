"""How one answer goes out: framed, sent, and what then becomes of its connection.

With the baton nothing here waits: what the client does not take at once is left to the poll set. Without it (streams)
the client is waited for, with deadlines.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cherrypy.httpd.body import EMPTY_BODY
from cherrypy.httpd.connection import ClientGone, Connection
from cherrypy.httpd.files import FileSlice, OwnedFile
from cherrypy.httpd.flush import PendingFile, send_pending
from cherrypy.httpd.message import HTTP_11, Message
from cherrypy.httpd.streambody import StreamBody
from cherrypy.httpd.writer import (
    LAST_CHUNK,
    NOT_FINAL,
    AnswerError,
    AnswerTooLong,
    Framing,
    RepeatedFields,
    frame_answer,
    known_framings,
)

if TYPE_CHECKING:
    from cherrypy.httpd.baton import Seat
    from cherrypy.httpd.server import Server

log = logging.getLogger(__name__)

# What becomes of a connection after an exchange.
KEEP = "keep"  # wait for the next request
END = "end"  # everything is sent: close in good order
CUT = "cut"  # less was sent than was declared: close at once
RESET = "reset"  # only a reset tells the client that a close-delimited answer is cut; or nobody is there to be told
READY = (
    "ready"  # a whole answer lies in ``connection.out``, not one octet of it is sent; then wait for the next request
)
LATER = "later"  # somebody answers elsewhere, see ``away.py``
FLUSH = "flush"  # the rest of the answer lies in ``connection.out`` or ``connection.file``


def keeps(server: Server, connection: Connection, message: Message) -> bool:
    """True when client, server and the state of the request body allow another request on this connection."""
    if not message.keep_alive or server.leaving or connection.last:
        return False
    body = message.body
    if body.__class__ is not StreamBody:
        return True
    if body.complete:
        return True
    if body.failed or body.expects_continue:
        # After a final status instead of the 100 the client may send its body, or not: nobody can tell.
        return False
    missing = body.missing_bytes
    return missing is None or missing <= connection.limits.drain_bytes


def send_whole(
    server: Server,
    connection: Connection,
    message: Message,
    seat: Seat,
    status: bytes,
    headers: list[tuple[bytes, bytes]],
    body: list[bytes],
    may_wait: bool,
) -> str:
    """Send head and body in one piece; or, if that *may_wait* and the connection stays, leave that to the caller.

    An answer with a ``close`` may not wait: what runs in it (on_end_request) may take long, and comes after the answer.
    """
    data = body[0] if len(body) == 1 else b"".join(body)
    size = len(data)
    try:
        # PERF: what `keeps`, `frame` and the memory of `frame_answer` do, without their calls (0.4 µs): nearly every
        # answer comes this way.
        keep = message.keep_alive and not server.leaving and not connection.last
        if keep and message.body is not EMPTY_BODY:
            keep = keeps(server, connection, message)
        is_head = message.method == "HEAD"
        is_http11 = message.version is HTTP_11
        name = server.server_name
        try:
            framing = known_framings[(status, tuple(headers), size, is_head, is_http11, keep, name)]
        except (KeyError, TypeError):
            framing = frame_answer(status, headers, size, is_head, is_http11, keep, name)
        head, keep, has_body, length, _ = framing
        if type(headers) is RepeatedFields and message.is_plain and keep and length == size:
            headers.head = head
    except AnswerTooLong as error:
        if len(body) < 2 or len(body[0]) > error.declared:
            raise
        # COMPAT: pieces that start well go out cut to what was declared, as they would if they were streamed.
        log.error("answer too long, cut at its declared length=%d", error.declared)
        size = error.declared
        data = data[:size]
        head, keep, has_body, length, _ = frame(server, connection, message, status, headers, size)
    short = False
    if has_body:
        data = head + data
        short = length != size  # the client must not wait for the rest
    else:
        data = head
    connection.keep = keep and not short
    if may_wait and connection.keep:
        connection.out = data
        seat.bytes_out += len(data)
        return READY
    try:
        sent = connection.send(data)
    except BlockingIOError:
        sent = 0
    except OSError as error:
        raise ClientGone(str(error)) from error
    seat.bytes_out += sent
    if sent == len(data):
        if short:
            return CUT
        return KEEP if keep else END
    connection.out = memoryview(data)[sent:]
    return FLUSH


def send_ready(connection: Connection) -> str:
    """Send the answer that an exchange has left READY; returns KEEP, FLUSH or RESET."""
    data = connection.out
    assert data is not None
    if connection.file is not None:
        if send_pending(connection) is None:
            log.debug("client gone, or a file that became shorter peer=%s", connection.peer)
            return RESET
        return KEEP if connection.out is None else FLUSH
    try:
        sent = connection.send(data)
    except BlockingIOError:
        sent = 0
    except OSError as error:
        log.debug("client gone peer=%s reason=%s", connection.peer, error)
        return RESET
    if sent == len(data):
        connection.out = None
        return KEEP
    connection.out = memoryview(data)[sent:]
    return FLUSH


def send_file(
    server: Server,
    connection: Connection,
    message: Message,
    seat: Seat,
    status: bytes,
    headers: list[tuple[bytes, bytes]],
    body: FileSlice,
) -> str:
    """Send the head and what the socket takes of the file; the rest follows from the poll set."""
    head, keep, has_body, length, _ = frame(server, connection, message, status, headers, body.count)
    connection.out = memoryview(head)
    short = False
    if has_body and length:
        short = length > body.count
        connection.file = PendingFile(body.fileno(), body.offset, min(length, body.count))
    connection.keep = keep and not short
    sent = send_pending(connection)
    if sent is None:
        raise ClientGone("the client did not take its file, or the file became shorter")
    seat.bytes_out += sent
    if connection.has_output():
        if connection.file is not None:
            connection.file.keep()
        return FLUSH
    if short:
        return CUT
    return KEEP if keep else END


def send_owned_file(
    server: Server,
    connection: Connection,
    message: Message,
    seat: Seat,
    status: bytes,
    headers: list[tuple[bytes, bytes]],
    body: OwnedFile,
    may_wait: bool,
) -> str:
    """Send head and file as far as the socket takes them; the file is the connection's from here on.

    Or, if that *may_wait* and the connection stays, leave it to the caller, as ``send_whole`` does.
    """
    keep = has_body = True
    if (
        type(headers) is RepeatedFields
        and headers.head
        and message.is_plain
        and not (connection.last or server.leaving)
        and status is headers.status
        and body.count == headers.size
    ):
        head = headers.head
    else:
        try:
            head, keep, has_body, length, _ = frame(server, connection, message, status, headers, body.count)
            if has_body and length != body.count:
                raise AnswerError("a file must be as long as its answer's Content-Length")
        except BaseException:
            body.close()
            raise
        if type(headers) is RepeatedFields and message.is_plain and keep:
            headers.head = head
    connection.keep = keep
    connection.out = head
    if has_body and body.count:
        connection.file = PendingFile(body.take(), 0, body.count, is_own=True)
        seat.bytes_out += body.count
    else:
        body.close()
    seat.bytes_out += len(head)
    if may_wait and keep:
        return READY
    outcome = send_ready(connection)
    return END if outcome is KEEP and not keep else outcome


def frame(
    server: Server,
    connection: Connection,
    message: Message,
    status: bytes,
    headers: list[tuple[bytes, bytes]],
    size: int | None,
) -> Framing:
    """Frame an answer to *message*: see ``writer.frame_answer``."""
    return frame_answer(
        status,
        headers,
        size,
        message.method == "HEAD",
        message.version is HTTP_11,
        keeps(server, connection, message),
        server.server_name,
    )


def send_stream(
    server: Server,
    connection: Connection,
    message: Message,
    seat: Seat,
    status: bytes,
    headers: list[tuple[bytes, bytes]],
    body: Iterable[bytes],
) -> str:
    """Send an answer piece by piece, waiting for a slow client; the head goes with the first piece."""
    if status[:3] == b"101":
        raise AnswerError(NOT_FINAL)
    pieces = iter(body)
    first = _next_piece(pieces)
    size = 0 if first is None else None
    framing = frame(server, connection, message, status, headers, size)
    head, keep, has_body, length, chunked = framing
    if not has_body:
        connection.send_all(head, server.waits)
        seat.bytes_out += len(head)
        return KEEP if keep else END
    if first is not None and length is not None and len(first) > length:
        raise AnswerTooLong(length)
    try:
        sent = _pump(server, connection, seat, framing, first, pieces)
    except ClientGone:
        raise
    except (KeyboardInterrupt, SystemExit) as error:
        server.interrupt = error
        return CUT if chunked or length is not None else RESET
    except BaseException:  # a CancelledError, say: the thread must outlive it
        log.exception("stream failed path=%s", message.path)
        return CUT if chunked or length is not None else RESET
    if length is not None and sent < length:
        log.error("answer too short path=%s declared=%d sent=%d", message.path, length, sent)
        return CUT
    return KEEP if keep else END


def _next_piece(pieces: Iterator[bytes]) -> bytes | None:
    """The next piece with any octets in it; None at the end."""
    for piece in pieces:
        if not isinstance(piece, bytes):
            raise AnswerError(f"an answer's body must be made of bytes, not {type(piece).__name__}")
        if piece:
            return piece
    return None


def _pump(
    server: Server,
    connection: Connection,
    seat: Seat,
    framing: Framing,
    first: bytes | None,
    pieces: Iterator[bytes],
) -> int:
    """Send head and pieces; returns how many octets of body went out, never more than were declared."""
    pending, _, _, length, chunked = framing
    piece = first
    sent = 0
    while piece is not None:
        if length is not None and sent + len(piece) > length:
            log.error("answer too long, cut at its declared length=%d", length)
            piece = piece[: length - sent]
        sent += len(piece)
        pending += b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
        connection.send_all(pending, server.waits)
        seat.bytes_out += len(pending)
        pending = b""
        if length is not None and sent >= length:
            return sent
        piece = _next_piece(pieces)
    if chunked:
        pending += LAST_CHUNK
    if pending:
        connection.send_all(pending, server.waits)
        seat.bytes_out += len(pending)
    return sent


def render_error(status: bytes, text: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A whole answer of the server's own: one line of text, then the connection closes."""
    fields = [(b"Content-Type", b"text/plain"), *headers]
    return frame_answer(status, fields, len(text), False, True, False, None)[0] + text


def send_error(connection: Connection, message: Message, seat: Seat, status: bytes, text: bytes) -> str:
    """Answer in the application's stead, before anything of its own was sent."""
    data = render_error(status, text)
    if message.method == "HEAD":
        data = data[: -len(text)]
    try:
        sent = connection.send(data)
    except BlockingIOError:
        sent = 0
    except OSError:
        return RESET
    seat.bytes_out += sent
    if sent < len(data):
        connection.out = memoryview(data)[sent:]
        connection.keep = False
        return FLUSH
    return END
