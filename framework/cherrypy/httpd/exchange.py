"""One exchange: call the responder, see to it that its answer goes out, and say what becomes of the connection.

These functions run in whatever thread runs the request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from cherrypy.http.bodyerrors import BodyError
from cherrypy.httpd.away import Away, Deferred, Handover, Work
from cherrypy.httpd.connection import ClientGone, Connection
from cherrypy.httpd.files import FileSlice, OwnedFile
from cherrypy.httpd.message import Answer, Message, Responder
from cherrypy.httpd.sending import (
    END,
    LATER,
    READY,
    RESET,
    frame,
    send_error,
    send_file,
    send_owned_file,
    send_stream,
    send_whole,
)
from cherrypy.httpd.streambody import StreamBody
from cherrypy.httpd.writer import AnswerError, RepeatedFields

if TYPE_CHECKING:
    from cherrypy.httpd.baton import Seat
    from cherrypy.httpd.server import Server

log = logging.getLogger(__name__)

_BODY_STATUS = {
    400: b"400 Bad Request",
    408: b"408 Request Timeout",
    413: b"413 Request Entity Too Large",
}


def run(respond: Responder, server: Server, connection: Connection, message: Message, seat: Seat) -> str:
    """Answer *message* on *connection* by what *respond* says; returns one of the seven outcomes above."""
    close: Callable[[], object] | None = None
    try:
        try:
            status, headers, body, close = respond(message)
            if (
                type(headers) is RepeatedFields
                and message.is_plain
                and type(body) is list
                and status is headers.status
                and not (close or connection.last or server.leaving or seat.timed)
                and headers.head
                and len(body) == 1
                and len(body[0]) == headers.size
            ):
                # PERF: what ``send_whole`` would do; 150 -> 60 instructions of the interpreter
                connection.keep = True
                connection.out = data = headers.head + body[0]
                seat.bytes_out += len(data)
                return READY
            if message.expects_continue and status[:1] == b"5" and connection.limits.failure_continues:
                _welcome(message)
            if seat.timed:
                seat.learn()  # now: what follows is the client's pace, not the handler's
            kind = body.__class__
            if kind is list or kind is tuple:
                return send_whole(server, connection, message, seat, status, headers, body, close is None)  # type: ignore[arg-type]
            if kind is OwnedFile:
                return send_owned_file(server, connection, message, seat, status, headers, body, close is None)  # type: ignore[arg-type]
            if kind is FileSlice:
                return send_file(server, connection, message, seat, status, headers, body)  # type: ignore[arg-type]
            if isinstance(body, Handover):
                framing = frame(server, connection, message, status, headers, None)
                connection.away = Away(server, connection, message, body.take(framing, close))
                close = None  # now the owner's business
                return LATER
            seat.baton.give(seat)
            return send_stream(server, connection, message, seat, status, headers, body)
        except BaseException as error:
            return _settle(error, server, connection, message, seat)
    finally:
        if close is not None:
            finish(server, close)


def _settle(error: BaseException, server: Server, connection: Connection, message: Message, seat: Seat) -> str:
    """Return the outcome of an exchange that came to *error*, which is being handled."""
    if isinstance(error, Deferred):
        connection.away = Away(server, connection, message, error.owner, error.when_over)
        if seat.timed:
            seat.learn()
        return LATER
    if isinstance(error, ClientGone):
        log.debug("client gone peer=%s reason=%s", connection.peer, error)
        return RESET
    if isinstance(error, KeyboardInterrupt | SystemExit):
        server.interrupt = error
        return END  # nothing was sent: a plain end of the connection, without an answer
    # Whatever else it is, also what is no Exception (a CancelledError, a GreenletExit): the thread must outlive it.
    status, text = b"500 Internal Server Error", b"The server could not complete the request."
    if isinstance(error, BodyError):
        status, text = _BODY_STATUS[error.status], b"The request body could not be read."
    elif isinstance(error, AnswerError):
        log.error("answer refused path=%s reason=%s", message.path, error)
        text = error.text.encode("latin-1", "replace")
    else:
        log.exception("responder failed path=%s", message.path)
    return send_error(connection, message, seat, status, text)


def answering(respond: Responder) -> Work:
    """Work for a connection that comes back: answer its message by what *respond* says."""

    def work(away: Away, seat: Seat) -> str:
        def noted(message: Message) -> Answer:
            answer = respond(message)
            away.status_class = answer[0][0] - 48
            return answer

        return run(noted, away.server, away.connection, away.message, seat)

    return work


def ending(outcome: str, close: Callable[[], object] | None, sent_bytes: int = 0) -> Work:
    """Work for a connection that comes back with its answer sent: call *close*, settle by *outcome*."""

    def end(away: Away, seat: Seat) -> str:
        seat.bytes_out += sent_bytes
        if close is not None:
            finish(away.server, close)
        return outcome

    return end


def _welcome(message: Message) -> None:
    body = message.body
    if isinstance(body, StreamBody):
        body.welcome()


def finish(server: Server, close: Callable[[], object]) -> None:
    """Call an answer's ``close``; whatever it raises is logged, since the answer is out already."""
    try:
        close()
    except (KeyboardInterrupt, SystemExit) as error:
        server.interrupt = error
    except BaseException:
        log.exception("close of an answer failed")
