"""One WebSocket through an ASGI application, by the same conversation as a page's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from cherrypy.aio import handshake
from cherrypy.aio.asgi.http import log_error
from cherrypy.aio.asgi.lifespan import Lifespan
from cherrypy.aio.asgi.scope import Origin, headers_of, scope_of, websocket_scope_of
from cherrypy.aio.codec import Codec
from cherrypy.aio.exchange import TaskOwner, error_of
from cherrypy.aio.runner import runner
from cherrypy.aio.upgrade import with_upgrade
from cherrypy.aio.websocket import GOING_AWAY, INTERNAL_ERROR, NORMAL, WebSocket, WebSocketClosed
from cherrypy.aio.wire import Wire
from cherrypy.core.later import Abandoned
from cherrypy.httpd.connection import ClientGone
from cherrypy.httpd.exchange import answering, ending
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.sending import END, RESET, frame
from cherrypy.httpd.writer import AnswerError

#: Octets of a message; what ASGI servers allow by default.
MAX_SIZE = 16 << 20
#: How long the application may go on when its conversation is over; then it is cancelled.
APP_S = 10.0

_REFUSED: Answer = (b"403 Forbidden", [(b"Content-Type", b"text/plain")], [b"Forbidden"], None)


class WebSocketExchange(TaskOwner):
    """Owns a connection from its handshake to its end. The arguments are those of ``HTTPExchange``."""

    reads = True

    def __init__(self, app: Any, message: Message, root_path: str, origin: Origin, lifespan: Lifespan) -> None:
        super().__init__({})
        self._app = app
        self._message = message
        self._root_path = root_path
        self._origin = origin
        self._lifespan = lifespan
        self._headers = headers_of(message)
        self._socket = WebSocket(max_size=MAX_SIZE)
        self._wire: Any = None
        self._codec: Any = None
        self._reading: list[asyncio.Task[Any]] = []
        self._goodbye: Any = None
        self._has_connected = False
        self._is_refused = False
        self._is_leaving = False

    def leave(self) -> None:
        """Say that the server goes away."""
        runner.call(self._say_goodbye)

    def _say_goodbye(self) -> None:
        self._is_leaving = True
        if self._codec is not None and self._goodbye is None:
            self._goodbye = asyncio.ensure_future(self._socket.close(GOING_AWAY, "the server goes away"))

    async def make(self) -> str:
        """Run the application; returns the outcome for the connection."""
        await self._lifespan.ensure_started()
        self._wire = Wire(self.away.connection)
        self._socket.prepare(asyncio.get_running_loop())
        scope = scope_of(self._message, self._root_path, self._origin, self._lifespan.state)
        scope = websocket_scope_of(scope, handshake.offered_subprotocols(self._headers))
        app = asyncio.create_task(self._app(scope, self.receive, self.send))
        code = NORMAL
        try:
            while not app.done():
                await asyncio.wait((app, *self._reading[:1]), return_when=asyncio.FIRST_COMPLETED, timeout=None)
                if self._reading and self._reading[0].done() and not app.done():
                    await asyncio.wait((app,), timeout=APP_S)
                    break
            if app.done() and not app.cancelled() and app.exception() is not None:
                code = INTERNAL_ERROR
                app.result()
        except Exception as error:
            if self._codec is None:
                raise
            if not isinstance(error, WebSocketClosed | ClientGone):
                log_error(error)
        finally:
            if self._codec is not None and not self.is_cancelled:
                await self._socket.close(code)
            tasks = [app, *self._reading]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._codec is None and not self._is_refused:
            raise AnswerError("The ASGI application returned without accepting its WebSocket.")
        return END

    # What the application calls

    async def receive(self) -> dict[str, Any]:
        """First the connect, then messages, at last the disconnect."""
        if not self._has_connected:
            self._has_connected = True
            return {"type": "websocket.connect"}
        if self._is_refused:
            return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        try:
            message = await self._socket.receive()
        except WebSocketClosed as closed:
            return {"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason}
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, event: Mapping[str, Any]) -> None:
        """Accept, send, or close.

        Raises:
            ClientGone: (an OSError) nobody hears it.
        """
        kind = event["type"]
        if kind == "websocket.accept" and self._codec is None and not self._is_refused:
            await self._accept(event)
        elif kind == "websocket.close" and self._codec is None:
            self._is_refused = True
        elif kind == "websocket.close":
            await self._socket.close(event.get("code") or NORMAL, event.get("reason") or "")
        elif kind == "websocket.send" and self._codec is not None:
            text = event.get("text")
            try:
                await self._socket.send(event.get("bytes", b"") if text is None else text)
            except WebSocketClosed as closed:
                raise ClientGone(f"the WebSocket is closed: {closed.code}") from closed
        else:
            raise AnswerError(f"An ASGI application sent {kind!r} where it must not.")

    async def _accept(self, event: Mapping[str, Any]) -> None:
        codec = Codec(handshake.acceptable_deflate(self._headers))
        fields = [(bytes(name), bytes(value)) for name, value in event.get("headers") or ()]
        fields.append((b"Upgrade", b"websocket"))
        fields.append((b"Sec-WebSocket-Accept", handshake.accept_key(self._headers["Sec-WebSocket-Key"]).encode()))
        if event.get("subprotocol"):
            fields.append((b"Sec-WebSocket-Protocol", str(event["subprotocol"]).encode("ascii")))
        if codec.extension:
            fields.append((b"Sec-WebSocket-Extensions", codec.extension.encode("ascii")))
        away = self.away
        head = frame(away.server, away.connection, self._message, b"101 Switching Protocols", fields, None)[0]
        await self._wire.send(with_upgrade(head))
        self._codec = codec
        self._socket.open(self._wire, codec)
        self._reading = [
            asyncio.create_task(self._socket.read()),
            asyncio.create_task(self._socket.keep_alive()),
        ]
        if self._is_leaving:
            self._say_goodbye()

    def finish(self, task: asyncio.Task[Any]) -> None:
        """Settle the connection."""
        sent_bytes = 0
        if self._wire is not None:
            self._wire.release()
            sent_bytes = self._wire.sent_bytes
        error = error_of(task, self.is_cancelled)
        if isinstance(error, ClientGone | Abandoned):
            work = ending(RESET, None, sent_bytes)
        elif error is not None:
            work = answering(_failing(error))
        elif self._codec is None:
            self.away.status_class = 4
            work = answering(lambda message: _REFUSED)
        else:
            self.away.status_class = 1
            work = ending(END, None, sent_bytes)
        runner.bring_back(self.away, work)


def _failing(error: BaseException) -> Any:
    def respond(message: Message) -> Answer:
        log_error(error)
        return b"500 Internal Server Error", [(b"Content-Type", b"text/plain")], [b"Internal Server Error"], None

    return respond
