"""One HTTP request through an ASGI application: body in, answer out, all on the event loop."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Mapping
from typing import Any

from cherrypy.aio.asgi.lifespan import Lifespan
from cherrypy.aio.asgi.scope import Origin, scope_of
from cherrypy.aio.exchange import TaskOwner, error_of
from cherrypy.aio.runner import runner
from cherrypy.aio.wire import Wire
from cherrypy.core.later import Abandoned
from cherrypy.core.logs import log
from cherrypy.http.bodyerrors import BodyError
from cherrypy.httpd.connection import ClientGone
from cherrypy.httpd.exchange import answering, ending
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.sending import CUT, END, KEEP, RESET, frame
from cherrypy.httpd.streambody import StreamBody
from cherrypy.httpd.writer import LAST_CHUNK, AnswerError, Framing

_BODY_BYTES = 65536


class HTTPExchange(TaskOwner):
    """Owns a connection while the application answers one request on it.

    Args:
        app: the application.
        message: the request.
        root_path: where the application is mounted.
        origin: what trusted proxies say.
        lifespan: the application's.
    """

    reads = True

    def __init__(self, app: Any, message: Message, root_path: str, origin: Origin, lifespan: Lifespan) -> None:
        super().__init__({})
        self._app = app
        self._message = message
        self._root_path = root_path
        self._origin = origin
        self._lifespan = lifespan
        self._wire: Any = None
        self._start_message: Mapping[str, Any] | None = None
        self._framing: Framing | None = None
        self._sent = 0
        self._is_complete = False
        self._is_read = False
        self._gone: Any = None

    async def make(self) -> str:
        """Run the application; returns the outcome for the connection."""
        await self._lifespan.ensure_started()
        wire = self._wire = Wire(self.away.connection)
        self._gone = asyncio.Event()
        if self._has_whole_body():
            wire.watch(self._gone.set)
        scope = scope_of(self._message, self._root_path, self._origin, self._lifespan.state)
        await self._app(scope, self.receive, self.send)
        framing = self._framing
        if framing is None:
            raise AnswerError("The ASGI application returned without an answer.")
        _, keep, has_body, length, _ = framing
        if not self._is_complete or (has_body and length is not None and self._sent < length):
            log.error(f"An ASGI application's answer is too short: {self._message.path}", severity=40)
            return CUT
        return KEEP if keep else END

    def _has_whole_body(self) -> bool:
        body = self._message.body
        return not isinstance(body, StreamBody) or body.complete

    # What the application calls

    async def receive(self) -> dict[str, Any]:
        """The next piece of the request's body; then wait until the client leaves, or has its answer."""
        if self._is_read:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        body = self._message.body
        if not isinstance(body, StreamBody):
            data = body.read(_BODY_BYTES)
            self._is_read = len(data) < _BODY_BYTES
            return {"type": "http.request", "body": data, "more_body": not self._is_read}
        try:
            data = await self._read_some(body)
        except BodyError as error:
            if error.status != 400:
                raise
            # the client has gone, or may as well be
            self._is_read = True
            self._gone.set()
            return {"type": "http.disconnect"}
        self._is_read = body.is_read
        if self._is_read:
            self._wire.watch(self._gone.set)
        return {"type": "http.request", "body": data, "more_body": not self._is_read}

    async def _read_some(self, body: StreamBody) -> bytes:
        loop = asyncio.get_running_loop()
        while (data := body.take_some()) is None:
            start = loop.time()
            is_readable = await self._wire.wait_readable(max(body.patience_s, 0))
            body.has_waited(loop.time() - start, is_readable)
        await self._wire.give_way(len(data))
        return data

    async def send(self, event: Mapping[str, Any]) -> None:
        """Take a piece of the answer.

        Raises:
            ClientGone: (an OSError) nobody takes it.
        """
        kind = event["type"]
        if kind == "http.response.start":
            if self._start_message is not None:
                raise AnswerError("An ASGI application began its answer twice.")
            self._start_message = event
            return
        if kind != "http.response.body" or self._start_message is None:
            raise AnswerError(f"An ASGI application sent {kind!r} where it must not.")
        if self._is_complete:
            raise AnswerError("An ASGI application went on with an answer that was complete.")
        if self._gone.is_set():
            raise ClientGone("the client has gone")
        data = bytes(event.get("body", b""))
        is_last = not event.get("more_body", False)
        self._is_complete = is_last
        await self._wire.send(self._framed(data, is_last))
        if is_last:
            self._gone.set()  # as the specification has it: a disconnect follows the answer

    def _framed(self, data: bytes, is_last: bool) -> bytes:
        """Return the octets for a piece of the body, with the head if it is the first."""
        head = b""
        framing = self._framing
        if framing is None:
            size = len(data) if is_last else None
            framing = self._framing = self._frame(size)
            head = framing[0]
        _, _, has_body, length, chunked = framing
        if not has_body:
            return head
        if length is not None and self._sent + len(data) > length:
            log.error(f"An ASGI application's answer is too long, cut: {self._message.path}", severity=40)
            data = data[: length - self._sent]
        self._sent += len(data)
        if not chunked:
            return head + data
        piece = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return head + piece + (LAST_CHUNK if is_last else b"")

    def _frame(self, size: int | None) -> Framing:
        start = self._start_message
        assert start is not None
        away = self.away
        headers = [(bytes(name), bytes(value)) for name, value in start.get("headers", ())]
        return frame(away.server, away.connection, self._message, status_line(start["status"]), headers, size)

    # The end

    def finish(self, task: asyncio.Task[Any]) -> None:
        """Settle the connection."""
        wire, message = self._wire, self._message
        sent_bytes = 0
        if wire is not None:
            wire.release()
            sent_bytes = wire.sent_bytes
        body = message.body
        if isinstance(body, StreamBody) and not self.away.was_read:
            # what came behind the body, which nobody else has
            body.rest += self.away.connection.buffer
        error = error_of(task, self.is_cancelled)
        if self._start_message is not None:
            self.away.status_class = self._start_message["status"] // 100
        if error is None:
            work = ending(task.result(), None, sent_bytes)
        elif isinstance(error, ClientGone | Abandoned):
            work = ending(RESET, None, sent_bytes)
        elif sent_bytes:
            framing = self._framing
            is_seen = framing is not None and (framing[4] or framing[3] is not None)
            log_error(error)
            work = ending(CUT if is_seen else RESET, None, sent_bytes)
        else:
            work = answering(_raising(error))
        runner.bring_back(self.away, work)


def _raising(error: BaseException) -> Any:
    def respond(message: Message) -> Answer:
        if not isinstance(error, BodyError | AnswerError):
            log_error(error)
            return b"500 Internal Server Error", [(b"Content-Type", b"text/plain")], [b"Internal Server Error"], None
        raise error

    return respond


def log_error(error: BaseException) -> None:
    """Log *error* with its traceback; what is meant to end the process goes on."""
    if not isinstance(error, Exception):
        raise error
    try:
        raise error
    except Exception:
        log("A grafted ASGI application failed", traceback=True, severity=40)


def status_line(status: int) -> bytes:
    """Return b"200 OK" for 200."""
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"{status} {phrase}".rstrip().encode("ascii")
