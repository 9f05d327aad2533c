"""From a request to a WebSocket: the tool, the page that converses, the connection that is handed over.

pool thread              event loop             pool thread                event loop
check handshake, run ->  the page begins    ->  hooks, finalize: 101   ->  the conversation
                         until it accepts
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterable
from typing import Any

from cherrypy.aio import handshake
from cherrypy.aio.carry import snapshot
from cherrypy.aio.codec import Codec
from cherrypy.aio.exchange import TaskOwner, error_of
from cherrypy.aio.runner import runner
from cherrypy.aio.websocket import GOING_AWAY, INTERNAL_ERROR, NORMAL, POLICY, WebSocket, WebSocketClosed
from cherrypy.aio.wire import Wire
from cherrypy.context import serving
from cherrypy.core.errors import CherryPyException, HTTPError
from cherrypy.core.later import Later, is_understood
from cherrypy.core.logs import log
from cherrypy.httpd.away import Handover, Owner
from cherrypy.httpd.connection import ClientGone
from cherrypy.httpd.exchange import ending
from cherrypy.httpd.sending import END, RESET
from cherrypy.httpd.writer import Framing

#: How long a page may go on when its conversation is over; then it is cancelled.
PAGE_S = 10.0

_FIELDS = (b"\r\nConnection: close\r\n", b"\r\nConnection: Keep-Alive\r\n")


def websocket(
    origins: str | Iterable[str] | None = None,
    subprotocols: Iterable[str] = (),
    max_size: int = 1 << 20,
    ping_interval: float | None = 20.0,
    ping_timeout: float = 20.0,
    close_timeout: float = 10.0,
    compression: bool = True,
) -> None:
    """Make the page a WebSocket's: it is called with a ``WebSocket`` before its other arguments.

    Args:
        origins: origins ('https://app.example') whose pages may connect, besides the site's own; '*' for all.
        subprotocols: those the page speaks, best first.
        max_size: octets of a message, beyond which the conversation ends with 1009.
        ping_interval: seconds of silence after which the client is asked whether it is there; None for never.
        ping_timeout: seconds it has for its answer.
        close_timeout: seconds it has for its farewell.
        compression: use permessage-deflate if the client offers it.

    Raises:
        HTTPError: 426, 400 or 403 for what is no handshake, or not allowed; 501 under a foreign server.
    """
    request = serving.request
    if request.handler is None:
        return  # an earlier tool has answered
    if request._message is None:
        raise HTTPError(501, "WebSockets need the framework's own server; this request came through another one.")
    handshake.check_request(request)
    handshake.check_origin(request, origins)
    socket = WebSocket(
        handshake.choose_subprotocol(
            request.headers, [subprotocols] if isinstance(subprotocols, str) else subprotocols
        ),
        max_size=max_size,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        close_timeout=close_timeout,
    )
    offer = handshake.acceptable_deflate(request.headers) if compression else None
    request.handler = _Opening(socket, Codec(offer), _page_of(request.handler))


websocket.priority = 95  # type: ignore[attr-defined]


def _page_of(handler: Any) -> Any:
    """Return the handler that calls the page itself: what stands around it would wait for a result.

    Raises:
        CherryPyException: a handler of the application's stands around it, which must not be left out.
    """
    while is_understood(handler):
        inner = handler.inner_handler()
        if inner is None:
            return handler
        # SECURITY: what only formats a result has nothing to do here; anything else may be a guard
        if not getattr(handler, "only_formats", False):
            break
        handler = inner
    raise CherryPyException(f"tools.websocket cannot work inside {handler!r}: turn that off for this page.")


class _Opening:
    """The handler of a WebSocket: calls the page, and answers 101 once that accepts."""

    def __init__(self, socket: WebSocket, codec: Codec, page: Any) -> None:
        self._socket = socket
        self._codec = codec
        self._page = page
        self.callable = page.callable

    def __call__(self) -> Later:
        request, response = serving.request, serving.response
        socket, page = self._socket, self._page
        request.handler = page
        is_coroutine = _is_coroutine_function(page.callable)
        loop = runner.loop
        socket.prepare(loop)
        request.args = (socket if is_coroutine else socket.blocking, *page.args)
        inside = page() if is_coroutine else Later(_in_thread(page))
        return Later(_open(socket, self._codec, inside.awaitable, request, response), inside)


def _is_coroutine_function(function: Any) -> bool:
    """True for a page that is to be awaited, also behind decorators that say what they wrap."""
    function = inspect.unwrap(function)
    call = getattr(type(function), "__call__", None)  # noqa: B004 (what it is, not whether there is one)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


async def _open(socket: WebSocket, codec: Codec, awaitable: Any, request: Any, response: Any) -> Any:
    """Run the page until it accepts, or ends before; returns what is to be the response's body."""
    page = asyncio.create_task(awaitable)
    try:
        if not await socket.wait_until_wanted(page):
            await page  # raises what it has to say instead of 101
    except BaseException:
        page.cancel()
        socket.refuse()
        raise
    headers = response.headers
    for name in ("Content-Type", "Content-Length"):
        headers.pop(name, None)
    response.status = "101 Switching Protocols"
    response.stream = False
    headers["Upgrade"] = "websocket"
    headers["Sec-WebSocket-Accept"] = handshake.accept_key(request.headers["Sec-WebSocket-Key"])
    if socket.subprotocol is not None:
        headers["Sec-WebSocket-Protocol"] = socket.subprotocol
    if codec.extension is not None:
        headers["Sec-WebSocket-Extensions"] = codec.extension
    return Upgrade(socket, codec, page)


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Run *function* in a thread of its own: conversations last."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    state = snapshot()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        serving.__dict__.update(state)
        try:
            result = function()
            if isinstance(result, Later):
                result.close()
                raise CherryPyException(
                    "The page of a WebSocket is a coroutine behind a decorator that hides it: use functools.wraps."
                )
        except BaseException as error:
            loop.call_soon_threadsafe(settle, None, error)
        else:
            loop.call_soon_threadsafe(settle, result, None)

    threading.Thread(target=run, name="CP WebSocket", daemon=True).start()
    return await done


