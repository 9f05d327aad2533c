"""A WebSocket as its page sees it, and the conversation on the wire below it.

    @cherrypy.expose
    @cherrypy.tools.websocket()
    async def echo(self, ws):
        async for message in ws:
            await ws.send(message)

Law: everything here runs on the event loop; ``ws.blocking`` is the same socket for threads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from cherrypy.aio.blocking import BlockingWebSocket
from cherrypy.aio.wire import Wire
from cherrypy.httpd.connection import ClientGone

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, ABNORMAL = 1000, 1001, 1002, 1005, 1006
INVALID_DATA, POLICY, TOO_BIG, INTERNAL_ERROR = 1007, 1008, 1009, 1011

#: Messages that wait for the page; with more of them the client's next octets stay where they are.
_QUEUE_SIZE = 16
#: Octets that are taken apart at once. SECURITY: a thousand octets of zeros take one when compressed, so this bounds
#: how much memory a message can use before its size is seen.
_PIECE_BYTES = 4096

Message = str | bytes


class WebSocketClosed(Exception):
    """The conversation is over.

    Attributes:
        code: 1000 by intent, 1001 one side goes away, 1005 without a code, 1006 without a farewell, ...
            (RFC 6455, 7.4).
        reason: text of whoever closed.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class WebSocket:
    """One conversation. It begins with the first ``accept``, ``send``, ``receive`` or ``ping``.

    Until then the page may still answer in another way: raise ``HTTPError(403)``, redirect, set a cookie.

    Attributes:
        subprotocol: the one that was agreed upon, None for none.
        close_code, close_reason: of the end; None and '' before it.
    """

    def __init__(
        self,
        subprotocol: str | None = None,
        *,
        max_size: int = 1 << 20,
        ping_interval: float | None = 20.0,
        ping_timeout: float = 20.0,
        close_timeout: float = 10.0,
    ) -> None:
        self.subprotocol = subprotocol
        self.close_code: int | None = None
        self.close_reason = ""
        self._max_size = max_size
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._close_timeout = close_timeout
        self._loop: Any = None
        self._wanted: Any = None
        self._opened: Any = None
        self._wire: Wire | None = None
        self._codec: Any = None
        self._sending = asyncio.Lock()
        self._messages: deque[Message] = deque()
        self._news = asyncio.Event()  # a message has come, or the end
        self._room = asyncio.Event()  # the queue can take another message
        self._room.set()
        self._parts: list[Message] = []
        self._size = 0
        self._pings: dict[bytes, Any] = {}
        self._ping_number = 0
        self._heard_at = 0.0
        self._farewell_sent = False
        self._is_over = asyncio.Event()

    # For pages

    @property
    def is_closed(self) -> bool:
        """True once either side has closed."""
        return self.close_code is not None

    @property
    def blocking(self) -> BlockingWebSocket:
        """This socket for use in threads: the same methods, not to be awaited."""
        return BlockingWebSocket(self, self._loop)

    async def accept(self, subprotocol: str | None = None) -> None:
        """Complete the handshake, with *subprotocol* instead of the agreed one if it is given; once is enough."""
        if not self._wanted.done():
            if subprotocol is not None:
                self.subprotocol = subprotocol
            self._wanted.set_result(None)
        await asyncio.shield(self._opened)

    async def receive(self) -> Message:
        """Return the next message: a str or bytes, as it was sent.

        Raises:
            WebSocketClosed: there will be none.
        """
        await self.accept()
        while not self._messages:
            if self.close_code is not None:
                raise WebSocketClosed(self.close_code, self.close_reason)
            self._news.clear()
            await self._news.wait()
        message = self._messages.popleft()
        self._room.set()
        return message

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    async def send(self, message: Message) -> None:
        """Send a message: text for a str, binary for bytes. Waits for a slow client, within the server's limits.

        Raises:
            TypeError: it is neither.
            WebSocketClosed: it cannot arrive.
        """
        if not isinstance(message, str | bytes | bytearray | memoryview):
            raise TypeError(f"A WebSocket's message is str or bytes, not {type(message).__name__}.")
        await self.accept()
        data = message if isinstance(message, str) else bytes(message)
        await self._send(lambda: self._codec.message(data))

    async def ping(self, data: bytes | None = None) -> float:
        """Ask whether the client is there; returns the seconds until it answered.

        Args:
            data: at most 125 octets; must differ from other pings' on their way.
        """
        await self.accept()
        if data is None:
            self._ping_number += 1
            data = b"%d" % self._ping_number
        if len(data) > 125 or data in self._pings:
            raise ValueError("A ping's data are at most 125 octets, and no other ping's on its way.")
        answered = self._pings[data] = self._loop.create_future()
        start = self._loop.time()
        try:
            await self._send(lambda: self._codec.ping(data))
            await answered
        finally:
            self._pings.pop(data, None)
        return float(self._loop.time() - start)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say farewell and wait for the client's. Closing again does nothing.

        Raises:
            ValueError: a *code* that may not be sent, or a *reason* of more than 123 octets.
        """
        if not (1000 <= code <= 1014 and code not in (1004, NO_STATUS, ABNORMAL)) and not 3000 <= code <= 4999:
            raise ValueError(
                f"A WebSocket cannot be closed with the code {code}; applications have 1000 and 3000-4999."
            )
        if len(reason.encode()) > 123:
            raise ValueError("The reason for closing a WebSocket is at most 123 octets.")
        await self.accept()
        await self._bid_farewell(code, reason)
        if not self._is_over.is_set():
            await _within(self._is_over.wait(), self._close_timeout)
            self._end(ABNORMAL, "no farewell in time")

    # For whoever runs the conversation

    def prepare(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the loop."""
        self._loop = loop
        self._wanted = loop.create_future()
        self._opened = loop.create_future()

    async def wait_until_wanted(self, page: asyncio.Task[Any]) -> bool:
        """Wait until *page* accepts, or ends before; True in the former case."""
        await asyncio.wait((page, self._wanted), return_when=asyncio.FIRST_COMPLETED)
        return bool(self._wanted.done())

    def open(self, wire: Wire, codec: Any) -> None:
        """The 101 is out: let the page speak."""
        self._wire = wire
        self._codec = codec
        self._heard_at = self._loop.time()
        if not self._opened.done():
            self._opened.set_result(None)

    def refuse(self) -> None:
        """There will be no 101: whatever the page does with this socket raises."""
        self._end(ABNORMAL, "the handshake was not completed")
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    async def read(self) -> None:
        """Take in what the client sends until the conversation is over."""
        wire = self._wire
        assert wire is not None
        while not self._is_over.is_set():
            data = await wire.receive()
            if not data:
                self._end(ABNORMAL, "the client has gone")
                return
            self._heard_at = self._loop.time()
            for start in range(0, len(data), _PIECE_BYTES):
                if start:
                    # SECURITY: a piece may hold hundreds of frames; others have their turn between two of them
                    await asyncio.sleep(0)
                for kind, content, is_last in self._codec.receive(data[start : start + _PIECE_BYTES]):
                    await self._take(kind, content, is_last)
                    if self._is_over.is_set():
                        return

    async def keep_alive(self) -> None:
        """Ping a silent client now and then, and end the conversation with one that does not answer."""
        interval, loop = self._ping_interval, self._loop
        if not interval:
            return
        while True:
            silent_s = loop.time() - self._heard_at
            if silent_s < interval:
                await asyncio.sleep(interval - silent_s)
                continue
            answered = await _within(self.ping(), self._ping_timeout)
            if self.close_code is not None:
                return
            # with a full queue nobody reads: the page is slow, not the client
            if not answered and self._room.is_set():
                await self._bid_farewell(INTERNAL_ERROR, "no answer to a ping")
                self._end(INTERNAL_ERROR, "no answer to a ping")
                return
            self._heard_at = loop.time()

    async def _take(self, kind: str, content: Any, is_last: bool) -> None:
        if kind == "message":
            await self._take_part(content, is_last)
        elif kind == "ping":
            if not self._farewell_sent:
                await self._try_to_send(lambda: self._codec.pong(content))
        elif kind == "pong":
            answered = self._pings.get(content)
            if answered is not None and not answered.done():
                answered.set_result(None)
        elif kind == "close":
            code, reason = content
            if self.close_code is None:
                self.close_code, self.close_reason = code, reason
            await self._bid_farewell(NORMAL if code == NO_STATUS else code, "")
            self._end(code, reason)
        else:
            await self._fail(*content)

    async def _take_part(self, content: Message, is_last: bool) -> None:
        """Take a part of a message; the page gets it when it is complete."""
        if self._farewell_sent:
            return  # on its way when we said farewell
        size = len(content) if isinstance(content, bytes) or content.isascii() else len(content.encode())
        self._size += size
        if self._size > self._max_size:
            self._parts = []
            await self._fail(TOO_BIG, f"messages are at most {self._max_size} octets")
            return
        if content:
            self._parts.append(content)
        if not is_last:
            return
        empty: Any = "" if isinstance(content, str) else b""
        whole = empty.join(self._parts)
        self._parts = []
        self._size = 0
        while len(self._messages) >= _QUEUE_SIZE and self.close_code is None:
            self._room.clear()
            await self._room.wait()
        self._messages.append(whole)
        self._news.set()

    async def _fail(self, code: int, reason: str) -> None:
        await self._bid_farewell(code, reason[:80])
        self._end(code, reason)

    async def _bid_farewell(self, code: int, reason: str) -> None:
        """Send the close frame, once."""
        if self._farewell_sent or self._is_over.is_set():
            return
        self._farewell_sent = True
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        self._news.set()
        self._room.set()
        await self._try_to_send(lambda: self._codec.close(code, reason))

    async def _try_to_send(self, make: Any) -> None:
        try:
            async with self._sending:
                assert self._wire is not None
                await self._wire.send(make())
        except ClientGone:
            self._end(ABNORMAL, "the client has gone")

    async def _send(self, make: Any) -> None:
        if self.close_code is None:
            await self._try_to_send(lambda: make() if self.close_code is None else b"")
        if self.close_code is not None:
            raise WebSocketClosed(self.close_code, self.close_reason)

    def _end(self, code: int, reason: str) -> None:
        """The conversation is over; wakes everybody who waits for something of it."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        self._is_over.set()
        self._news.set()
        self._room.set()
        for answered in self._pings.values():
            if not answered.done():
                answered.set_exception(WebSocketClosed(self.close_code, self.close_reason))


async def _within(awaitable: Any, timeout_s: float) -> bool:
    """Await for *timeout_s* at most; True if it was done in time."""
    try:
        await asyncio.wait_for(awaitable, timeout_s)
    except (TimeoutError, WebSocketClosed):
        return False
    return True