class Upgrade(Handover):
    """The body of a 101: a conversation."""

    def __init__(self, socket: WebSocket, codec: Codec, page: asyncio.Task[Any]) -> None:
        self.socket = socket
        self.codec = codec
        self.page = page
        self.state = snapshot()

    def __iter__(self) -> Any:
        return iter(())

    def take(self, framing: Framing, close: Callable[[], object] | None) -> Owner:
        """Return who leads it."""
        return Conversation(self, framing[0], close)

    def abandon(self) -> None:
        """The answer became another one."""
        runner.call(self._abandon)

    def _abandon(self) -> None:
        self.socket.refuse()
        self.page.cancel()


def with_upgrade(head: bytes) -> bytes:
    """Return the head of a 101 with the Connection field that the server reserves for itself."""
    for field in _FIELDS:
        head = head.replace(field, b"\r\n")
    return head[:-2] + b"Connection: Upgrade\r\n\r\n"


class Conversation(TaskOwner):
    """Sends the 101, then reads, and keeps the client alive, until both the page and the client are through."""

    reads = True

    def __init__(self, upgrade: Upgrade, head: bytes, close: Callable[[], object] | None) -> None:
        super().__init__(upgrade.state)
        self._socket = upgrade.socket
        self._codec = upgrade.codec
        self._page = upgrade.page
        self._head = head
        self._close = close
        self._wire: Any = None
        self._goodbye: Any = None

    def leave(self) -> None:
        """Say that the server goes away."""
        runner.call(self._say_goodbye)

    def _say_goodbye(self) -> None:
        self._goodbye = self._goodbye or asyncio.ensure_future(self._socket.close(GOING_AWAY, "the server goes away"))

    async def make(self) -> str:
        """Lead the conversation; returns the outcome for the connection."""
        wire = self._wire = Wire(self.away.connection)
        head = self._head
        await wire.send(with_upgrade(head))
        self._socket.open(wire, self._codec)
        page = self._page
        reader = asyncio.create_task(self._socket.read())
        keeper = asyncio.create_task(self._socket.keep_alive())
        try:
            await asyncio.wait((page, reader), return_when=asyncio.FIRST_COMPLETED)
            if not page.done():
                await asyncio.wait((page,), timeout=PAGE_S)
            if page.done():
                await self._socket.close(_code_for(page))
        finally:
            for task in (reader, keeper, page):
                task.cancel()
            await asyncio.gather(reader, keeper, page, return_exceptions=True)
        return END

    def finish(self, task: asyncio.Task[Any]) -> None:
        """Settle the connection."""
        self._socket.refuse()
        self._page.cancel()
        sent_bytes = 0
        if self._wire is not None:
            self._wire.release()
            sent_bytes = self._wire.sent_bytes
        error = error_of(task, self.is_cancelled)
        if isinstance(error, Exception) and not isinstance(error, ClientGone):
            log.error(f"A WebSocket failed: {error!r}", severity=40)
        runner.bring_back(self.away, ending(END if error is None else RESET, self._close, sent_bytes))


def _code_for(page: asyncio.Task[Any]) -> int:
    """Return the code to close with when *page* has ended; an error of it is logged."""
    if page.cancelled():
        return GOING_AWAY
    error = page.exception()
    if error is None or isinstance(error, WebSocketClosed):
        return NORMAL
    if isinstance(error, HTTPError) and (error.code or 500) < 500:
        return POLICY
    try:
        raise error
    except Exception:
        log(traceback=True, severity=40)
    return INTERNAL_ERROR
